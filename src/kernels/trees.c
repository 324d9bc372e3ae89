/* Places are kept in 32 bits while they move: those need no widening. */
#include "kernels/trees.h"

void mt_tree_walk(const mt_branch *tree, int depth, const uint32_t *keys, uint16_t *leaves)
{
    uint32_t at[MT_TREE_LANES] = {0};
    for (int step = 0; step < depth; step++)
        for (int lane = 0; lane < MT_TREE_LANES; lane++) {
            const mt_branch *node = &tree[at[lane]];
            uint32_t key = keys[(uint32_t)node->feature * MT_TREE_LANES + (uint32_t)lane];
            at[lane] = node->next + (uint32_t)(key > node->split);
        }
    for (int lane = 0; lane < MT_TREE_LANES; lane++) leaves[lane] = (uint16_t)at[lane];
}
