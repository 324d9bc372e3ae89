/* Transposes that undo or continue each other: the second reads what the first read, by a permutation that does both,
 * and where that changes nothing it goes. What only looks at single elements may stand between them: it moves before.
 */
#include <string.h>

#include "core/status.h"
#include "graph/passes/match.h"
#include "graph/passes/passes.h"

enum { LONGEST_CHAIN = 4 };

static const mt_attribute *perm_of(const mt_node *node)
{
    const mt_attribute *perm = node && mt_match_is(node, "Transpose") ? mt_node_attribute(node, "perm") : NULL;
    return perm && perm->kind == MT_ATTRIBUTE_INTS && perm->count <= MOTET_MAX_RANK ? perm : NULL;
}

static bool is_elementwise(const mt_node *node)
{
    static const char *const types[] = {"Abs",       "Cast", "Erf",  "Exp", "Gelu", "HardSwish",  "Identity",
                                        "LeakyRelu", "Log",  "Mish", "Neg", "Relu", "Selu",       "Sigmoid",
                                        "Softplus",  "Sqrt", "Tanh", "Elu", "Celu", "HardSigmoid"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (mt_match_is(node, types[i])) return node->input_count == 1;
    return false;
}

/* The Transpose that `node` reads, straight or through nodes that only it reads; *after is the first of these. */
static const mt_node *find_first(const mt_match *m, const mt_node *node, mt_node **after)
{
    *after = NULL;
    int value = mt_match_input(node, 0);
    for (int i = 0; i < LONGEST_CHAIN && value != MT_NO_VALUE && m->maker[value]; i++) {
        mt_node *maker = m->maker[value];
        if (perm_of(maker)) return maker;
        if (!is_elementwise(maker) || m->reads[value] != 1) return NULL;
        *after = maker;
        value = mt_match_input(maker, 0);
    }
    return NULL;
}

/* first[second[i]]; false when one of them is no permutation of as many axes. */
static bool compose(const mt_attribute *first, const mt_attribute *second, int64_t *perm, bool *changes)
{
    unsigned seen = 0;
    if (first->count != second->count) return false;
    *changes = false;
    for (size_t i = 0; i < first->count; i++) {
        int64_t axis = second->ints[i];
        if (axis < 0 || (size_t)axis >= first->count) return false;
        perm[i] = first->ints[axis];
        if (perm[i] < 0 || (size_t)perm[i] >= first->count || seen >> perm[i] & 1) return false;
        seen |= 1u << perm[i];
        *changes = *changes || perm[i] != (int64_t)i;
    }
    return true;
}

static motet_status try_at(mt_match *m, mt_node *node)
{
    mt_node *after;
    int64_t perm[MOTET_MAX_RANK];
    bool changes;
    const mt_attribute *second = perm_of(node);
    const mt_node *transpose = second ? find_first(m, node, &after) : NULL;
    int x = transpose ? mt_match_input(transpose, 0) : MT_NO_VALUE;
    if (x == MT_NO_VALUE || !compose(perm_of(transpose), second, perm, &changes)) return MOTET_OK;
    int from = after ? mt_match_input(node, 0) : x;
    if (after) after->inputs[0] = x;
    if (!changes) return mt_match_become(m, node, "", "Identity", node->version, &from, 1, NULL);
    MT_TRY(mt_match_become(m, node, "", "Transpose", node->version, &from, 1, NULL));
    return mt_match_attribute_ints(m, node, "perm", perm, (size_t)second->count);
}

motet_status mt_pass_transpose(mt_model *model)
{
    MT_TRY(mt_match_each(model, try_at));
    return mt_pass_identity(model);
}
