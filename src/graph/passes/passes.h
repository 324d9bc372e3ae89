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

/* True for an operator that yields something else every time. */
bool mt_pass_is_random(const mt_node *node);

/* --- switches --------------------------------------------------------------------------------------------------- */

/* The passes that can be left out, by name: what does not change what a model computes or whether it can be run. */
typedef enum mt_pass {
    MT_PASS_FOLD,
    MT_PASS_BRANCH,
    MT_PASS_IDENTITY,
    MT_PASS_COMMON,
    MT_PASS_TRANSPOSE,
    MT_PASS_FOREST,
    MT_PASS_NORM,
    MT_PASS_ATTENTION,
    MT_PASS_SKIP,
    MT_PASS_GELU,
    MT_PASS_INTEGER,
    MT_PASS_STEM,
    MT_PASS_EPILOGUE,
    MT_PASS_PROJECTIONS,
    MT_PASS_RANGE,
    MT_PASS_STRASSEN,
    MT_PASSES
} mt_pass;

/* Bit 1 << pass is set for each that is left out. */
typedef unsigned mt_pass_set;

/* From names with commas between them ("gelu,attention"); NULL: none is left out. Fails on what is not the name of a
 * pass, naming those that are. */
motet_status mt_pass_set_read(const char *names, mt_pass_set *without);

/* --- all together ----------------------------------------------------------------------------------------------- */

/* Folding, branches, identities, until nothing changes. */
motet_status mt_simplify(mt_model *model, mt_pass_set without, mt_evaluator evaluate, void *context);

/* Nodes and small constants that are the same: one of each. */
motet_status mt_pass_common(mt_model *model);

/* Transposes that undo or continue each other. */
motet_status mt_pass_transpose(mt_model *model);

/* Patterns that become one node each, some of which only motet knows: for running, not for files. */
motet_status mt_pass_norm(mt_model *model);        /* LayerNormalization and GroupNormalization, written out */
motet_status mt_pass_attention(mt_model *model);   /* products and softmax, and transposes of heads */
motet_status mt_pass_skip(mt_model *model);        /* a sum and its LayerNormalization */
motet_status mt_pass_gelu(mt_model *model);        /* erf and what goes with it: Gelu */
motet_status mt_pass_integer(mt_model *model);     /* integer products and their scales */
motet_status mt_pass_stem(mt_model *model);        /* a small convolution and its channels' normalisation */
motet_status mt_pass_epilogue(mt_model *model);    /* bias and activation into products */
motet_status mt_pass_projections(mt_model *model); /* products of the same rows */
motet_status mt_pass_range(mt_model *model);       /* what will be quantised, and its range */
motet_status mt_pass_strassen(mt_model *model);    /* products that may multiply less */

/* What is computed of the leaves of trees that are summed becomes their weights, and the trees one node. */
motet_status mt_pass_forest(mt_model *model, mt_evaluator evaluate, void *context);

/* All from common on, in the order in which one makes room for the next. */
motet_status mt_fuse(mt_model *model, mt_pass_set without, mt_evaluator evaluate, void *context);

#endif
