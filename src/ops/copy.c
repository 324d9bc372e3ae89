/* Moving elements: one strided box copy stands behind Transpose, Slice, Expand, Tile, Concat, Split and more.
 *
 * A box is first made as simple as it can be: axes of one element are dropped and neighbours that move together on both
 * sides are merged. What remains is an inner row, copied by a loop for the element's size, and outer axes stepped
 * through like an odometer. When the inner row is dense on one side and some outer axis on the other (a transposition),
 * the two are copied in strips so that both sides use whole cache lines. Strings are copied one by one, since every
 * tensor owns its own. */
#include <string.h>

#include "ops/support.h"

size_t mt_element_size(motet_type type)
{
    return type == MOTET_STRING ? sizeof(mt_string) : motet_type_size(type);
}

/* --- strings -------------------------------------------------------------------------------------------------- */

static motet_status copy_string(motet_tensor *to, int64_t to_at, const motet_tensor *from, int64_t from_at)
{
    const mt_string *string = (const mt_string *)from->data + from_at;
    return motet_tensor_set_string(to, to_at, string->bytes ? string->bytes : "", string->length);
}

/* Steps `index` through `dims`; false when it has come round. */
static bool next_index(int rank, const int64_t *dims, int64_t *index)
{
    for (int i = rank - 1; i >= 0; i--) {
        if (++index[i] < dims[i]) return true;
        index[i] = 0;
    }
    return false;
}

static motet_status copy_strings(motet_tensor *to, const motet_tensor *from, const mt_copy *box)
{
    int64_t index[MT_COPY_RANK] = {0};
    do {
        int64_t to_at = box->to_start, from_at = box->from_start;
        for (int i = 0; i < box->rank; i++) {
            to_at += index[i] * box->to[i];
            from_at += index[i] * box->from[i];
        }
        MT_TRY(copy_string(to, to_at, from, from_at));
    } while (next_index(box->rank, box->dims, index));
    return MOTET_OK;
}

/* --- plain bytes ---------------------------------------------------------------------------------------------- */

typedef struct bytes16 {
    uint64_t low, high;
} bytes16;

enum { STRIP = 16 };

#define STRIDED_LOOPS(T)                                                                                               \
    static void row_##T(T *restrict to, int64_t to_step, const T *restrict from, int64_t from_step, int64_t n)         \
    {                                                                                                                  \
        for (int64_t i = 0; i < n; i++) to[i * to_step] = from[i * from_step];                                         \
    }                                                                                                                  \
    /* to[row * to_step + i] = from[row + i * from_step], STRIP rows or fewer at a time */                             \
    static void strip_##T(T *restrict to, int64_t to_step, const T *restrict from, int64_t from_step, int64_t rows,    \
                          int64_t n)                                                                                   \
    {                                                                                                                  \
        for (int64_t i = 0; i < n; i++)                                                                                \
            for (int64_t row = 0; row < rows; row++) to[row * to_step + i] = from[row + i * from_step];                \
    }

STRIDED_LOOPS(uint8_t)
STRIDED_LOOPS(uint16_t)
STRIDED_LOOPS(uint32_t)
STRIDED_LOOPS(uint64_t)
STRIDED_LOOPS(bytes16)

static void copy_strided(void *to, int64_t to_step, const void *from, int64_t from_step, int64_t n, size_t size)
{
    if (to_step == 1 && from_step == 1) {
        memcpy(to, from, (size_t)n * size);
        return;
    }
    switch (size) {
    case 1: row_uint8_t(to, to_step, from, from_step, n); break;
    case 2: row_uint16_t(to, to_step, from, from_step, n); break;
    case 4: row_uint32_t(to, to_step, from, from_step, n); break;
    case 8: row_uint64_t(to, to_step, from, from_step, n); break;
    default: row_bytes16(to, to_step, from, from_step, n); break;
    }
}

static void copy_strip(void *to, int64_t to_step, const void *from, int64_t from_step, int64_t rows, int64_t n,
                       size_t size)
{
    switch (size) {
    case 1: strip_uint8_t(to, to_step, from, from_step, rows, n); break;
    case 2: strip_uint16_t(to, to_step, from, from_step, rows, n); break;
    case 4: strip_uint32_t(to, to_step, from, from_step, rows, n); break;
    case 8: strip_uint64_t(to, to_step, from, from_step, rows, n); break;
    default: strip_bytes16(to, to_step, from, from_step, rows, n); break;
    }
}

/* --- the box -------------------------------------------------------------------------------------------------- */

static void simplify(mt_copy *box)
{
    int rank = 0;
    for (int i = 0; i < box->rank; i++) {
        if (box->dims[i] == 1) continue;
        int last = rank - 1;
        if (rank && box->from[last] == box->from[i] * box->dims[i] && box->to[last] == box->to[i] * box->dims[i]) {
            box->dims[last] *= box->dims[i];
        } else {
            last = rank++;
            box->dims[last] = box->dims[i];
        }
        box->from[last] = box->from[i];
        box->to[last] = box->to[i];
    }
    box->rank = rank;
}

static void swap_axes(mt_copy *box, int a, int b)
{
#define SWAP(array)                                                                                                    \
    do {                                                                                                               \
        int64_t kept = box->array[a];                                                                                  \
        box->array[a] = box->array[b];                                                                                 \
        box->array[b] = kept;                                                                                          \
    } while (0)
    SWAP(dims);
    SWAP(from);
    SWAP(to);
#undef SWAP
}

/* Brings the axis that is dense in `from` next to the last one, which is dense in `to`: true when there are such two.
 */
static bool make_strips(mt_copy *box)
{
    int last = box->rank - 1;
    if (box->to[last] != 1 || box->from[last] == 1 || box->from[last] == 0) return false;
    for (int i = 0; i < last; i++) {
        if (box->from[i] != 1) continue;
        swap_axes(box, i, last - 1);
        return true;
    }
    return false;
}

typedef struct box_work {
    mt_copy box;
    char *to;
    const char *from;
    size_t size;
    bool strips;
    int outer; /* axes of the odometer: all but the last; with strips, the last of them counts strips */
    int64_t steps[MT_COPY_RANK];
} box_work;

static void copy_steps(void *context, int64_t begin, int64_t end)
{
    const box_work *work = context;
    const mt_copy *box = &work->box;
    int last = box->rank - 1, strip = work->strips ? last - 1 : -1;
    int64_t index[MT_COPY_RANK], rest = begin;
    for (int i = work->outer - 1; i >= 0; i--) {
        index[i] = rest % work->steps[i];
        rest /= work->steps[i];
    }
    for (int64_t step = begin; step < end; step++) {
        int64_t to_at = box->to_start, from_at = box->from_start;
        for (int i = 0; i < work->outer; i++) {
            int64_t at = i == strip ? index[i] * STRIP : index[i];
            to_at += at * box->to[i];
            from_at += at * box->from[i];
        }
        char *to = work->to + to_at * (int64_t)work->size;
        const char *from = work->from + from_at * (int64_t)work->size;
        if (work->strips)
            copy_strip(to, box->to[strip], from, box->from[last],
                       mt_min(STRIP, box->dims[strip] - index[strip] * STRIP), box->dims[last], work->size);
        else
            copy_strided(to, box->to[last], from, box->from[last], box->dims[last], work->size);
        next_index(work->outer, work->steps, index);
    }
}

motet_status mt_copy_box(mt_op_context *c, motet_tensor *to, const motet_tensor *from, const mt_copy *copy)
{
    box_work work = {.box = *copy, .to = to->data, .from = from->data, .size = mt_element_size(to->type)};
    mt_copy *box = &work.box;
    if (mt_span(box->dims, 0, box->rank) == 0) return MOTET_OK;
    if (to->type == MOTET_STRING) return copy_strings(to, from, box);
    simplify(box);
    if (box->rank == 0) {
        box->rank = 1;
        box->dims[0] = box->from[0] = box->to[0] = 1;
    }
    work.strips = make_strips(box);
    work.outer = box->rank - 1;
    int64_t steps = 1;
    for (int i = 0; i < work.outer; i++) {
        work.steps[i] = work.strips && i == work.outer - 1 ? mt_blocks(box->dims[i], STRIP) : box->dims[i];
        steps *= work.steps[i];
    }
    mt_ranges(c->pool, steps, mt_row_grain(box->dims[box->rank - 1] * (work.strips ? STRIP : 1)), copy_steps, &work);
    return MOTET_OK;
}

/* --- rows ----------------------------------------------------------------------------------------------------- */

motet_status mt_copy_row(motet_tensor *to, int64_t to_start, const motet_tensor *from, int64_t from_start,
                         int64_t count)
{
    if (to->type != MOTET_STRING) {
        if (count > 0) memcpy(mt_at(to, to_start), mt_at(from, from_start), (size_t)count * motet_type_size(to->type));
        return MOTET_OK;
    }
    for (int64_t i = 0; i < count; i++) MT_TRY(copy_string(to, to_start + i, from, from_start + i));
    return MOTET_OK;
}

motet_status mt_fill_row(motet_tensor *to, int64_t to_start, const motet_tensor *from, int64_t from_start,
                         int64_t count)
{
    if (to->type != MOTET_STRING) {
        copy_strided(mt_at(to, to_start), 1, mt_at(from, from_start), 0, count, motet_type_size(to->type));
        return MOTET_OK;
    }
    for (int64_t i = 0; i < count; i++) MT_TRY(copy_string(to, to_start + i, from, from_start));
    return MOTET_OK;
}

motet_status mt_reorder_axes(mt_op_context *c, const motet_tensor *in, const int *order, motet_tensor *out)
{
    void *memory;
    int64_t strides[MOTET_MAX_RANK];
    mt_copy copy = {.rank = in->rank};
    if (in->type == MOTET_STRING) return mt_op_fail(c, MOTET_ERROR_UNSUPPORTED, "strings cannot be reordered here");
    mt_strides(in->rank, in->dims, strides);
    for (int i = 0; i < in->rank; i++) {
        copy.dims[i] = in->dims[order[i]];
        copy.from[i] = strides[order[i]];
    }
    mt_strides(in->rank, copy.dims, copy.to);
    MT_TRY(mt_scratch_array(c, in->count, mt_element_size(in->type), &memory));
    MT_TRY(mt_tensor_wrap(out, in->type, in->rank, copy.dims, memory));
    return mt_copy_box(c, out, in, &copy);
}
