/* The passes in the order in which they help each other. */
#include "core/status.h"
#include "graph/passes/passes.h"

/* Folding settles conditions, and a settled branch brings new nodes to fold. A round that settles nothing is the last;
 * as branches nest MT_MAX_GRAPH_DEPTH deep at most, there are no more rounds than that. */
static motet_status fold_and_settle(mt_model *model, mt_pass_set without, mt_evaluator evaluate, void *context)
{
    bool changed = true;
    while (changed) {
        changed = false;
        if (!(without >> MT_PASS_FOLD & 1)) MT_TRY(mt_pass_fold(model, evaluate, context));
        if (!(without >> MT_PASS_BRANCH & 1)) MT_TRY(mt_pass_branch(model, &changed));
    }
    return MOTET_OK;
}

motet_status mt_simplify(mt_model *model, mt_pass_set without, mt_evaluator evaluate, void *context)
{
    MT_TRY(fold_and_settle(model, without, evaluate, context));
    if (!(without >> MT_PASS_IDENTITY & 1)) MT_TRY(mt_pass_identity(model));
    return mt_pass_dead(model);
}
