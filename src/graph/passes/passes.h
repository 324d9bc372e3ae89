/* What is done to a model between loading and planning. Every pass leaves a model that computes the same. */
#ifndef MT_GRAPH_PASSES_PASSES_H
#define MT_GRAPH_PASSES_PASSES_H

#include "graph/graph.h"

/* Runs one node whose inputs are all constants. outputs[i] is an empty tensor for each output of the node. Fails when
 * the outputs would take more than `limit` bytes together. */
typedef motet_status (*mt_evaluator)(void *context, const mt_model *model, const mt_node *node, size_t limit,
                                     motet_tensor *const *outputs);

/* Replaces every Gradient node by nodes that compute it; to be called first, as it reads the graph by names. Fails
 * where there is no derivative of an operator, naming it. */
motet_status mt_pass_gradient(mt_model *model);

/* Removes nodes whose results nobody reads, and marks outputs that nobody reads as such. */
motet_status mt_pass_dead(mt_model *model);

/* Runs the nodes whose inputs are constants, once, now. A node that fails stays, to fail in its own time. */
motet_status mt_pass_fold(mt_model *model, mt_evaluator evaluate, void *context);

/* Replaces every If whose condition is a constant by the nodes of its branch; *changed tells whether there was one. */
motet_status mt_pass_branch(mt_model *model, bool *changed);

/* Removes nodes that only hand their input on: Identity, and Dropout outside training. */
motet_status mt_pass_identity(mt_model *model);

/* All of them, until nothing changes. */
motet_status mt_simplify(mt_model *model, mt_evaluator evaluate, void *context);

/* Patterns that become one node each, some of which only motet knows: for running, not for files. */
motet_status mt_pass_attention(mt_model *model); /* products and softmax, and transposes of heads */
motet_status mt_pass_gelu(mt_model *model);      /* erf and what goes with it: Gelu */
motet_status mt_pass_integer(mt_model *model);   /* integer products and their scales */
motet_status mt_pass_epilogue(mt_model *model);  /* bias and activation into products */

/* What is computed of the leaves of trees that are summed becomes their weights, and the trees one node. */
motet_status mt_pass_forest(mt_model *model, mt_evaluator evaluate, void *context);

/* All of them, in the order in which one makes room for the next. */
motet_status mt_fuse(mt_model *model, mt_evaluator evaluate, void *context);

#endif
