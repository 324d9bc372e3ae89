/* Trees whose every test is x <= split, walked for several rows at a time.
 *
 * A step of a walk is the same few instructions whatever the row and the outcome: no jump that could be guessed wrong,
 * and the walks of MT_TREE_LANES rows overlap. Leaves lead to themselves, so all of them take as many steps as the tree
 * is deep. Numbers are compared as integers of the same order. */
#ifndef MT_KERNELS_TREES_H
#define MT_KERNELS_TREES_H

#include <stdint.h>

#include "kernels/math.h"

enum { MT_TREE_LANES = 8, MT_TREE_NODES = UINT16_MAX, MT_TREE_FEATURES = UINT16_MAX };

/* A node of a tree of at most MT_TREE_NODES, its root first. */
typedef struct mt_branch {
    uint32_t split;   /* mt_tree_key of it; MT_TREE_LEAF: none, this is a leaf */
    uint16_t feature; /* below MT_TREE_FEATURES */
    uint16_t next;    /* the node that x <= split leads to; the next one is where all others lead. A leaf's: itself */
} mt_branch;

#define MT_TREE_LEAF UINT32_MAX

/* x, which is not NaN, as an integer below MT_TREE_LEAF, in the order of the numbers; 0 and -0 are one. */
static inline uint32_t mt_tree_key(float x)
{
    uint32_t bits = mt_float_to_bits(x + 0.0f);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/* Element feature * MT_TREE_LANES + lane of `keys` is a row's mt_tree_key. leaves[lane] becomes the leaf where `depth`
 * steps from the root lead. */
void mt_tree_walk(const mt_branch *tree, int depth, const uint32_t *keys, uint16_t *leaves);

#endif
