/* The calls of op.h, between an operator on one side and its node and the engine on the other. */
#include "ops/op.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/status.h"
#include "graph/graph.h"
#include "kernels/activation.h"

enum { MESSAGE_BYTES = 1024 };

motet_status mt_op_fail(const mt_op_context *c, motet_status status, const char *format, ...)
{
    (void)c;
    char text[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return mt_fail(status, "%s", text);
}

motet_status mt_op_refuse(const mt_op_context *c, bool asked, const char *what)
{
    return asked ? mt_op_fail(c, MOTET_ERROR_UNSUPPORTED, "%s is not supported", what) : MOTET_OK;
}

motet_status mt_op_fail_type(const mt_op_context *c, int i)
{
    const motet_tensor *tensor = mt_in(c, i);
    return mt_op_fail(c, MOTET_ERROR_UNSUPPORTED, "input %d has the type %s, which is not supported here", i,
                      tensor ? motet_type_name(tensor->type) : "of a missing tensor");
}

/* --- inputs --------------------------------------------------------------------------------------------------- */

motet_status mt_need(mt_op_context *c, int i, const motet_tensor **out)
{
    *out = mt_in(c, i);
    if (!*out) return mt_op_fail(c, MOTET_ERROR_FORMAT, "input %d is required but left out", i);
    return MOTET_OK;
}

motet_status mt_in_ints(mt_op_context *c, int i, int64_t *values, int capacity, int *count)
{
    const motet_tensor *tensor;
    MT_TRY(mt_need(c, i, &tensor));
    if (tensor->type != MOTET_INT32 && tensor->type != MOTET_INT64) return mt_op_fail_type(c, i);
    if (tensor->rank > 1 || tensor->count > capacity) {
        char text[MT_SHAPE_TEXT];
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d: expected a list of at most %d integers, got %s", i, capacity,
                          mt_tensor_describe(tensor, text, sizeof text));
    }
    *count = (int)tensor->count;
    for (int k = 0; k < *count; k++)
        values[k] =
            tensor->type == MOTET_INT32 ? ((const int32_t *)tensor->data)[k] : ((const int64_t *)tensor->data)[k];
    return MOTET_OK;
}

/* --- running -------------------------------------------------------------------------------------------------- */

motet_status mt_op_run(mt_op_context *c)
{
    for (int i = 0; i < c->in_count && !c->node->op->lists; i++)
        if (c->in[i] && c->in[i]->kind != MOTET_TENSOR)
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d is a %s: expected a tensor", i,
                              motet_kind_name(c->in[i]->kind));
    const mt_attribute *odd = NULL;
    c->odd_kind = &odd;
    motet_status status = c->node->op->run(c);
    if (!odd) return status;
    return mt_op_fail(c, MOTET_ERROR_FORMAT, "attribute \"%.64s\" is %s, which is not what is expected", odd->name,
                      mt_attribute_kind_name(odd->kind));
}

/* --- outputs and memory --------------------------------------------------------------------------------------- */

bool mt_wanted(const mt_op_context *c, int i)
{
    return i < c->out_count && c->node->outputs[i] != MT_NO_VALUE;
}

static motet_status check_output(const mt_op_context *c, int i)
{
    if (i < c->out_count) return MOTET_OK;
    return mt_op_fail(c, MOTET_ERROR_FORMAT, "output %d is required but the node has only %d", i, c->out_count);
}

motet_status mt_out(mt_op_context *c, int i, motet_type type, int rank, const int64_t *dims, motet_tensor **out)
{
    *out = NULL;
    MT_TRY(check_output(c, i));
    mt_tensor_clear(c->out[i]);
    MT_TRY_AS(c->host->alloc(c, c->out[i], type, rank, dims), "output %d", i);
    *out = c->out[i];
    return MOTET_OK;
}

motet_status mt_out_list(mt_op_context *c, int i, motet_kind kind, int64_t count, motet_tensor **items)
{
    *items = NULL;
    MT_TRY(check_output(c, i));
    mt_tensor_clear(c->out[i]);
    MT_TRY_AS(c->host->alloc_list(c, c->out[i], kind, count), "output %d", i);
    *items = mt_items(c->out[i]);
    return MOTET_OK;
}

motet_status mt_item_alloc(mt_op_context *c, motet_tensor *item, motet_type type, int rank, const int64_t *dims)
{
    return c->host->alloc(c, item, type, rank, dims);
}

motet_status mt_out_item(mt_op_context *c, int i, const motet_tensor *item)
{
    MT_TRY(check_output(c, i));
    mt_tensor_clear(c->out[i]);
    mt_item_share(c->out[i], item);
    return MOTET_OK;
}

motet_status mt_out_view(mt_op_context *c, int i, const motet_tensor *source, int rank, const int64_t *dims)
{
    MT_TRY(check_output(c, i));
    if (rank > MOTET_MAX_RANK)
        return mt_op_fail(c, MOTET_ERROR_LIMIT, "output %d of rank %d: at most %d axes are supported", i, rank,
                          MOTET_MAX_RANK);
    if (mt_shape_count(rank, dims) != source->count) {
        char from[MT_SHAPE_TEXT], to[MT_SHAPE_TEXT];
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%s cannot be shown as %s",
                          mt_tensor_describe(source, from, sizeof from), mt_shape_text(rank, dims, to, sizeof to));
    }
    mt_tensor_clear(c->out[i]);
    mt_tensor_share(c->out[i], source, rank, dims);
    return MOTET_OK;
}

void mt_out_move(mt_op_context *c, int i, motet_tensor *value)
{
    if (i < c->out_count) {
        mt_tensor_clear(c->out[i]);
        *c->out[i] = *value;
        c->out[i]->constant = false; /* a branch may well yield a weight, but not the same one in every run */
        memset(value, 0, sizeof *value);
    } else {
        mt_tensor_clear(value);
    }
}

motet_status mt_scratch(mt_op_context *c, size_t bytes, void **out)
{
    return c->host->scratch(c, bytes, out);
}

motet_status mt_keep(mt_op_context *c, int i, const mt_layout *layout, const void **out)
{
    return c->host->keep(c, i, layout, out);
}

bool mt_op_only_packs(const mt_node *node, int input, const motet_tensor *constant)
{
    bool known = !*node->domain || strcmp(node->domain, "motet") == 0;
    bool product = strcmp(node->type, "MatMul") == 0 || strcmp(node->type, "Gemm") == 0;
    bool several = strcmp(node->type, "Projections") == 0 && input % 2 == 1;
    bool filters = strcmp(node->type, "Conv") == 0 && input == 1 && constant->rank == 3;
    bool matrix = ((product && input == 1) || several) && constant->rank == 2;
    return known && (matrix || filters) && constant->type == MOTET_FLOAT;
}

const void *mt_kept(mt_op_context *c, int i)
{
    return c->host->kept ? c->host->kept(c, i) : NULL;
}

motet_status mt_run_graph(mt_op_context *c, const mt_graph *graph, const motet_tensor *const *inputs, int input_count,
                          motet_tensor *outputs, int output_count)
{
    return c->host->run_graph(c, graph, inputs, input_count, outputs, output_count);
}

/* --- attributes ----------------------------------------------------------------------------------------------- */

static const mt_attribute *find(const mt_op_context *c, const char *name, mt_attribute_kind kind)
{
    const mt_attribute *attribute = mt_node_attribute(c->node, name);
    if (!attribute || attribute->kind == kind) return attribute;
    if (c->odd_kind) *c->odd_kind = attribute;
    return NULL;
}

bool mt_has_attr(const mt_op_context *c, const char *name)
{
    return mt_node_attribute(c->node, name) != NULL;
}

int64_t mt_attr_int(const mt_op_context *c, const char *name, int64_t fallback)
{
    const mt_attribute *attribute = find(c, name, MT_ATTRIBUTE_INT);
    return attribute ? attribute->i : fallback;
}

float mt_attr_float(const mt_op_context *c, const char *name, float fallback)
{
    const mt_attribute *attribute = find(c, name, MT_ATTRIBUTE_FLOAT);
    return attribute ? attribute->f : fallback;
}

const char *mt_attr_string(const mt_op_context *c, const char *name, const char *fallback)
{
    const mt_attribute *attribute = find(c, name, MT_ATTRIBUTE_STRING);
    return attribute ? attribute->s.bytes : fallback;
}

const int64_t *mt_attr_ints(const mt_op_context *c, const char *name, size_t *count)
{
    const mt_attribute *attribute = find(c, name, MT_ATTRIBUTE_INTS);
    *count = attribute ? attribute->count : 0;
    return attribute ? attribute->ints : NULL;
}

const float *mt_attr_floats(const mt_op_context *c, const char *name, size_t *count)
{
    const mt_attribute *attribute = find(c, name, MT_ATTRIBUTE_FLOATS);
    *count = attribute ? attribute->count : 0;
    return attribute ? attribute->floats : NULL;
}

const mt_string *mt_attr_strings(const mt_op_context *c, const char *name, size_t *count)
{
    const mt_attribute *attribute = find(c, name, MT_ATTRIBUTE_STRINGS);
    *count = attribute ? attribute->count : 0;
    return attribute ? attribute->strings : NULL;
}

const motet_tensor *mt_attr_tensor(const mt_op_context *c, const char *name)
{
    const mt_attribute *attribute = find(c, name, MT_ATTRIBUTE_TENSOR);
    return attribute ? attribute->tensor : NULL;
}

const mt_graph *mt_attr_graph(const mt_op_context *c, const char *name)
{
    const mt_attribute *attribute = find(c, name, MT_ATTRIBUTE_GRAPH);
    return attribute ? attribute->graph : NULL;
}

motet_status mt_fused_activation(const mt_op_context *c, mt_activation *out)
{
    const char *name = strcmp(c->node->domain, "motet") == 0 ? mt_attr_string(c, "activation", NULL) : NULL;
    *out = name ? mt_activation_find(name) : NULL;
    if (!name || *out) return MOTET_OK;
    return mt_op_fail(c, MOTET_ERROR_UNSUPPORTED, "the activation \"%s\" is not known", name);
}
