/* Pooling: MaxPool, AveragePool, LpPool and their global forms. For every output position the window is first clipped
 * to the input, so that the loops over it meet no padding. */
#include <math.h>
#include <string.h>

#include "ops/window.h"

/* The part of a window that lies inside the input: along each axis `count` positions from `first` on, `dilation` apart.
 */
typedef struct clipped {
    int64_t first[MT_WINDOW_AXES], count[MT_WINDOW_AXES];
    int64_t lines; /* the product of all counts but the last axis' */
} clipped;

static void clip_window(const mt_window *w, int64_t out, clipped *box)
{
    box->lines = 1;
    for (int i = w->axes - 1; i >= 0; i--) {
        int64_t origin = out % w->out[i] * w->stride[i] - w->before[i];
        int64_t skipped = origin < 0 ? mt_blocks(-origin, w->dilation[i]) : 0;
        out /= w->out[i];
        box->first[i] = origin + skipped * w->dilation[i];
        box->count[i] = mt_max(0, mt_min(w->kernel[i] - skipped, mt_blocks(w->in[i] - box->first[i], w->dilation[i])));
        if (i < w->axes - 1) box->lines *= box->count[i];
    }
}

/* Where line `line` of the box (a run along the last axis) begins in the channel. */
static int64_t line_start(const mt_window *w, const clipped *box, int64_t line)
{
    int last = w->axes - 1;
    int64_t at = box->first[last], scale = w->in[last];
    for (int i = last - 1; i >= 0; i--) {
        at += (box->first[i] + line % box->count[i] * w->dilation[i]) * scale;
        line /= box->count[i];
        scale *= w->in[i];
    }
    return at;
}

typedef struct pool_work {
    const mt_window *window;
    const void *x;
    void *y;
    int64_t *indices; /* MaxPool's second output, or NULL */
    bool column_major, count_padding;
    double power; /* LpPool */
} pool_work;

/* --- MaxPool -------------------------------------------------------------------------------------------------- */

/* A position's number with the first axis running fastest. */
static int64_t column_major(const mt_window *w, int64_t at)
{
    int64_t place[MT_WINDOW_AXES], number = 0;
    for (int i = w->axes - 1; i >= 0; i--) {
        place[i] = at % w->in[i];
        at /= w->in[i];
    }
    for (int i = w->axes - 1; i >= 0; i--) number = number * w->in[i] + place[i];
    return number;
}

/* The outputs of a row whose windows have tap `k` of the last axis inside the input. */
static void find_outputs(const mt_window *w, int64_t k, int64_t *from, int64_t *to)
{
    int last = w->axes - 1;
    int64_t at = k * w->dilation[last] - w->before[last], end = w->in[last] - at; /* of output 0; elements from there */
    *from = at < 0 ? mt_blocks(-at, w->stride[last]) : 0;
    *to = end > 0 ? mt_min(w->out[last], mt_blocks(end, w->stride[last])) : 0;
}

/* Channels begin .. end-1 of the batch, a row along the last axis at a time, a tap at a time. NaN stays. */
#define MAX_CHANNELS(TYPE, tag, S, T, LOAD, STORE, SIMD, LOWEST)                                                       \
    static void max_##tag(void *context, int64_t begin, int64_t end)                                                   \
    {                                                                                                                  \
        const pool_work *p = context;                                                                                  \
        const mt_window *w = p->window;                                                                                \
        int last = w->axes - 1;                                                                                        \
        int64_t width = w->out[last], rows = w->out_count / width, stride = w->stride[last], from, to;                 \
        for (int64_t row = begin * rows; row < end * rows; row++) {                                                    \
            T *y = (T *)p->y + row * width;                                                                            \
            clipped box;                                                                                               \
            clip_window(w, row % rows * width, &box);                                                                  \
            for (int64_t i = 0; i < width; i++) y[i] = LOWEST;                                                         \
            for (int64_t line = 0; line < box.lines; line++) {                                                         \
                const T *x = (const T *)p->x + row / rows * w->in_count + line_start(w, &box, line) - box.first[last]; \
                for (int64_t k = 0; k < w->kernel[last]; k++) {                                                        \
                    int64_t at = k * w->dilation[last] - w->before[last];                                              \
                    find_outputs(w, k, &from, &to);                                                                    \
                    for (int64_t i = from; i < to; i++) {                                                              \
                        T value = x[i * stride + at];                                                                  \
                        y[i] = value > y[i] || value != value ? value : y[i];                                          \
                    }                                                                                                  \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }
MT_WIDE_FLOATS(MAX_CHANNELS, -INFINITY)
MT_I8(MAX_CHANNELS, INT8_MIN)
MT_U8(MAX_CHANNELS, 0)

/* The same a window at a time, and where it was found: for those who ask, and for windows over all of a channel. */
#define MAX_PLACES(TYPE, tag, S, T, LOAD, STORE, SIMD, LOWEST)                                                         \
    static void place_##tag(void *context, int64_t begin, int64_t end)                                                 \
    {                                                                                                                  \
        const pool_work *p = context;                                                                                  \
        const mt_window *w = p->window;                                                                                \
        int last = w->axes - 1;                                                                                        \
        for (int64_t i = begin * w->out_count; i < end * w->out_count; i++) {                                          \
            int64_t channel = i / w->out_count * w->in_count, best_at = -1;                                            \
            const T *x = (const T *)p->x + channel;                                                                    \
            T best = LOWEST;                                                                                           \
            clipped box;                                                                                               \
            clip_window(w, i % w->out_count, &box);                                                                    \
            for (int64_t line = 0; line < box.lines; line++) {                                                         \
                int64_t at = line_start(w, &box, line);                                                                \
                for (int64_t k = 0; k < box.count[last]; k++, at += w->dilation[last]) {                               \
                    if (!(x[at] > best || best_at < 0 || x[at] != x[at])) continue;                                    \
                    best = x[at];                                                                                      \
                    best_at = at;                                                                                      \
                }                                                                                                      \
            }                                                                                                          \
            ((T *)p->y)[i] = best;                                                                                     \
            if (p->indices && best_at >= 0)                                                                            \
                p->indices[i] = channel + (p->column_major ? column_major(w, best_at) : best_at);                      \
        }                                                                                                              \
    }
MT_WIDE_FLOATS(MAX_PLACES, -INFINITY)
MT_I8(MAX_PLACES, INT8_MIN)
MT_U8(MAX_PLACES, 0)

/* --- AveragePool and LpPool ----------------------------------------------------------------------------------- */

/* What an average divides by: positions inside the input or, with padding counted, inside the padded input. */
static double window_size(const mt_window *w, int64_t out, const clipped *box, bool count_padding)
{
    double size = 1;
    for (int i = w->axes - 1; i >= 0; i--) {
        int64_t origin = out % w->out[i] * w->stride[i] - w->before[i];
        int64_t padded = mt_min(w->kernel[i], mt_blocks(w->in[i] + w->after[i] - origin, w->dilation[i]));
        out /= w->out[i];
        size *= (double)(count_padding ? padded : box->count[i]);
    }
    return size;
}

#define SUM_CHANNELS(TYPE, tag, S, T, LOAD, STORE, SIMD, name, MAP, END)                                               \
    static void name##_##tag(void *context, int64_t begin, int64_t end)                                                \
    {                                                                                                                  \
        const pool_work *p = context;                                                                                  \
        const mt_window *w = p->window;                                                                                \
        int last = w->axes - 1;                                                                                        \
        for (int64_t i = begin * w->out_count; i < end * w->out_count; i++) {                                          \
            const T *x = (const T *)p->x + i / w->out_count * w->in_count;                                             \
            double sum = 0;                                                                                            \
            clipped box;                                                                                               \
            clip_window(w, i % w->out_count, &box);                                                                    \
            for (int64_t line = 0; line < box.lines; line++) {                                                         \
                int64_t at = line_start(w, &box, line);                                                                \
                for (int64_t k = 0; k < box.count[last]; k++, at += w->dilation[last]) sum += MAP((double)x[at]);      \
            }                                                                                                          \
            ((T *)p->y)[i] = (T)END(sum);                                                                              \
        }                                                                                                              \
    }
#define SAME(x)    (x)
#define MEAN(x)    ((x) / window_size(w, i % w->out_count, &box, p->count_padding))
#define POWER(x)   pow(fabs(x), p->power)
#define UNPOWER(x) pow(x, 1 / p->power)
MT_WIDE_FLOATS(SUM_CHANNELS, mean, SAME, MEAN)
MT_WIDE_FLOATS(SUM_CHANNELS, lp, POWER, UNPOWER)

/* --- running one ---------------------------------------------------------------------------------------------- */

/* The loop of each working type. */
typedef struct pooling {
    void (*loops[MT_TYPES])(void *context, int64_t begin, int64_t end);
    bool has_indices;
} pooling;

static const pooling max_pooling = {{MT_WIDE_FLOATS(MT_ENTRY, max) MT_I8(MT_ENTRY, max) MT_U8(MT_ENTRY, max)}, false};
static const pooling max_places = {{MT_WIDE_FLOATS(MT_ENTRY, place) MT_I8(MT_ENTRY, place) MT_U8(MT_ENTRY, place)},
                                   true};
static const pooling mean_pooling = {{MT_WIDE_FLOATS(MT_ENTRY, mean)}, false};
static const pooling lp_pooling = {{MT_WIDE_FLOATS(MT_ENTRY, lp)}, false};

/* A window over all positions. */
static motet_status global_window(mt_op_context *c, const motet_tensor *in, mt_window *w)
{
    if (in->rank < 3 || in->rank - 2 > MT_WINDOW_AXES)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "a tensor with %d axes: expected batch, channels and 1 to %d more",
                          in->rank, MT_WINDOW_AXES);
    *w = (mt_window){.axes = in->rank - 2, .in_count = mt_span(in->dims, 2, in->rank), .out_count = 1};
    for (int i = 0; i < w->axes; i++) {
        w->in[i] = w->kernel[i] = in->dims[i + 2];
        w->stride[i] = w->dilation[i] = w->out[i] = 1;
    }
    w->taps = w->in_count;
    return MOTET_OK;
}

static motet_status make_indices(mt_op_context *c, const mt_value_out *values, pool_work *work)
{
    motet_tensor *indices;
    MT_TRY(mt_out(c, 1, MOTET_INT64, values->tensor->rank, values->tensor->dims, &indices));
    memset(indices->data, 0, (size_t)indices->count * sizeof(int64_t));
    work->indices = indices->data;
    return MOTET_OK;
}

static motet_status pool(mt_op_context *c, pool_work *work, const pooling *kind, bool global)
{
    const motet_tensor *in;
    mt_window window;
    mt_value_out out;
    MT_TRY(mt_need(c, 0, &in));
    motet_type type = mt_working_type(in->type);
    if (!MT_PICK(kind->loops, type)) return mt_op_fail_type(c, 0);
    if (global)
        MT_TRY(global_window(c, in, &window));
    else
        MT_TRY(mt_window_read(c, in, NULL, mt_attr_int(c, "ceil_mode", 0) != 0, &window));
    int64_t dims[MOTET_MAX_RANK] = {in->dims[0], in->dims[1]};
    memcpy(dims + 2, window.out, (size_t)window.axes * sizeof *dims);
    MT_TRY(mt_value_out_make(c, 0, in->type, in->rank, dims, &out));
    if (kind->has_indices && mt_wanted(c, 1)) MT_TRY(make_indices(c, &out, work));
    work->window = &window;
    work->y = out.values;
    MT_TRY(mt_values(c, in, type, &work->x));
    if (out.tensor->count)
        mt_ranges(c->pool, mt_span(dims, 0, 2), mt_row_grain(window.out_count), kind->loops[type], work);
    mt_value_out_store(&out);
    return MOTET_OK;
}

motet_status mt_op_max_pool(mt_op_context *c)
{
    const pooling *kind = mt_wanted(c, 1) ? &max_places : &max_pooling;
    return pool(c, &(pool_work){.column_major = mt_attr_int(c, "storage_order", 0) != 0}, kind, false);
}
motet_status mt_op_average_pool(mt_op_context *c)
{
    return pool(c, &(pool_work){.count_padding = mt_attr_int(c, "count_include_pad", 0) != 0}, &mean_pooling, false);
}
motet_status mt_op_lp_pool(mt_op_context *c)
{
    return pool(c, &(pool_work){.power = (double)mt_attr_int(c, "p", 2)}, &lp_pooling, false);
}
motet_status mt_op_global_max_pool(mt_op_context *c)
{
    return pool(c, &(pool_work){0}, &max_places, true);
}
motet_status mt_op_global_average_pool(mt_op_context *c)
{
    return pool(c, &(pool_work){0}, &mean_pooling, true);
}
motet_status mt_op_global_lp_pool(mt_op_context *c)
{
    return pool(c, &(pool_work){.power = (double)mt_attr_int(c, "p", 2)}, &lp_pooling, true);
}
