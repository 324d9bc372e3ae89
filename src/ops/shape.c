/* Operators about shapes: what they are, and the same elements in another one. The latter are views and copy nothing.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ops/support.h"

/* --- asking --------------------------------------------------------------------------------------------------- */

/* start and end (opset 15) count from the back when negative, and are clamped. */
motet_status mt_op_shape(mt_op_context *c)
{
    const motet_tensor *in;
    MT_TRY(mt_need(c, 0, &in));
    int64_t start = mt_attr_int(c, "start", 0), end = mt_attr_int(c, "end", in->rank);
    if (start < 0) start = mt_max(0, start + in->rank);
    if (end < 0) end += in->rank;
    end = mt_min(end, in->rank);
    int64_t length = mt_max(0, end - start);
    motet_tensor *out;
    MT_TRY(mt_out(c, 0, MOTET_INT64, 1, &length, &out));
    if (length) memcpy(out->data, in->dims + start, (size_t)length * sizeof *in->dims);
    return MOTET_OK;
}

motet_status mt_op_size(mt_op_context *c)
{
    const motet_tensor *in;
    motet_tensor *out;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_out(c, 0, MOTET_INT64, 0, NULL, &out));
    *(int64_t *)out->data = in->count;
    return MOTET_OK;
}

/* --- views ---------------------------------------------------------------------------------------------------- */

motet_status mt_op_identity(mt_op_context *c)
{
    const motet_tensor *in;
    MT_TRY(mt_need(c, 0, &in));
    return mt_out_view(c, 0, in, in->rank, in->dims);
}

/* 0 takes the input's dimension (unless allowzero), one -1 takes what is left. */
static motet_status solve_shape(mt_op_context *c, const motet_tensor *in, int64_t *dims, int rank)
{
    bool zeros_stay = mt_attr_int(c, "allowzero", 0) != 0;
    int open = -1;
    for (int i = 0; i < rank; i++) {
        if (dims[i] == 0 && !zeros_stay) {
            if (i >= in->rank) return mt_op_fail(c, MOTET_ERROR_SHAPE, "the input has no axis %d to copy", i);
            dims[i] = in->dims[i];
        } else if (dims[i] == -1) {
            if (open >= 0) return mt_op_fail(c, MOTET_ERROR_SHAPE, "the shape has more than one -1");
            open = i;
        }
    }
    if (open < 0) return MOTET_OK;
    dims[open] = 1;
    int64_t known = mt_shape_count(rank, dims);
    if (known <= 0 || in->count % known) {
        char from[MT_SHAPE_TEXT], to[MT_SHAPE_TEXT];
        dims[open] = -1;
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%s does not fit the shape %s",
                          mt_tensor_describe(in, from, sizeof from), mt_shape_text(rank, dims, to, sizeof to));
    }
    dims[open] = in->count / known;
    return MOTET_OK;
}

motet_status mt_op_reshape(mt_op_context *c)
{
    const motet_tensor *in;
    int64_t dims[MOTET_MAX_RANK];
    int rank;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_in_ints(c, 1, dims, MOTET_MAX_RANK, &rank));
    MT_TRY(solve_shape(c, in, dims, rank));
    return mt_out_view(c, 0, in, rank, dims);
}

motet_status mt_op_flatten(mt_op_context *c)
{
    const motet_tensor *in;
    MT_TRY(mt_need(c, 0, &in));
    int64_t axis = mt_attr_int(c, "axis", 1);
    if (axis < -in->rank || axis > in->rank)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "axis %" PRId64 " of a tensor with %d axes", axis, in->rank);
    if (axis < 0) axis += in->rank;
    int64_t dims[2] = {mt_span(in->dims, 0, (int)axis), mt_span(in->dims, (int)axis, in->rank)};
    return mt_out_view(c, 0, in, 2, dims);
}

/* Without axes, every axis of one element goes. */
motet_status mt_op_squeeze(mt_op_context *c)
{
    const motet_tensor *in;
    unsigned axes;
    bool given;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_axes_given(c, 1, in->rank, &axes, &given));
    int64_t dims[MOTET_MAX_RANK];
    int rank = 0;
    for (int i = 0; i < in->rank; i++) {
        bool named = given ? axes >> i & 1 : in->dims[i] == 1;
        if (!named)
            dims[rank++] = in->dims[i];
        else if (in->dims[i] != 1)
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "axis %d has %" PRId64 " elements: only 1 can be squeezed", i,
                              in->dims[i]);
    }
    return mt_out_view(c, 0, in, rank, dims);
}

motet_status mt_op_unsqueeze(mt_op_context *c)
{
    const motet_tensor *in;
    int64_t values[MOTET_MAX_RANK];
    const int64_t *axes = values;
    size_t count;
    MT_TRY(mt_need(c, 0, &in));
    if (mt_in(c, 1)) {
        int length;
        MT_TRY(mt_in_ints(c, 1, values, MOTET_MAX_RANK, &length));
        count = (size_t)length;
    } else {
        axes = mt_attr_ints(c, "axes", &count);
    }
    if (count > (size_t)(MOTET_MAX_RANK - in->rank))
        return mt_op_fail(c, MOTET_ERROR_LIMIT, "more than %d axes are not supported", MOTET_MAX_RANK);
    int rank = in->rank + (int)count;
    unsigned added;
    MT_TRY(mt_axis_set(c, axes, count, rank, &added));
    int64_t dims[MOTET_MAX_RANK];
    for (int i = 0, from = 0; i < rank; i++) dims[i] = added >> i & 1 ? 1 : in->dims[from++];
    return mt_out_view(c, 0, in, rank, dims);
}

/* --- filled --------------------------------------------------------------------------------------------------- */

/* A float32 0 unless the attribute says otherwise. */
motet_status mt_op_constant_of_shape(mt_op_context *c)
{
    int64_t dims[MOTET_MAX_RANK];
    int rank;
    MT_TRY(mt_in_ints(c, 0, dims, MOTET_MAX_RANK, &rank));
    const motet_tensor *value = mt_attr_tensor(c, "value");
    if (value && value->count != 1) return mt_op_fail(c, MOTET_ERROR_FORMAT, "value must hold one element");
    float zero = 0;
    motet_tensor fallback;
    MT_TRY(mt_tensor_wrap(&fallback, MOTET_FLOAT, 0, NULL, &zero));
    if (!value) value = &fallback;
    motet_tensor *out;
    MT_TRY(mt_out(c, 0, value->type, rank, dims, &out));
    return mt_fill_row(out, 0, value, 0, out->count);
}

/* --- Range ---------------------------------------------------------------------------------------------------- */

/* How many of start, start + delta, ... lie before limit; differences are taken unsigned, where they cannot overflow.
 */
static int64_t range_length_int(int64_t start, int64_t limit, int64_t delta)
{
    if (delta > 0 ? limit <= start : limit >= start) return 0;
    uint64_t distance = delta > 0 ? (uint64_t)limit - (uint64_t)start : (uint64_t)start - (uint64_t)limit;
    uint64_t step = delta > 0 ? (uint64_t)delta : 0 - (uint64_t)delta;
    uint64_t length = (distance - 1) / step + 1;
    return length > INT64_MAX ? -1 : (int64_t)length;
}

static int64_t range_length_float(double start, double limit, double delta)
{
    double length = ceil((limit - start) / delta);
    if (!(length > 0)) return 0;
    return length < 9e18 ? (int64_t)length : -1;
}

#define FILL_RANGE(TYPE, tag, S, T, LOAD, STORE, SIMD, WIDE)                                                           \
    static void range_##tag(void *out, const void *start, const void *delta, int64_t n)                                \
    {                                                                                                                  \
        const WIDE first = (WIDE)LOAD(*(const S *)start), step = (WIDE)LOAD(*(const S *)delta);                        \
        for (int64_t i = 0; i < n; i++) ((S *)out)[i] = STORE((T)(first + (WIDE)i * step));                            \
    }
MT_FLOATS(FILL_RANGE, double)
MT_INTS(FILL_RANGE, uint64_t)

static void (*const fill_range[MT_TYPES])(void *, const void *, const void *, int64_t) = {MT_NUMBERS(MT_ENTRY, range)};

static motet_status range_length(mt_op_context *c, const motet_tensor *const *in, int64_t *length)
{
    if (mt_is_float(in[0]->type)) {
        double v[3];
        for (int i = 0; i < 3; i++) mt_convert(&v[i], MOTET_DOUBLE, in[i]->data, in[i]->type, 1);
        *length = v[2] == 0 ? -2 : range_length_float(v[0], v[1], v[2]);
    } else {
        int64_t v[3];
        for (int i = 0; i < 3; i++) mt_convert(&v[i], MOTET_INT64, in[i]->data, in[i]->type, 1);
        *length = v[2] == 0 ? -2 : range_length_int(v[0], v[1], v[2]);
    }
    if (*length == -2) return mt_op_fail(c, MOTET_ERROR_SHAPE, "the step is 0");
    if (*length == -1) return mt_op_fail(c, MOTET_ERROR_LIMIT, "the range is too long");
    return MOTET_OK;
}

motet_status mt_op_range(mt_op_context *c)
{
    const motet_tensor *in[3];
    for (int i = 0; i < 3; i++) {
        MT_TRY(mt_need(c, i, &in[i]));
        MT_TRY(mt_need_same_type(c, 0, i));
        if (in[i]->count != 1) return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d must hold one element", i);
    }
    if (!MT_PICK(fill_range, in[0]->type)) return mt_op_fail_type(c, 0);
    int64_t length;
    MT_TRY(range_length(c, in, &length));
    motet_tensor *out;
    MT_TRY(mt_out(c, 0, in[0]->type, 1, &length, &out));
    fill_range[out->type](out->data, in[0]->data, in[2]->data, length);
    return MOTET_OK;
}
