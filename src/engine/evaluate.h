/* Running a single node on constants, for constant folding. */
#ifndef MT_ENGINE_EVALUATE_H
#define MT_ENGINE_EVALUATE_H

#include "graph/passes/passes.h"

/* An mt_evaluator; `context` is a bool, whether to take the reference operators. */
motet_status mt_evaluate(void *context, const mt_model *model, const mt_node *node, size_t limit,
                         motet_tensor *const *outputs);

#endif
