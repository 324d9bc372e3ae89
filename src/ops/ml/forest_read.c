/* A file describes trees as parallel lists; both descriptions are made into one array of nodes whose children are
 * positions in it, in time linear in the nodes where they stand in the order of their numbers, as every converter
 * writes them. Leaves carry a run of (target, weight) pairs.
 *
 * A node must not have two parents unless it is a leaf, so that every walk from a root ends. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/ml/forest.h"

/* --- reading the lists of versions 1 and 3 --------------------------------------------------------------------- */

/* A list attribute that must have `count` values. */
static motet_status ints_of(mt_op_context *c, const char *name, int64_t count, const int64_t **out)
{
    size_t given;
    *out = mt_attr_ints(c, name, &given);
    if ((int64_t)given == count) return MOTET_OK;
    return mt_op_fail(c, MOTET_ERROR_FORMAT, "%s has %zu values: expected %" PRId64, name, given, count);
}

static motet_status read_modes(mt_op_context *c, mt_forest *f)
{
    static const char *const names[] = {"BRANCH_LEQ", "BRANCH_LT",  "BRANCH_GTE", "BRANCH_GT",
                                        "BRANCH_EQ",  "BRANCH_NEQ", NULL,         "LEAF"};
    size_t count;
    const mt_string *modes = mt_attr_strings(c, "nodes_modes", &count);
    if ((int64_t)count != f->count)
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "nodes_modes has %zu values: expected %" PRId64, count, f->count);
    for (int64_t i = 0; i < f->count; i++) {
        int mode = 0;
        const char *name = modes[i].bytes ? modes[i].bytes : "";
        while (mode <= MT_LEAF && (!names[mode] || strcmp(names[mode], name) != 0)) mode++;
        if (mode > MT_LEAF) return mt_op_fail(c, MOTET_ERROR_FORMAT, "the node mode \"%.64s\" is not known", name);
        f->nodes[i].mode = (uint8_t)mode;
    }
    return MOTET_OK;
}

/* Nodes by the number of their tree and their number in it. */
typedef struct numbering {
    const int64_t *trees, *nodes;
    const int64_t *order; /* positions sorted by both numbers; NULL: they stand so */
    int64_t count;
} numbering;

static int compare_numbers(const numbering *n, int64_t at, int64_t tree, int64_t node)
{
    if (n->trees[at] != tree) return n->trees[at] < tree ? -1 : 1;
    return n->nodes[at] == node ? 0 : n->nodes[at] < node ? -1 : 1;
}

static int by_number(const void *a, const void *b, void *context)
{
    const numbering *n = context;
    int64_t other = *(const int64_t *)b;
    return compare_numbers(n, *(const int64_t *)a, n->trees[other], n->nodes[other]);
}

static motet_status sort_numbers(mt_op_context *c, numbering *n)
{
    bool sorted = true;
    for (int64_t i = 1; i < n->count && sorted; i++) sorted = compare_numbers(n, i - 1, n->trees[i], n->nodes[i]) < 0;
    if (sorted) return MOTET_OK;
    void *memory;
    MT_TRY(mt_scratch_array(c, n->count, sizeof(int64_t), &memory));
    int64_t *order = memory;
    for (int64_t i = 0; i < n->count; i++) order[i] = i;
    qsort_r(order, (size_t)n->count, sizeof *order, by_number, n);
    for (int64_t i = 1; i < n->count; i++)
        if (by_number(&order[i - 1], &order[i], n) == 0)
            return mt_op_fail(c, MOTET_ERROR_FORMAT, "tree %" PRId64 " has two nodes %" PRId64, n->trees[order[i]],
                              n->nodes[order[i]]);
    n->order = order;
    return MOTET_OK;
}

/* The position of a node, tried first at `guess`; -1: there is none. */
static int64_t find_node(const numbering *n, int64_t tree, int64_t node, int64_t guess)
{
    if (guess >= 0 && guess < n->count && compare_numbers(n, guess, tree, node) == 0) return guess;
    int64_t low = 0, high = n->count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2, at = n->order ? n->order[middle] : middle;
        int sign = compare_numbers(n, at, tree, node);
        if (sign == 0) return at;
        if (sign < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

/* Counts a parent of node `child`; a second one, or a place outside, is an error. */
static motet_status adopt(mt_op_context *c, mt_forest *f, int64_t child)
{
    if (child < 0 || child >= f->count)
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "a tree leads to a node that is not there");
    mt_tree_node *node = &f->nodes[child];
    if (node->parents && node->mode != MT_LEAF)
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "two ways lead to one node: not a tree");
    node->parents = 1;
    return MOTET_OK;
}

static motet_status link_nodes(mt_op_context *c, mt_forest *f, const numbering *n, const int64_t *yes,
                               const int64_t *no)
{
    for (int64_t i = 0; i < f->count; i++) {
        mt_tree_node *node = &f->nodes[i];
        if (node->mode == MT_LEAF) continue;
        int64_t start; /* where node 0 of the tree would be if its nodes stood in order */
        if (__builtin_sub_overflow(i, n->nodes[i], &start)) start = INT64_MIN;
        node->yes =
            find_node(n, n->trees[i], yes[i], start >= 0 && yes[i] >= 0 && yes[i] < f->count ? start + yes[i] : -1);
        node->no = find_node(n, n->trees[i], no[i], start >= 0 && no[i] >= 0 && no[i] < f->count ? start + no[i] : -1);
        MT_TRY(adopt(c, f, node->yes));
        if (node->no != node->yes) MT_TRY(adopt(c, f, node->no));
    }
    void *memory;
    MT_TRY(mt_scratch_array(c, f->count, sizeof(int64_t), &memory));
    int64_t *roots = memory;
    for (int64_t i = 0; i < f->count; i++)
        if (!f->nodes[i].parents) roots[f->root_count++] = i;
    f->roots = roots;
    return MOTET_OK;
}

static motet_status read_targets(mt_op_context *c, mt_forest *f)
{
    f->targets = mt_attr_int(c, "n_targets", 1);
    if (f->targets >= 1 && f->targets <= INT32_MAX) return MOTET_OK;
    return mt_op_fail(c, MOTET_ERROR_FORMAT, "%" PRId64 " targets are not possible", f->targets);
}

static motet_status read_nodes(mt_op_context *c, mt_forest *f, numbering *n)
{
    const int64_t *features, *yes, *no, *missing;
    const double *splits;
    size_t count, missing_count;
    int64_t split_count;
    n->nodes = mt_attr_ints(c, "nodes_nodeids", &count);
    f->count = n->count = (int64_t)count;
    MT_TRY(ints_of(c, "nodes_treeids", f->count, &n->trees));
    MT_TRY(ints_of(c, "nodes_featureids", f->count, &features));
    MT_TRY(ints_of(c, "nodes_truenodeids", f->count, &yes));
    MT_TRY(ints_of(c, "nodes_falsenodeids", f->count, &no));
    missing = mt_attr_ints(c, "nodes_missing_value_tracks_true", &missing_count);
    MT_TRY(mt_attr_doubles(c, "nodes_values", "nodes_values_as_tensor", &splits, &split_count));
    if (split_count != f->count || (missing_count && missing_count != count))
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "the nodes_ attributes have different lengths");
    void *memory;
    MT_TRY(mt_scratch_array(c, f->count, sizeof(mt_tree_node), &memory));
    f->nodes = memory;
    for (int64_t i = 0; i < f->count; i++)
        f->nodes[i] =
            (mt_tree_node){.split = splits[i], .feature = features[i], .missing = missing_count && missing[i] != 0};
    MT_TRY(read_modes(c, f));
    MT_TRY(sort_numbers(c, n));
    return link_nodes(c, f, n, yes, no);
}

/* The weights, sorted by the leaf they belong to: counted, then put in place. `prefix` is "class" or "target". */
static motet_status read_weights(mt_op_context *c, mt_forest *f, const numbering *n, const char *prefix)
{
    char name[4][40];
    static const char *const parts[] = {"treeids", "nodeids", "ids", "weights"};
    for (int i = 0; i < 4; i++) snprintf(name[i], sizeof name[i], "%s_%s", prefix, parts[i]);
    char tensor_name[64];
    snprintf(tensor_name, sizeof tensor_name, "%s_as_tensor", name[3]);
    const int64_t *trees, *nodes, *targets;
    const double *values;
    void *places, *memory;
    MT_TRY(mt_attr_doubles(c, name[3], tensor_name, &values, &f->weight_count));
    MT_TRY(ints_of(c, name[0], f->weight_count, &trees));
    MT_TRY(ints_of(c, name[1], f->weight_count, &nodes));
    MT_TRY(ints_of(c, name[2], f->weight_count, &targets));
    MT_TRY(mt_scratch_array(c, f->weight_count, sizeof(int64_t), &places));
    MT_TRY(mt_scratch_array(c, f->weight_count, sizeof(mt_leaf_weight), &memory));
    int64_t *leaf = places, last = -1;
    mt_leaf_weight *weights = memory;
    for (int64_t i = 0; i < f->weight_count; i++) {
        leaf[i] = last = find_node(n, trees[i], nodes[i], last);
        if (last < 0 || targets[i] < 0 || targets[i] >= f->targets)
            return mt_op_fail(c, MOTET_ERROR_FORMAT, "%s %" PRId64 " belongs to no node, or to no target", name[3], i);
        f->nodes[last].last++;
    }
    int64_t start = 0;
    for (int64_t i = 0; i < f->count; i++) {
        f->nodes[i].first = start;
        start += f->nodes[i].last;
        f->nodes[i].last = f->nodes[i].first;
    }
    for (int64_t i = 0; i < f->weight_count; i++)
        weights[f->nodes[leaf[i]].last++] = (mt_leaf_weight){targets[i], values[i]};
    f->weights = weights;
    return MOTET_OK;
}

static motet_status read_aggregate(mt_op_context *c, int64_t *out)
{
    static const char *const names[] = {"AVERAGE", "SUM", "MIN", "MAX"};
    const char *name = mt_attr_string(c, "aggregate_function", "SUM");
    for (*out = MT_TREES_AVERAGE; *out <= MT_TREES_MAX; (*out)++)
        if (strcmp(name, names[*out]) == 0) return MOTET_OK;
    return mt_op_fail(c, MOTET_ERROR_FORMAT, "aggregate_function \"%.64s\" is not known", name);
}

/* `prefix` is that of the weights. */
static motet_status read_lists(mt_op_context *c, mt_forest *f, const char *prefix)
{
    numbering n = {0};
    MT_TRY(mt_transform_read(c, &f->transform));
    MT_TRY(mt_attr_doubles(c, "base_values", "base_values_as_tensor", &f->base, &f->base_count));
    MT_TRY(read_nodes(c, f, &n));
    return read_weights(c, f, &n, prefix);
}

motet_status mt_forest_read_regressor(mt_op_context *c, mt_forest *f)
{
    MT_TRY(read_targets(c, f));
    MT_TRY(read_aggregate(c, &f->aggregate));
    return read_lists(c, f, "target");
}

motet_status mt_forest_read_classifier(mt_op_context *c, mt_forest *f)
{
    mt_labels labels;
    MT_TRY(mt_labels_read(c, "classlabels_strings", "classlabels_int64s", &labels));
    f->targets = labels.count;
    f->aggregate = MT_TREES_SUM;
    return read_lists(c, f, "class");
}

/* --- reading the lists of version 5 ----------------------------------------------------------------------------- */

/* The leaves follow the nodes: place `at` of one or the other. -1 where it is neither. */
static int64_t child_place(int64_t interior, int64_t leaves, int64_t at, bool is_leaf)
{
    if (at < 0 || at >= (is_leaf ? leaves : interior)) return -1;
    return is_leaf ? interior + at : at;
}

static motet_status read_sets(mt_op_context *c, mt_forest *f, int64_t interior)
{
    int64_t count, at = 0;
    MT_TRY(mt_attr_doubles(c, "", "membership_values", &f->members, &count));
    f->member_count = count;
    for (int64_t i = 0; i < interior; i++) {
        if (f->nodes[i].mode != MT_BRANCH_MEMBER) continue;
        f->nodes[i].first = at;
        while (at < count && !isnan(f->members[at])) at++;
        f->nodes[i].last = at;
        if (at < count) at++; /* the NaN that ends the set */
    }
    return MOTET_OK;
}

static motet_status read_interior(mt_op_context *c, mt_forest *f, int64_t interior, int64_t leaves)
{
    const int64_t *features, *yes, *no, *yes_leaf, *no_leaf, *missing;
    const double *splits, *modes;
    int64_t split_count, mode_count;
    size_t missing_count;
    MT_TRY(ints_of(c, "nodes_featureids", interior, &features));
    MT_TRY(ints_of(c, "nodes_truenodeids", interior, &yes));
    MT_TRY(ints_of(c, "nodes_falsenodeids", interior, &no));
    MT_TRY(ints_of(c, "nodes_trueleafs", interior, &yes_leaf));
    MT_TRY(ints_of(c, "nodes_falseleafs", interior, &no_leaf));
    MT_TRY(mt_attr_doubles(c, "", "nodes_splits", &splits, &split_count));
    MT_TRY(mt_attr_doubles(c, "", "nodes_modes", &modes, &mode_count));
    missing = mt_attr_ints(c, "nodes_missing_value_tracks_true", &missing_count);
    if (split_count != interior || mode_count != interior || (missing_count && (int64_t)missing_count != interior))
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "the nodes_ attributes have different lengths");
    for (int64_t i = 0; i < interior; i++) {
        if (!(modes[i] >= MT_BRANCH_LEQ && modes[i] <= MT_BRANCH_MEMBER))
            return mt_op_fail(c, MOTET_ERROR_FORMAT, "the node mode %g is not known", modes[i]);
        f->nodes[i] = (mt_tree_node){.split = splits[i],
                                     .feature = features[i],
                                     .yes = child_place(interior, leaves, yes[i], yes_leaf[i] != 0),
                                     .no = child_place(interior, leaves, no[i], no_leaf[i] != 0),
                                     .mode = (uint8_t)modes[i],
                                     .missing = missing_count && missing[i] != 0};
    }
    return MOTET_OK;
}

static motet_status read_leaves(mt_op_context *c, mt_forest *f, int64_t interior, int64_t leaves)
{
    const int64_t *targets;
    const double *values;
    void *memory;
    MT_TRY(ints_of(c, "leaf_targetids", leaves, &targets));
    MT_TRY(mt_attr_doubles(c, "", "leaf_weights", &values, &f->weight_count));
    if (f->weight_count != leaves)
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "the leaf_ attributes have different lengths");
    MT_TRY(mt_scratch_array(c, leaves, sizeof(mt_leaf_weight), &memory));
    mt_leaf_weight *weights = memory;
    for (int64_t i = 0; i < leaves; i++) {
        if (targets[i] < 0 || targets[i] >= f->targets)
            return mt_op_fail(c, MOTET_ERROR_FORMAT, "leaf %" PRId64 " is for target %" PRId64 " of %" PRId64, i,
                              targets[i], f->targets);
        weights[i] = (mt_leaf_weight){targets[i], values[i]};
        f->nodes[interior + i] = (mt_tree_node){.mode = MT_LEAF, .first = i, .last = i + 1};
    }
    f->weights = weights;
    return MOTET_OK;
}

motet_status mt_forest_read_ensemble(mt_op_context *c, mt_forest *f)
{
    size_t interior, leaves, roots;
    void *memory;
    mt_attr_ints(c, "nodes_featureids", &interior);
    mt_attr_ints(c, "leaf_targetids", &leaves);
    f->roots = mt_attr_ints(c, "tree_roots", &roots);
    f->root_count = (int64_t)roots;
    MT_TRY(read_targets(c, f));
    f->aggregate = mt_attr_int(c, "aggregate_function", MT_TREES_SUM);
    int64_t transform = mt_attr_int(c, "post_transform", 0);
    if (f->aggregate < MT_TREES_AVERAGE || f->aggregate > MT_TREES_MAX || transform < 0 ||
        transform > MT_TRANSFORM_PROBIT)
        return mt_op_fail(c, MOTET_ERROR_FORMAT,
                          "aggregate_function %" PRId64 " or post_transform %" PRId64 " is not known", f->aggregate,
                          transform);
    f->transform = (mt_transform)transform;
    f->count = (int64_t)(interior + leaves);
    MT_TRY(mt_scratch_array(c, f->count, sizeof(mt_tree_node), &memory));
    f->nodes = memory;
    MT_TRY(read_interior(c, f, (int64_t)interior, (int64_t)leaves));
    MT_TRY(read_leaves(c, f, (int64_t)interior, (int64_t)leaves));
    MT_TRY(read_sets(c, f, (int64_t)interior));
    for (int64_t i = 0; i < f->root_count; i++) MT_TRY(adopt(c, f, f->roots[i]));
    for (size_t i = 0; i < interior; i++) {
        MT_TRY(adopt(c, f, f->nodes[i].yes));
        if (f->nodes[i].no != f->nodes[i].yes) MT_TRY(adopt(c, f, f->nodes[i].no));
    }
    return MOTET_OK;
}
