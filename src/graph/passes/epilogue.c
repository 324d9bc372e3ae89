/* Bias and activation at the end of a product: MatMul and Add of a vector, then Gelu or Relu, become one node; Gelu or
 * Relu after a convolution, a quantised product or a normalisation of channels goes into it. The sums are then touched
 * once, in the cache. The nodes are motet's own: of type MatMul, Conv, ... in the domain "motet", with an attribute
 * "activation". */
#include <string.h>

#include "core/status.h"
#include "graph/passes/match.h"
#include "graph/passes/passes.h"

static bool is_gelu(const mt_node *node)
{
    const mt_attribute *how = mt_node_attribute(node, "approximate");
    return !how || how->kind != MT_ATTRIBUTE_STRING || strcmp(how->s.bytes, "none") == 0;
}

/* The activation that alone reads `node`; *name is what it is called. */
static mt_node *activation_after(const mt_match *m, const mt_node *node, const char **name)
{
    mt_node *gelu = mt_match_only_reader(m, node, "Gelu"), *relu = mt_match_only_reader(m, node, "Relu");
    *name = gelu ? "Gelu" : "Relu";
    return gelu && is_gelu(gelu) ? gelu : relu;
}

/* Moves `node`, or a product with what follows it, to `last`, with the activation after that. */
static motet_status absorb(mt_match *m, mt_node *node, mt_node *last, const char *type, const int *inputs, int count)
{
    const char *name;
    mt_node *activation = activation_after(m, last, &name);
    if (activation) last = activation;
    if (last == node) return MOTET_OK;
    MT_TRY(mt_match_become(m, last, "motet", type, node->version, inputs, count, node));
    return activation ? mt_match_attribute(m, last, "activation", name) : MOTET_OK;
}

/* A float32 matrix of weights on the right, then perhaps one vector added to every row. */
static motet_status try_matmul(mt_match *m, mt_node *node)
{
    const motet_tensor *w = mt_match_constant(m, node, 1);
    if (!w || w->rank != 2 || w->type != MOTET_FLOAT || node->inputs[0] == MT_NO_VALUE) return MOTET_OK;
    int inputs[] = {node->inputs[0], node->inputs[1], MT_NO_VALUE};
    mt_node *last = node, *add = mt_match_only_reader(m, node, "Add");
    int other = add && add->inputs[0] == node->outputs[0];
    const motet_tensor *bias = add ? mt_match_constant(m, add, other) : NULL;
    if (bias && bias->type == MOTET_FLOAT && bias->rank == 1 && bias->count == w->dims[1]) {
        inputs[2] = add->inputs[other];
        last = add;
    }
    return absorb(m, node, last, "MatMul", inputs, 3);
}

/* Of float32, as its scale tells. */
static motet_status try_norm(mt_match *m, mt_node *node, const char *type)
{
    const motet_tensor *scale = mt_match_constant(m, node, 1);
    if (!scale || scale->type != MOTET_FLOAT) return MOTET_OK;
    return absorb(m, node, node, type, node->inputs, node->input_count);
}

static motet_status try_at(mt_match *m, mt_node *node)
{
    if (mt_match_is(node, "MatMul")) return try_matmul(m, node);
    const motet_tensor *w = mt_match_constant(m, node, 1);
    if (mt_match_is(node, "Conv") && w && w->type == MOTET_FLOAT)
        return absorb(m, node, node, "Conv", node->inputs, node->input_count);
    if (mt_match_is(node, "GroupNormalization")) return try_norm(m, node, "GroupNormalization");
    if (mt_match_is(node, "InstanceNormalization")) return try_norm(m, node, "InstanceNormalization");
    if (strcmp(node->type, "MatMulIntegerToFloat") == 0)
        return absorb(m, node, node, "MatMulIntegerToFloat", node->inputs, node->input_count);
    static const char *const own[] = {"ConvIntegerToFloat", "ConvNormalization", "ConvIntegerNormalization"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcmp(node->type, own[i]) == 0) return absorb(m, node, node, own[i], node->inputs, node->input_count);
    return MOTET_OK;
}

motet_status mt_pass_epilogue(mt_model *model)
{
    return mt_match_each(model, try_at);
}
