/* Three ways to convolve.
 *
 * A window of one element that moves by one is a matrix product as it stands. A group of one or two channels is added
 * up tap by tap over whole output rows, which vectorises (depthwise). Everything else is unrolled into a matrix with
 * a row for every weight and a column for every output position, then multiplied. That matrix never exceeds UNROLLED
 * floats: a large convolution goes by slices of columns, small groups go several at a time. Both the unrolling and the
 * product are spread over the pool in blocks that depend on the shape alone. */
#include "kernels/conv.h"

#include <string.h>

#include "kernels/gemm.h"
#include "kernels/simd.h"

enum { UNROLLED = 1 << 21, UNROLL_GRAIN = 1 << 15, MAX_UNITS = 64 };

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static bool is_pointwise(const mt_window *w)
{
    for (int i = 0; i < w->axes; i++)
        if (w->kernel[i] != 1 || w->stride[i] != 1 || w->before[i] || w->after[i]) return false;
    return true;
}

static bool is_depthwise(const mt_conv *conv)
{
    return conv->in_channels * conv->out_channels <= 2;
}

/* Output positions [*low, *high) of axis `axis` for which tap `tap` lies inside the input. */
static void inside_range(const mt_window *w, int axis, int64_t tap, int64_t *low, int64_t *high)
{
    int64_t offset = tap * w->dilation[axis] - w->before[axis], stride = w->stride[axis];
    *low = offset < 0 ? (-offset + stride - 1) / stride : 0;
    int64_t last = w->in[axis] - 1 - offset; /* o * stride <= last */
    *high = last < 0 ? 0 : least(last / stride + 1, w->out[axis]);
    if (*low > *high) *low = *high;
}

/* --- rows ----------------------------------------------------------------------------------------------------- */

/* A row is the last spatial axis at one position of the others. Finds input row for output row `row` and the tap
 * `taps[]`: false when it lies in the padding. */
static bool input_row(const mt_window *w, int64_t row, const int64_t *taps, int64_t *out)
{
    int64_t at = 0, scale = 1;
    for (int i = w->axes - 2; i >= 0; i--) {
        int64_t position = row % w->out[i] * w->stride[i] + taps[i] * w->dilation[i] - w->before[i];
        row /= w->out[i];
        if (position < 0 || position >= w->in[i]) return false;
        at += position * scale;
        scale *= w->in[i];
    }
    *out = at * w->in[w->axes - 1];
    return true;
}

static void read_taps(const mt_window *w, int64_t tap, int64_t *taps)
{
    for (int i = w->axes - 1; i >= 0; i--) {
        taps[i] = tap % w->kernel[i];
        tap /= w->kernel[i];
    }
}

/* --- the pointwise way ---------------------------------------------------------------------------------------- */

typedef struct conv_work {
    const mt_conv *conv;
    const float *x, *weights, *bias;
    float *y, *unrolled;
    int64_t first_unit, units;     /* of batch * groups, in the current round */
    int64_t first_column, columns; /* of the output positions, in the current round */
} conv_work;

static const float *unit_input(const conv_work *w, int64_t unit)
{
    return w->x + unit * w->conv->in_channels * w->conv->window.in_count;
}

static float *unit_output(const conv_work *w, int64_t unit)
{
    return w->y + unit * w->conv->out_channels * w->conv->window.out_count;
}

static const float *unit_weights(const conv_work *w, int64_t unit)
{
    const mt_conv *conv = w->conv;
    return w->weights + unit % conv->groups * conv->out_channels * conv->in_channels * conv->window.taps;
}

static void set_bias(void *context, size_t channel)
{
    const conv_work *w = context;
    int64_t count = w->conv->window.out_count;
    float value = w->bias[(int64_t)channel % (w->conv->groups * w->conv->out_channels)];
    float *row = w->y + (int64_t)channel * count;
    for (int64_t i = 0; i < count; i++) row[i] = value;
}

/* The products of one round; `right` holds the columns of the units, `right_step` floats apart, rows `ldb` apart. */
static void multiply(mt_pool *pool, const conv_work *w, const float *right, int64_t right_step, int64_t ldb)
{
    const mt_conv *conv = w->conv;
    int64_t k = conv->in_channels * conv->window.taps;
    mt_gemm shape = mt_gemm_plain(conv->out_channels, w->columns, k);
    shape.ldb = ldb;
    shape.ldc = conv->window.out_count;
    shape.beta = w->bias ? 1 : 0;
    const float *a[MAX_UNITS], *b[MAX_UNITS];
    float *c[MAX_UNITS];
    for (int64_t i = 0; i < w->units; i++) {
        a[i] = unit_weights(w, w->first_unit + i);
        b[i] = right + i * right_step;
        c[i] = unit_output(w, w->first_unit + i) + w->first_column;
    }
    mt_sgemm_batch(pool, &shape, w->units, a, b, c);
}

static void run_pointwise(mt_pool *pool, conv_work *w)
{
    int64_t units = w->conv->batch * w->conv->groups, count = w->conv->window.out_count;
    w->columns = count;
    for (w->first_unit = 0; w->first_unit < units; w->first_unit += w->units) {
        w->units = least(MAX_UNITS, units - w->first_unit);
        multiply(pool, w, unit_input(w, w->first_unit), w->conv->in_channels * count, count);
    }
}

/* --- the unrolled way ----------------------------------------------------------------------------------------- */

/* Part [begin, end) of one output row's inputs for one tap of the last axis. */
static void unroll_row(const mt_window *w, int64_t tap, const float *from, int64_t begin, int64_t end, float *to)
{
    int last = w->axes - 1;
    int64_t low, high, stride = w->stride[last], offset = tap * w->dilation[last] - w->before[last];
    inside_range(w, last, tap, &low, &high);
    low = low < begin ? begin : least(low, end);
    high = high > end ? end : high < low ? low : high;
    memset(to, 0, (size_t)(low - begin) * sizeof *to);
    if (stride == 1)
        memcpy(to + low - begin, from + low + offset, (size_t)(high - low) * sizeof *to);
    else
        for (int64_t i = low; i < high; i++) to[i - begin] = from[i * stride + offset];
    memset(to + high - begin, 0, (size_t)(end - high) * sizeof *to);
}

/* One row of the unrolled matrix: weight `weight` (a channel and a tap) at the round's columns. */
static void unroll_weight(const conv_work *work, int64_t unit, int64_t weight, float *to)
{
    const mt_window *w = &work->conv->window;
    int64_t taps[MT_WINDOW_AXES], width = w->out[w->axes - 1], end = work->first_column + work->columns;
    const float *channel = unit_input(work, unit) + weight / w->taps * w->in_count;
    read_taps(w, weight % w->taps, taps);
    for (int64_t column = work->first_column; column < end;) {
        int64_t begin = column % width, n = least(width - begin, end - column), start;
        if (input_row(w, column / width, taps, &start))
            unroll_row(w, taps[w->axes - 1], channel + start, begin, begin + n, to);
        else
            memset(to, 0, (size_t)n * sizeof *to);
        to += n;
        column += n;
    }
}

static int64_t weights_a_block(int64_t columns)
{
    return columns < UNROLL_GRAIN ? UNROLL_GRAIN / columns : 1;
}

static void unroll_block(void *context, size_t block)
{
    const conv_work *w = context;
    int64_t weights = w->conv->in_channels * w->conv->window.taps, grain = weights_a_block(w->columns);
    int64_t begin = (int64_t)block * grain, end = least(begin + grain, weights * w->units);
    for (int64_t i = begin; i < end; i++)
        unroll_weight(w, w->first_unit + i / weights, i % weights, w->unrolled + i * w->columns);
}

/* How many columns a round takes of a unit, and how many units when it takes them all. */
static void plan_rounds(const mt_conv *conv, int64_t *columns, int64_t *units)
{
    int64_t weights = conv->in_channels * conv->window.taps, count = conv->window.out_count;
    *columns = least(count, UNROLLED / weights);
    if (*columns < 1) *columns = 1;
    *units = *columns < count ? 1 : UNROLLED / (weights * count);
    *units = least(least(*units < 1 ? 1 : *units, MAX_UNITS), conv->batch * conv->groups);
}

static void run_unrolled(mt_pool *pool, conv_work *w)
{
    int64_t columns, units, all_units = w->conv->batch * w->conv->groups, count = w->conv->window.out_count;
    int64_t weights = w->conv->in_channels * w->conv->window.taps;
    plan_rounds(w->conv, &columns, &units);
    for (w->first_unit = 0; w->first_unit < all_units; w->first_unit += w->units) {
        w->units = least(units, all_units - w->first_unit);
        for (w->first_column = 0; w->first_column < count; w->first_column += w->columns) {
            w->columns = least(columns, count - w->first_column);
            int64_t grain = weights_a_block(w->columns), rows = weights * w->units;
            mt_parallel(pool, (size_t)((rows + grain - 1) / grain), unroll_block, w);
            multiply(pool, w, w->unrolled, weights * w->columns, w->columns);
        }
    }
}

/* --- the depthwise way ---------------------------------------------------------------------------------------- */

MT_SIMD static void add_scaled(float *restrict y, const float *x, float weight, int64_t stride, int64_t n)
{
    if (stride == 1)
        for (int64_t i = 0; i < n; i++) y[i] += weight * x[i];
    else
        for (int64_t i = 0; i < n; i++) y[i] += weight * x[i * stride];
}

/* One output channel of one item of the batch. */
static void depthwise_channel(void *context, size_t block)
{
    const conv_work *work = context;
    const mt_conv *conv = work->conv;
    const mt_window *w = &conv->window;
    int last = w->axes - 1;
    int64_t unit = (int64_t)block / conv->out_channels, own = (int64_t)block % conv->out_channels;
    int64_t width = w->out[last], weights = conv->in_channels * w->taps;
    const float *x = unit_input(work, unit), *filter = unit_weights(work, unit) + own * weights;
    float *y = unit_output(work, unit) + own * w->out_count;
    for (int64_t row = 0; row * width < w->out_count; row++)
        for (int64_t i = 0; i < weights; i++) {
            int64_t taps[MT_WINDOW_AXES], start, low, high;
            read_taps(w, i % w->taps, taps);
            if (!input_row(w, row, taps, &start)) continue;
            inside_range(w, last, taps[last], &low, &high);
            int64_t first = low * w->stride[last] + taps[last] * w->dilation[last] - w->before[last];
            add_scaled(y + row * width + low, x + i / w->taps * w->in_count + start + (low < high ? first : 0),
                       filter[i], w->stride[last], high - low);
        }
}

static void run_depthwise(mt_pool *pool, conv_work *w)
{
    const mt_conv *conv = w->conv;
    int64_t channels = conv->groups * conv->out_channels * conv->batch;
    if (!w->bias) memset(w->y, 0, (size_t)(channels * conv->window.out_count) * sizeof *w->y);
    mt_parallel(pool, (size_t)channels, depthwise_channel, w);
}

/* --- the choice ----------------------------------------------------------------------------------------------- */

int64_t mt_conv_scratch(const mt_conv *conv)
{
    if (conv->window.out_count == 0 || is_depthwise(conv) || is_pointwise(&conv->window)) return 0;
    int64_t columns, units;
    plan_rounds(conv, &columns, &units);
    return conv->in_channels * conv->window.taps * columns * units;
}

void mt_conv_run(mt_pool *pool, const mt_conv *conv, const float *x, const float *weights, const float *bias, float *y,
                 float *scratch)
{
    conv_work work = {.conv = conv, .x = x, .weights = weights, .bias = bias, .y = y, .unrolled = scratch};
    int64_t channels = conv->groups * conv->out_channels * conv->batch;
    if (channels * conv->window.out_count == 0) return;
    if (bias) mt_parallel(pool, (size_t)channels, set_bias, &work);
    if (is_depthwise(conv))
        run_depthwise(pool, &work);
    else if (is_pointwise(&conv->window))
        run_pointwise(pool, &work);
    else
        run_unrolled(pool, &work);
}
