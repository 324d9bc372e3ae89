/* Products with weights are allowed to take Strassen's way (kernels/strassen.h), which rounds differently: the
 * attribute "strassen". Whether it pays is known when the rows are. Comes after all that makes products. */
#include <string.h>

#include "graph/passes/match.h"
#include "graph/passes/passes.h"

static motet_status try_at(mt_match *m, mt_node *node)
{
    bool known = !*node->domain || strcmp(node->domain, "motet") == 0;
    bool product = strcmp(node->type, "MatMul") == 0 || strcmp(node->type, "Projections") == 0;
    const motet_tensor *w = known && product ? mt_match_constant(m, node, 1) : NULL;
    if (!w || w->type != MOTET_FLOAT || w->rank != 2) return MOTET_OK;
    return mt_match_attribute_int(m, node, "strassen", 1);
}

motet_status mt_pass_strassen(mt_model *model)
{
    return mt_match_each(model, try_at);
}
