/* GELU as exporters write it out: x * (erf(x / sqrt 2) + 1) * 0.5, the factors in any order, becomes the operator Gelu.
 * The exact function only: the tanh approximation is another. */
#include "graph/passes/match.h"
#include "graph/passes/passes.h"

static const double root_of_two = 1.41421356237309505;

/* x, if `node` is x / sqrt 2 or a product that says the same; or MT_NO_VALUE. */
static int halved_root(const mt_match *m, const mt_node *node)
{
    if (mt_match_is(node, "Div") && mt_match_scalar(m, node, 1, root_of_two)) return node->inputs[0];
    if (!mt_match_is(node, "Mul")) return MT_NO_VALUE;
    for (int i = 0; i < 2; i++)
        if (mt_match_scalar(m, node, i, 1 / root_of_two)) return node->inputs[1 - i];
    return MT_NO_VALUE;
}

/* The place of `value` among the two inputs of `node`. */
static int place_of(const mt_node *node, int value)
{
    return node->inputs[0] == value ? 0 : 1;
}

/* Takes the factor that input i of `node` is; false when it is none of the product's. */
static bool take_factor(const mt_match *m, const mt_node *node, int i, int x, bool *has_x, bool *has_half)
{
    const mt_node *maker = mt_match_maker(m, node, i, "Mul");
    if (!*has_x && node->inputs[i] == x) return *has_x = true;
    if (!*has_half && mt_match_scalar(m, node, i, 0.5)) return *has_half = true;
    if (*has_x || *has_half || !maker) return false;
    for (int k = 0; k < 2; k++) /* x * 0.5 */
        if (maker->inputs[k] == x && mt_match_scalar(m, maker, 1 - k, 0.5)) return *has_x = *has_half = true;
    return false;
}

/* The last node of the product that begins with erf + 1, or NULL. */
static mt_node *last_of(const mt_match *m, mt_node *sum, int x)
{
    bool has_x = false, has_half = false;
    mt_node *node = sum;
    while (!has_x || !has_half) {
        mt_node *next = mt_match_only_reader(m, node, "Mul");
        if (!next || !take_factor(m, next, 1 - place_of(next, node->outputs[0]), x, &has_x, &has_half)) return NULL;
        node = next;
    }
    return node;
}

static motet_status try_at(mt_match *m, mt_node *erf)
{
    if (!mt_match_is(erf, "Erf") || erf->inputs[0] == MT_NO_VALUE || !m->maker[erf->inputs[0]]) return MOTET_OK;
    int x = halved_root(m, m->maker[erf->inputs[0]]);
    mt_node *sum = mt_match_only_reader(m, erf, "Add");
    if (x == MT_NO_VALUE || !sum || !mt_match_scalar(m, sum, 1 - place_of(sum, erf->outputs[0]), 1)) return MOTET_OK;
    mt_node *last = last_of(m, sum, x);
    return last ? mt_match_become(m, last, "", "Gelu", 20, &x, 1, NULL) : MOTET_OK;
}

motet_status mt_pass_gelu(mt_model *model)
{
    return mt_match_each(model, try_at);
}
