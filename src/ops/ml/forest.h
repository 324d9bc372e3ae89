/* The trees of TreeEnsembleRegressor, TreeEnsembleClassifier and TreeEnsemble, however the file describes them. */
#ifndef MT_OPS_ML_FOREST_H
#define MT_OPS_ML_FOREST_H

#include "kernels/trees.h"
#include "ops/ml/scores.h"

/* Modes of nodes, in the order that TreeEnsemble numbers them, and what is made of the weights of several trees. */
enum {
    MT_BRANCH_LEQ,
    MT_BRANCH_LT,
    MT_BRANCH_GTE,
    MT_BRANCH_GT,
    MT_BRANCH_EQ,
    MT_BRANCH_NEQ,
    MT_BRANCH_MEMBER,
    MT_LEAF
};
enum { MT_TREES_AVERAGE, MT_TREES_SUM, MT_TREES_MIN, MT_TREES_MAX };

typedef struct mt_tree_node {
    double split;
    int64_t feature;
    int64_t yes, no;     /* children, as positions among all nodes */
    int64_t first, last; /* a leaf's weights, or the members of a set */
    uint8_t mode;
    bool missing; /* NaN goes to `yes` */
    uint8_t parents;
} mt_tree_node;

typedef struct mt_leaf_weight {
    int64_t target;
    double value;
} mt_leaf_weight;

/* A tree as kernels/trees.h walks it; its branches are those of the forest from `first` on. */
typedef struct mt_quick_tree {
    int64_t first;
    int depth;
} mt_quick_tree;

typedef struct mt_forest {
    int64_t count, root_count, weight_count, member_count, base_count;
    mt_tree_node *nodes;
    const int64_t *roots;
    const mt_leaf_weight *weights;
    const double *members;
    const double *base;
    int64_t targets, features; /* of a row; how many the nodes look at */
    int64_t aggregate;
    mt_transform transform;
    int64_t only_target; /* the one that all weights are for; -1: there are several */
    bool all_positive;   /* no weight is below 0 */

    /* The same trees again, where every test is one of order and no tree is too large: else branch_count is 0. */
    int64_t branch_count;
    const mt_quick_tree *trees; /* root_count of them */
    const mt_branch *branches;
    const int32_t *origins; /* by branch: the node that it is */
    const float *values;    /* by branch: the weight of the leaf that it is; NULL where a leaf may have none or many */
} mt_forest;

/* Reads a node's own description of its trees, in an operator's own words. */
typedef motet_status (*mt_forest_reader)(mt_op_context *c, mt_forest *forest);

/* The forest of the node, which `read` reads in the first run. */
motet_status mt_forest_find(mt_op_context *c, mt_forest_reader read, const mt_forest **out);

/* Readers. The lists of TreeEnsembleRegressor, the weights for n_targets; those of TreeEnsembleClassifier, for
 * `targets` which is set already; TreeEnsemble. */
motet_status mt_forest_read_regressor(mt_op_context *c, mt_forest *f);
motet_status mt_forest_read_classifier(mt_op_context *c, mt_forest *f);
motet_status mt_forest_read_ensemble(mt_op_context *c, mt_forest *f);

#endif
