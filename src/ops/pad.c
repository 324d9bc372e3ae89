/* Pad: every mode is a table an axis that says from which input position each output position comes, or from none (the
 * constant). Rows along the last axis are copied in one piece where the table just counts on. */
#include <inttypes.h>
#include <string.h>

#include "ops/support.h"

enum { FROM_NONE = -1 };

typedef enum pad_mode { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE, PAD_WRAP } pad_mode;

static motet_status read_mode(mt_op_context *c, pad_mode *mode)
{
    static const char *const names[] = {"constant", "reflect", "edge", "wrap"};
    const char *name = mt_attr_string(c, "mode", "constant");
    for (int i = 0; i < 4; i++) {
        *mode = (pad_mode)i;
        if (strcmp(name, names[i]) == 0) return MOTET_OK;
    }
    return mt_op_fail(c, MOTET_ERROR_UNSUPPORTED, "mode \"%s\" is not known", name);
}

/* before[axis] and after[axis], from the inputs pads and axes (opset 18), or from an attribute (before opset 11). */
static motet_status read_pads(mt_op_context *c, int rank, int64_t *before, int64_t *after)
{
    int64_t values[2 * MOTET_MAX_RANK], axes[MOTET_MAX_RANK];
    const int64_t *pads = values;
    size_t length;
    int count = rank;
    if (c->version < 11) {
        pads = mt_attr_ints(c, "pads", &length);
    } else {
        int got;
        MT_TRY(mt_in_ints(c, 1, values, 2 * MOTET_MAX_RANK, &got));
        length = (size_t)got;
    }
    for (int i = 0; i < rank; i++) axes[i] = i;
    if (mt_in(c, 3)) MT_TRY(mt_in_ints(c, 3, axes, MOTET_MAX_RANK, &count));
    if (length != 2 * (size_t)count)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%zu pads for %d axes: expected two for each", length, count);
    unsigned all;
    MT_TRY(mt_axis_set(c, axes, (size_t)count, rank, &all));
    memset(before, 0, MOTET_MAX_RANK * sizeof *before);
    memset(after, 0, MOTET_MAX_RANK * sizeof *after);
    for (int i = 0; i < count; i++) {
        int axis = 0;
        MT_TRY(mt_axis(c, axes[i], rank, &axis));
        before[axis] = pads[i];
        after[axis] = pads[i + count];
    }
    return MOTET_OK;
}

/* Where position i of an axis of `size` > 0 comes from; i may lie on either side of it. */
static int64_t source_of(pad_mode mode, int64_t i, int64_t size)
{
    if (i >= 0 && i < size) return i;
    int64_t period = mode == PAD_REFLECT ? 2 * (size - 1) : size;
    switch (mode) {
    case PAD_EDGE: return i < 0 ? 0 : size - 1;
    case PAD_REFLECT:
        if (period == 0) return 0;
        i = (i % period + period) % period;
        return i < size ? i : period - i;
    case PAD_WRAP: return (i % period + period) % period;
    default: return FROM_NONE;
    }
}

static motet_status padded_shape(mt_op_context *c, pad_mode mode, const motet_tensor *in, const int64_t *before,
                                 const int64_t *after, int64_t *dims)
{
    for (int i = 0; i < in->rank; i++) {
        if (__builtin_add_overflow(in->dims[i], before[i], &dims[i]) ||
            __builtin_add_overflow(dims[i], after[i], &dims[i]) || dims[i] < 0)
            return mt_op_fail(c, MOTET_ERROR_SHAPE,
                              "axis %d of %" PRId64 " elements cannot be padded by %" PRId64 " and %" PRId64, i,
                              in->dims[i], before[i], after[i]);
        if (mode != PAD_CONSTANT && in->dims[i] == 0 && dims[i] > 0)
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "axis %d is empty: there is nothing to repeat", i);
    }
    return MOTET_OK;
}

typedef struct pad_work {
    motet_tensor *out;
    const motet_tensor *in, *fill;
    const int64_t *tables[MOTET_MAX_RANK];
    int64_t strides[MOTET_MAX_RANK];
} pad_work;

/* One row of the output along the last axis; `start` is where the input's row begins. */
static motet_status pad_row(const pad_work *w, int64_t at, int64_t start, int64_t width)
{
    const int64_t *table = w->tables[w->out->rank - 1];
    for (int64_t i = 0, run; i < width; i += run) {
        run = 1;
        if (table[i] == FROM_NONE) {
            while (i + run < width && table[i + run] == FROM_NONE) run++;
            MT_TRY(mt_fill_row(w->out, at + i, w->fill, 0, run));
        } else {
            while (i + run < width && table[i + run] == table[i] + run) run++;
            MT_TRY(mt_copy_row(w->out, at + i, w->in, start + table[i], run));
        }
    }
    return MOTET_OK;
}

static motet_status pad_rows(const pad_work *w)
{
    int last = w->out->rank - 1;
    int64_t width = w->out->dims[last], index[MOTET_MAX_RANK] = {0};
    for (int64_t at = 0; at < w->out->count; at += width) {
        int64_t start = 0;
        bool inside = true;
        for (int i = 0; i < last; i++) {
            int64_t from = w->tables[i][index[i]];
            inside = inside && from != FROM_NONE;
            start += from * w->strides[i];
        }
        MT_TRY(inside ? pad_row(w, at, start, width) : mt_fill_row(w->out, at, w->fill, 0, width));
        for (int i = last - 1; i >= 0 && ++index[i] == w->out->dims[i]; i--) index[i] = 0;
    }
    return MOTET_OK;
}

/* The element around the input: an input, an attribute, or zero (an empty string). */
static motet_status pad_fill(mt_op_context *c, const motet_tensor *in, void *element, motet_tensor *fill)
{
    const motet_tensor *given = c->version < 11 ? NULL : mt_in(c, 2);
    if (given && given->count > 0) {
        MT_TRY(mt_need_same_type(c, 0, 2));
        return mt_tensor_wrap(fill, given->type, 0, NULL, given->data);
    }
    if (mt_is_float(in->type)) {
        float value = mt_attr_float(c, "value", 0);
        mt_convert(element, in->type, &value, MOTET_FLOAT, 1);
    }
    return mt_tensor_wrap(fill, in->type, 0, NULL, element);
}

motet_status mt_op_pad(mt_op_context *c)
{
    const motet_tensor *in;
    pad_mode mode;
    int64_t before[MOTET_MAX_RANK], after[MOTET_MAX_RANK], dims[MOTET_MAX_RANK];
    mt_string zero = {0}; /* 16 bytes: room for any element */
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(read_mode(c, &mode));
    MT_TRY(read_pads(c, in->rank, before, after));
    MT_TRY(padded_shape(c, mode, in, before, after, dims));
    motet_tensor fill, *out;
    MT_TRY(pad_fill(c, in, &zero, &fill));
    if (in->rank == 0) return mt_out_view(c, 0, in, 0, NULL);
    MT_TRY(mt_out(c, 0, in->type, in->rank, dims, &out));
    if (out->count == 0) return MOTET_OK;
    pad_work work = {.out = out, .in = in, .fill = &fill};
    mt_strides(in->rank, in->dims, work.strides);
    for (int i = 0; i < in->rank; i++) {
        void *memory;
        MT_TRY(mt_scratch_array(c, dims[i], sizeof(int64_t), &memory));
        int64_t *table = memory;
        for (int64_t k = 0; k < dims[i]; k++) table[k] = source_of(mode, k - before[i], in->dims[i]);
        work.tables[i] = table;
    }
    return pad_rows(&work);
}

/* --- CenterCropPad -------------------------------------------------------------------------------------------- */

/* What is too long loses as much at both ends, what is too short gains zeros; where that is odd, the end has one more.
 */
motet_status mt_op_center_crop_pad(mt_op_context *c)
{
    const motet_tensor *in;
    motet_tensor *out;
    int64_t shape[MOTET_MAX_RANK], dims[MOTET_MAX_RANK], from[MOTET_MAX_RANK], to[MOTET_MAX_RANK];
    size_t given;
    int count;
    unsigned set;
    const int64_t *axes = mt_attr_ints(c, "axes", &given);
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_in_ints(c, 1, shape, MOTET_MAX_RANK, &count));
    if (axes) MT_TRY(mt_axis_set(c, axes, given, in->rank, &set));
    if (count != (axes ? (int)given : in->rank))
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "a shape of %d axes for %d", count, axes ? (int)given : in->rank);
    memcpy(dims, in->dims, sizeof dims);
    for (int i = 0; i < count; i++) {
        int axis = i;
        if (axes) MT_TRY(mt_axis(c, axes[i], in->rank, &axis));
        dims[axis] = shape[i];
    }
    MT_TRY(mt_out(c, 0, in->type, in->rank, dims, &out));
    if (out->count && in->type != MOTET_STRING) memset(out->data, 0, mt_tensor_bytes(out));
    mt_copy box = {.rank = in->rank};
    mt_strides(in->rank, in->dims, from);
    mt_strides(in->rank, dims, to);
    for (int i = 0; i < in->rank; i++) {
        box.dims[i] = mt_min(in->dims[i], dims[i]);
        box.from[i] = from[i];
        box.to[i] = to[i];
        box.from_start += (in->dims[i] - box.dims[i]) / 2 * from[i];
        box.to_start += (dims[i] - box.dims[i]) / 2 * to[i];
    }
    return mt_copy_box(c, out, in, &box);
}
