/* Runs one operator without an engine: attributes and inputs are set one after the other, outputs read afterwards.
 *
 *     driver *d = drive("Slice", 13);
 *     drive_input(d, MOTET_FLOAT, 1, (int64_t[]){5}, values);
 *     drive_ints(d, "axes", 1, (int64_t[]){0});
 *     assert_int_equal(drive_run(d, 1), MOTET_OK);
 *     ... d->outputs[0] ...
 *     drive_end(d);
 */
#ifndef MT_TESTS_OP_DRIVER_H
#define MT_TESTS_OP_DRIVER_H

#include <string.h>

#include "core/memory.h"
#include "graph/graph.h"
#include "ops/op.h"

enum { DRIVE_MOST = 16, DRIVE_SCRATCH = 256 };

typedef struct driver {
    mt_node node;
    mt_attribute attributes[DRIVE_MOST];
    motet_tensor inputs[DRIVE_MOST], outputs[DRIVE_MOST];
    const motet_tensor *in[DRIVE_MOST];
    motet_tensor *out[DRIVE_MOST];
    int wanted[DRIVE_MOST];
    void *scratch[DRIVE_SCRATCH];
    int scratch_count;
    mt_op_context context;
} driver;

static motet_status driver_alloc(mt_op_context *c, motet_tensor *tensor, motet_type type, int rank, const int64_t *dims)
{
    (void)c;
    return mt_tensor_alloc(tensor, type, rank, dims);
}

static motet_status driver_alloc_list(mt_op_context *c, motet_tensor *list, motet_kind kind, int64_t count)
{
    (void)c;
    return mt_list_alloc(list, kind, count);
}

static motet_status driver_scratch(mt_op_context *c, size_t bytes, void **out)
{
    driver *d = c->run;
    *out = d->scratch_count < DRIVE_SCRATCH ? mt_alloc_aligned(bytes) : NULL;
    if (!*out) return MOTET_ERROR_MEMORY;
    d->scratch[d->scratch_count++] = *out;
    memset(*out, 0xa5, bytes);
    return MOTET_OK;
}

static motet_status driver_keep(mt_op_context *c, int i, const mt_layout *layout, const void **out)
{
    void *memory;
    (void)i;
    if (driver_scratch(c, layout->bytes, &memory) != MOTET_OK) return MOTET_ERROR_MEMORY;
    layout->fill(layout->context, c->pool, memory);
    *out = memory;
    return MOTET_OK;
}

static driver *drive_in(const char *domain, const char *type, int version)
{
    static const mt_op_host host = {driver_alloc, driver_alloc_list, driver_scratch, NULL, driver_keep, NULL};
    driver *d = mt_alloc_zero(1, sizeof *d);
    assert_non_null(d);
    d->node = (mt_node){.name = "driven",
                        .type = type,
                        .domain = domain,
                        .version = version,
                        .attributes = d->attributes,
                        .outputs = d->wanted,
                        .op = mt_op_find(domain, type, version)};
    assert_non_null(d->node.op);
    for (int i = 0; i < DRIVE_MOST; i++) d->out[i] = &d->outputs[i];
    d->context =
        (mt_op_context){.node = &d->node, .version = version, .in = d->in, .out = d->out, .host = &host, .run = d};
    return d;
}

static inline driver *drive(const char *type, int version)
{
    return drive_in("", type, version);
}

static void drive_input(driver *d, motet_type type, int rank, const int64_t *dims, const void *values)
{
    int i = d->context.in_count++;
    assert_int_equal(mt_tensor_wrap(&d->inputs[i], type, rank, dims, values ? values : ""), MOTET_OK);
    d->in[i] = &d->inputs[i];
}

static inline void drive_no_input(driver *d)
{
    d->context.in_count++;
}

/* A list of int64, as axes and shapes come. */
static inline void drive_input_ints(driver *d, int64_t count, const int64_t *values)
{
    drive_input(d, MOTET_INT64, 1, &count, values);
}

static mt_attribute *drive_attribute(driver *d, const char *name, mt_attribute_kind kind)
{
    mt_attribute *attribute = &d->attributes[d->node.attribute_count++];
    attribute->name = name;
    attribute->kind = kind;
    return attribute;
}

static inline void drive_int(driver *d, const char *name, int64_t value)
{
    drive_attribute(d, name, MT_ATTRIBUTE_INT)->i = value;
}

static inline void drive_float(driver *d, const char *name, float value)
{
    drive_attribute(d, name, MT_ATTRIBUTE_FLOAT)->f = value;
}

static inline void drive_ints(driver *d, const char *name, size_t count, const int64_t *values)
{
    mt_attribute *attribute = drive_attribute(d, name, MT_ATTRIBUTE_INTS);
    attribute->count = count;
    attribute->ints = values;
}

static inline void drive_floats(driver *d, const char *name, size_t count, const float *values)
{
    mt_attribute *attribute = drive_attribute(d, name, MT_ATTRIBUTE_FLOATS);
    attribute->count = count;
    attribute->floats = values;
}

static inline void drive_strings(driver *d, const char *name, size_t count, const mt_string *values)
{
    mt_attribute *attribute = drive_attribute(d, name, MT_ATTRIBUTE_STRINGS);
    attribute->count = count;
    attribute->strings = values;
}

static inline void drive_string(driver *d, const char *name, const char *value)
{
    drive_attribute(d, name, MT_ATTRIBUTE_STRING)->s = (mt_string){(char *)(uintptr_t)value, strlen(value)};
}

/* Leaves what the operator says; a second run takes the place of the first. */
static motet_status drive_run(driver *d, int outputs)
{
    for (int i = 0; i < DRIVE_MOST; i++) mt_tensor_clear(&d->outputs[i]);
    d->context.out_count = d->node.output_count = outputs;
    motet_status status = mt_op_run(&d->context);
    while (d->scratch_count) mt_free(d->scratch[--d->scratch_count]);
    return status;
}

static void drive_end(driver *d)
{
    for (int i = 0; i < DRIVE_MOST; i++) mt_tensor_clear(&d->outputs[i]);
    mt_free(d);
}

#endif
