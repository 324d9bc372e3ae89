/* Quantised layers, as ONNX Runtime's dynamic quantiser writes them: MatMulInteger or ConvInteger, a Cast to float32, a
 * Mul with the product of both scales, and often an Add of a bias. In statically quantised ones that product is a
 * constant. They become one node, which makes float32
 * of the integer sums while they are in the cache: the same operations in the same order. */
#include "graph/passes/match.h"
#include "graph/passes/passes.h"

/* One value for each of the `count` positions of axis `from_end` counted from the last (1), all others being 1; with
 * `single`, one value will do as well. At most `rank` axes, or the result would get more than the product has. */
static bool is_along(const motet_tensor *t, int from_end, int rank, int64_t count, bool single)
{
    if (!t || t->type != MOTET_FLOAT || t->rank > rank) return false;
    if (single && t->count == 1) return true;
    return t->count == count && t->rank >= from_end && t->dims[t->rank - from_end] == count;
}

typedef struct layer {
    mt_node *product; /* MatMulInteger or ConvInteger */
    mt_node *last;
    int a_scale, b_scale, bias; /* values; a_scale MT_NO_VALUE: b_scale is the product of both */
    int from_end;               /* which axis the filters or columns are */
    int rank;                   /* that the product surely has */
    int64_t count;              /* how many there are */
} layer;

/* Columns of a matrix are the last axis; filters of a convolution come before its spatial axes. */
static bool find_weights(const mt_match *m, layer *l)
{
    const motet_tensor *w = mt_match_constant(m, l->product, 1);
    if (!w) return false;
    bool matrix = mt_match_is(l->product, "MatMulInteger");
    if (matrix ? w->rank != 2 : w->rank < 3) return false;
    l->from_end = matrix ? 1 : w->rank - 1;
    l->rank = matrix ? 1 : w->rank;
    l->count = w->dims[matrix];
    return true;
}

/* The scale of A is output 1 of DynamicQuantizeLinear, which is a scalar; that of B is a constant. */
static bool find_scales(const mt_match *m, const mt_node *product, layer *l)
{
    for (int i = 0; i < 2; i++) {
        int a = mt_match_input(product, i);
        const mt_node *maker = a == MT_NO_VALUE ? NULL : m->maker[a];
        if (!maker || !mt_match_is(maker, "DynamicQuantizeLinear") || maker->outputs[1] != a) continue;
        if (!is_along(mt_match_constant(m, product, 1 - i), l->from_end, l->rank, l->count, true)) continue;
        l->a_scale = a;
        l->b_scale = product->inputs[1 - i];
        return true;
    }
    return false;
}

static bool is_to_float(const mt_node *cast)
{
    const mt_attribute *to = mt_node_attribute(cast, "to");
    return to && to->kind == MT_ATTRIBUTE_INT && to->i == MOTET_FLOAT;
}

static bool find_layer(const mt_match *m, mt_node *node, layer *l)
{
    *l = (layer){.product = node, .bias = MT_NO_VALUE};
    if (!mt_match_is(node, "MatMulInteger") && !mt_match_is(node, "ConvInteger")) return false;
    mt_node *cast = find_weights(m, l) ? mt_match_only_reader(m, node, "Cast") : NULL;
    l->last = cast && is_to_float(cast) ? mt_match_only_reader(m, cast, "Mul") : NULL;
    if (!l->last) return false;
    int other = l->last->inputs[0] == cast->outputs[0];
    const mt_node *scales = mt_match_maker(m, l->last, other, "Mul");
    if (scales) return find_scales(m, scales, l);
    l->a_scale = MT_NO_VALUE;
    l->b_scale = l->last->inputs[other];
    return is_along(mt_match_constant(m, l->last, other), l->from_end, l->rank, l->count, true);
}

static void take_bias(const mt_match *m, layer *l)
{
    mt_node *add = mt_match_only_reader(m, l->last, "Add");
    if (!add) return;
    int other = add->inputs[0] == l->last->outputs[0];
    if (!is_along(mt_match_constant(m, add, other), l->from_end, l->rank, l->count, false)) return;
    l->bias = add->inputs[other];
    l->last = add;
}

static motet_status try_at(mt_match *m, mt_node *node)
{
    layer l;
    if (!find_layer(m, node, &l)) return MOTET_OK;
    take_bias(m, &l);
    int inputs[] = {node->inputs[0],         node->inputs[1],         l.a_scale, l.b_scale,
                    mt_match_input(node, 2), mt_match_input(node, 3), l.bias};
    bool matrix = mt_match_is(node, "MatMulInteger");
    return mt_match_become(m, l.last, matrix && l.a_scale != MT_NO_VALUE ? "com.microsoft" : "motet",
                           matrix ? "MatMulIntegerToFloat" : "ConvIntegerToFloat", 1, inputs, 7, node);
}

motet_status mt_pass_integer(mt_model *model)
{
    return mt_match_each(model, try_at);
}
