/* Windows: attributes to numbers. Sizes, strides, dilations and pads are held below 2^31, so that what is computed from
 * them fits int64. */
#include "ops/window.h"

#include <inttypes.h>
#include <string.h>

static motet_status read_sizes(mt_op_context *c, const char *name, int axes, int64_t fallback, int64_t *out)
{
    size_t count;
    const int64_t *values = mt_attr_ints(c, name, &count);
    if (values && count != (size_t)axes)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%s has %zu values for %d spatial axes", name, count, axes);
    for (int i = 0; i < axes; i++) {
        out[i] = values ? values[i] : fallback;
        if (out[i] < 1 || out[i] > INT32_MAX)
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "%s: %" PRId64 " is not possible", name, out[i]);
    }
    return MOTET_OK;
}

static motet_status read_pads(mt_op_context *c, mt_window *w)
{
    size_t count;
    const int64_t *pads = mt_attr_ints(c, "pads", &count);
    if (pads && count != 2 * (size_t)w->axes)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "pads has %zu values for %d spatial axes", count, w->axes);
    for (int i = 0; i < 2 * w->axes; i++) {
        int64_t pad = pads ? pads[i] : 0;
        if (pad < 0 || pad > INT32_MAX)
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "pads: %" PRId64 " is not possible", pad);
        *(i < w->axes ? &w->before[i] : &w->after[i - w->axes]) = pad;
    }
    return MOTET_OK;
}

motet_status mt_window_attributes(mt_op_context *c, const motet_tensor *in, const int64_t *kernel, mt_window *w)
{
    memset(w, 0, sizeof *w);
    w->axes = in->rank - 2;
    if (w->axes < 1 || w->axes > MT_WINDOW_AXES)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "a tensor with %d axes: expected batch, channels and 1 to %d more",
                          in->rank, MT_WINDOW_AXES);
    memcpy(w->in, in->dims + 2, (size_t)w->axes * sizeof *w->in);
    w->in_count = mt_span(w->in, 0, w->axes);
    if (!kernel && !mt_has_attr(c, "kernel_shape")) return mt_op_fail(c, MOTET_ERROR_FORMAT, "kernel_shape is missing");
    MT_TRY(read_sizes(c, "kernel_shape", w->axes, 1, w->kernel));
    for (int i = 0; i < w->axes && kernel; i++) {
        if (mt_has_attr(c, "kernel_shape") && w->kernel[i] != kernel[i])
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "kernel_shape says %" PRId64 " for axis %d, the weights %" PRId64,
                              w->kernel[i], i, kernel[i]);
        w->kernel[i] = kernel[i];
        if (kernel[i] < 1 || kernel[i] > INT32_MAX)
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "a window of %" PRId64 " elements", kernel[i]);
    }
    w->taps = mt_shape_count(w->axes, w->kernel);
    if (w->taps < 0) return mt_op_fail(c, MOTET_ERROR_LIMIT, "the window is too large");
    MT_TRY(read_sizes(c, "strides", w->axes, 1, w->stride));
    MT_TRY(read_sizes(c, "dilations", w->axes, 1, w->dilation));
    return read_pads(c, w);
}

/* SAME: as many outputs as strides fit; what is missing at the ends is split, the odd element going after (UPPER) or
 * before (LOWER). */
static motet_status apply_auto_pad(mt_op_context *c, mt_window *w)
{
    const char *mode = mt_attr_string(c, "auto_pad", "NOTSET");
    if (strcmp(mode, "NOTSET") == 0) return MOTET_OK;
    bool upper = strcmp(mode, "SAME_UPPER") == 0, lower = strcmp(mode, "SAME_LOWER") == 0;
    if (!upper && !lower && strcmp(mode, "VALID") != 0)
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "auto_pad \"%s\" is not known", mode);
    for (int i = 0; i < w->axes; i++) {
        int64_t outputs = mt_blocks(w->in[i], w->stride[i]), extent = (w->kernel[i] - 1) * w->dilation[i] + 1;
        int64_t missing = upper || lower ? mt_max(0, (outputs - 1) * w->stride[i] + extent - w->in[i]) : 0;
        w->before[i] = lower ? (missing + 1) / 2 : missing / 2;
        w->after[i] = missing - w->before[i];
    }
    return MOTET_OK;
}

motet_status mt_window_read(mt_op_context *c, const motet_tensor *in, const int64_t *kernel, bool round_up,
                            mt_window *w)
{
    MT_TRY(mt_window_attributes(c, in, kernel, w));
    MT_TRY(apply_auto_pad(c, w));
    for (int i = 0; i < w->axes; i++) {
        int64_t extent = (w->kernel[i] - 1) * w->dilation[i] + 1, room = w->in[i] + w->before[i] + w->after[i] - extent;
        if (room < 0 && !(round_up && room > -w->stride[i])) /* rounded up, a first window may reach beyond the end */
            return mt_op_fail(c, MOTET_ERROR_SHAPE,
                              "axis %d: a window of %" PRId64 " over %" PRId64 " elements padded by %" PRId64
                              " and %" PRId64,
                              i, extent, w->in[i], w->before[i], w->after[i]);
        w->out[i] = (round_up ? mt_blocks(room, w->stride[i]) : room / w->stride[i]) + 1;
        if (round_up && (w->out[i] - 1) * w->stride[i] >= w->in[i] + w->before[i]) w->out[i]--;
    }
    w->out_count = mt_shape_count(w->axes, w->out);
    return w->out_count < 0 ? mt_op_fail(c, MOTET_ERROR_LIMIT, "the output is too large") : MOTET_OK;
}
