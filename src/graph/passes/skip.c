/* A sum that is normalised: Add and the LayerNormalization that reads it become one node of motet's own, which adds a
 * row and normalises it while it is in the cache. Who else reads the sum - the next skip connection - gets it as output
 * 3. The node stands where the Add did, so it is there before any of them. */
#include "core/status.h"
#include "graph/passes/match.h"
#include "graph/passes/passes.h"

/* A LayerNormalization with constants for the rest, and nobody wanting its moments. */
static bool is_plain(const mt_match *m, const mt_node *norm)
{
    if (!mt_match_is(norm, "LayerNormalization") || !mt_match_constant(m, norm, 1)) return false;
    if (mt_match_input(norm, 2) != MT_NO_VALUE && !mt_match_constant(m, norm, 2)) return false;
    for (int i = 1; i < norm->output_count; i++)
        if (norm->outputs[i] != MT_NO_VALUE) return false;
    return norm->output_count > 0 && norm->outputs[0] != MT_NO_VALUE;
}

static motet_status try_at(mt_match *m, mt_node *norm)
{
    mt_node *add = is_plain(m, norm) ? mt_match_maker(m, norm, 0, "Add") : NULL;
    if (!add || add->output_count != 1) return MOTET_OK;
    int a = mt_match_input(add, 0), b = mt_match_input(add, 1), sum = add->outputs[0];
    if (a == MT_NO_VALUE || b == MT_NO_VALUE || mt_match_constant(m, add, 0) || mt_match_constant(m, add, 1))
        return MOTET_OK;
    int inputs[] = {a, norm->inputs[1], mt_match_input(norm, 2), b};
    int outputs[] = {norm->outputs[0], MT_NO_VALUE, MT_NO_VALUE, m->reads[sum] > 1 ? sum : MT_NO_VALUE};
    MT_TRY(mt_match_become(m, add, "motet", "LayerNormalization", norm->version, inputs, 4, norm));
    norm->output_count = 0; /* nobody reads it, so it goes */
    return mt_match_outputs(m, add, outputs, 4);
}

motet_status mt_pass_skip(mt_model *model)
{
    return mt_match_each(model, try_at);
}
