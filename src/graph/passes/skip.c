/* A sum that is normalised: Add and the LayerNormalization that reads it become one node of motet's own, which adds a
 * row and normalises it while it is in the cache. Who else reads the sum - the next skip connection - gets it as output
 * 3. The node stands where the Add did, so it is there before any of them. */
#include "core/status.h"
#include "graph/passes/match.h"
#include "graph/passes/passes.h"

/* The LayerNormalization that reads output 0 of `add`, with constants for the rest, and nobody wanting its moments. */
static mt_node *norm_after(const mt_match *m, const mt_node *add)
{
    mt_node *norm = m->reader[add->outputs[0]];
    if (!norm || !mt_match_is(norm, "LayerNormalization") || mt_match_input(norm, 0) != add->outputs[0]) return NULL;
    if (norm->output_count < 1 || norm->outputs[0] == MT_NO_VALUE || !mt_match_constant(m, norm, 1)) return NULL;
    for (int i = 1; i < norm->output_count; i++)
        if (norm->outputs[i] != MT_NO_VALUE) return NULL;
    bool bias = mt_match_input(norm, 2) != MT_NO_VALUE;
    return bias && !mt_match_constant(m, norm, 2) ? NULL : norm;
}

static motet_status try_at(mt_match *m, mt_node *node)
{
    int a = mt_match_input(node, 0), b = mt_match_input(node, 1);
    if (!mt_match_is(node, "Add") || a == MT_NO_VALUE || b == MT_NO_VALUE || node->output_count != 1) return MOTET_OK;
    if (mt_match_constant(m, node, 0) || mt_match_constant(m, node, 1)) return MOTET_OK;
    mt_node *norm = norm_after(m, node);
    if (!norm) return MOTET_OK;
    int sum = m->reads[node->outputs[0]] > 1 ? node->outputs[0] : MT_NO_VALUE;
    int inputs[] = {a, norm->inputs[1], mt_match_input(norm, 2), b};
    int outputs[] = {norm->outputs[0], MT_NO_VALUE, MT_NO_VALUE, sum};
    MT_TRY(mt_match_become(m, node, "motet", "LayerNormalization", norm->version, inputs, 4, norm));
    norm->output_count = 0; /* nobody reads it, so it goes */
    return mt_match_outputs(m, node, outputs, 4);
}

motet_status mt_pass_skip(mt_model *model)
{
    return mt_match_each(model, try_at);
}
