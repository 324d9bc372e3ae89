/* Operators that put elements elsewhere: Transpose, Slice, Concat, Split, Expand, Tile, DepthToSpace, SpaceToDepth, all
 * of them strided boxes for mt_copy_box; and Trilu and ReverseSequence. */
#include <inttypes.h>
#include <string.h>

#include "ops/movement.h"
#include "ops/support.h"

motet_status mt_op_transpose(mt_op_context *c)
{
    const motet_tensor *in;
    MT_TRY(mt_need(c, 0, &in));
    size_t given;
    const int64_t *order = mt_attr_ints(c, "perm", &given);
    if (order && given != (size_t)in->rank)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "perm names %zu axes, the input has %d", given, in->rank);
    unsigned all;
    MT_TRY(mt_axis_set(c, order, order ? given : 0, in->rank, &all));
    int64_t strides[MOTET_MAX_RANK], dims[MOTET_MAX_RANK];
    mt_strides(in->rank, in->dims, strides);
    mt_copy box = {.rank = in->rank};
    for (int i = 0; i < in->rank; i++) {
        int axis = in->rank - 1 - i;
        if (order) MT_TRY(mt_axis(c, order[i], in->rank, &axis));
        dims[i] = box.dims[i] = in->dims[axis];
        box.from[i] = strides[axis];
    }
    mt_strides(in->rank, dims, box.to);
    motet_tensor *out;
    MT_TRY(mt_out(c, 0, in->type, in->rank, dims, &out));
    return mt_copy_box(c, out, in, &box);
}

/* --- Slice ---------------------------------------------------------------------------------------------------- */

typedef struct slice_lists {
    int64_t starts[MOTET_MAX_RANK], ends[MOTET_MAX_RANK], axes[MOTET_MAX_RANK], steps[MOTET_MAX_RANK];
    int count;
} slice_lists;

static motet_status copy_list(mt_op_context *c, const char *name, int64_t *to, int *count)
{
    size_t length;
    const int64_t *from = mt_attr_ints(c, name, &length);
    if (length > MOTET_MAX_RANK) return mt_op_fail(c, MOTET_ERROR_FORMAT, "%s: too many values", name);
    if (length) memcpy(to, from, length * sizeof *to);
    *count = (int)length;
    return MOTET_OK;
}

/* From inputs, or before opset 10 from attributes. Axes default to the first ones, steps to 1. */
static motet_status read_slices(mt_op_context *c, slice_lists *s)
{
    int ends, axes = 0, steps = 0;
    if (c->version < 10) {
        MT_TRY(copy_list(c, "starts", s->starts, &s->count));
        MT_TRY(copy_list(c, "ends", s->ends, &ends));
        MT_TRY(copy_list(c, "axes", s->axes, &axes));
    } else {
        MT_TRY(mt_in_ints(c, 1, s->starts, MOTET_MAX_RANK, &s->count));
        MT_TRY(mt_in_ints(c, 2, s->ends, MOTET_MAX_RANK, &ends));
        if (mt_in(c, 3)) MT_TRY(mt_in_ints(c, 3, s->axes, MOTET_MAX_RANK, &axes));
        if (mt_in(c, 4)) MT_TRY(mt_in_ints(c, 4, s->steps, MOTET_MAX_RANK, &steps));
    }
    if (ends != s->count || (axes && axes != s->count) || (steps && steps != s->count))
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "starts, ends, axes and steps have %d, %d, %d and %d values", s->count,
                          ends, axes, steps);
    for (int i = axes; i < s->count; i++) s->axes[i] = i;
    for (int i = steps; i < s->count; i++) s->steps[i] = 1;
    return MOTET_OK;
}

static int64_t clamp(int64_t value, int64_t least, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

/* Elements start, start + step, ... of an axis of `size`, both ends first counted from the front and clamped: returns
 * how many there are. */
static int64_t slice_axis(int64_t size, int64_t *start, int64_t end, int64_t step)
{
    if (*start < 0) *start += size;
    if (end < 0) end += size;
    if (step > 0) {
        *start = clamp(*start, 0, size);
        end = clamp(end, 0, size);
        return end > *start ? (end - *start - 1) / step + 1 : 0;
    }
    *start = clamp(*start, 0, size - 1);
    end = clamp(end, -1, size - 1);
    return *start > end ? (*start - end - 1) / -step + 1 : 0;
}

motet_status mt_op_slice(mt_op_context *c)
{
    const motet_tensor *in;
    slice_lists s;
    unsigned axes;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(read_slices(c, &s));
    MT_TRY(mt_axis_set(c, s.axes, (size_t)s.count, in->rank, &axes));
    mt_copy box = {.rank = in->rank};
    mt_strides(in->rank, in->dims, box.from);
    memcpy(box.dims, in->dims, sizeof in->dims);
    for (int i = 0; i < s.count; i++) {
        int axis = 0;
        MT_TRY(mt_axis(c, s.axes[i], in->rank, &axis));
        int64_t start = s.starts[i], step = mt_max(s.steps[i], -INT64_MAX);
        if (step == 0) return mt_op_fail(c, MOTET_ERROR_SHAPE, "the step of axis %d is 0", axis);
        box.dims[axis] = slice_axis(in->dims[axis], &start, s.ends[i], step);
        if (box.dims[axis] > 0) box.from_start += start * box.from[axis];
        box.from[axis] *= box.dims[axis] > 1 ? step : 1; /* a step that is taken is shorter than the axis */
    }
    mt_strides(in->rank, box.dims, box.to);
    motet_tensor *out;
    MT_TRY(mt_out(c, 0, in->type, in->rank, box.dims, &out));
    return mt_copy_box(c, out, in, &box);
}

/* --- Concat and Split ----------------------------------------------------------------------------------------- */

/* Rows of `width` elements between a whole tensor, in which they stand `whole_step` apart from `whole_start` on, and a
 * part, in which they are dense. */
static mt_copy part_box(int64_t rows, int64_t width, int64_t whole_start, int64_t whole_step, bool into_whole)
{
    mt_copy box = {.rank = 2, .dims = {rows, width}, .from = {width, 1}, .to = {width, 1}};
    if (into_whole) {
        box.to[0] = whole_step;
        box.to_start = whole_start;
    } else {
        box.from[0] = whole_step;
        box.from_start = whole_start;
    }
    return box;
}

/* What two parts must have in common, and the length of the joined axis. */
static motet_status join_shape(mt_op_context *c, const motet_tensor *parts, int64_t i, int axis, int64_t *dims)
{
    const motet_tensor *first = &parts[0], *next = &parts[i];
    bool alike = next->type == first->type && next->rank == first->rank;
    for (int k = 0; k < first->rank && alike; k++) alike = k == axis || next->dims[k] == first->dims[k];
    if (!alike) {
        char one[MT_SHAPE_TEXT], other[MT_SHAPE_TEXT];
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%s (tensor %" PRId64 ") cannot be joined to %s along axis %d",
                          mt_tensor_describe(next, other, sizeof other), i, mt_tensor_describe(first, one, sizeof one),
                          axis);
    }
    if (__builtin_add_overflow(dims[axis], next->dims[axis], &dims[axis]))
        return mt_op_fail(c, MOTET_ERROR_LIMIT, "the joined axis is too long");
    return MOTET_OK;
}

motet_status mt_concat(mt_op_context *c, const motet_tensor *parts, int64_t count, int64_t axis_given)
{
    motet_tensor *out;
    int axis = 0;
    int64_t dims[MOTET_MAX_RANK], start = 0;
    if (count < 1) return mt_op_fail(c, MOTET_ERROR_SHAPE, "there is nothing to join");
    MT_TRY(mt_axis(c, axis_given, parts[0].rank, &axis));
    memcpy(dims, parts[0].dims, sizeof dims);
    for (int64_t i = 1; i < count; i++) MT_TRY(join_shape(c, parts, i, axis, dims));
    MT_TRY(mt_out(c, 0, parts[0].type, parts[0].rank, dims, &out));
    int64_t rows = mt_span(dims, 0, axis);
    for (int64_t i = 0; i < count && out->count; i++) {
        int64_t width = mt_span(parts[i].dims, axis, parts[i].rank);
        mt_copy box = part_box(rows, width, start, mt_span(dims, axis, out->rank), true);
        MT_TRY(mt_copy_box(c, out, &parts[i], &box));
        start += width;
    }
    return MOTET_OK;
}

motet_status mt_op_concat(mt_op_context *c)
{
    void *memory;
    MT_TRY(mt_scratch_array(c, c->in_count, sizeof(motet_tensor), &memory));
    motet_tensor *parts = memory;
    for (int i = 0; i < c->in_count; i++) {
        const motet_tensor *in;
        MT_TRY(mt_need(c, i, &in));
        parts[i] = *in;
    }
    return mt_concat(c, parts, c->in_count, mt_attr_int(c, "axis", 1));
}

/* Lengths from the input or attribute "split"; without either, equal parts, the last one shorter. */
static motet_status split_lengths(mt_op_context *c, int64_t size, int64_t *lengths)
{
    int parts = c->out_count;
    size_t given = 0;
    const int64_t *attribute = mt_attr_ints(c, "split", &given);
    if (mt_in(c, 1)) {
        int count;
        MT_TRY(mt_in_ints(c, 1, lengths, parts, &count));
        given = (size_t)count;
    } else if (attribute && given == (size_t)parts) {
        memcpy(lengths, attribute, given * sizeof *lengths);
    } else if (!attribute) {
        int64_t each = mt_blocks(size, parts), left = size;
        if (c->version < 18 && size % parts)
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "%" PRId64 " elements do not split into %d equal parts", size,
                              parts);
        for (int i = 0; i < parts; i++, left -= lengths[i - 1]) lengths[i] = mt_min(each, left);
        return MOTET_OK;
    }
    if (given != (size_t)parts) return mt_op_fail(c, MOTET_ERROR_SHAPE, "%zu lengths for %d outputs", given, parts);
    int64_t left = size;
    for (int i = 0; i < parts; i++) {
        if (lengths[i] < 0 || lengths[i] > left) left = -1;
        if (left < 0) break;
        left -= lengths[i];
    }
    if (left != 0)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "the parts do not add up to the %" PRId64 " elements of the axis",
                          size);
    return MOTET_OK;
}

motet_status mt_op_split(mt_op_context *c)
{
    const motet_tensor *in;
    int axis = 0;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_axis(c, mt_attr_int(c, "axis", 0), in->rank, &axis));
    void *memory;
    MT_TRY(mt_scratch_array(c, c->out_count, sizeof(int64_t), &memory));
    int64_t *lengths = memory;
    MT_TRY(split_lengths(c, in->dims[axis], lengths));
    int64_t dims[MOTET_MAX_RANK], start = 0, rows = mt_span(in->dims, 0, axis);
    memcpy(dims, in->dims, sizeof dims);
    for (int i = 0; i < c->out_count; i++) {
        dims[axis] = lengths[i];
        int64_t width = mt_span(dims, axis, in->rank);
        mt_copy box = part_box(rows, width, start, mt_span(in->dims, axis, in->rank), false);
        motet_tensor *out;
        MT_TRY(mt_out(c, i, in->type, in->rank, dims, &out));
        MT_TRY(mt_copy_box(c, out, in, &box));
        start += width;
    }
    return MOTET_OK;
}

/* --- Expand and Tile ------------------------------------------------------------------------------------------ */

/* Broadcasting in both directions: a wanted dimension of 1 keeps the input's. */
motet_status mt_op_expand(mt_op_context *c)
{
    const motet_tensor *in;
    int64_t wanted[MOTET_MAX_RANK];
    MT_TRY(mt_need(c, 0, &in));
    motet_tensor shape = {.type = in->type};
    MT_TRY(mt_in_ints(c, 1, wanted, MOTET_MAX_RANK, &shape.rank));
    memcpy(shape.dims, wanted, sizeof wanted);
    mt_broadcast plan;
    MT_TRY(mt_broadcast_plan(c, (const motet_tensor *[]){in, &shape}, 2, &plan));
    motet_tensor *out;
    MT_TRY(mt_out(c, 0, in->type, plan.rank, plan.dims, &out));
    return mt_broadcast_copy(c, &plan, out, in);
}

/* Every axis becomes two: the repeats, which stand still in the input, and the elements. */
motet_status mt_op_tile(mt_op_context *c)
{
    const motet_tensor *in;
    int64_t repeats[MOTET_MAX_RANK], dims[MOTET_MAX_RANK];
    int count;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_in_ints(c, 1, repeats, MOTET_MAX_RANK, &count));
    if (count != in->rank)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%d repeats for a tensor with %d axes", count, in->rank);
    for (int i = 0; i < count; i++)
        if (repeats[i] < 0 || __builtin_mul_overflow(in->dims[i], repeats[i], &dims[i]))
            return mt_op_fail(c, MOTET_ERROR_LIMIT, "%" PRId64 " repeats of axis %d are not possible", repeats[i], i);
    motet_tensor *out;
    MT_TRY(mt_out(c, 0, in->type, in->rank, dims, &out));
    int64_t from[MOTET_MAX_RANK], to[MOTET_MAX_RANK];
    mt_strides(in->rank, in->dims, from);
    mt_strides(in->rank, dims, to);
    mt_copy box = {.rank = 2 * in->rank};
    for (int i = 0; i < in->rank; i++) {
        box.dims[2 * i] = repeats[i];
        box.to[2 * i] = to[i] * in->dims[i];
        box.dims[2 * i + 1] = in->dims[i];
        box.from[2 * i + 1] = from[i];
        box.to[2 * i + 1] = to[i];
    }
    return mt_copy_box(c, out, in, &box);
}

/* --- blocks of pixels and channels ---------------------------------------------------------------------------- */

/* `split` are the six axes of the input, `order` where each axis of the output comes from. */
static motet_status regroup(mt_op_context *c, const motet_tensor *in, const int64_t *split, const int *order,
                            const int64_t *dims)
{
    int64_t strides[6];
    motet_tensor *out;
    MT_TRY(mt_out(c, 0, in->type, 4, dims, &out)); /* first: it checks the sizes */
    mt_strides(6, split, strides);
    mt_copy box = {.rank = 6};
    for (int i = 0; i < 6; i++) {
        box.dims[i] = split[order[i]];
        box.from[i] = strides[order[i]];
    }
    mt_strides(6, box.dims, box.to);
    return mt_copy_box(c, out, in, &box);
}

static motet_status block_size(mt_op_context *c, const motet_tensor **in, int64_t *size)
{
    MT_TRY(mt_need(c, 0, in));
    MT_TRY(mt_need_rank(c, 0, 4));
    *size = mt_attr_int(c, "blocksize", 0);
    if (*size < 1 || *size > INT32_MAX)
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "blocksize %" PRId64 ": expected a positive number", *size);
    return MOTET_OK;
}

/* Mode CRD: a block's channels stand together; otherwise (DCR) its rows and columns do. */
static bool channels_first(const mt_op_context *c)
{
    return strcmp(mt_attr_string(c, "mode", "DCR"), "CRD") == 0;
}

motet_status mt_op_depth_to_space(mt_op_context *c)
{
    const motet_tensor *in;
    int64_t b;
    MT_TRY(block_size(c, &in, &b));
    const int64_t *d = in->dims;
    int64_t height, width;
    if (d[1] % (b * b) || __builtin_mul_overflow(d[2], b, &height) || __builtin_mul_overflow(d[3], b, &width))
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%" PRId64 " channels do not make blocks of %" PRId64, d[1], b);
    int64_t depth = d[1] / (b * b), dims[4] = {d[0], depth, height, width};
    if (channels_first(c))
        return regroup(c, in, (int64_t[]){d[0], depth, b, b, d[2], d[3]}, (int[]){0, 1, 4, 2, 5, 3}, dims);
    return regroup(c, in, (int64_t[]){d[0], b, b, depth, d[2], d[3]}, (int[]){0, 3, 4, 1, 5, 2}, dims);
}

motet_status mt_op_space_to_depth(mt_op_context *c)
{
    const motet_tensor *in;
    int64_t b;
    MT_TRY(block_size(c, &in, &b));
    const int64_t *d = in->dims;
    if (d[2] % b || d[3] % b)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%" PRId64 " x %" PRId64 " pixels do not make blocks of %" PRId64, d[2],
                          d[3], b);
    int64_t dims[4] = {d[0], 0, d[2] / b, d[3] / b};
    if (__builtin_mul_overflow(d[1], b * b, &dims[1]))
        return mt_op_fail(c, MOTET_ERROR_LIMIT, "blocks of %" PRId64 " are too large", b);
    const int *order = channels_first(c) ? (int[]){0, 1, 3, 5, 2, 4} : (int[]){0, 3, 5, 1, 2, 4};
    return regroup(c, in, (int64_t[]){d[0], d[1], dims[2], b, dims[3], b}, order, dims);
}

/* --- Trilu ---------------------------------------------------------------------------------------------------- */

/* Keeps the columns from row + k on (upper) or up to row + k (lower) of every matrix; the rest is zero. */
motet_status mt_op_trilu(mt_op_context *c)
{
    const motet_tensor *in;
    MT_TRY(mt_need(c, 0, &in));
    if (in->rank < 2) return mt_op_fail(c, MOTET_ERROR_SHAPE, "expected a matrix or a stack of them");
    int64_t k = 0;
    int count = 1;
    if (mt_in(c, 1)) MT_TRY(mt_in_ints(c, 1, &k, 1, &count));
    if (count != 1) return mt_op_fail(c, MOTET_ERROR_SHAPE, "k must be one number");
    bool upper = mt_attr_int(c, "upper", 1) != 0;
    motet_tensor *out;
    MT_TRY(mt_out(c, 0, in->type, in->rank, in->dims, &out));
    int64_t height = in->dims[in->rank - 2], width = in->dims[in->rank - 1];
    k = clamp(k, -height - 1, width + 1);
    for (int64_t row = 0; row < in->count / mt_max(1, width); row++) {
        int64_t edge = clamp(row % height + k + !upper, 0, width), begin = upper ? edge : 0, end = upper ? width : edge;
        if (in->type != MOTET_STRING) /* those are made empty */
            memset(mt_at(out, row * width), 0, (size_t)width * motet_type_size(in->type));
        MT_TRY(mt_copy_row(out, row * width + begin, in, row * width + begin, end - begin));
    }
    return MOTET_OK;
}

/* --- ReverseSequence ------------------------------------------------------------------------------------------ */

/* The first sequence_lens[b] steps of every batch item b run backwards; batch and time are the first two axes. */
motet_status mt_op_reverse_sequence(mt_op_context *c)
{
    const motet_tensor *in, *lengths;
    motet_tensor *out;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_need(c, 1, &lengths));
    int64_t batch_axis = mt_attr_int(c, "batch_axis", 1), time_axis = mt_attr_int(c, "time_axis", 0);
    if (in->rank < 2 || batch_axis < 0 || batch_axis > 1 || time_axis != 1 - batch_axis)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "batch axis %" PRId64 " and time axis %" PRId64 " of %d axes",
                          batch_axis, time_axis, in->rank);
    if (lengths->type != MOTET_INT64) return mt_op_fail_type(c, 1);
    int64_t batch = in->dims[batch_axis], steps = in->dims[time_axis], width = mt_span(in->dims, 2, in->rank);
    if (lengths->count != batch)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%" PRId64 " lengths for %" PRId64 " sequences", lengths->count, batch);
    MT_TRY(mt_out(c, 0, in->type, in->rank, in->dims, &out));
    for (int64_t b = 0; b < batch; b++) {
        int64_t length = ((const int64_t *)lengths->data)[b];
        if (length < 0 || length > steps)
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "a sequence of %" PRId64 " in %" PRId64 " steps", length, steps);
        for (int64_t t = 0; t < steps; t++) {
            int64_t from = t < length ? length - 1 - t : t;
            int64_t to_row = batch_axis ? t * batch + b : b * steps + t;
            int64_t from_row = batch_axis ? from * batch + b : b * steps + from;
            MT_TRY(mt_copy_row(out, to_row * width, in, from_row * width, width));
        }
    }
    return MOTET_OK;
}
