/* Broadcasting: shapes of one rank after left-padding with 1, where an axis of 1 stretches over the output's. */
#include <string.h>

#include "ops/support.h"

enum { GRAIN = 16384 }; /* output elements a block */

static motet_status join_shape(const mt_op_context *c, const motet_tensor *const *operands, int count,
                               mt_broadcast *plan)
{
    plan->rank = 0;
    for (int k = 0; k < count; k++)
        if (operands[k]->rank > plan->rank) plan->rank = operands[k]->rank;
    for (int i = 0; i < plan->rank; i++) plan->dims[i] = 1;
    for (int k = 0; k < count; k++) {
        int shift = plan->rank - operands[k]->rank;
        for (int i = 0; i < operands[k]->rank; i++) {
            int64_t dim = operands[k]->dims[i], *joined = &plan->dims[i + shift];
            if (dim == 1 || dim == *joined) continue;
            if (*joined != 1) {
                char first[MT_SHAPE_TEXT], second[MT_SHAPE_TEXT];
                return mt_op_fail(c, MOTET_ERROR_SHAPE, "%s does not broadcast with %s",
                                  mt_tensor_describe(operands[k], first, sizeof first),
                                  mt_shape_text(plan->rank, plan->dims, second, sizeof second));
            }
            *joined = dim;
        }
    }
    plan->count = mt_shape_count(plan->rank, plan->dims);
    if (plan->count < 0) return mt_op_fail(c, MOTET_ERROR_LIMIT, "the broadcast shape is too large");
    return MOTET_OK;
}

/* Appends an axis, or widens the last one when every operand runs on through both. */
static void add_axis(mt_broadcast *plan, int64_t extent, const int64_t *steps)
{
    int last = plan->axes - 1;
    bool merges = plan->axes > 0;
    for (int k = 0; k < plan->operands && merges; k++) merges = plan->step[k][last] == steps[k] * extent;
    if (merges) {
        plan->extent[last] *= extent;
    } else {
        last = plan->axes++;
        plan->extent[last] = extent;
    }
    for (int k = 0; k < plan->operands; k++) plan->step[k][last] = steps[k];
}

motet_status mt_broadcast_plan(const mt_op_context *c, const motet_tensor *const *operands, int count,
                               mt_broadcast *plan)
{
    MT_TRY(join_shape(c, operands, count, plan));
    plan->operands = count;
    plan->axes = 0;
    int64_t strides[MT_OPERANDS][MOTET_MAX_RANK];
    for (int k = 0; k < count; k++) mt_strides(operands[k]->rank, operands[k]->dims, strides[k]);
    for (int i = 0; i < plan->rank; i++) {
        if (plan->dims[i] == 1) continue;
        int64_t steps[MT_OPERANDS];
        for (int k = 0; k < count; k++) {
            int own = i - (plan->rank - operands[k]->rank);
            steps[k] = own < 0 || operands[k]->dims[own] == 1 ? 0 : strides[k][own];
        }
        add_axis(plan, plan->dims[i], steps);
    }
    if (plan->axes == 0) add_axis(plan, 1, (int64_t[MT_OPERANDS]){1, 1, 1});
    return MOTET_OK;
}

typedef struct rows {
    const mt_broadcast *plan;
    mt_row_function run;
    void *context;
} rows;

static void run_rows(void *context, int64_t begin, int64_t end)
{
    const rows *r = context;
    const mt_broadcast *plan = r->plan;
    int last = plan->axes - 1;
    int64_t index[MOTET_MAX_RANK], steps[MT_OPERANDS] = {0}, rest = begin;
    for (int i = last; i >= 0; i--) {
        index[i] = rest % plan->extent[i];
        rest /= plan->extent[i];
    }
    for (int k = 0; k < plan->operands; k++) steps[k] = plan->step[k][last];
    while (begin < end) {
        int64_t from[MT_OPERANDS] = {0};
        for (int k = 0; k < plan->operands; k++)
            for (int i = 0; i < plan->axes; i++) from[k] += index[i] * plan->step[k][i];
        int64_t n = mt_min(plan->extent[last] - index[last], end - begin);
        r->run(r->context, begin, from, steps, n);
        begin += n;
        index[last] = 0;
        for (int i = last - 1; i >= 0 && ++index[i] == plan->extent[i]; i--) index[i] = 0;
    }
}

void mt_broadcast_rows(mt_pool *pool, const mt_broadcast *plan, mt_row_function run, void *context)
{
    rows r = {plan, run, context};
    mt_ranges(pool, plan->count, GRAIN, run_rows, &r);
}

motet_status mt_broadcast_copy(mt_op_context *c, const mt_broadcast *plan, motet_tensor *to, const motet_tensor *from)
{
    mt_copy box = {.rank = plan->axes};
    memcpy(box.dims, plan->extent, sizeof plan->extent);
    memcpy(box.from, plan->step[0], sizeof plan->step[0]);
    mt_strides(box.rank, box.dims, box.to);
    return mt_copy_box(c, to, from, &box);
}
