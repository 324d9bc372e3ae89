/* The assignment problem: pair rows with columns, each at most once, so that the sum of the costs of the pairs is least
 * and as many are paired as can be (the smaller of the two counts). Scoring maps speakers with it, and the diarizer
 * keeps labels steady from window to window. */
#ifndef MT_CORE_ASSIGNMENT_H
#define MT_CORE_ASSIGNMENT_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

#define MT_UNASSIGNED SIZE_MAX

/* costs: rows x columns, dense, finite; negate them to look for the greatest sum. column_of (one for each row) receives
 * the column of each row, or MT_UNASSIGNED where there are fewer columns than rows. The same costs always give the same
 * pairs, also among several of equal cost. Time: O(n^2 m) for n = min(rows, columns) and m = max(rows, columns).
 * Errors: MEMORY; ARGUMENT when a cost is infinite or NaN. */
motet_status mt_assign(size_t rows, size_t columns, const double *costs, size_t *column_of);

#endif
