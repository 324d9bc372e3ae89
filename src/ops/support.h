/* What operators share: axes, types, broadcasting, strided copies, conversion. */
#ifndef MT_OPS_SUPPORT_H
#define MT_OPS_SUPPORT_H

#include "core/memory.h"
#include "core/narrow.h"
#include "core/status.h"
#include "ops/op.h"
#include "ops/types.h"

/* --- shapes -------------------------------------------------------------------------------------------------- */

/* An axis in [-rank, rank) as one in [0, rank). */
motet_status mt_axis(const mt_op_context *c, int64_t axis, int rank, int *out);

/* A list of axes, each as above, none twice, as a set of bits. */
motet_status mt_axis_set(const mt_op_context *c, const int64_t *axes, size_t count, int rank, unsigned *out);

/* Axes from input `input` (where the version has moved them there) or else from the attribute "axes".
 * *given is false when there are none. */
motet_status mt_axes_given(mt_op_context *c, int input, int rank, unsigned *out, bool *given);

/* dims[from] * ... * dims[to - 1] of a tensor that exists, which cannot overflow. */
int64_t mt_span(const int64_t *dims, int from, int to);

/* Strides in elements of a dense tensor. */
void mt_strides(int rank, const int64_t *dims, int64_t *strides);

bool mt_same_shape(const motet_tensor *a, const motet_tensor *b);

/* Fails unless input i has `rank` axes; unless inputs i and j are of one type. */
motet_status mt_need_rank(const mt_op_context *c, int i, int rank);
motet_status mt_need_same_type(const mt_op_context *c, int i, int j);

/* A scratch array of `count` elements of `size` bytes. */
motet_status mt_scratch_array(mt_op_context *c, int64_t count, size_t size, void **out);

/* How many blocks of `size` hold `count`; the end of block `i`. */
static inline int64_t mt_blocks(int64_t count, int64_t size)
{
    return (count + size - 1) / size;
}
static inline int64_t mt_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
static inline int64_t mt_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* --- elements ------------------------------------------------------------------------------------------------ */

/* Bytes of an element in memory, strings included. */
size_t mt_element_size(motet_type type);

/* Element i of a tensor. */
static inline char *mt_at(const motet_tensor *tensor, int64_t i)
{
    return (char *)tensor->data + (size_t)i * mt_element_size(tensor->type);
}

/* Converts numbers and booleans by the rules of Cast (saturating where the standard leaves floats out of an integer's
 * range undefined, NaN to 0). Neither type may be MOTET_STRING. */
void mt_convert(void *to, motet_type to_type, const void *from, motet_type from_type, int64_t count);

/* The same with the choices that Cast leaves for small floats. */
void mt_convert_by(const mt_small_rules *rules, void *to, motet_type to_type, const void *from, motet_type from_type,
                   int64_t count);

/* True for the types that mt_convert takes. */
bool mt_is_number(motet_type type);
bool mt_is_float(motet_type type);

/* The type to compute in: float32 for the 16-bit floats, any other type itself. */
motet_type mt_working_type(motet_type type);

/* The elements of `tensor` (NULL gives NULL) as numbers of `type`: its own where it has that type, else converted into
 * scratch. */
motet_status mt_values(mt_op_context *c, const motet_tensor *tensor, motet_type type, const void **out);

/* Output i, computed in the working type of its own: `values` points into the output or into scratch, and
 * mt_value_out_store brings it over. */
typedef struct mt_value_out {
    motet_tensor *tensor;
    motet_type type; /* of values */
    void *values;
} mt_value_out;

motet_status mt_value_out_make(mt_op_context *c, int i, motet_type type, int rank, const int64_t *dims,
                               mt_value_out *out);
/* The same, computed in `working`. */
motet_status mt_value_out_make_in(mt_op_context *c, int i, motet_type type, motet_type working, int rank,
                                  const int64_t *dims, mt_value_out *out);
void mt_value_out_store(const mt_value_out *out);

/* --- copying ------------------------------------------------------------------------------------------------- */

/* A box of elements with its own strides (in elements, any sign, 0 repeats) on both sides. */
enum { MT_COPY_RANK = 2 * MOTET_MAX_RANK };

typedef struct mt_copy {
    int rank;
    int64_t dims[MT_COPY_RANK];
    int64_t from[MT_COPY_RANK], to[MT_COPY_RANK]; /* strides */
    int64_t from_start, to_start;
} mt_copy;

/* Copies the box from `from` to `to`, which have one type. */
motet_status mt_copy_box(mt_op_context *c, motet_tensor *to, const motet_tensor *from, const mt_copy *copy);

/* `out` becomes a copy of `in`, in scratch, with axis order[i] of `in` as its axis i. Not for strings. */
motet_status mt_reorder_axes(mt_op_context *c, const motet_tensor *in, const int *order, motet_tensor *out);

/* `count` elements in a row. */
motet_status mt_copy_row(motet_tensor *to, int64_t to_start, const motet_tensor *from, int64_t from_start,
                         int64_t count);

/* `count` times the one element `from_start`. */
motet_status mt_fill_row(motet_tensor *to, int64_t to_start, const motet_tensor *from, int64_t from_start,
                         int64_t count);

/* --- broadcasting -------------------------------------------------------------------------------------------- */

/* How up to three operands stretch over one output (the standard's multidirectional broadcasting). Neighbouring axes
 * along which every operand moves alike are merged, so equal shapes become one long axis and a trailing vector two. */
enum { MT_OPERANDS = 3 };

typedef struct mt_broadcast {
    int rank; /* of the output */
    int64_t dims[MOTET_MAX_RANK];
    int64_t count;
    int operands, axes; /* after merging; the last axis runs fastest */
    int64_t extent[MOTET_MAX_RANK];
    int64_t step[MT_OPERANDS][MOTET_MAX_RANK];
} mt_broadcast;

motet_status mt_broadcast_plan(const mt_op_context *c, const motet_tensor *const *operands, int count,
                               mt_broadcast *plan);

/* Calls run(context, at, from, steps, n) for rows that together cover the output: n elements from output element `at`
 * on, operand k starting at element from[k] and moving by steps[k] (0 or 1). Rows are spread over the pool. */
typedef void (*mt_row_function)(void *context, int64_t at, const int64_t *from, const int64_t *steps, int64_t n);

void mt_broadcast_rows(mt_pool *pool, const mt_broadcast *plan, mt_row_function run, void *context);

/* Copies `from`, the plan's first operand, stretched over `to`. */
motet_status mt_broadcast_copy(mt_op_context *c, const mt_broadcast *plan, motet_tensor *to, const motet_tensor *from);

/* --- long flat loops ----------------------------------------------------------------------------------------- */

/* Calls run(context, begin, end) for ranges of `grain` that together cover 0 .. count-1, spread over the pool. */
void mt_ranges(mt_pool *pool, int64_t count, int64_t grain, void (*run)(void *context, int64_t begin, int64_t end),
               void *context);

/* A grain for rows of `width` elements that makes a block worth a thread's while. */
static inline int64_t mt_row_grain(int64_t width)
{
    return mt_max(1, 16384 / mt_max(1, width));
}

#endif
