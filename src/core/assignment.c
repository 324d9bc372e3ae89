/* Shortest augmenting paths, as R. Jonker and A. Volgenant describe them ("A shortest augmenting path algorithm for
 * dense and sparse linear assignment problems", Computing 38, 1987), without their initialisation tricks.
 *
 * "Left" is the smaller side. Left nodes enter one at a time. Each looks for the cheapest alternating path to a free
 * right node by Dijkstra's algorithm over reduced costs, cost - potential(left) - potential(right), which the
 * potentials keep from being negative; then the pairs along the path are swapped. */
#include "core/assignment.h"

#include <math.h>
#include <stdbool.h>

#include "core/memory.h"

typedef struct problem {
    size_t left, right;
    const double *costs;
    size_t left_stride, right_stride;
    double *left_potential, *right_potential;
    double *distance;   /* of each right node from the entering left node, in this search */
    size_t *reached_by; /* the left node from which that distance was found */
    size_t *partner;    /* the left node paired with each right node, or MT_UNASSIGNED */
    size_t *pair_of;    /* and the other way */
    bool *settled;      /* right nodes whose distance is final, in this search */
} problem;

static double cost(const problem *p, size_t left, size_t right)
{
    return p->costs[left * p->left_stride + right * p->right_stride];
}

/* Shortens the distances of unsettled right nodes by way of `left`, itself `so_far` away. Returns the nearest of them.
 */
static size_t relax(problem *p, size_t left, double so_far)
{
    size_t nearest = MT_UNASSIGNED;
    for (size_t right = 0; right < p->right; right++) {
        if (p->settled[right]) continue;
        double reduced = cost(p, left, right) - p->left_potential[left] - p->right_potential[right];
        if (so_far + reduced < p->distance[right]) {
            p->distance[right] = so_far + reduced;
            p->reached_by[right] = left;
        }
        if (nearest == MT_UNASSIGNED || p->distance[right] < p->distance[nearest]) nearest = right;
    }
    return nearest;
}

/* Keeps reduced costs from going below zero, and those of pairs at zero, now that the path to `end` is the shortest. */
static void update_potentials(problem *p, size_t entering, size_t end)
{
    double length = p->distance[end];
    p->left_potential[entering] += length;
    for (size_t right = 0; right < p->right; right++) {
        if (!p->settled[right]) continue;
        double slack = length - p->distance[right];
        p->right_potential[right] -= slack;
        p->left_potential[p->partner[right]] += slack;
    }
}

static void swap_pairs_along_the_path(problem *p, size_t entering, size_t end)
{
    for (size_t right = end;;) {
        size_t left = p->reached_by[right];
        size_t before = p->pair_of[left];
        p->partner[right] = left;
        p->pair_of[left] = right;
        if (left == entering) return;
        right = before;
    }
}

static void enter(problem *p, size_t entering)
{
    for (size_t right = 0; right < p->right; right++) {
        p->distance[right] = INFINITY;
        p->settled[right] = false;
    }
    size_t end = relax(p, entering, 0);
    while (p->partner[end] != MT_UNASSIGNED) {
        p->settled[end] = true;
        end = relax(p, p->partner[end], p->distance[end]);
    }
    update_potentials(p, entering, end);
    swap_pairs_along_the_path(p, entering, end);
}

static motet_status solve(problem *p)
{
    p->left_potential = mt_alloc_zero(p->left, sizeof *p->left_potential);
    p->right_potential = mt_alloc_zero(p->right, sizeof *p->right_potential);
    p->distance = mt_alloc_array(p->right, sizeof *p->distance);
    p->reached_by = mt_alloc_array(p->right, sizeof *p->reached_by);
    p->partner = mt_alloc_array(p->right, sizeof *p->partner);
    p->pair_of = mt_alloc_array(p->left, sizeof *p->pair_of);
    p->settled = mt_alloc_array(p->right, sizeof *p->settled);
    if (!p->left_potential || !p->right_potential || !p->distance || !p->reached_by || !p->partner || !p->pair_of ||
        !p->settled)
        return mt_fail_memory(p->right * sizeof *p->distance);
    for (size_t right = 0; right < p->right; right++) p->partner[right] = MT_UNASSIGNED;
    for (size_t left = 0; left < p->left; left++) p->pair_of[left] = MT_UNASSIGNED;
    for (size_t left = 0; left < p->left; left++) enter(p, left);
    return MOTET_OK;
}

static void release(problem *p)
{
    mt_free(p->left_potential);
    mt_free(p->right_potential);
    mt_free(p->distance);
    mt_free(p->reached_by);
    mt_free(p->partner);
    mt_free(p->pair_of);
    mt_free(p->settled);
}

motet_status mt_assign(size_t rows, size_t columns, const double *costs, size_t *column_of)
{
    for (size_t i = 0; i < rows * columns; i++)
        if (!isfinite(costs[i])) return mt_fail(MOTET_ERROR_ARGUMENT, "assignment: cost %zu is not finite", i);
    bool wide = rows <= columns;
    problem p = {.left = wide ? rows : columns,
                 .right = wide ? columns : rows,
                 .costs = costs,
                 .left_stride = wide ? columns : 1,
                 .right_stride = wide ? 1 : columns};
    motet_status status = solve(&p);
    for (size_t row = 0; status == MOTET_OK && row < rows; row++)
        column_of[row] = wide ? p.pair_of[row] : p.partner[row];
    release(&p);
    return status;
}
