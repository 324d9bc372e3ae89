/* Whole-forest collapse. scikit-learn's IsolationForest is exported as a graph with some 27 nodes for every tree: the
 * tree yields the number of a leaf, tables lead from that to the leaf's depth and size, some arithmetic makes them a
 * path length, and a Sum takes all trees together. All that is a function of the leaf: it is computed once, for the
 * tree's leaves as if they were rows, and its results become the leaves' weights. The Sum becomes one
 * TreeEnsembleRegressor, which adds up the same numbers in the same order. */
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "graph/passes/match.h"
#include "graph/passes/passes.h"

/* One tree, and the way from it to the sum. */
typedef struct branch {
    const mt_node *tree;
    int x;                   /* the rows of features that it looks at */
    const int64_t *features; /* of the tree, among those of x; NULL: the same */
    int64_t feature_count;
    size_t nodes, leaves;
    float *weights; /* of the leaves */
} branch;

typedef struct evaluation {
    mt_evaluator evaluate;
    void *context;
} evaluation;

typedef struct collapse {
    const mt_match *match;
    const evaluation *evaluation;
    branch *branches;
    int count;
} collapse;

/* --- what a tree must be ---------------------------------------------------------------------------------------- */

static const mt_attribute *list_of(const mt_node *tree, const char *name, mt_attribute_kind kind)
{
    const mt_attribute *attribute = mt_node_attribute(tree, name);
    return attribute && attribute->kind == kind ? attribute : NULL;
}

static const int64_t *ints_of(const mt_node *tree, const char *name, size_t count)
{
    const mt_attribute *attribute = list_of(tree, name, MT_ATTRIBUTE_INTS);
    return attribute && attribute->count == count ? attribute->ints : NULL;
}

static bool has_text(const mt_node *node, const char *name, const char *text)
{
    const mt_attribute *attribute = mt_node_attribute(node, name);
    return !attribute || (attribute->kind == MT_ATTRIBUTE_STRING && strcmp(attribute->s.bytes, text) == 0);
}

static bool all_are(const int64_t *values, size_t count, int64_t value)
{
    for (size_t i = 0; i < count; i++)
        if (values[i] != value) return false;
    return true;
}

/* One tree, for one target, with nothing but its leaves' weights to its result. */
static bool is_plain(const mt_node *tree)
{
    static const char *const others[] = {"base_values", "base_values_as_tensor", "nodes_values_as_tensor",
                                         "target_weights_as_tensor"};
    const mt_attribute *targets = mt_node_attribute(tree, "n_targets");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (mt_node_attribute(tree, others[i])) return false;
    return (!targets || (targets->kind == MT_ATTRIBUTE_INT && targets->i == 1)) &&
           has_text(tree, "post_transform", "NONE") && has_text(tree, "aggregate_function", "SUM");
}

/* Every leaf has one weight, and they stand in one order. */
static bool has_plain_leaves(const branch *b)
{
    const mt_attribute *modes = list_of(b->tree, "nodes_modes", MT_ATTRIBUTE_STRINGS);
    const int64_t *nodes = ints_of(b->tree, "nodes_nodeids", b->nodes);
    const int64_t *weighed = ints_of(b->tree, "target_nodeids", b->leaves);
    if (!modes || modes->count != b->nodes || !nodes || !weighed) return false;
    size_t leaf = 0;
    for (size_t i = 0; i < b->nodes; i++) {
        if (!modes->strings[i].bytes || strcmp(modes->strings[i].bytes, "LEAF") != 0) continue;
        if (leaf == b->leaves || weighed[leaf++] != nodes[i]) return false;
    }
    return leaf == b->leaves;
}

static bool has_plain_lists(branch *b)
{
    static const char *const of_nodes[] = {"nodes_featureids", "nodes_truenodeids", "nodes_falsenodeids"};
    const mt_attribute *splits = list_of(b->tree, "nodes_values", MT_ATTRIBUTE_FLOATS);
    const mt_attribute *weights = list_of(b->tree, "target_weights", MT_ATTRIBUTE_FLOATS);
    if (!splits || !weights || !splits->count || !weights->count) return false;
    b->nodes = splits->count;
    b->leaves = weights->count;
    for (size_t i = 0; i < sizeof of_nodes / sizeof *of_nodes; i++)
        if (!ints_of(b->tree, of_nodes[i], b->nodes)) return false;
    const int64_t *trees = ints_of(b->tree, "nodes_treeids", b->nodes);
    const int64_t *weighed = ints_of(b->tree, "target_treeids", b->leaves);
    const int64_t *targets = ints_of(b->tree, "target_ids", b->leaves);
    return trees && weighed && targets && all_are(trees, b->nodes, trees[0]) && all_are(weighed, b->leaves, trees[0]) &&
           all_are(targets, b->leaves, 0) && has_plain_leaves(b);
}

/* The tree's own input may be some columns of x, taken by their numbers. */
static bool find_features(const mt_match *m, branch *b)
{
    const mt_node *gather = mt_match_maker(m, b->tree, 0, "Gather");
    const mt_attribute *axis = gather ? mt_node_attribute(gather, "axis") : NULL;
    const motet_tensor *columns = gather ? mt_match_constant(m, gather, 1) : NULL;
    b->x = mt_match_input(b->tree, 0);
    if (!columns || !axis || axis->kind != MT_ATTRIBUTE_INT || axis->i != 1 || columns->type != MOTET_INT64 ||
        columns->rank != 1)
        return b->x != MT_NO_VALUE;
    b->x = mt_match_input(gather, 0);
    b->features = columns->data;
    b->feature_count = columns->count;
    for (int64_t i = 0; i < columns->count; i++)
        if (b->features[i] < 0) return false;
    const int64_t *used = ints_of(b->tree, "nodes_featureids", b->nodes);
    for (size_t i = 0; i < b->nodes; i++)
        if (used[i] < 0 || used[i] >= b->feature_count) return false;
    return b->x != MT_NO_VALUE;
}

static bool is_tree(const mt_node *node)
{
    return strcmp(node->domain, "ai.onnx.ml") == 0 && strcmp(node->type, "TreeEnsembleRegressor") == 0;
}

/* --- from leaves to what is summed ------------------------------------------------------------------------------ */

enum { MOST_STEPS = 64 }; /* from a tree to the sum */

/* Nodes between a tree and the sum, each after those it reads. */
typedef struct steps {
    const mt_node *list[MOST_STEPS];
    int count;
} steps;

/* True for a node that makes an element of its result of the same element of its input. */
static bool is_elementwise(const mt_match *m, const mt_node *node)
{
    static const char *const types[] = {"Cast", "Equal", "Greater", "Less", "Mul", "Add", "Sub",
                                        "Div",  "Max",   "Min",     "Log",  "Neg", "Exp", "Pow"};
    if (node->output_count != 1) return false;
    if (strcmp(node->domain, "ai.onnx.ml") == 0) return strcmp(node->type, "LabelEncoder") == 0;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (mt_match_is(node, types[i])) return true;
    const motet_tensor *shape = mt_match_is(node, "Reshape") ? mt_match_constant(m, node, 1) : NULL;
    if (!shape || shape->type != MOTET_INT64 || shape->count != 2) return false;
    const int64_t *dims = shape->data;
    return dims[0] == -1 && dims[1] == 1;
}

static bool is_one_number(const motet_tensor *tensor)
{
    return tensor->count == 1 && tensor->rank <= 2;
}

/* Collects the nodes that lead from a tree to `value`; false when they are no function of one tree's leaves, or more
 * than `most` in a row. */
static bool find_steps(const mt_match *m, int value, int most, steps *found, const mt_node **tree)
{
    const mt_node *maker = m->maker[value];
    if (!maker || !most) return false;
    if (is_tree(maker)) {
        bool same = !*tree || *tree == maker;
        *tree = maker;
        return same;
    }
    for (int i = 0; i < found->count; i++)
        if (found->list[i] == maker) return true;
    if (!is_elementwise(m, maker)) return false;
    for (int i = 0; i < maker->input_count; i++) {
        const motet_tensor *constant = mt_match_constant(m, maker, i);
        if (maker->inputs[i] == MT_NO_VALUE) return false;
        bool fits = constant ? is_one_number(constant) || mt_match_is(maker, "Reshape")
                             : find_steps(m, maker->inputs[i], most - 1, found, tree);
        if (!fits) return false;
    }
    if (found->count == MOST_STEPS) return false;
    found->list[found->count++] = maker;
    return true;
}

/* Runs the steps on the leaves, as if they were rows; the values of the graph hold the results meanwhile. */
static motet_status run_steps(const collapse *k, const steps *s, motet_tensor *results, size_t leaves)
{
    enum { BYTES_A_LEAF = 64 };
    mt_value *values = k->match->model->values;
    for (int i = 0; i < s->count; i++) {
        const mt_node *node = s->list[i];
        motet_tensor *out[] = {&results[i]};
        MT_TRY(
            k->evaluation->evaluate(k->evaluation->context, k->match->model, node, (leaves + 64) * BYTES_A_LEAF, out));
        values[node->outputs[0]].tensor = &results[i];
    }
    return MOTET_OK;
}

/* The weights that the leaves get. *fits is false where the steps do not lead to a number for each. */
static motet_status find_weights(const collapse *k, branch *b, const steps *s, int value, bool *fits)
{
    mt_value *values = k->match->model->values;
    const mt_attribute *given = list_of(b->tree, "target_weights", MT_ATTRIBUTE_FLOATS);
    motet_tensor results[MOST_STEPS] = {0}, rows = {0};
    MT_TRY(mt_tensor_wrap(&rows, MOTET_FLOAT, 2, (int64_t[]){(int64_t)b->leaves, 1}, given->floats));
    values[b->tree->outputs[0]].tensor = &rows;
    motet_status status = run_steps(k, s, results, b->leaves);
    const motet_tensor *made = values[value].tensor;
    *fits = status == MOTET_OK && made->type == MOTET_FLOAT && (size_t)made->count == b->leaves;
    if (*fits) memcpy(b->weights, made->data, b->leaves * sizeof *b->weights);
    values[b->tree->outputs[0]].tensor = NULL;
    for (int i = 0; i < s->count; i++) {
        values[s->list[i]->outputs[0]].tensor = NULL;
        mt_tensor_clear(&results[i]);
    }
    return status == MOTET_ERROR_MEMORY ? status : MOTET_OK;
}

/* Fills in the branch that ends with `value`; *fits is false when it is something else. */
static motet_status find_branch(const collapse *k, int value, branch *b, bool *fits)
{
    steps s = {.count = 0};
    *fits = find_steps(k->match, value, MOST_STEPS, &s, &b->tree) && b->tree && b->tree->outputs[0] != MT_NO_VALUE &&
            is_plain(b->tree) && has_plain_lists(b) && find_features(k->match, b);
    if (!*fits) return MOTET_OK;
    b->weights = mt_arena_alloc(&k->match->model->arena, b->leaves * sizeof *b->weights);
    if (!b->weights) return mt_fail_memory(b->leaves * sizeof *b->weights);
    return find_weights(k, b, &s, value, fits);
}

/* --- one node for all ------------------------------------------------------------------------------------------- */

/* The lists of the joint node. */
typedef struct lists {
    int64_t *trees, *nodes, *features, *yes, *no, *missing;
    mt_string *modes;
    float *splits;
    int64_t *weight_trees, *weight_nodes, *targets;
    float *weights;
    size_t node_count, leaf_count; /* so far */
} lists;

static motet_status allocate(mt_arena *arena, size_t nodes, size_t leaves, lists *l)
{
    int64_t **of_nodes[] = {&l->trees, &l->nodes, &l->features, &l->yes, &l->no, &l->missing};
    int64_t **of_leaves[] = {&l->weight_trees, &l->weight_nodes, &l->targets};
    bool there = true;
    for (int i = 0; i < 6; i++) there &= (*of_nodes[i] = mt_arena_alloc(arena, nodes * sizeof(int64_t))) != NULL;
    for (int i = 0; i < 3; i++) there &= (*of_leaves[i] = mt_arena_alloc(arena, leaves * sizeof(int64_t))) != NULL;
    l->modes = mt_arena_alloc(arena, nodes * sizeof *l->modes);
    l->splits = mt_arena_alloc(arena, nodes * sizeof *l->splits);
    l->weights = mt_arena_alloc(arena, leaves * sizeof *l->weights);
    return there && l->modes && l->splits && l->weights ? MOTET_OK : mt_fail_memory(nodes * sizeof *l->modes);
}

/* Trees are numbered anew, their nodes keep their numbers. */
static void append_tree(lists *l, const branch *b, int64_t number)
{
    size_t at = l->node_count, leaf = l->leaf_count, ids = b->nodes * sizeof *l->nodes;
    const int64_t *features = ints_of(b->tree, "nodes_featureids", b->nodes);
    const int64_t *missing = ints_of(b->tree, "nodes_missing_value_tracks_true", b->nodes);
    memcpy(l->nodes + at, ints_of(b->tree, "nodes_nodeids", b->nodes), ids);
    memcpy(l->yes + at, ints_of(b->tree, "nodes_truenodeids", b->nodes), ids);
    memcpy(l->no + at, ints_of(b->tree, "nodes_falsenodeids", b->nodes), ids);
    memcpy(l->modes + at, mt_node_attribute(b->tree, "nodes_modes")->strings, b->nodes * sizeof *l->modes);
    memcpy(l->splits + at, mt_node_attribute(b->tree, "nodes_values")->floats, b->nodes * sizeof *l->splits);
    for (size_t i = 0; i < b->nodes; i++) {
        l->trees[at + i] = number;
        l->features[at + i] = b->features ? b->features[features[i]] : features[i];
        l->missing[at + i] = missing ? missing[i] : 0;
    }
    memcpy(l->weight_nodes + leaf, ints_of(b->tree, "target_nodeids", b->leaves), b->leaves * sizeof(int64_t));
    memcpy(l->weights + leaf, b->weights, b->leaves * sizeof *l->weights);
    for (size_t i = 0; i < b->leaves; i++) {
        l->weight_trees[leaf + i] = number;
        l->targets[leaf + i] = 0;
    }
    l->node_count += b->nodes;
    l->leaf_count += b->leaves;
}

static motet_status set_attributes(mt_arena *arena, mt_node *node, const lists *l)
{
    size_t n = l->node_count, w = l->leaf_count;
    const mt_attribute all[] = {
        {.name = "nodes_treeids", .kind = MT_ATTRIBUTE_INTS, .count = n, .ints = l->trees},
        {.name = "nodes_nodeids", .kind = MT_ATTRIBUTE_INTS, .count = n, .ints = l->nodes},
        {.name = "nodes_featureids", .kind = MT_ATTRIBUTE_INTS, .count = n, .ints = l->features},
        {.name = "nodes_truenodeids", .kind = MT_ATTRIBUTE_INTS, .count = n, .ints = l->yes},
        {.name = "nodes_falsenodeids", .kind = MT_ATTRIBUTE_INTS, .count = n, .ints = l->no},
        {.name = "nodes_missing_value_tracks_true", .kind = MT_ATTRIBUTE_INTS, .count = n, .ints = l->missing},
        {.name = "nodes_modes", .kind = MT_ATTRIBUTE_STRINGS, .count = n, .strings = l->modes},
        {.name = "nodes_values", .kind = MT_ATTRIBUTE_FLOATS, .count = n, .floats = l->splits},
        {.name = "target_treeids", .kind = MT_ATTRIBUTE_INTS, .count = w, .ints = l->weight_trees},
        {.name = "target_nodeids", .kind = MT_ATTRIBUTE_INTS, .count = w, .ints = l->weight_nodes},
        {.name = "target_ids", .kind = MT_ATTRIBUTE_INTS, .count = w, .ints = l->targets},
        {.name = "target_weights", .kind = MT_ATTRIBUTE_FLOATS, .count = w, .floats = l->weights},
    };
    node->attributes = mt_arena_alloc(arena, sizeof all);
    if (!node->attributes) return mt_fail_memory(sizeof all);
    memcpy(node->attributes, all, sizeof all);
    node->attribute_count = (int)(sizeof all / sizeof *all);
    return MOTET_OK;
}

static motet_status join(mt_match *m, mt_node *sum, const collapse *k)
{
    lists l = {0};
    size_t nodes = 0, leaves = 0;
    for (int i = 0; i < k->count; i++) {
        nodes += k->branches[i].nodes;
        leaves += k->branches[i].leaves;
    }
    MT_TRY(allocate(&m->model->arena, nodes, leaves, &l));
    for (int i = 0; i < k->count; i++) append_tree(&l, &k->branches[i], i);
    const mt_node *tree = k->branches[0].tree;
    MT_TRY(mt_match_become(m, sum, "ai.onnx.ml", "TreeEnsembleRegressor", tree->version, &k->branches[0].x, 1, NULL));
    return set_attributes(&m->model->arena, sum, &l);
}

static motet_status try_branches(mt_match *m, mt_node *sum, collapse *k)
{
    for (int i = 0; i < k->count; i++) {
        bool fits = sum->inputs[i] != MT_NO_VALUE;
        if (fits) MT_TRY(find_branch(k, sum->inputs[i], &k->branches[i], &fits));
        if (!fits || k->branches[i].x != k->branches[0].x) return MOTET_OK;
    }
    return join(m, sum, k);
}

static motet_status try_at(mt_match *m, mt_node *node, const void *context)
{
    if (!mt_match_is(node, "Sum") || !node->input_count) return MOTET_OK;
    collapse k = {m, context, mt_alloc_zero((size_t)node->input_count, sizeof(branch)), node->input_count};
    if (!k.branches) return mt_fail_memory((size_t)node->input_count * sizeof(branch));
    motet_status status = try_branches(m, node, &k);
    mt_free(k.branches);
    return status;
}

motet_status mt_pass_forest(mt_model *model, mt_evaluator evaluate, void *context)
{
    evaluation own = {evaluate, context};
    return mt_match_each_with(model, try_at, &own);
}
