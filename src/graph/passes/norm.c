/* Normalisations as exporters write them out.
 *
 * LayerNormalization, before opset 17: the mean over the last axis, taken away, squared, the mean of that, epsilon, the
 * root, and a quotient, which a scale and perhaps a bias follow.
 *
 * GroupNormalization, as PyTorch's exporters have it up to opset 20: groups become channels by a Reshape, are
 * normalised by InstanceNormalization without scale and bias, a second Reshape brings them back, and a scale and a bias
 * for every channel follow. What is normalised must come from a convolution, so that its axes are known.
 *
 * Where a model has float64 at all, it stays as it is. */
#include <string.h>

#include "core/status.h"
#include "graph/passes/match.h"
#include "graph/passes/passes.h"

/* --- layer normalisation -------------------------------------------------------------------------------------- */

/* x, if input i of `node` is its mean over the last axis alone, kept; or MT_NO_VALUE. */
static int mean_of(const mt_match *m, const mt_node *node, int i)
{
    const mt_node *mean = mt_match_maker(m, node, i, "ReduceMean");
    int64_t axis;
    if (!mean || mt_match_int(mean, "keepdims", 1) != 1) return MT_NO_VALUE;
    const mt_attribute *axes = mt_node_attribute(mean, "axes");
    if (axes ? axes->kind != MT_ATTRIBUTE_INTS || axes->count != 1 || axes->ints[0] != -1
             : !mt_match_index(m, mean, 1, &axis) || axis != -1)
        return MT_NO_VALUE;
    return mt_match_input(mean, 0);
}

/* x, if `value` is x less its mean; or MT_NO_VALUE. */
static int centred(const mt_match *m, int value)
{
    const mt_node *less = value == MT_NO_VALUE ? NULL : m->maker[value];
    int x = less && mt_match_is(less, "Sub") ? mt_match_input(less, 0) : MT_NO_VALUE;
    return x != MT_NO_VALUE && mean_of(m, less, 1) == x ? x : MT_NO_VALUE;
}

/* The value whose square `value` is, or MT_NO_VALUE. */
static int root_of(const mt_match *m, int value)
{
    const mt_node *node = value == MT_NO_VALUE ? NULL : m->maker[value];
    double two;
    if (!node) return MT_NO_VALUE;
    if (mt_match_is(node, "Mul"))
        return mt_match_input(node, 0) == mt_match_input(node, 1) ? node->inputs[0] : MT_NO_VALUE;
    bool squared = mt_match_is(node, "Pow") && mt_match_number(m, node, 1, 1, &two) && two == 2;
    return squared ? mt_match_input(node, 0) : MT_NO_VALUE;
}

/* The one number that input 0 or 1 of a sum is; *other is the other. */
static bool plus_number(const mt_match *m, const mt_node *add, double *number, int *other)
{
    for (int i = 0; add && i < 2; i++) {
        *other = mt_match_input(add, 1 - i);
        if (*other != MT_NO_VALUE && mt_match_number(m, add, i, 1, number)) return true;
    }
    return false;
}

/* True for the quotient by the deviation; *x is what is normalised. */
static bool is_normalised(const mt_match *m, const mt_node *div, int *x, double *epsilon)
{
    int variance = MT_NO_VALUE;
    const mt_node *root = mt_match_is(div, "Div") ? mt_match_maker(m, div, 1, "Sqrt") : NULL;
    if (!root || !plus_number(m, mt_match_maker(m, root, 0, "Add"), epsilon, &variance)) return false;
    *x = centred(m, mt_match_input(div, 0));
    if (*x == MT_NO_VALUE || !m->maker[variance]) return false;
    const mt_node sum = {.input_count = 1, .inputs = &variance, .domain = "", .type = ""};
    int squares = mean_of(m, &sum, 0);
    return centred(m, root_of(m, squares)) == *x;
}

/* A vector among the inputs of the one node of `type` that reads `node`: a scale or a bias. MT_NO_VALUE: none. */
static int vector_after(const mt_match *m, mt_node *node, const char *type, mt_node **reader)
{
    *reader = mt_match_only_reader(m, node, type);
    if (!*reader) return MT_NO_VALUE;
    int other = mt_match_input(*reader, 0) == node->outputs[0];
    const motet_tensor *vector = mt_match_constant(m, *reader, other);
    return vector && vector->type == MOTET_FLOAT && vector->rank == 1 ? (*reader)->inputs[other] : MT_NO_VALUE;
}

static motet_status try_layer(mt_match *m, mt_node *node)
{
    int x;
    double epsilon;
    mt_node *last, *add;
    if (!is_normalised(m, node, &x, &epsilon)) return MOTET_OK;
    int scale = vector_after(m, node, "Mul", &last);
    if (scale == MT_NO_VALUE) return MOTET_OK;
    int bias = vector_after(m, last, "Add", &add);
    if (bias != MT_NO_VALUE && m->model->values[bias].tensor->count == m->model->values[scale].tensor->count)
        last = add;
    else
        bias = MT_NO_VALUE;
    int inputs[] = {x, scale, bias};
    MT_TRY(mt_match_become(m, last, "", "LayerNormalization", 17, inputs, bias == MT_NO_VALUE ? 2 : 3, NULL));
    return mt_match_attribute_float(m, last, "epsilon", (float)epsilon);
}

/* --- group normalisation -------------------------------------------------------------------------------------- */

static bool all_equal(const motet_tensor *tensor, int64_t count, float value)
{
    if (!tensor || tensor->type != MOTET_FLOAT || tensor->count != count) return false;
    for (int64_t i = 0; i < count; i++)
        if (((const float *)tensor->data)[i] != value) return false;
    return true;
}

/* x with [batch, groups, rest], and how many channels x has: the filters of the convolution that makes it. */
static int grouped(const mt_match *m, const mt_node *norm, int64_t *groups, const motet_tensor **filters)
{
    const mt_node *reshape = mt_match_maker(m, norm, 0, "Reshape");
    const motet_tensor *shape = reshape ? mt_match_constant(m, reshape, 1) : NULL;
    int x = reshape ? mt_match_input(reshape, 0) : MT_NO_VALUE;
    const mt_node *conv = x == MT_NO_VALUE ? NULL : m->maker[x];
    bool is_conv = conv && (mt_match_is(conv, "Conv") || strcmp(conv->type, "ConvIntegerToFloat") == 0);
    *filters = is_conv ? mt_match_constant(m, conv, 1) : NULL;
    if (!*filters || (*filters)->rank < 3 || !shape || shape->type != MOTET_INT64 || shape->count != 3)
        return MT_NO_VALUE;
    const int64_t *d = shape->data;
    *groups = d[1];
    bool whole = d[0] == 0 && d[1] > 0 && d[2] == -1 && mt_match_int(reshape, "allowzero", 0) == 0;
    return whole && (*filters)->dims[0] % d[1] == 0 ? x : MT_NO_VALUE;
}

/* A constant with a value for every channel of what has as many axes as the filters. */
static int for_channels(const mt_match *m, const mt_node *node, int from, const motet_tensor *filters)
{
    int other = mt_match_input(node, 0) == from;
    const motet_tensor *t = mt_match_constant(m, node, other);
    bool fits = t && t->type == MOTET_FLOAT && t->rank == filters->rank - 1 && t->count == filters->dims[0] &&
                t->dims[0] == filters->dims[0];
    return fits ? node->inputs[other] : MT_NO_VALUE;
}

static motet_status try_group(mt_match *m, mt_node *norm)
{
    const motet_tensor *filters;
    int64_t groups;
    int x = mt_match_is(norm, "InstanceNormalization") ? grouped(m, norm, &groups, &filters) : MT_NO_VALUE;
    if (x == MT_NO_VALUE || !all_equal(mt_match_constant(m, norm, 1), groups, 1)) return MOTET_OK;
    if (!all_equal(mt_match_constant(m, norm, 2), groups, 0)) return MOTET_OK;
    const mt_node *back = mt_match_only_reader(m, norm, "Reshape"),
                  *shape = back ? mt_match_maker(m, back, 1, "Shape") : NULL;
    if (!shape || mt_match_input(shape, 0) != x || mt_node_attribute(shape, "end") ||
        mt_match_int(shape, "start", 0) != 0)
        return MOTET_OK;
    mt_node *mul = mt_match_only_reader(m, back, "Mul"), *add = mul ? mt_match_only_reader(m, mul, "Add") : NULL;
    int scale = mul ? for_channels(m, mul, back->outputs[0], filters) : MT_NO_VALUE;
    int bias = add ? for_channels(m, add, mul->outputs[0], filters) : MT_NO_VALUE;
    if (scale == MT_NO_VALUE || bias == MT_NO_VALUE) return MOTET_OK;
    int inputs[] = {x, scale, bias};
    const mt_attribute *epsilon = mt_node_attribute(norm, "epsilon");
    MT_TRY(mt_match_become(m, add, "", "GroupNormalization", 21, inputs, 3, NULL));
    if (epsilon && epsilon->kind == MT_ATTRIBUTE_FLOAT) MT_TRY(mt_match_attribute_float(m, add, "epsilon", epsilon->f));
    return mt_match_attribute_int(m, add, "num_groups", groups);
}

static motet_status try_at(mt_match *m, mt_node *node)
{
    return mt_match_is(node, "Div") ? try_layer(m, node) : try_group(m, node);
}

motet_status mt_pass_norm(mt_model *model)
{
    return mt_match_has_double(model) ? MOTET_OK : mt_match_each(model, try_at);
}
