/* core/assignment against every possible pairing, and on its edges. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/assignment.h"
#include "core/memory.h"

enum { MOST = 6 };

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* The least cost of pairing rows from `row` on, when `left` of them may still go without a column. */
static double least_cost(size_t rows, size_t columns, const double *costs, size_t row, size_t left, unsigned used)
{
    if (row == rows) return 0;
    double least = left ? least_cost(rows, columns, costs, row + 1, left - 1, used) : INFINITY;
    for (size_t column = 0; column < columns; column++) {
        if (used >> column & 1) continue;
        double cost =
            costs[row * columns + column] + least_cost(rows, columns, costs, row + 1, left, used | 1u << column);
        if (cost < least) least = cost;
    }
    return least;
}

/* Checks that the pairs are one-to-one and as many as can be; returns their cost. */
static double cost_of(size_t rows, size_t columns, const double *costs, const size_t *column_of)
{
    double cost = 0;
    size_t pairs = 0;
    unsigned used = 0;
    for (size_t row = 0; row < rows; row++) {
        if (column_of[row] == MT_UNASSIGNED) continue;
        assert_true(column_of[row] < columns);
        assert_false(used >> column_of[row] & 1);
        used |= 1u << column_of[row];
        cost += costs[row * columns + column_of[row]];
        pairs++;
    }
    assert_int_equal(pairs, rows < columns ? rows : columns);
    return cost;
}

static void finds_the_least_cost(void **state)
{
    (void)state;
    uint32_t seed = 7;
    for (int round = 0; round < 3000; round++) {
        size_t rows = next_random(&seed) % MOST + 1, columns = next_random(&seed) % MOST + 1;
        uint32_t range = round % 3 == 0 ? 4 : 1000; /* few values: many ties */
        double costs[MOST * MOST];
        for (size_t i = 0; i < rows * columns; i++) costs[i] = (double)(next_random(&seed) % range) - 2;
        size_t column_of[MOST];
        assert_int_equal(mt_assign(rows, columns, costs, column_of), MOTET_OK);
        double least = least_cost(rows, columns, costs, 0, rows > columns ? rows - columns : 0, 0);
        assert_true(cost_of(rows, columns, costs, column_of) == least);
    }
}

static void takes_empty_problems(void **state)
{
    (void)state;
    size_t column_of[2] = {5, 5};
    double none = 0;
    assert_int_equal(mt_assign(0, 3, &none, column_of), MOTET_OK);
    assert_int_equal(mt_assign(2, 0, &none, column_of), MOTET_OK);
    assert_true(column_of[0] == MT_UNASSIGNED && column_of[1] == MT_UNASSIGNED);
}

static void refuses_what_is_no_cost(void **state)
{
    (void)state;
    double costs[] = {1, 2, NAN, 4}, infinite[] = {1, INFINITY};
    size_t column_of[2];
    assert_int_equal(mt_assign(2, 2, costs, column_of), MOTET_ERROR_ARGUMENT);
    assert_int_equal(mt_assign(1, 2, infinite, column_of), MOTET_ERROR_ARGUMENT);
}

static void large_problems_are_quick(void **state)
{
    (void)state;
    enum { SIDE = 300 };
    uint32_t seed = 3;
    double *costs = malloc(sizeof *costs * SIDE * SIDE);
    size_t column_of[SIDE];
    for (size_t i = 0; i < SIDE * SIDE; i++) costs[i] = (double)(next_random(&seed) % 100000);
    for (size_t i = 0; i < SIDE; i++)
        costs[i * SIDE + (i * 7 + 3) % SIDE] = -1; /* the one best pairing: 7 and 300 are coprime */
    assert_int_equal(mt_assign(SIDE, SIDE, costs, column_of), MOTET_OK);
    for (size_t i = 0; i < SIDE; i++) assert_int_equal(column_of[i], (i * 7 + 3) % SIDE);
    free(costs);
}

static void survives_failing_allocations(void **state)
{
    (void)state;
    double costs[] = {3, 1, 2, 2, 4, 6};
    size_t column_of[3];
    motet_status status = MOTET_ERROR_MEMORY;
    for (long n = 0; status != MOTET_OK; n++) {
        mt_memory_fail_at(n);
        status = mt_assign(3, 2, costs, column_of);
        mt_memory_fail_at(-1);
        assert_true(status == MOTET_OK || status == MOTET_ERROR_MEMORY);
    }
    assert_true(cost_of(3, 2, costs, column_of) == 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_least_cost),         cmocka_unit_test(takes_empty_problems),
        cmocka_unit_test(refuses_what_is_no_cost),      cmocka_unit_test(large_problems_are_quick),
        cmocka_unit_test(survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
