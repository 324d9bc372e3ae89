/* Reductions along axes (ReduceSum and its family), ArgMax, ArgMin, CumSum and CumProd.
 *
 * The input is seen as [outer, length, inner] with `length` the elements that fall together; where the reduced axes are
 * not neighbours, a copy brings them to the end first. One loop then serves rows and columns alike: it carries LANES
 * results side by side, which are LANES columns when inner > 1, and parts of one row (joined at the end, always in the
 * same order) when inner is 1. Floats are summed in double, integers modulo 2^64. */
#include <math.h>
#include <string.h>

#include "ops/support.h"

enum { LANES = 16 };

/* --- the view ------------------------------------------------------------------------------------------------- */

typedef struct reduce_view {
    const void *data;
    int64_t outer, length, inner;
} reduce_view;

/* Brings the axes of `set` to the end, in scratch. */
static motet_status gather_axes(mt_op_context *c, const motet_tensor *in, unsigned set, reduce_view *view)
{
    int64_t strides[MOTET_MAX_RANK];
    mt_strides(in->rank, in->dims, strides);
    mt_copy box = {.rank = in->rank};
    for (int i = 0, kept = 0, reduced = in->rank - __builtin_popcount(set); i < in->rank; i++) {
        int to = set >> i & 1 ? reduced++ : kept++;
        box.dims[to] = in->dims[i];
        box.from[to] = strides[i];
    }
    mt_strides(in->rank, box.dims, box.to);
    void *memory;
    MT_TRY(mt_scratch_array(c, in->count, mt_element_size(in->type), &memory));
    motet_tensor moved;
    MT_TRY(mt_tensor_wrap(&moved, in->type, in->rank, box.dims, memory));
    view->data = memory;
    view->inner = 1;
    return mt_copy_box(c, &moved, in, &box);
}

static motet_status view_axes(mt_op_context *c, const motet_tensor *in, unsigned set, reduce_view *view)
{
    int first = 0, last = in->rank; /* axes first .. last-1 hold all that are reduced */
    while (first < last && !(set >> first & 1)) first++;
    while (last > first && !(set >> (last - 1) & 1)) last--;
    *view = (reduce_view){in->data, 1, 1, mt_span(in->dims, last, in->rank)};
    bool neighbours = true;
    for (int i = 0; i < in->rank; i++) {
        bool reduced = set >> i & 1;
        if (i >= first && i < last && !reduced && in->dims[i] != 1) neighbours = false;
        *(reduced ? &view->length : &view->outer) *= reduced || i < last ? in->dims[i] : 1;
    }
    if (neighbours || in->count == 0) return MOTET_OK;
    view->outer *= view->inner;
    return gather_axes(c, in, set, view);
}

/* --- loops ---------------------------------------------------------------------------------------------------- */

/* out[j] over rows of in[row * step + j], for j < columns <= LANES. A step of 1 means a single, dense column. */
typedef void (*reduce_loop)(void *out, const void *in, int64_t rows, int64_t step, int64_t columns);

/* MAP(T, x) is taken of every element, JOIN(a, b) of two accumulators of type A(T), which begin at START(T), and
 * END(T, a, n) of the result over n elements. */
#define REDUCE_LOOP(TYPE, tag, S, T, LOAD, STORE, SIMD, name, A, MAP, START, JOIN, END)                                \
    static void name##_##tag(void *out, const void *in, int64_t rows, int64_t step, int64_t columns)                   \
    {                                                                                                                  \
        const S *x = in;                                                                                               \
        A(T) lanes[LANES];                                                                                             \
        int64_t i = 0;                                                                                                 \
        for (int j = 0; j < LANES; j++) lanes[j] = START(T);                                                           \
        if (step == 1) {                                                                                               \
            for (; i + LANES <= rows; i += LANES)                                                                      \
                for (int j = 0; j < LANES; j++) lanes[j] = JOIN(lanes[j], (A(T))MAP(T, (T)LOAD(x[i + j])));            \
            for (int j = 0; i < rows; i++, j++) lanes[j] = JOIN(lanes[j], (A(T))MAP(T, (T)LOAD(x[i])));                \
            for (int j = 1; j < LANES; j++) lanes[0] = JOIN(lanes[0], lanes[j]);                                       \
        } else {                                                                                                       \
            for (; i < rows; i++)                                                                                      \
                for (int64_t j = 0; j < columns; j++)                                                                  \
                    lanes[j] = JOIN(lanes[j], (A(T))MAP(T, (T)LOAD(x[i * step + j])));                                 \
        }                                                                                                              \
        for (int64_t j = 0; j < columns; j++) ((S *)out)[j] = STORE(END(T, lanes[j], rows));                           \
    }

#define SAME(T)                T
#define WIDE(T)                double
#define MODULAR(T)             uint64_t
#define IS_SIGNED(T)           ((T)-1 < (T)1)
#define TOP_BIT(T)             (UINT64_C(1) << (8 * sizeof(T) - 1))
#define ZERO(T)                0
#define ONE(T)                 1
#define LOWEST(T)              (-INFINITY)
#define HIGHEST(T)             INFINITY
#define LOWEST_INT(T)          (IS_SIGNED(T) ? (T)TOP_BIT(T) : (T)0)
#define HIGHEST_INT(T)         (IS_SIGNED(T) ? (T)(TOP_BIT(T) - 1) : (T)-1)
#define PLAIN(T, x)            (x)
#define SIZE(T, x)             fabs((double)(x))
#define SIZE_INT(T, x)         (IS_SIGNED(T) && (x) < (T)1 ? 0 - (uint64_t)(x) : (uint64_t)(x))
#define SQUARE(T, x)           ((double)(x) * (double)(x))
#define SQUARE_INT(T, x)       ((uint64_t)(x) * (uint64_t)(x))
#define ADD(a, b)              ((a) + (b))
#define TIMES(a, b)            ((a) * (b))
#define SMALLER(a, b)          ((b) < (a) || (b) != (b) ? (b) : (a)) /* NaN wins */
#define LARGER(a, b)           ((b) > (a) || (b) != (b) ? (b) : (a))
#define LEAVE(T, a, n)         ((T)(a))
#define SHARE(T, a, n)         ((T)((a) / (double)(n)))
#define SHARE_INT(T, a, n)     (!(n) ? 0 : IS_SIGNED(T) ? (T)((int64_t)(a) / (n)) : (T)((a) / (uint64_t)(n)))
#define ROOT(T, a, n)          ((T)sqrt(a))
#define ROOT_INT(T, a, n)      MT_SATURATE(T, sqrt((double)(a)))
#define LOGARITHM(T, a, n)     ((T)log(a))
#define LOGARITHM_INT(T, a, n) MT_SATURATE(T, log((double)(a)))
#define AS_FLOAT(T, a)         ((T)(a))

#define REDUCTION(name, A, MAP, START, JOIN, END, A_INT, MAP_INT, START_INT, END_INT)                                  \
    MT_FLOATS(REDUCE_LOOP, name, A, MAP, START, JOIN, END)                                                             \
    MT_INTS(REDUCE_LOOP, name, A_INT, MAP_INT, START_INT, JOIN, END_INT)                                               \
    static const reduce_loop name##_loops[MT_TYPES] = {MT_NUMBERS(MT_ENTRY, name)};

REDUCTION(sum, WIDE, PLAIN, ZERO, ADD, LEAVE, MODULAR, PLAIN, ZERO, LEAVE)
REDUCTION(mean, WIDE, PLAIN, ZERO, ADD, SHARE, MODULAR, PLAIN, ZERO, SHARE_INT)
REDUCTION(prod, WIDE, PLAIN, ONE, TIMES, LEAVE, MODULAR, PLAIN, ONE, LEAVE)
REDUCTION(l1, WIDE, SIZE, ZERO, ADD, LEAVE, MODULAR, SIZE_INT, ZERO, LEAVE)
REDUCTION(l2, WIDE, SQUARE, ZERO, ADD, ROOT, MODULAR, SQUARE_INT, ZERO, ROOT_INT)
REDUCTION(sum_square, WIDE, SQUARE, ZERO, ADD, LEAVE, MODULAR, SQUARE_INT, ZERO, LEAVE)
REDUCTION(log_sum, WIDE, PLAIN, ZERO, ADD, LOGARITHM, MODULAR, PLAIN, ZERO, LOGARITHM_INT)

#define EXTREME(name, JOIN, START, START_INT, START_BOOL)                                                              \
    MT_FLOATS(REDUCE_LOOP, name, SAME, PLAIN, START, JOIN, LEAVE)                                                      \
    MT_INTS(REDUCE_LOOP, name, SAME, PLAIN, START_INT, JOIN, LEAVE)                                                    \
    MT_BOOL(REDUCE_LOOP, name, SAME, PLAIN, START_BOOL, JOIN, LEAVE)                                                   \
    static const reduce_loop name##_loops[MT_TYPES] = {MT_NUMBERS(MT_ENTRY, name) MT_BOOL(MT_ENTRY, name)};
EXTREME(min, SMALLER, HIGHEST, HIGHEST_INT, ONE)
EXTREME(max, LARGER, LOWEST, LOWEST_INT, ZERO)

/* log(sum(exp(x))), with the largest x taken out before and put back after. */
#define LOG_SUM_EXP(TYPE, tag, S, T, LOAD, STORE, SIMD, name, FROM_DOUBLE)                                             \
    static void name##_##tag(void *out, const void *in, int64_t rows, int64_t step, int64_t columns)                   \
    {                                                                                                                  \
        const S *x = in;                                                                                               \
        for (int64_t j = 0; j < columns; j++) {                                                                        \
            double most = -INFINITY, sum = 0;                                                                          \
            for (int64_t i = 0; i < rows; i++) most = LARGER(most, (double)LOAD(x[i * step + j]));                     \
            double shift = isinf(most) ? 0 : most;                                                                     \
            for (int64_t i = 0; i < rows; i++) sum += exp((double)LOAD(x[i * step + j]) - shift);                      \
            ((S *)out)[j] = STORE(FROM_DOUBLE(T, log(sum) + shift));                                                   \
        }                                                                                                              \
    }
MT_FLOATS(LOG_SUM_EXP, log_sum_exp, AS_FLOAT)
MT_INTS(LOG_SUM_EXP, log_sum_exp, MT_SATURATE)
static const reduce_loop log_sum_exp_loops[MT_TYPES] = {MT_NUMBERS(MT_ENTRY, log_sum_exp)};

/* --- running one ---------------------------------------------------------------------------------------------- */

typedef struct reduce_work {
    reduce_view view;
    reduce_loop loop;
    char *out;
    size_t size;
} reduce_work;

/* Blocks of up to LANES columns, numbered through all outer positions. */
static void reduce_blocks(void *context, int64_t begin, int64_t end)
{
    const reduce_work *w = context;
    const reduce_view *v = &w->view;
    int64_t across = mt_blocks(v->inner, LANES);
    for (int64_t block = begin; block < end; block++) {
        int64_t outer = block / across, column = block % across * LANES;
        const char *in = (const char *)v->data + (size_t)(outer * v->length * v->inner + column) * w->size;
        w->loop(w->out + (size_t)(outer * v->inner + column) * w->size, in, v->length, v->inner,
                mt_min(LANES, v->inner - column));
    }
}

static void run_reduce(mt_op_context *c, reduce_work *work)
{
    int64_t across = mt_blocks(work->view.inner, LANES);
    mt_ranges(c->pool, work->view.outer * across, mt_row_grain(work->view.length * mt_min(LANES, work->view.inner)),
              reduce_blocks, work);
}

/* The output's shape: reduced axes are 1, or gone. */
static int reduced_dims(const motet_tensor *in, unsigned set, bool keep, int64_t *dims)
{
    int rank = 0;
    for (int i = 0; i < in->rank; i++) {
        if (!(set >> i & 1))
            dims[rank++] = in->dims[i];
        else if (keep)
            dims[rank++] = 1;
    }
    return rank;
}

static motet_status reduce(mt_op_context *c, const reduce_loop *loops)
{
    const motet_tensor *in;
    motet_tensor *out;
    unsigned set;
    bool given;
    MT_TRY(mt_need(c, 0, &in));
    reduce_work work = {.loop = MT_PICK(loops, in->type)};
    if (!work.loop) return mt_op_fail_type(c, 0);
    MT_TRY(mt_axes_given(c, 1, in->rank, &set, &given));
    if (!given && !mt_attr_int(c, "noop_with_empty_axes", 0)) set = (1u << in->rank) - 1;
    int64_t dims[MOTET_MAX_RANK];
    int rank = reduced_dims(in, set, mt_attr_int(c, "keepdims", 1) != 0, dims);
    MT_TRY(mt_out(c, 0, in->type, rank, dims, &out));
    MT_TRY(view_axes(c, in, set, &work.view));
    work.out = out->data;
    work.size = motet_type_size(in->type);
    run_reduce(c, &work);
    return MOTET_OK;
}

#define REDUCE(name)                                                                                                   \
    motet_status mt_op_reduce_##name(mt_op_context *c)                                                                 \
    {                                                                                                                  \
        return reduce(c, name##_loops);                                                                                \
    }
REDUCE(sum)
REDUCE(mean)
REDUCE(prod)
REDUCE(l1)
REDUCE(l2)
REDUCE(sum_square)
REDUCE(log_sum)
REDUCE(log_sum_exp)
REDUCE(min)
REDUCE(max)

/* --- ArgMax and ArgMin ---------------------------------------------------------------------------------------- */

typedef int64_t (*arg_loop)(const void *in, int64_t n, int64_t step, bool last);

/* The first or last place of the extreme value; NaN counts as extreme. */
#define ARG_LOOP(TYPE, tag, S, T, LOAD, STORE, SIMD, name, BEFORE)                                                     \
    static int64_t name##_##tag(const void *in, int64_t n, int64_t step, bool last)                                    \
    {                                                                                                                  \
        const S *x = in;                                                                                               \
        int64_t at = 0;                                                                                                \
        T best = LOAD(x[0]);                                                                                           \
        for (int64_t i = 1; i < n; i++) {                                                                              \
            T value = LOAD(x[i * step]);                                                                               \
            bool beats = value BEFORE best || (value != value && best == best);                                        \
            if (!beats && !(last && value == best)) continue;                                                          \
            at = i;                                                                                                    \
            best = value;                                                                                              \
        }                                                                                                              \
        return at;                                                                                                     \
    }
MT_NUMBERS(ARG_LOOP, arg_max, >)
MT_NUMBERS(ARG_LOOP, arg_min, <)
static const arg_loop arg_max_loops[MT_TYPES] = {MT_NUMBERS(MT_ENTRY, arg_max)};
static const arg_loop arg_min_loops[MT_TYPES] = {MT_NUMBERS(MT_ENTRY, arg_min)};

static motet_status arg(mt_op_context *c, const arg_loop *loops)
{
    const motet_tensor *in;
    motet_tensor *out;
    int axis = 0;
    MT_TRY(mt_need(c, 0, &in));
    arg_loop loop = MT_PICK(loops, in->type);
    if (!loop) return mt_op_fail_type(c, 0);
    MT_TRY(mt_axis(c, mt_attr_int(c, "axis", 0), in->rank, &axis));
    bool last = mt_attr_int(c, "select_last_index", 0) != 0;
    int64_t dims[MOTET_MAX_RANK], length = in->dims[axis], inner = mt_span(in->dims, axis + 1, in->rank);
    int rank = reduced_dims(in, 1u << axis, mt_attr_int(c, "keepdims", 1) != 0, dims);
    MT_TRY(mt_out(c, 0, MOTET_INT64, rank, dims, &out));
    if (length == 0 && out->count) return mt_op_fail(c, MOTET_ERROR_SHAPE, "axis %d has no elements", axis);
    for (int64_t i = 0; i < out->count; i++)
        ((int64_t *)out->data)[i] = loop(mt_at(in, i / inner * length * inner + i % inner), length, inner, last);
    return MOTET_OK;
}

motet_status mt_op_arg_max(mt_op_context *c)
{
    return arg(c, arg_max_loops);
}
motet_status mt_op_arg_min(mt_op_context *c)
{
    return arg(c, arg_min_loops);
}

/* --- CumSum and CumProd --------------------------------------------------------------------------------------- */

typedef void (*cum_loop)(void *out, const void *in, int64_t n, int64_t step, bool exclusive);

/* A negative step runs from the end. */
#define CUM_LOOP(TYPE, tag, S, T, LOAD, STORE, SIMD, name, A, START, JOIN)                                             \
    static void name##_##tag(void *out, const void *in, int64_t n, int64_t step, bool exclusive)                       \
    {                                                                                                                  \
        A(T) total = START(T);                                                                                         \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            A(T) before = total;                                                                                       \
            total = JOIN(total, (A(T))LOAD(((const S *)in)[i * step]));                                                \
            ((S *)out)[i * step] = STORE((T)(exclusive ? before : total));                                             \
        }                                                                                                              \
    }
#define CUMULATION(name, START, JOIN)                                                                                  \
    MT_FLOATS(CUM_LOOP, name, WIDE, START, JOIN)                                                                       \
    MT_INTS(CUM_LOOP, name, MODULAR, START, JOIN)                                                                      \
    static const cum_loop name##_loops[MT_TYPES] = {MT_NUMBERS(MT_ENTRY, name)};
CUMULATION(cum_sum, ZERO, ADD)
CUMULATION(cum_prod, ONE, TIMES)

static motet_status cumulate(mt_op_context *c, const cum_loop *loops)
{
    const motet_tensor *in;
    motet_tensor *out;
    int64_t given;
    int count, axis = 0;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_in_ints(c, 1, &given, 1, &count));
    cum_loop loop = MT_PICK(loops, in->type);
    if (!loop) return mt_op_fail_type(c, 0);
    if (count != 1) return mt_op_fail(c, MOTET_ERROR_SHAPE, "axis must be one number");
    MT_TRY(mt_axis(c, given, in->rank, &axis));
    MT_TRY(mt_out(c, 0, in->type, in->rank, in->dims, &out));
    bool exclusive = mt_attr_int(c, "exclusive", 0) != 0, reverse = mt_attr_int(c, "reverse", 0) != 0;
    int64_t length = in->dims[axis], inner = mt_span(in->dims, axis + 1, in->rank);
    for (int64_t i = 0; i < (length ? in->count / length : 0); i++) {
        int64_t start = i / inner * length * inner + i % inner + (reverse ? (length - 1) * inner : 0);
        loop(mt_at(out, start), mt_at(in, start), length, reverse ? -inner : inner, exclusive);
    }
    return MOTET_OK;
}

motet_status mt_op_cum_sum(mt_op_context *c)
{
    return cumulate(c, cum_sum_loops);
}
motet_status mt_op_cum_prod(mt_op_context *c)
{
    return cumulate(c, cum_prod_loops);
}
