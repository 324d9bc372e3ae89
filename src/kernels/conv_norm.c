/* The input is unrolled first, a line for every weight, dense whatever the stride: those lines are fewer than the
 * output has, and every filter reads them again. A few filters at a time are a strip of tiles (kernels/tile.h) from the
 * first position to the last. */
#include "kernels/conv_norm.h"

#include <math.h>
#include <string.h>

#include "kernels/bytes.h"
#include "kernels/rows.h"
#include "kernels/simd.h"

enum { FILTERS = MT_TILE_ROWS /* at a time */, AHEAD = 6 * MT_TILE_COLUMNS };

typedef struct job {
    const mt_conv_norm *norm;
    float *lines;
    int64_t depth, length; /* lines of a unit, elements of each */
    int64_t strips;        /* of a unit; a unit is a group of an item of the batch */
} job;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t line_length(const mt_conv *conv)
{
    return (conv->window.out_count + MT_TILE_COLUMNS - 1) / MT_TILE_COLUMNS * MT_TILE_COLUMNS;
}

int64_t mt_conv_norm_room(const mt_conv *conv)
{
    int64_t size, depth = conv->in_channels * conv->window.taps;
    if (__builtin_mul_overflow(conv->batch * conv->groups, depth, &size)) return -1;
    return __builtin_mul_overflow(size, line_length(conv), &size) ? -1 : size;
}

MT_SIMD static void copy_strided(float *restrict to, const float *restrict from, int64_t count, int64_t stride)
{
    for (int64_t i = 0; i < count; i++) to[i] = from[i * stride];
}

/* What one weight sees, and 0 in the padding and beyond the last position. */
static void lay_line(void *context, size_t number)
{
    const job *j = context;
    const mt_window *w = &j->norm->conv->window;
    int64_t channel = (int64_t)number / w->taps, tap = (int64_t)number % w->taps, low, high;
    float *line = j->lines + (int64_t)number * j->length;
    mt_window_inside(w, 0, tap, &low, &high);
    memset(line, 0, (size_t)low * sizeof *line);
    memset(line + high, 0, (size_t)(j->length - high) * sizeof *line);
    const float *x = j->norm->x + channel * w->in_count;
    if (low < high)
        copy_strided(line + low, x + low * w->stride[0] + tap * w->dilation[0] - w->before[0], high - low,
                     w->stride[0]);
}

MT_SIMD static void scale_row(float *y, int64_t n, float factor)
{
    for (int64_t i = 0; i < n; i++) y[i] *= factor;
}

MT_SIMD static void add_to_row(float *y, int64_t n, float bias)
{
    for (int64_t i = 0; i < n; i++) y[i] += bias;
}

static void finish_channel(const mt_conv_norm *norm, int64_t channel)
{
    int64_t n = norm->conv->window.out_count, filter = channel % (norm->conv->groups * norm->conv->out_channels);
    double mean, variance;
    float *y = norm->y + channel * n;
    if (norm->factors) scale_row(y, n, norm->factors[filter]);
    if (norm->bias) add_to_row(y, n, norm->bias[filter]);
    mt_row_moments(y, n, &mean, &variance);
    double factor = 1 / sqrt(variance + norm->epsilon) * (double)norm->scale[filter];
    mt_row_shift(y, y, n, (float)mean, (float)factor, norm->shift[filter]);
    if (norm->activate) norm->activate(y, n);
    if (norm->ranges) mt_byte_range(y, n, &norm->ranges[2 * channel], &norm->ranges[2 * channel + 1]);
}

/* The next tiles of y come from afar; asked for some tiles before they are written, they are there. */
static void fetch(const float *y, int rows, int64_t row, int64_t ahead, int64_t left)
{
    for (int i = 0; i < rows && ahead < left; i++)
        for (int j = 0; j < 2; j++) __builtin_prefetch(y + i * row + ahead + 16 * j, 1);
}

static void run_strip(void *context, size_t number)
{
    const job *j = context;
    const mt_conv_norm *norm = j->norm;
    const mt_conv *conv = norm->conv;
    int64_t n = conv->window.out_count, unit = (int64_t)number / j->strips,
            first = (int64_t)number % j->strips * FILTERS;
    int64_t channel = unit * conv->out_channels + first, filter = channel % (conv->groups * conv->out_channels);
    float *y = norm->y + channel * n;
    const float *lines = j->lines + unit * j->depth * j->length;
    mt_tile_function tile = mt_tile_floats();
    mt_tile t = {.k = j->depth, .a_step = 1, .alpha = 1, .a_row = j->depth, .b_row = j->length, .c_row = n};
    t.a = norm->weights + filter * j->depth;
    t.rows = (int)least(FILTERS, conv->out_channels - first);
    for (int64_t column = 0; column < n; column += MT_TILE_COLUMNS) {
        t.b = lines + column;
        t.c = y + column;
        t.columns = (int)least(MT_TILE_COLUMNS, n - column);
        fetch(y + column, t.rows, n, AHEAD, n - column);
        tile(&t);
    }
    for (int i = 0; i < t.rows; i++) finish_channel(norm, channel + i);
}

void mt_conv_norm_run(mt_pool *pool, const mt_conv_norm *norm, float *room)
{
    const mt_conv *conv = norm->conv;
    int64_t units = conv->batch * conv->groups;
    job j = {.norm = norm, .lines = room, .depth = conv->in_channels * conv->window.taps, .length = line_length(conv)};
    j.strips = (conv->out_channels + FILTERS - 1) / FILTERS;
    if (conv->window.out_count == 0) return;
    mt_parallel(pool, (size_t)(units * j.depth), lay_line, &j);
    mt_parallel(pool, (size_t)(units * j.strips), run_strip, &j);
}
