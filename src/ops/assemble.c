/* Col2Im and MaxUnpool: images put together again from what windows saw of them. */
#include <inttypes.h>
#include <string.h>

#include "ops/window.h"

/* --- Col2Im --------------------------------------------------------------------------------------------------- */

/* A list attribute with a value (of at least `least`) for each axis, or `fallback`. */
static motet_status axis_values(mt_op_context *c, const char *name, int count, int64_t fallback, int64_t least,
                                int64_t *out)
{
    size_t given;
    const int64_t *list = mt_attr_ints(c, name, &given);
    if (list && given != (size_t)count)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%s has %zu values: expected %d", name, given, count);
    for (int i = 0; i < count; i++) {
        out[i] = list ? list[i] : fallback;
        if (out[i] < least || out[i] > INT32_MAX)
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "%s: %" PRId64 " is not possible", name, out[i]);
    }
    return MOTET_OK;
}

/* The window that slid over the image: `in` is the image, `out` the positions, one a column of the input. */
static motet_status read_window(mt_op_context *c, mt_window *w)
{
    int64_t pads[2 * MT_WINDOW_AXES];
    int kernel_axes;
    memset(w, 0, sizeof *w);
    MT_TRY(mt_in_ints(c, 1, w->in, MT_WINDOW_AXES, &w->axes));
    MT_TRY(mt_in_ints(c, 2, w->kernel, MT_WINDOW_AXES, &kernel_axes));
    if (kernel_axes != w->axes || w->axes < 1)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "an image of %d axes and blocks of %d", w->axes, kernel_axes);
    MT_TRY(axis_values(c, "strides", w->axes, 1, 1, w->stride));
    MT_TRY(axis_values(c, "dilations", w->axes, 1, 1, w->dilation));
    MT_TRY(axis_values(c, "pads", 2 * w->axes, 0, 0, pads));
    w->out_count = w->taps = 1;
    for (int i = 0; i < w->axes; i++) {
        if (w->in[i] < 1 || w->kernel[i] < 1 || w->in[i] > INT32_MAX || w->kernel[i] > INT32_MAX)
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "an image of %" PRId64 " by blocks of %" PRId64, w->in[i],
                              w->kernel[i]);
        w->before[i] = pads[i];
        int64_t free_room = w->in[i] + pads[i] + pads[w->axes + i] - w->dilation[i] * (w->kernel[i] - 1) - 1;
        w->out[i] = free_room < 0 ? 0 : free_room / w->stride[i] + 1;
    }
    w->in_count = mt_shape_count(w->axes, w->in);
    w->out_count = mt_shape_count(w->axes, w->out);
    w->taps = mt_shape_count(w->axes, w->kernel);
    if (w->in_count < 0 || w->out_count < 0 || w->taps < 0)
        return mt_op_fail(c, MOTET_ERROR_LIMIT, "the image is too large");
    return MOTET_OK;
}

/* Where tap `tap` of position `at` looks, or -1 outside the image. */
static int64_t pixel_of(const mt_window *w, int64_t tap, int64_t at)
{
    int64_t pixel = 0, step = 1;
    for (int axis = w->axes - 1; axis >= 0; axis--) {
        int64_t i = at % w->out[axis] * w->stride[axis] + tap % w->kernel[axis] * w->dilation[axis] - w->before[axis];
        if (i < 0 || i >= w->in[axis]) return -1;
        pixel += i * step;
        step *= w->in[axis];
        at /= w->out[axis];
        tap /= w->kernel[axis];
    }
    return pixel;
}

motet_status mt_op_col2im(mt_op_context *c)
{
    const motet_tensor *in;
    mt_value_out out;
    mt_window w;
    const void *values;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_need_rank(c, 0, 3));
    MT_TRY(read_window(c, &w));
    if (in->dims[1] % w.taps || in->dims[2] != w.out_count)
        return mt_op_fail(c, MOTET_ERROR_SHAPE,
                          "%" PRId64 " rows of %" PRId64 ": expected a multiple of %" PRId64 " of %" PRId64,
                          in->dims[1], in->dims[2], w.taps, w.out_count);
    int64_t dims[MOTET_MAX_RANK] = {in->dims[0], in->dims[1] / w.taps};
    memcpy(dims + 2, w.in, (size_t)w.axes * sizeof *dims);
    MT_TRY(mt_values(c, in, MOTET_DOUBLE, &values));
    MT_TRY(mt_value_out_make_in(c, 0, in->type, MOTET_DOUBLE, w.axes + 2, dims, &out));
    double *image = out.values;
    for (int64_t i = 0; i < out.tensor->count; i++) image[i] = 0;
    for (int64_t i = 0; i < in->count; i++) {
        int64_t row = i / w.out_count, pixel = pixel_of(&w, row % w.taps, i % w.out_count);
        if (pixel >= 0) image[row / w.taps * w.in_count + pixel] += ((const double *)values)[i];
    }
    mt_value_out_store(&out);
    return MOTET_OK;
}

/* --- MaxUnpool ------------------------------------------------------------------------------------------------ */

/* Indices count through the image that the pooling's window implies; an output_shape may make it larger. */
motet_status mt_op_max_unpool(mt_op_context *c)
{
    const motet_tensor *in, *indices;
    motet_tensor *out;
    mt_window w;
    const void *places;
    int64_t implied[MOTET_MAX_RANK], dims[MOTET_MAX_RANK], strides[MOTET_MAX_RANK];
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_need(c, 1, &indices));
    if (indices->type != MOTET_INT64 || !mt_same_shape(in, indices))
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "expected int64 indices of the input's shape");
    if (!mt_is_number(in->type)) return mt_op_fail_type(c, 0);
    MT_TRY(mt_window_attributes(c, in, NULL, &w));
    memcpy(implied, in->dims, sizeof implied);
    for (int i = 0; i < w.axes; i++) {
        int64_t strided;
        if (__builtin_mul_overflow(in->dims[i + 2] - 1, w.stride[i], &strided) || strided > INT64_MAX / 2)
            return mt_op_fail(c, MOTET_ERROR_LIMIT, "the image is too large");
        implied[i + 2] = strided - w.before[i] - w.after[i] + w.kernel[i];
    }
    memcpy(dims, implied, sizeof dims);
    if (mt_in(c, 2)) {
        int count;
        MT_TRY(mt_in_ints(c, 2, dims, MOTET_MAX_RANK, &count));
        if (count != in->rank) return mt_op_fail(c, MOTET_ERROR_SHAPE, "output_shape has %d axes", count);
    }
    int64_t whole = mt_shape_count(in->rank, implied);
    MT_TRY(mt_out(c, 0, in->type, in->rank, dims, &out));
    MT_TRY(mt_values(c, indices, MOTET_INT64, &places));
    if (out->count) memset(out->data, 0, mt_tensor_bytes(out));
    mt_strides(in->rank, dims, strides);
    for (int64_t i = 0; i < in->count; i++) {
        int64_t rest = ((const int64_t *)places)[i], to = 0;
        bool inside = rest >= 0 && rest < whole;
        for (int axis = in->rank - 1; axis >= 0 && inside; rest /= implied[axis], axis--) {
            inside = rest % implied[axis] < dims[axis];
            to += rest % implied[axis] * strides[axis];
        }
        if (!inside) return mt_op_fail(c, MOTET_ERROR_SHAPE, "index %" PRId64 " lies outside the image", i);
        MT_TRY(mt_copy_row(out, to, in, i, 1));
    }
    return MOTET_OK;
}
