/* Reading and writing by index: Gather, GatherElements, GatherND, ScatterElements, ScatterND, NonZero, Compress,
 * OneHot. Every index comes from outside and is checked against its axis, negative ones counting from the back. */
#include <inttypes.h>
#include <string.h>

#include "ops/support.h"

/* Index i of an int32 or int64 tensor, made non-negative, within an axis of `size`. */
static motet_status read_index(const mt_op_context *c, const motet_tensor *indices, int64_t i, int64_t size,
                               int64_t *out)
{
    int64_t index =
        indices->type == MOTET_INT32 ? ((const int32_t *)indices->data)[i] : ((const int64_t *)indices->data)[i];
    if (index < -size || index >= size)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "index %" PRId64 " into an axis of %" PRId64 " elements", index, size);
    *out = index < 0 ? index + size : index;
    return MOTET_OK;
}

static motet_status need_indices(mt_op_context *c, int i, const motet_tensor **out)
{
    MT_TRY(mt_need(c, i, out));
    return (*out)->type == MOTET_INT32 || (*out)->type == MOTET_INT64 ? MOTET_OK : mt_op_fail_type(c, i);
}

/* --- along one axis ------------------------------------------------------------------------------------------- */

/* Element `from` of every row of `in` becomes element `to` of the rows of `out`. Types of fixed width. */
static void copy_column(motet_tensor *out, int64_t to, int64_t out_row, const motet_tensor *in, int64_t from,
                        int64_t in_row, int64_t rows)
{
#define COPY_COLUMN(T)                                                                                                 \
    for (int64_t o = 0; o < rows; o++) ((T *)out->data)[o * out_row + to] = ((const T *)in->data)[o * in_row + from]
    switch (motet_type_size(in->type)) {
    case 1: COPY_COLUMN(uint8_t); break;
    case 2: COPY_COLUMN(uint16_t); break;
    case 4: COPY_COLUMN(uint32_t); break;
    default: COPY_COLUMN(uint64_t); break;
    }
#undef COPY_COLUMN
}

motet_status mt_op_gather(mt_op_context *c)
{
    const motet_tensor *in, *indices;
    int axis = 0;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(need_indices(c, 1, &indices));
    MT_TRY(mt_axis(c, mt_attr_int(c, "axis", 0), in->rank, &axis));
    int rank = in->rank - 1 + indices->rank;
    if (rank > MOTET_MAX_RANK)
        return mt_op_fail(c, MOTET_ERROR_LIMIT, "a result of %d axes: at most %d are supported", rank, MOTET_MAX_RANK);
    int64_t dims[2 * MOTET_MAX_RANK];
    memcpy(dims, in->dims, (size_t)axis * sizeof *dims);
    memcpy(dims + axis, indices->dims, (size_t)indices->rank * sizeof *dims);
    memcpy(dims + axis + indices->rank, in->dims + axis + 1, (size_t)(in->rank - axis - 1) * sizeof *dims);
    motet_tensor *out;
    MT_TRY(mt_out(c, 0, in->type, rank, dims, &out));
    int64_t outer = mt_span(in->dims, 0, axis), size = in->dims[axis], width = mt_span(in->dims, axis + 1, in->rank);
    bool single = width == 1 && in->type != MOTET_STRING && motet_type_size(in->type) <= sizeof(uint64_t);
    for (int64_t i = 0; i < indices->count; i++) {
        int64_t index = 0;
        MT_TRY(read_index(c, indices, i, size, &index));
        if (single) copy_column(out, i, indices->count, in, index, size, outer);
        for (int64_t o = 0; o < outer && !single; o++)
            MT_TRY(mt_copy_row(out, (o * indices->count + i) * width, in, (o * size + index) * width, width));
    }
    return MOTET_OK;
}

/* For GatherElements and ScatterElements: the element of `data` that belongs to element i of `indices`, which has as
 * many axes: i's own coordinates, but along `axis` the index. */
static motet_status element_of(const mt_op_context *c, const motet_tensor *data, const motet_tensor *indices, int axis,
                               int64_t i, int64_t *out)
{
    int64_t index = 0, rest = i, stride = 1, at = 0;
    MT_TRY(read_index(c, indices, i, data->dims[axis], &index));
    for (int k = data->rank - 1; k >= 0; k--) {
        int64_t own = rest % indices->dims[k];
        rest /= indices->dims[k];
        at += (k == axis ? index : own) * stride;
        stride *= data->dims[k];
    }
    *out = at;
    return MOTET_OK;
}

static motet_status check_elements(mt_op_context *c, const motet_tensor *data, const motet_tensor *indices, int axis)
{
    MT_TRY(mt_need_rank(c, 1, data->rank));
    for (int k = 0; k < data->rank; k++)
        if (k != axis && indices->dims[k] > data->dims[k])
            return mt_op_fail(c, MOTET_ERROR_SHAPE,
                              "the indices have %" PRId64 " elements along axis %d, the data %" PRId64,
                              indices->dims[k], k, data->dims[k]);
    return MOTET_OK;
}

motet_status mt_op_gather_elements(mt_op_context *c)
{
    const motet_tensor *in, *indices;
    int axis = 0;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(need_indices(c, 1, &indices));
    MT_TRY(mt_axis(c, mt_attr_int(c, "axis", 0), in->rank, &axis));
    MT_TRY(check_elements(c, in, indices, axis));
    motet_tensor *out;
    MT_TRY(mt_out(c, 0, in->type, indices->rank, indices->dims, &out));
    for (int64_t i = 0; i < out->count; i++) {
        int64_t from = 0;
        MT_TRY(element_of(c, in, indices, axis, i, &from));
        MT_TRY(mt_copy_row(out, i, in, from, 1));
    }
    return MOTET_OK;
}

/* --- by index tuples ------------------------------------------------------------------------------------------ */

/* The first element of `data` that tuple i of `indices` names: the tuple lies along the last axis and covers the axes
 * of data from `batch_dims` on. */
static motet_status tuple_start(const mt_op_context *c, const motet_tensor *data, const motet_tensor *indices,
                                int batch_dims, int64_t i, int64_t *out)
{
    int length = (int)indices->dims[indices->rank - 1];
    int64_t at = 0;
    for (int k = 0; k < length; k++) {
        int64_t index = 0;
        MT_TRY(read_index(c, indices, i * length + k, data->dims[batch_dims + k], &index));
        at = at * data->dims[batch_dims + k] + index;
    }
    *out = at * mt_span(data->dims, batch_dims + length, data->rank);
    return MOTET_OK;
}

static motet_status check_tuples(mt_op_context *c, const motet_tensor *data, const motet_tensor *indices,
                                 int batch_dims)
{
    if (indices->rank < 1 || batch_dims >= indices->rank || batch_dims > data->rank ||
        indices->dims[indices->rank - 1] > data->rank - batch_dims)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "the index tuples do not fit data with %d axes (%d of them batches)",
                          data->rank, batch_dims);
    for (int i = 0; i < batch_dims; i++)
        if (indices->dims[i] != data->dims[i])
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "batch axis %d differs between data and indices", i);
    return MOTET_OK;
}

motet_status mt_op_gather_nd(mt_op_context *c)
{
    const motet_tensor *in, *indices;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(need_indices(c, 1, &indices));
    int64_t batch = mt_attr_int(c, "batch_dims", 0);
    if (batch < 0 || batch > MOTET_MAX_RANK) return mt_op_fail(c, MOTET_ERROR_FORMAT, "batch_dims %" PRId64, batch);
    MT_TRY(check_tuples(c, in, indices, (int)batch));
    int first = (int)batch + (int)indices->dims[indices->rank - 1], rank = indices->rank - 1 + in->rank - first;
    if (rank > MOTET_MAX_RANK)
        return mt_op_fail(c, MOTET_ERROR_LIMIT, "a result of %d axes: at most %d are supported", rank, MOTET_MAX_RANK);
    int64_t dims[2 * MOTET_MAX_RANK];
    memcpy(dims, indices->dims, sizeof indices->dims);
    memcpy(dims + indices->rank - 1, in->dims + first, (size_t)(in->rank - first) * sizeof *dims);
    motet_tensor *out;
    MT_TRY(mt_out(c, 0, in->type, rank, dims, &out));
    int64_t batches = mt_span(in->dims, 0, (int)batch), tuples = mt_span(indices->dims, (int)batch, indices->rank - 1);
    int64_t width = mt_span(in->dims, first, in->rank), batch_size = mt_span(in->dims, (int)batch, in->rank);
    for (int64_t i = 0; i < batches * tuples; i++) {
        int64_t start = 0;
        MT_TRY(tuple_start(c, in, indices, (int)batch, i, &start));
        MT_TRY(mt_copy_row(out, i * width, in, i / tuples * batch_size + start, width));
    }
    return MOTET_OK;
}

/* --- scattering ----------------------------------------------------------------------------------------------- */

/* Combines n elements of `from` into `to`. */
typedef void (*reduction)(void *to, const void *from, int64_t n);

#define REDUCTION(TYPE, tag, S, T, LOAD, STORE, SIMD, name, F)                                                         \
    static void name##_##tag(void *to, const void *from, int64_t n)                                                    \
    {                                                                                                                  \
        S *o = to;                                                                                                     \
        const S *p = from;                                                                                             \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const T x = LOAD(o[i]), y = LOAD(p[i]);                                                                    \
            o[i] = STORE(F(T));                                                                                        \
        }                                                                                                              \
    }
#define ADD(T)     (x + y)
#define MUL(T)     (x * y)
#define ADD_INT(T) ((T)((uint64_t)x + (uint64_t)y))
#define MUL_INT(T) ((T)((uint64_t)x * (uint64_t)y))
#define MIN(T)     (y < x ? y : x)
#define MAX(T)     (y > x ? y : x)

#define REDUCTIONS(name, F, F_INT) MT_FLOATS(REDUCTION, name, F) MT_INTS(REDUCTION, name, F_INT)
REDUCTIONS(add, ADD, ADD_INT)
REDUCTIONS(mul, MUL, MUL_INT)
REDUCTIONS(min, MIN, MIN)
REDUCTIONS(max, MAX, MAX)

static const reduction adds[MT_TYPES] = {MT_NUMBERS(MT_ENTRY, add)}, muls[MT_TYPES] = {MT_NUMBERS(MT_ENTRY, mul)},
                       mins[MT_TYPES] = {MT_NUMBERS(MT_ENTRY, min)}, maxes[MT_TYPES] = {MT_NUMBERS(MT_ENTRY, max)};

/* *out is NULL for plain replacement. */
static motet_status read_reduction(mt_op_context *c, motet_type type, reduction *out)
{
    static const struct {
        const char *name;
        const reduction *table;
    } known[] = {{"add", adds}, {"mul", muls}, {"min", mins}, {"max", maxes}};
    const char *name = mt_attr_string(c, "reduction", "none");
    *out = NULL;
    if (strcmp(name, "none") == 0) return MOTET_OK;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(name, known[i].name) != 0) continue;
        *out = MT_PICK(known[i].table, type);
        return *out ? MOTET_OK : mt_op_fail_type(c, 0);
    }
    return mt_op_fail(c, MOTET_ERROR_UNSUPPORTED, "reduction \"%s\" is not known", name);
}

static motet_status put_row(motet_tensor *to, int64_t at, const motet_tensor *from, int64_t start, int64_t n,
                            reduction reduce)
{
    if (!reduce) return mt_copy_row(to, at, from, start, n);
    reduce(mt_at(to, at), mt_at(from, start), n);
    return MOTET_OK;
}

motet_status mt_op_scatter_elements(mt_op_context *c)
{
    const motet_tensor *in, *indices, *updates;
    int axis = 0;
    reduction reduce;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(need_indices(c, 1, &indices));
    MT_TRY(mt_need(c, 2, &updates));
    MT_TRY(mt_need_same_type(c, 0, 2));
    MT_TRY(mt_axis(c, mt_attr_int(c, "axis", 0), in->rank, &axis));
    MT_TRY(check_elements(c, in, indices, axis));
    if (!mt_same_shape(indices, updates))
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "indices and updates differ in shape");
    MT_TRY(read_reduction(c, in->type, &reduce));
    motet_tensor *out;
    MT_TRY(mt_out(c, 0, in->type, in->rank, in->dims, &out));
    MT_TRY(mt_copy_row(out, 0, in, 0, in->count));
    for (int64_t i = 0; i < indices->count; i++) {
        int64_t at = 0;
        MT_TRY(element_of(c, in, indices, axis, i, &at));
        MT_TRY(put_row(out, at, updates, i, 1, reduce));
    }
    return MOTET_OK;
}

motet_status mt_op_scatter_nd(mt_op_context *c)
{
    const motet_tensor *in, *indices, *updates;
    reduction reduce;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(need_indices(c, 1, &indices));
    MT_TRY(mt_need(c, 2, &updates));
    MT_TRY(mt_need_same_type(c, 0, 2));
    MT_TRY(check_tuples(c, in, indices, 0));
    MT_TRY(read_reduction(c, in->type, &reduce));
    int first = (int)indices->dims[indices->rank - 1];
    int64_t tuples = mt_span(indices->dims, 0, indices->rank - 1), width = mt_span(in->dims, first, in->rank), needed;
    if (__builtin_mul_overflow(tuples, width, &needed) || updates->count != needed)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "expected %" PRId64 " updates of %" PRId64 " elements, got %" PRId64,
                          tuples, width, updates->count);
    motet_tensor *out;
    MT_TRY(mt_out(c, 0, in->type, in->rank, in->dims, &out));
    MT_TRY(mt_copy_row(out, 0, in, 0, in->count));
    for (int64_t i = 0; i < tuples; i++) {
        int64_t start = 0;
        MT_TRY(tuple_start(c, in, indices, 0, i, &start));
        MT_TRY(put_row(out, start, updates, i * width, width, reduce));
    }
    return MOTET_OK;
}

/* --- by value ------------------------------------------------------------------------------------------------- */

/* Whether each element differs from zero, or is a text that is not empty, as one byte an element. */
static motet_status truths(mt_op_context *c, const motet_tensor *in, const uint8_t **out)
{
    if (in->type == MOTET_BOOL) {
        *out = in->data;
        return MOTET_OK;
    }
    if (in->type != MOTET_STRING && !mt_is_number(in->type)) return mt_op_fail_type(c, 0);
    void *memory;
    MT_TRY(mt_scratch_array(c, in->count, 1, &memory));
    if (in->type == MOTET_STRING)
        for (int64_t i = 0; i < in->count; i++) ((uint8_t *)memory)[i] = ((const mt_string *)in->data)[i].length > 0;
    else
        mt_convert(memory, MOTET_BOOL, in->data, in->type, in->count);
    *out = memory;
    return MOTET_OK;
}

/* Coordinates of the elements that are not zero, one column for each, in row-major order. */
motet_status mt_op_non_zero(mt_op_context *c)
{
    const motet_tensor *in;
    const uint8_t *set;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(truths(c, in, &set));
    int64_t found = 0;
    for (int64_t i = 0; i < in->count; i++) found += set[i] != 0;
    motet_tensor *out;
    MT_TRY(mt_out(c, 0, MOTET_INT64, 2, (int64_t[]){in->rank, found}, &out));
    int64_t *coordinates = out->data;
    for (int64_t i = 0, column = 0; i < in->count; i++) {
        if (!set[i]) continue;
        int64_t rest = i;
        for (int k = in->rank - 1; k >= 0; k--) {
            coordinates[k * found + column] = rest % in->dims[k];
            rest /= in->dims[k];
        }
        column++;
    }
    return MOTET_OK;
}

/* Keeps the slices along an axis (without one: the elements of the flat tensor) whose condition is true. */
motet_status mt_op_compress(mt_op_context *c)
{
    const motet_tensor *in, *condition;
    int axis = 0;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_need(c, 1, &condition));
    if (condition->type != MOTET_BOOL) return mt_op_fail_type(c, 1);
    bool flat = !mt_has_attr(c, "axis");
    int64_t dims[MOTET_MAX_RANK] = {in->count};
    int rank = flat ? 1 : in->rank;
    if (!flat) {
        MT_TRY(mt_axis(c, mt_attr_int(c, "axis", 0), in->rank, &axis));
        memcpy(dims, in->dims, sizeof dims);
    }
    int64_t outer = mt_span(dims, 0, axis), size = dims[axis], width = mt_span(dims, axis + 1, rank);
    int64_t asked = mt_min(size, condition->count), kept = 0;
    const uint8_t *keep = condition->data;
    for (int64_t i = 0; i < asked; i++) kept += keep[i] != 0;
    dims[axis] = kept;
    motet_tensor *out;
    MT_TRY(mt_out(c, 0, in->type, rank, dims, &out));
    int64_t at = 0;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < asked; i++) {
            if (!keep[i]) continue;
            MT_TRY(mt_copy_row(out, at, in, (o * size + i) * width, width));
            at += width;
        }
    return MOTET_OK;
}

/* values = [off, on]; an index out of range selects nothing. */
motet_status mt_op_one_hot(mt_op_context *c)
{
    const motet_tensor *indices, *depth_input, *values;
    MT_TRY(mt_need(c, 0, &indices));
    MT_TRY(mt_need(c, 1, &depth_input));
    MT_TRY(mt_need(c, 2, &values));
    int64_t depth;
    if (!mt_is_number(indices->type)) return mt_op_fail_type(c, 0);
    if (!mt_is_number(depth_input->type) || depth_input->count != 1) return mt_op_fail_type(c, 1);
    if (values->count != 2) return mt_op_fail(c, MOTET_ERROR_SHAPE, "values must hold two elements");
    mt_convert(&depth, MOTET_INT64, depth_input->data, depth_input->type, 1);
    int axis = 0, rank = indices->rank + 1;
    MT_TRY(mt_axis(c, mt_attr_int(c, "axis", -1), rank, &axis));
    int64_t dims[MOTET_MAX_RANK + 1];
    for (int i = 0; i < rank; i++) dims[i] = i == axis ? depth : indices->dims[i - (i > axis)];
    motet_tensor *out;
    MT_TRY(mt_out(c, 0, values->type, rank, dims, &out));
    MT_TRY(mt_fill_row(out, 0, values, 0, out->count));
    int64_t width = mt_span(indices->dims, axis, indices->rank);
    for (int64_t i = 0; i < indices->count; i++) {
        int64_t index;
        mt_convert(&index, MOTET_INT64, mt_at(indices, i), indices->type, 1);
        if (index < 0) index += depth;
        if (index < 0 || index >= depth) continue;
        MT_TRY(mt_copy_row(out, (i / width * depth + index) * width + i % width, values, 1, 1));
    }
    return MOTET_OK;
}

/* --- TensorScatter -------------------------------------------------------------------------------------------- */

/* A cache with `update` written into it along an axis, from a place on that each batch has of its own; "circular" goes
 * on at the front. */
motet_status mt_op_tensor_scatter(mt_op_context *c)
{
    const motet_tensor *cache, *update, *starts = mt_in(c, 2);
    motet_tensor *out;
    const void *places;
    int axis = 0;
    bool circular = strcmp(mt_attr_string(c, "mode", "linear"), "circular") == 0;
    MT_TRY(mt_need(c, 0, &cache));
    MT_TRY(mt_need(c, 1, &update));
    MT_TRY(mt_need_same_type(c, 0, 1));
    MT_TRY(mt_axis(c, mt_attr_int(c, "axis", -2), cache->rank, &axis));
    bool fits = update->rank == cache->rank && axis > 0 && (!starts || starts->count == cache->dims[0]);
    for (int i = 0; i < cache->rank && fits; i++)
        fits = i == axis ? update->dims[i] <= cache->dims[i] : update->dims[i] == cache->dims[i];
    if (!fits) return mt_op_fail(c, MOTET_ERROR_SHAPE, "the update, or where it goes, does not fit the cache");
    MT_TRY(mt_values(c, starts, MOTET_INT64, &places));
    MT_TRY(mt_out(c, 0, cache->type, cache->rank, cache->dims, &out));
    MT_TRY(mt_copy_row(out, 0, cache, 0, cache->count));
    int64_t size = cache->dims[axis], length = update->dims[axis], inner = mt_span(cache->dims, axis + 1, cache->rank);
    int64_t rows = mt_span(cache->dims, 0, axis), a_batch = mt_span(cache->dims, 1, axis);
    for (int64_t i = 0; i < (inner ? rows * length : 0); i++) {
        int64_t row = i / length, start = places ? ((const int64_t *)places)[row / a_batch] : 0, at = i % length;
        if (start < 0 || start > size || (!circular && start + at >= size))
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "writing from %" PRId64 " on leaves the cache", start);
        MT_TRY(mt_copy_row(out, (row * size + (start + at) % size) * inner, update, i * inner, inner));
    }
    return MOTET_OK;
}
