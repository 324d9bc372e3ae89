/* A forest is read from its description once, in scratch memory, and then stored for good: one block of memory with
 * all its arrays.
 *
 * Where its trees can be walked by kernels/trees.h, they are also laid out for that, each anew, level by level. What
 * counts there is the order of float32 numbers, so a test x < split of a split in double becomes x <= the largest
 * float32 below it, and tests for more and at least are turned round. */
#include "ops/ml/forest.h"

#include <math.h>
#include <string.h>

/* --- quick trees ------------------------------------------------------------------------------------------------ */

typedef struct planting {
    const mt_forest *from;
    mt_quick_tree *trees;
    mt_branch *branches;
    int32_t *origins;
    int64_t count; /* branches so far */
} planting;

static bool is_order(const mt_tree_node *node)
{
    return node->mode <= MT_BRANCH_GT && isfinite(node->split) && node->feature < MT_TREE_FEATURES;
}

/* The key of the largest float32 that is at most, or below, the split of the test: those x are on one side of it. */
static uint32_t split_key(const mt_tree_node *node)
{
    float split = (float)node->split;
    bool below = node->mode == MT_BRANCH_LT || node->mode == MT_BRANCH_GTE;
    bool beyond = (double)split > node->split || (below && (double)split == node->split);
    return mt_tree_key(split) - beyond;
}

/* Appends a node, whose own children come later; false when there is no room in a tree. */
static bool append(planting *p, int64_t first, int64_t node)
{
    if (p->count - first >= MT_TREE_NODES) return false;
    p->origins[p->count++] = (int32_t)node;
    return true;
}

/* Lays out the tree from node `root` on; branches are in order of their depth. */
static bool plant(planting *p, int64_t root, mt_quick_tree *tree)
{
    int64_t first = p->count, level_end = first + 1;
    *tree = (mt_quick_tree){.first = first};
    append(p, first, root);
    for (int64_t i = first; i < p->count; i++) {
        const mt_tree_node *node = &p->from->nodes[p->origins[i]];
        if (i == level_end) {
            tree->depth++;
            level_end = p->count;
        }
        if (node->mode == MT_LEAF) {
            p->branches[i] = (mt_branch){.split = MT_TREE_LEAF, .next = (uint16_t)(i - first)};
            continue;
        }
        bool turned = node->mode == MT_BRANCH_GTE || node->mode == MT_BRANCH_GT;
        p->branches[i] = (mt_branch){split_key(node), (uint16_t)node->feature, (uint16_t)(p->count - first)};
        if (!append(p, first, turned ? node->no : node->yes) || !append(p, first, turned ? node->yes : node->no))
            return false;
    }
    return true;
}

/* The leaves' weights by branch, where each has one and all are for the same target. */
static motet_status collect_values(mt_op_context *c, mt_forest *f)
{
    void *memory;
    if (f->only_target < 0 || f->aggregate > MT_TREES_SUM) return MOTET_OK;
    MT_TRY(mt_scratch_array(c, f->branch_count, sizeof(float), &memory));
    float *values = memory;
    for (int64_t i = 0; i < f->branch_count; i++) {
        const mt_tree_node *node = &f->nodes[f->origins[i]];
        values[i] = 0;
        if (node->mode != MT_LEAF) continue;
        if (node->last != node->first + 1) return MOTET_OK;
        values[i] = (float)f->weights[node->first].value;
    }
    f->values = values;
    return MOTET_OK;
}

/* A node has one parent unless it is a leaf: so there are two branches for every test, and the roots. */
static motet_status plant_all(mt_op_context *c, mt_forest *f)
{
    planting p = {.from = f};
    void *trees, *branches, *origins;
    int64_t most = f->root_count;
    for (int64_t i = 0; i < f->count; i++) {
        if (f->nodes[i].mode == MT_LEAF) continue;
        if (!is_order(&f->nodes[i])) return MOTET_OK;
        most += 2;
    }
    if (f->count > INT32_MAX) return MOTET_OK;
    MT_TRY(mt_scratch_array(c, f->root_count, sizeof *p.trees, &trees));
    MT_TRY(mt_scratch_array(c, most, sizeof *p.branches, &branches));
    MT_TRY(mt_scratch_array(c, most, sizeof *p.origins, &origins));
    p.trees = trees;
    p.branches = branches;
    p.origins = origins;
    for (int64_t i = 0; i < f->root_count; i++)
        if (!plant(&p, f->roots[i], &p.trees[i])) return MOTET_OK;
    f->trees = p.trees;
    f->branches = p.branches;
    f->origins = p.origins;
    f->branch_count = p.count;
    return collect_values(c, f);
}

/* --- storing ---------------------------------------------------------------------------------------------------- */

/* The next array of a block, or NULL while blocks are only measured; *at moves on. */
static void *next_array(char *block, size_t *at, int64_t count, size_t size)
{
    enum { ALIGNMENT = 64 };
    void *array = block ? block + *at : NULL;
    *at += ((size_t)count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return array;
}

/* Copies `from` and all its arrays to `block`; with NULL, only tells how many bytes that takes. */
static size_t copy_forest(const mt_forest *from, char *block)
{
    size_t at = 0;
    mt_forest *to = next_array(block, &at, 1, sizeof *to);
    if (to) *to = *from;
#define COPY(field, count)                                                                                             \
    do {                                                                                                               \
        int64_t wanted = from->field ? (count) : 0;                                                                    \
        void *array = next_array(block, &at, wanted, sizeof *from->field);                                             \
        if (to && wanted) to->field = memcpy(array, from->field, (size_t)wanted * sizeof *from->field);                \
    } while (0)
    COPY(nodes, from->count);
    COPY(roots, from->root_count);
    COPY(weights, from->weight_count);
    COPY(members, from->member_count);
    COPY(base, from->base_count);
    COPY(trees, from->root_count);
    COPY(branches, from->branch_count);
    COPY(origins, from->branch_count);
    COPY(values, from->branch_count);
#undef COPY
    return at;
}

static void store(const void *context, mt_pool *pool, void *memory)
{
    (void)pool;
    copy_forest(context, memory);
}

/* --- finding ---------------------------------------------------------------------------------------------------- */

static motet_status look_at_nodes(mt_op_context *c, mt_forest *f)
{
    for (int64_t i = 0; i < f->count; i++) {
        const mt_tree_node *node = &f->nodes[i];
        if (node->mode == MT_LEAF) continue;
        if (node->feature < 0 || node->feature == INT64_MAX)
            return mt_op_fail(c, MOTET_ERROR_FORMAT, "a node looks at a feature that cannot be");
        f->features = mt_max(f->features, node->feature + 1);
    }
    f->only_target = f->weight_count ? f->weights[0].target : -1;
    f->all_positive = true;
    for (int64_t i = 0; i < f->weight_count; i++) {
        if (f->weights[i].target != f->only_target) f->only_target = -1;
        if (f->weights[i].value < 0) f->all_positive = false;
    }
    return MOTET_OK;
}

motet_status mt_forest_find(mt_op_context *c, mt_forest_reader read, const mt_forest **out)
{
    const void *kept = mt_kept(c, c->in_count);
    if (!kept) {
        mt_forest f = {0};
        MT_TRY(read(c, &f));
        MT_TRY(look_at_nodes(c, &f));
        if (!c->reference) MT_TRY(plant_all(c, &f));
        MT_TRY(
            mt_keep(c, c->in_count, &(mt_layout){.bytes = copy_forest(&f, NULL), .fill = store, .context = &f}, &kept));
    }
    *out = kept;
    return MOTET_OK;
}
