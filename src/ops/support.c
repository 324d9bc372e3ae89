/* Axes, shapes and ranges: what nearly every operator asks for first. */
#include "ops/support.h"

#include <inttypes.h>

motet_status mt_axis(const mt_op_context *c, int64_t axis, int rank, int *out)
{
    if (axis < -rank || axis >= rank)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "axis %" PRId64 " of a tensor with %d axes", axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return MOTET_OK;
}

motet_status mt_axis_set(const mt_op_context *c, const int64_t *axes, size_t count, int rank, unsigned *out)
{
    *out = 0;
    for (size_t i = 0; i < count; i++) {
        int axis = 0;
        MT_TRY(mt_axis(c, axes[i], rank, &axis));
        if (*out & 1u << axis) return mt_op_fail(c, MOTET_ERROR_SHAPE, "axis %d is named twice", axis);
        *out |= 1u << axis;
    }
    return MOTET_OK;
}

motet_status mt_axes_given(mt_op_context *c, int input, int rank, unsigned *out, bool *given)
{
    int64_t values[MOTET_MAX_RANK];
    const int64_t *axes = values;
    size_t length = 0;
    int count = 0;
    if (mt_in(c, input)) {
        MT_TRY(mt_in_ints(c, input, values, MOTET_MAX_RANK, &count));
        length = (size_t)count;
    } else {
        axes = mt_attr_ints(c, "axes", &length);
        if (!axes) length = 0;
    }
    *given = length > 0;
    return mt_axis_set(c, axes, length, rank, out);
}

int64_t mt_span(const int64_t *dims, int from, int to)
{
    int64_t count = 1;
    for (int i = from; i < to; i++) count *= dims[i];
    return count;
}

void mt_strides(int rank, const int64_t *dims, int64_t *strides)
{
    int64_t step = 1;
    for (int i = rank - 1; i >= 0; i--) {
        strides[i] = step;
        step *= dims[i];
    }
}

bool mt_same_shape(const motet_tensor *a, const motet_tensor *b)
{
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i]) return false;
    return true;
}

motet_status mt_need_rank(const mt_op_context *c, int i, int rank)
{
    const motet_tensor *tensor = mt_in(c, i);
    if (tensor->rank == rank) return MOTET_OK;
    char text[MT_SHAPE_TEXT];
    return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d is %s: expected %d axes", i,
                      mt_tensor_describe(tensor, text, sizeof text), rank);
}

motet_status mt_need_same_type(const mt_op_context *c, int i, int j)
{
    const motet_tensor *a = mt_in(c, i), *b = mt_in(c, j);
    if (!a || !b || a->type == b->type) return MOTET_OK;
    return mt_op_fail(c, MOTET_ERROR_SHAPE, "inputs %d and %d are %s and %s: expected one type", i, j,
                      motet_type_name(a->type), motet_type_name(b->type));
}

motet_status mt_scratch_array(mt_op_context *c, int64_t count, size_t size, void **out)
{
    size_t bytes;
    if (count < 0 || !mt_mul((size_t)count, size, &bytes))
        return mt_op_fail(c, MOTET_ERROR_LIMIT, "working memory of %" PRId64 " elements is not possible", count);
    return mt_scratch(c, bytes, out);
}

/* --- long flat loops ------------------------------------------------------------------------------------------ */

typedef struct ranges {
    int64_t count, grain;
    void (*run)(void *context, int64_t begin, int64_t end);
    void *context;
} ranges;

static void run_range(void *context, size_t block)
{
    const ranges *r = context;
    int64_t begin = (int64_t)block * r->grain;
    r->run(r->context, begin, mt_min(begin + r->grain, r->count));
}

void mt_ranges(mt_pool *pool, int64_t count, int64_t grain, void (*run)(void *context, int64_t begin, int64_t end),
               void *context)
{
    ranges r = {count, grain, run, context};
    mt_parallel(pool, (size_t)mt_blocks(count, grain), run_range, &r);
}

/* --- floats in and out ---------------------------------------------------------------------------------------- */

bool mt_is_float(motet_type type)
{
    return type == MOTET_FLOAT || type == MOTET_DOUBLE || type == MOTET_FLOAT16 || type == MOTET_BFLOAT16;
}

motet_type mt_working_type(motet_type type)
{
    return type == MOTET_FLOAT16 || type == MOTET_BFLOAT16 ? MOTET_FLOAT : type;
}

motet_status mt_values(mt_op_context *c, const motet_tensor *tensor, motet_type type, const void **out)
{
    *out = tensor ? tensor->data : NULL;
    if (!tensor || tensor->type == type) return MOTET_OK;
    if (!mt_is_number(tensor->type))
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "a tensor of %s: expected numbers", motet_type_name(tensor->type));
    void *values;
    MT_TRY(mt_scratch_array(c, tensor->count, motet_type_size(type), &values));
    mt_convert(values, type, tensor->data, tensor->type, tensor->count);
    *out = values;
    return MOTET_OK;
}

motet_status mt_value_out_make(mt_op_context *c, int i, motet_type type, int rank, const int64_t *dims,
                               mt_value_out *out)
{
    return mt_value_out_make_in(c, i, type, mt_working_type(type), rank, dims, out);
}

motet_status mt_value_out_make_in(mt_op_context *c, int i, motet_type type, motet_type working, int rank,
                                  const int64_t *dims, mt_value_out *out)
{
    MT_TRY(mt_out(c, i, type, rank, dims, &out->tensor));
    if (!mt_is_number(type)) return mt_op_fail_type(c, 0);
    out->type = working;
    out->values = out->tensor->data;
    if (out->type == type) return MOTET_OK;
    return mt_scratch_array(c, out->tensor->count, motet_type_size(out->type), &out->values);
}

void mt_value_out_store(const mt_value_out *out)
{
    if (out->tensor->type != out->type)
        mt_convert(out->tensor->data, out->tensor->type, out->values, out->type, out->tensor->count);
}
