/* TreeEnsembleRegressor, TreeEnsembleClassifier (versions 1 and 3) and TreeEnsemble (version 5).
 *
 * Rows without NaN of float32 features go through the quick trees, MT_TREE_LANES at a time and tree by tree, so that
 * a tree is in the cache while it is walked; other rows, and forests with other tests, node by node.
 *
 * Sums are rounded to float32 after each tree for float inputs, as ONNX Runtime's are: binary classes are told apart
 * by comparing such a sum with 0.5. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ops/ml/forest.h"

/* --- walking ---------------------------------------------------------------------------------------------------- */

static bool is_member(const mt_forest *f, const mt_tree_node *node, double x)
{
    for (int64_t i = node->first; i < node->last; i++)
        if (f->members[i] == x) return true;
    return false;
}

static bool goes_to_yes(const mt_forest *f, const mt_tree_node *node, double x)
{
    if (node->missing && isnan(x)) return true;
    switch (node->mode) {
    case MT_BRANCH_LEQ: return x <= node->split;
    case MT_BRANCH_LT: return x < node->split;
    case MT_BRANCH_GTE: return x >= node->split;
    case MT_BRANCH_GT: return x > node->split;
    case MT_BRANCH_EQ: return x == node->split;
    case MT_BRANCH_NEQ: return x != node->split;
    default: return is_member(f, node, x);
    }
}

typedef struct tree_work {
    const mt_forest *forest;
    const mt_rows *in;
    double *scores; /* [rows, targets] */
    bool *has;      /* whether any leaf had a weight for it */
    uint32_t *keys; /* of the quick trees, group after group of MT_TREE_LANES rows; NULL: there are none */
} tree_work;

static double feature_of(const mt_rows *in, int64_t row, int64_t feature)
{
    int64_t at = row * in->columns + feature;
    return in->wide ? ((const double *)in->values)[at] : (double)((const float *)in->values)[at];
}

static void add_weight(const tree_work *w, const mt_leaf_weight *weight, double *scores, bool *has)
{
    double *score = &scores[weight->target], value = weight->value;
    bool first = !has[weight->target];
    switch (w->forest->aggregate) {
    case MT_TREES_MIN: *score = first || value < *score ? value : *score; break;
    case MT_TREES_MAX: *score = first || value > *score ? value : *score; break;
    default: *score = w->in->wide ? *score + value : (double)((float)*score + (float)value);
    }
    has[weight->target] = true;
}

static void add_leaf(const tree_work *w, int64_t row, const mt_tree_node *leaf)
{
    const mt_forest *f = w->forest;
    for (int64_t k = leaf->first; k < leaf->last; k++)
        add_weight(w, &f->weights[k], w->scores + row * f->targets, w->has + row * f->targets);
}

static void walk_row(const tree_work *w, int64_t row)
{
    const mt_forest *f = w->forest;
    for (int64_t i = 0; i < f->root_count; i++) {
        const mt_tree_node *node = &f->nodes[f->roots[i]];
        while (node->mode != MT_LEAF)
            node = &f->nodes[goes_to_yes(f, node, feature_of(w->in, row, node->feature)) ? node->yes : node->no];
        add_leaf(w, row, node);
    }
}

/* --- the quick way ---------------------------------------------------------------------------------------------- */

enum { LANES = MT_TREE_LANES, GROUPS = 8 /* of rows, in a block of work */ };

/* Rows begin .. end-1, LANES of them at most; false when one of them holds NaN. */
static bool make_keys(const tree_work *w, int64_t begin, int64_t end, uint32_t *keys)
{
    int64_t features = w->forest->features, columns = w->in->columns;
    bool numbers = true;
    if (end - begin < LANES) memset(keys, 0, (size_t)(features * LANES) * sizeof *keys);
    for (int64_t row = begin; row < end; row++)
        for (int64_t i = 0; i < features; i++) {
            float x = ((const float *)w->in->values)[row * columns + i];
            numbers &= !isnan(x);
            keys[i * LANES + row - begin] = mt_tree_key(x);
        }
    return numbers;
}

/* What a group of rows collects from the leaves that it came to, branches of the forest from `first` on. */
static void add_leaves(const tree_work *w, int64_t begin, int64_t end, int64_t first, const uint16_t *leaves)
{
    const mt_forest *f = w->forest;
    for (int64_t row = begin; row < end; row++) {
        int64_t branch = first + leaves[row - begin];
        if (f->values) {
            double *score = &w->scores[row * f->targets + f->only_target];
            *score = (double)((float)*score + f->values[branch]);
        } else {
            add_leaf(w, row, &f->nodes[f->origins[branch]]);
        }
    }
}

static void walk_quickly(const tree_work *w, int64_t begin, int64_t end)
{
    const mt_forest *f = w->forest;
    int64_t group_keys = f->features * LANES;
    uint32_t *keys = w->keys + begin * f->features;
    bool numbers[GROUPS];
    for (int64_t row = begin, g = 0; row < end; row += LANES, g++)
        numbers[g] = make_keys(w, row, mt_min(row + LANES, end), keys + g * group_keys);
    for (int64_t i = 0; i < f->root_count; i++)
        for (int64_t row = begin, g = 0; row < end; row += LANES, g++) {
            uint16_t leaves[LANES];
            if (!numbers[g]) continue;
            mt_tree_walk(f->branches + f->trees[i].first, f->trees[i].depth, keys + g * group_keys, leaves);
            add_leaves(w, row, mt_min(row + LANES, end), f->trees[i].first, leaves);
        }
    for (int64_t row = begin; row < end; row++) {
        if (!numbers[(row - begin) / LANES])
            walk_row(w, row);
        else if (f->values)
            w->has[row * f->targets + f->only_target] = f->root_count > 0;
    }
}

/* --- both ------------------------------------------------------------------------------------------------------- */

static void walk_rows(void *context, int64_t begin, int64_t end)
{
    const tree_work *w = context;
    int64_t targets = w->forest->targets;
    memset(w->scores + begin * targets, 0, (size_t)((end - begin) * targets) * sizeof *w->scores);
    memset(w->has + begin * targets, 0, (size_t)((end - begin) * targets) * sizeof *w->has);
    if (w->keys) {
        walk_quickly(w, begin, end);
        return;
    }
    for (int64_t row = begin; row < end; row++) walk_row(w, row);
}

/* What every target of every row collects from the trees. */
static motet_status walk(mt_op_context *c, const mt_forest *f, const mt_rows *in, tree_work *w)
{
    int64_t count, keys;
    void *scores, *has, *room = NULL;
    if (f->features > in->columns)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "a node looks at feature %" PRId64 " of %" PRId64, f->features - 1,
                          in->columns);
    if (__builtin_mul_overflow(in->rows, f->targets, &count)) count = -1;
    MT_TRY(mt_scratch_array(c, count, sizeof(double), &scores));
    MT_TRY(mt_scratch_array(c, count, sizeof(bool), &has));
    if (f->branch_count && !in->wide) {
        if (__builtin_mul_overflow(mt_blocks(in->rows, LANES) * LANES, mt_max(1, f->features), &keys)) keys = -1;
        MT_TRY(mt_scratch_array(c, keys, sizeof(uint32_t), &room));
    }
    *w = (tree_work){f, in, scores, has, room};
    mt_ranges(c->pool, in->rows, room ? LANES * GROUPS : mt_max(1, 4096 / mt_max(1, f->root_count)), walk_rows, w);
    return MOTET_OK;
}

/* --- regression ------------------------------------------------------------------------------------------------- */

/* Averages, adds the base values (one for all where there is one target) and transforms. */
static void finish_regression(const mt_forest *f, const double *scores, float *y, double *wide)
{
    for (int64_t k = 0; k < f->targets; k++) {
        double score = f->aggregate == MT_TREES_AVERAGE ? scores[k] / (double)mt_max(1, f->root_count) : scores[k];
        if (f->base_count == f->targets) score += f->base[k];
        y[k] = (float)score;
        wide[k] = score;
    }
    mt_transform_scores(f->transform, y, f->targets);
}

/* Y in `type`, from the trees that `read` reads. Transforms are made in float32; without one, doubles stay doubles. */
static motet_status regress(mt_op_context *c, mt_forest_reader read, motet_type type)
{
    const mt_forest *f;
    mt_rows in;
    tree_work w;
    motet_tensor *out;
    void *rows;
    MT_TRY(mt_forest_find(c, read, &f));
    MT_TRY(mt_rows_read(c, &in));
    MT_TRY(walk(c, f, &in, &w));
    MT_TRY(mt_out(c, 0, type, 2, (int64_t[]){in.rows, f->targets}, &out));
    MT_TRY(mt_scratch_array(c, f->targets, sizeof(float) + sizeof(double), &rows));
    double *wide = rows;
    float *y = (float *)(wide + f->targets);
    bool plain = type == MOTET_DOUBLE && f->transform == MT_TRANSFORM_NONE;
    for (int64_t row = 0; row < in.rows; row++) {
        finish_regression(f, w.scores + row * f->targets, y, wide);
        mt_convert(mt_at(out, row * f->targets), type, plain ? (const void *)wide : y,
                   plain ? MOTET_DOUBLE : MOTET_FLOAT, f->targets);
    }
    return MOTET_OK;
}

motet_status mt_op_tree_ensemble_regressor(mt_op_context *c)
{
    return regress(c, mt_forest_read_regressor, MOTET_FLOAT);
}

motet_status mt_op_tree_ensemble(mt_op_context *c)
{
    const motet_tensor *in;
    MT_TRY(mt_need(c, 0, &in));
    if (!mt_is_float(in->type)) return mt_op_fail_type(c, 0);
    return regress(c, mt_forest_read_ensemble, in->type);
}

/* --- classification --------------------------------------------------------------------------------------------- */

/* Whether all weights are for one class of two, so that the other's score follows from it, and none is below 0: then
 * scores are probabilities and 0.5 parts the classes, else 0 does. */
static bool is_probability(const mt_forest *f)
{
    return f->targets == 2 && (f->only_target >= 0 || !f->weight_count) && f->all_positive;
}

/* Two classes. Where one has all the weights, its sum decides by its sign, or by 0.5. ONNX leaves open what a base
 * value for each of them means then; this is what ONNX Runtime makes of it. Returns the class. */
static int64_t finish_binary(const mt_forest *f, double *scores, bool *has, float *z)
{
    bool both = has[1];
    if (f->base_count == 2) {
        if (has[1]) {
            scores[1] = f->base[1] + scores[0];
            scores[0] = -scores[1];
        } else {
            scores[1] += f->base[1];
            scores[0] += f->base[0];
            both = true;
        }
    } else if (f->base_count == 1) {
        scores[0] += f->base[0];
    }
    bool positive = both ? scores[1] > scores[0] : scores[0] > (is_probability(f) ? 0.5 : 0);
    for (int i = 0; i < 2; i++) z[i] = (float)scores[i];
    if (both)
        mt_transform_scores(f->transform, z, 2);
    else
        mt_two_scores(f->transform, is_probability(f), z);
    return positive;
}

static int64_t finish_classes(const mt_forest *f, double *scores, bool *has, float *z)
{
    if (f->targets == 2) return finish_binary(f, scores, has, z);
    int64_t best = -1;
    for (int64_t i = 0; i < f->targets; i++) {
        if (i < f->base_count) {
            scores[i] += f->base[i];
            has[i] = true;
        }
        if (has[i] && (best < 0 || scores[i] > scores[best])) best = i;
        z[i] = (float)scores[i];
    }
    mt_transform_scores(f->transform, z, f->targets);
    return mt_max(0, best);
}

motet_status mt_op_tree_ensemble_classifier(mt_op_context *c)
{
    const mt_forest *f;
    mt_labels names;
    mt_rows in;
    tree_work w;
    motet_tensor *labels, *out;
    MT_TRY(mt_labels_read(c, "classlabels_strings", "classlabels_int64s", &names));
    MT_TRY(mt_forest_find(c, mt_forest_read_classifier, &f));
    MT_TRY(mt_rows_read(c, &in));
    MT_TRY(walk(c, f, &in, &w));
    MT_TRY(mt_labels_out(c, 0, &names, in.rows, &labels));
    MT_TRY(mt_out(c, 1, MOTET_FLOAT, 2, (int64_t[]){in.rows, f->targets}, &out));
    for (int64_t row = 0; row < in.rows; row++) {
        int64_t at = row * f->targets;
        int64_t class = finish_classes(f, w.scores + at, w.has + at, (float *)out->data + at);
        MT_TRY(mt_label_put(labels, row, &names, class));
    }
    return MOTET_OK;
}
