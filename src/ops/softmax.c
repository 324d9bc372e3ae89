/* Softmax, LogSoftmax and Hardmax. From opset 13 on they work along one axis; before, the tensor is taken as a matrix
 * whose rows begin at `axis`. */
#include <math.h>

#include "kernels/rows.h"
#include "ops/support.h"

/* One row of n elements, `step` apart. */
typedef void (*row_loop)(void *y, const void *x, int64_t n, int64_t step);

#define LARGEST(T, x, n, step)                                                                                         \
    T most = x[0];                                                                                                     \
    for (int64_t i = 1; i < n; i++) most = x[i * step] > most ? x[i * step] : most

#define ROW_LOOPS(TYPE, tag, S, T, LOAD, STORE, SIMD, ...)                                                             \
    static void soft_##tag(void *to, const void *from, int64_t n, int64_t step)                                        \
    {                                                                                                                  \
        const T *x = from;                                                                                             \
        T *y = to;                                                                                                     \
        double sum = 0;                                                                                                \
        LARGEST(T, x, n, step);                                                                                        \
        for (int64_t i = 0; i < n; i++) sum += exp((double)(x[i * step] - most));                                      \
        for (int64_t i = 0; i < n; i++) y[i * step] = (T)(exp((double)(x[i * step] - most)) / sum);                    \
    }                                                                                                                  \
    static void log_soft_##tag(void *to, const void *from, int64_t n, int64_t step)                                    \
    {                                                                                                                  \
        const T *x = from;                                                                                             \
        T *y = to;                                                                                                     \
        double sum = 0;                                                                                                \
        LARGEST(T, x, n, step);                                                                                        \
        for (int64_t i = 0; i < n; i++) sum += exp((double)(x[i * step] - most));                                      \
        for (int64_t i = 0; i < n; i++) y[i * step] = (T)((double)(x[i * step] - most) - log(sum));                    \
    }                                                                                                                  \
    static void hard_##tag(void *to, const void *from, int64_t n, int64_t step)                                        \
    {                                                                                                                  \
        const T *x = from;                                                                                             \
        T *y = to;                                                                                                     \
        int64_t best = 0;                                                                                              \
        for (int64_t i = 1; i < n; i++)                                                                                \
            if (x[i * step] > x[best * step]) best = i;                                                                \
        for (int64_t i = 0; i < n; i++) y[i * step] = i == best;                                                       \
    }
MT_WIDE_FLOATS(ROW_LOOPS)

static void soft_dense(void *y, const void *x, int64_t n, int64_t step)
{
    (void)step;
    mt_softmax_row(y, x, n);
}

typedef struct softmax_work {
    row_loop loop;
    char *y;
    const char *x;
    size_t size;
    int64_t length, inner;
} softmax_work;

static void softmax_rows(void *context, int64_t begin, int64_t end)
{
    const softmax_work *w = context;
    for (int64_t row = begin; row < end; row++) {
        size_t start = (size_t)(row / w->inner * w->length * w->inner + row % w->inner) * w->size;
        w->loop(w->y + start, w->x + start, w->length, w->inner);
    }
}

static motet_status along_axis(mt_op_context *c, row_loop f32, row_loop f64, row_loop dense)
{
    const motet_tensor *in;
    int axis = 0;
    bool one_axis = c->version >= 13;
    MT_TRY(mt_need(c, 0, &in));
    if (!mt_is_float(in->type)) return mt_op_fail_type(c, 0);
    MT_TRY(mt_axis(c, mt_attr_int(c, "axis", one_axis ? -1 : 1), in->rank, &axis));
    mt_value_out out;
    const void *x;
    MT_TRY(mt_value_out_make(c, 0, in->type, in->rank, in->dims, &out));
    MT_TRY(mt_values(c, in, out.type, &x));
    softmax_work work = {.y = out.values, .x = x, .size = motet_type_size(out.type)};
    work.length = one_axis ? in->dims[axis] : mt_span(in->dims, axis, in->rank);
    work.inner = one_axis ? mt_span(in->dims, axis + 1, in->rank) : 1;
    if (in->count == 0) return MOTET_OK;
    bool use_dense = dense && work.inner == 1 && out.type == MOTET_FLOAT && !c->reference;
    work.loop = use_dense ? dense : out.type == MOTET_DOUBLE ? f64 : f32;
    mt_ranges(c->pool, in->count / work.length, mt_row_grain(work.length), softmax_rows, &work);
    mt_value_out_store(&out);
    return MOTET_OK;
}

motet_status mt_op_softmax(mt_op_context *c)
{
    return along_axis(c, soft_f32, soft_f64, soft_dense);
}
motet_status mt_op_log_softmax(mt_op_context *c)
{
    return along_axis(c, log_soft_f32, log_soft_f64, NULL);
}
motet_status mt_op_hardmax(mt_op_context *c)
{
    return along_axis(c, hard_f32, hard_f64, NULL);
}
