/* Patterns are looked for in the main graph alone: what costs time is there, or comes there when conditions settle. A
 * pass changes the last node of a pattern in place and leaves the others to dead-node elimination: so a value of the
 * pattern that somebody else reads stays, and nothing has to be undone. */
#include "graph/passes/match.h"

#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "graph/passes/passes.h"

static void count_read(void *context, int value)
{
    ((int *)context)[value]++;
}

static void find_readers(mt_match *m, mt_node *node)
{
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i] != MT_NO_VALUE) m->reader[node->inputs[i]] = node;
    mt_node_reads(node, count_read, m->reads);
    for (int i = 0; i < node->output_count; i++)
        if (node->outputs[i] != MT_NO_VALUE) m->maker[node->outputs[i]] = node;
}

static motet_status create(mt_match *m, mt_model *model)
{
    size_t values = model->value_count;
    *m = (mt_match){.model = model};
    m->maker = mt_alloc_zero(values, sizeof(mt_node *));
    m->reader = mt_alloc_zero(values, sizeof(mt_node *));
    m->reads = mt_alloc_zero(values, sizeof *m->reads);
    if (!m->maker || !m->reader || !m->reads) return mt_fail_memory(values * sizeof(mt_node *));
    for (int i = 0; i < model->main->node_count; i++) find_readers(m, model->main->nodes[i]);
    for (int i = 0; i < model->main->output_count; i++) m->reads[model->main->outputs[i]]++;
    return MOTET_OK;
}

motet_status mt_match_each_with(mt_model *model,
                                motet_status (*try_at)(mt_match *match, mt_node *node, const void *context),
                                const void *context)
{
    mt_match m;
    motet_status status = create(&m, model);
    for (int i = 0; i < model->main->node_count && status == MOTET_OK; i++)
        status = try_at(&m, model->main->nodes[i], context);
    mt_free((void *)m.maker);
    mt_free((void *)m.reader);
    mt_free(m.reads);
    return status == MOTET_OK ? mt_pass_dead(model) : status;
}

/* A function without a context as one with it. */
typedef struct plain_try {
    motet_status (*try_at)(mt_match *match, mt_node *node);
} plain_try;

static motet_status try_plainly(mt_match *match, mt_node *node, const void *context)
{
    return ((const plain_try *)context)->try_at(match, node);
}

motet_status mt_match_each(mt_model *model, motet_status (*try_at)(mt_match *match, mt_node *node))
{
    return mt_match_each_with(model, try_plainly, &(plain_try){try_at});
}

bool mt_match_is(const mt_node *node, const char *type)
{
    return !*node->domain && strcmp(node->type, type) == 0;
}

mt_node *mt_match_maker(const mt_match *match, const mt_node *node, int i, const char *type)
{
    int value = mt_match_input(node, i);
    mt_node *maker = value == MT_NO_VALUE ? NULL : match->maker[value];
    return maker && mt_match_is(maker, type) ? maker : NULL;
}

mt_node *mt_match_only_reader(const mt_match *match, const mt_node *node, const char *type)
{
    int value = node->output_count ? node->outputs[0] : MT_NO_VALUE;
    if (value == MT_NO_VALUE || match->reads[value] != 1) return NULL;
    mt_node *reader = match->reader[value];
    return reader && mt_match_is(reader, type) ? reader : NULL;
}

int mt_match_input(const mt_node *node, int i)
{
    return i < node->input_count ? node->inputs[i] : MT_NO_VALUE;
}

const motet_tensor *mt_match_constant(const mt_match *match, const mt_node *node, int i)
{
    int value = mt_match_input(node, i);
    return value == MT_NO_VALUE ? NULL : match->model->values[value].tensor;
}

bool mt_match_scalar(const mt_match *match, const mt_node *node, int i, double value)
{
    const motet_tensor *tensor = mt_match_constant(match, node, i);
    if (!tensor || tensor->type != MOTET_FLOAT || tensor->rank != 0) return false;
    return fabs((double)*(const float *)tensor->data - value) <= 1e-6 * fabs(value);
}

bool mt_match_number(const mt_match *match, const mt_node *node, int i, int most_axes, double *number)
{
    const motet_tensor *tensor = mt_match_constant(match, node, i);
    if (!tensor || tensor->type != MOTET_FLOAT || tensor->count != 1 || tensor->rank > most_axes) return false;
    *number = (double)*(const float *)tensor->data;
    return true;
}

bool mt_match_index(const mt_match *match, const mt_node *node, int i, int64_t *index)
{
    const motet_tensor *tensor = mt_match_constant(match, node, i);
    if (!tensor || tensor->type != MOTET_INT64 || tensor->count != 1) return false;
    *index = *(const int64_t *)tensor->data;
    return true;
}

int64_t mt_match_int(const mt_node *node, const char *name, int64_t fallback)
{
    const mt_attribute *attribute = mt_node_attribute(node, name);
    return attribute && attribute->kind == MT_ATTRIBUTE_INT ? attribute->i : fallback;
}

/* The elements of a list of dimensions, as far as it is a constant or put together of single ones. */
static int count_dims(const mt_match *m, int value)
{
    const motet_tensor *tensor = m->model->values[value].tensor;
    const mt_node *maker = m->maker[value];
    if (tensor) return tensor->rank == 1 && tensor->count <= MOTET_MAX_RANK ? (int)tensor->count : -1;
    if (!maker || !mt_match_is(maker, "Concat")) return -1;
    for (int i = 0; i < maker->input_count; i++) {
        const motet_tensor *one = mt_match_constant(m, maker, i);
        if (one ? one->count != 1 : !mt_match_maker(m, maker, i, "Unsqueeze")) return -1;
    }
    return maker->input_count;
}

int mt_match_rank(const mt_match *match, int value)
{
    const motet_tensor *tensor = match->model->values[value].tensor;
    const mt_node *maker = match->maker[value];
    if (tensor) return tensor->rank;
    if (!maker) return -1;
    const mt_attribute *perm = mt_match_is(maker, "Transpose") ? mt_node_attribute(maker, "perm") : NULL;
    if (perm && perm->kind == MT_ATTRIBUTE_INTS) return (int)perm->count;
    int shape = mt_match_is(maker, "Reshape") ? mt_match_input(maker, 1) : MT_NO_VALUE;
    return shape == MT_NO_VALUE ? -1 : count_dims(match, shape);
}

static bool makes_double(const mt_node *node)
{
    static const char *const names[] = {"to", "dtype", "output_dtype", "output_datatype"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (mt_match_int(node, names[i], MOTET_FLOAT) == MOTET_DOUBLE) return true;
    return false;
}

bool mt_match_has_double(const mt_model *model)
{
    for (size_t i = 0; i < model->value_count; i++)
        if (model->values[i].tensor && model->values[i].tensor->type == MOTET_DOUBLE) return true;
    for (int i = 0; i < model->main->input_count; i++)
        if (model->inputs[i].type == MOTET_DOUBLE || model->inputs[i].type == MOTET_UNDEFINED) return true;
    for (int i = 0; i < model->main->node_count; i++)
        if (makes_double(model->main->nodes[i])) return true;
    return false;
}

motet_status mt_match_become(mt_match *match, mt_node *node, const char *domain, const char *type, int version,
                             const int *inputs, int input_count, const mt_node *like)
{
    int *own = mt_arena_alloc(&match->model->arena, (size_t)input_count * sizeof *own);
    if (!own) return mt_fail_memory((size_t)input_count * sizeof *own);
    memcpy(own, inputs, (size_t)input_count * sizeof *own);
    node->domain = domain;
    node->type = type;
    node->version = version;
    node->op = NULL;
    node->inputs = own;
    node->input_count = input_count;
    node->attributes = like ? like->attributes : NULL;
    node->attribute_count = like ? like->attribute_count : 0;
    if (like) node->name = like->name;
    for (int i = 0; i < input_count; i++)
        if (own[i] != MT_NO_VALUE) match->reader[own[i]] = node;
    return MOTET_OK;
}

static motet_status add_attribute(mt_match *match, mt_node *node, mt_attribute attribute)
{
    size_t count = (size_t)node->attribute_count;
    mt_attribute *list = mt_arena_alloc(&match->model->arena, (count + 1) * sizeof *list);
    if (!list) return mt_fail_memory((count + 1) * sizeof *list);
    if (count) memcpy(list, node->attributes, count * sizeof *list);
    list[count] = attribute;
    node->attributes = list;
    node->attribute_count++;
    return MOTET_OK;
}

motet_status mt_match_attribute(mt_match *match, mt_node *node, const char *name, const char *value)
{
    char *bytes = mt_arena_string(&match->model->arena, value);
    if (!bytes) return mt_fail_memory(strlen(value));
    mt_attribute attribute = {.name = name, .kind = MT_ATTRIBUTE_STRING, .count = 1, .s = {bytes, strlen(value)}};
    return add_attribute(match, node, attribute);
}

motet_status mt_match_attribute_float(mt_match *match, mt_node *node, const char *name, float value)
{
    return add_attribute(match, node, (mt_attribute){.name = name, .kind = MT_ATTRIBUTE_FLOAT, .f = value});
}

motet_status mt_match_attribute_int(mt_match *match, mt_node *node, const char *name, int64_t value)
{
    return add_attribute(match, node, (mt_attribute){.name = name, .kind = MT_ATTRIBUTE_INT, .i = value});
}

motet_status mt_match_attribute_ints(mt_match *match, mt_node *node, const char *name, const int64_t *values,
                                     size_t count)
{
    const void *own = mt_arena_bytes(&match->model->arena, values, count * sizeof *values);
    if (!own) return mt_fail_memory(count * sizeof *values);
    mt_attribute attribute = {.name = name, .kind = MT_ATTRIBUTE_INTS, .count = count, .ints = own};
    return add_attribute(match, node, attribute);
}

motet_status mt_match_outputs(mt_match *match, mt_node *node, const int *outputs, int count)
{
    int *own = mt_arena_alloc(&match->model->arena, (size_t)count * sizeof *own);
    if (!own) return mt_fail_memory((size_t)count * sizeof *own);
    memcpy(own, outputs, (size_t)count * sizeof *own);
    node->outputs = own;
    node->output_count = count;
    for (int i = 0; i < count; i++)
        if (own[i] != MT_NO_VALUE) match->maker[own[i]] = node;
    return MOTET_OK;
}
