/* Output positions of a row are made a block at a time, in registers, for all taps of one row of the kernel: taps of a
 * row look at the same input row, each a little further on. A block that sees padding, or strides over elements, sees a
 * copy that does not. */
#include "kernels/filter.h"

#include <string.h>

#include "kernels/simd.h"

enum { LANES = 16, BLOCK = 4 * LANES, SPAN = 1024 /* floats of a copy */, ROWS = 64 };

typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));

/* The same at any address. */
typedef float loose_lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float)), may_alias));

#define LOAD(x)     (*(const loose_lanes *)(x))
#define STORE(x, l) (*(loose_lanes *)(x) = (l))

/* sums[j] += w[0] * x[j] + w[1] * x[step + j] + ... for a block of j, or for LANES of them. */
MT_SIMD static void add_taps(float *sums, const float *x, int64_t step, const float *w, int64_t taps)
{
    lanes a = LOAD(sums), b = LOAD(sums + LANES), c = LOAD(sums + 2 * LANES), d = LOAD(sums + 3 * LANES);
    for (int64_t t = 0; t < taps; t++, x += step) {
        a += w[t] * LOAD(x);
        b += w[t] * LOAD(x + LANES);
        c += w[t] * LOAD(x + 2 * LANES);
        d += w[t] * LOAD(x + 3 * LANES);
    }
    STORE(sums, a);
    STORE(sums + LANES, b);
    STORE(sums + 2 * LANES, c);
    STORE(sums + 3 * LANES, d);
}

MT_SIMD static void add_taps_to_few(float *sums, const float *x, int64_t step, const float *w, int64_t taps)
{
    lanes a = LOAD(sums);
    for (int64_t t = 0; t < taps; t++, x += step) a += w[t] * LOAD(x);
    STORE(sums, a);
}

MT_SIMD static void copy_strided(float *restrict copy, const float *restrict x, int64_t count, int64_t stride)
{
    if (stride == 2)
        for (int64_t i = 0; i < count; i++) copy[i] = x[2 * i];
    else
        for (int64_t i = 0; i < count; i++) copy[i] = x[i * stride];
}

/* copy[i] = x[from + i * stride] where that is one of the `length` elements of the row, else 0. */
static void copy_inside(float *copy, int64_t count, const float *x, int64_t length, int64_t from, int64_t stride)
{
    int64_t low = from < 0 ? (-from + stride - 1) / stride : 0, left = length - from;
    int64_t high = left <= 0 ? 0 : (left + stride - 1) / stride;
    if (high > count) high = count;
    if (high <= low) low = high = count;
    if (low) memset(copy, 0, (size_t)low * sizeof *copy);
    if (high < count) memset(copy + high, 0, (size_t)(count - high) * sizeof *copy);
    if (high == low) return;
    if (stride == 1)
        memcpy(copy + low, x + from + low, (size_t)(high - low) * sizeof *copy);
    else
        copy_strided(copy + low, x + from + low * stride, high - low, stride);
}

/* `columns` output positions of a row, from `column` on, and one row of the kernel over the input row x. */
static void add_row(const mt_window *w, const float *x, const float *weights, int64_t column, int64_t columns,
                    float *sums)
{
    int last = w->axes - 1, width = columns <= LANES ? LANES : BLOCK;
    void (*add)(float *, const float *, int64_t, const float *, int64_t) =
        columns <= LANES ? add_taps_to_few : add_taps;
    int64_t taps = w->kernel[last], stride = w->stride[last], dilation = w->dilation[last], length = w->in[last];
    int64_t from = column * stride - w->before[last], span = width + (taps - 1) * dilation;
    float copy[SPAN];
    if (stride == 1 && from >= 0 && from + span <= length) {
        add(sums, x + from, dilation, weights, taps);
    } else if (stride == 1 && span <= SPAN) {
        copy_inside(copy, span, x, length, from, 1);
        add(sums, copy, dilation, weights, taps);
    } else {
        for (int64_t t = 0; t < taps; t++) {
            copy_inside(copy, width, x, length, from + t * dilation, stride);
            add(sums, copy, 0, weights + t, 1);
        }
    }
}

/* Rows of the kernel that do not lie in the padding for one output row: where their input rows begin in x, and their
 * weights. */
typedef struct seen_rows {
    int64_t start[ROWS], weights[ROWS];
    int count;
} seen_rows;

/* Of the `channels` kernels' rows from `first` on; returns the row where to go on. */
static int64_t find_rows(const mt_window *w, int64_t channels, int64_t row, int64_t first, seen_rows *seen)
{
    int64_t row_taps = w->kernel[w->axes - 1], i = first * row_taps;
    for (seen->count = 0; i < channels * w->taps && seen->count < ROWS; i += row_taps) {
        int64_t taps[MT_WINDOW_AXES], start;
        mt_window_taps(w, i % w->taps, taps);
        if (!mt_window_row(w, row, taps, &start)) continue;
        seen->start[seen->count] = i / w->taps * w->in_count + start;
        seen->weights[seen->count++] = i;
    }
    return i / row_taps;
}

/* Adds what a row of output sees through some rows of the kernel. */
static void add_rows(const mt_window *w, const float *x, const float *weights, const seen_rows *seen, float *y)
{
    int64_t width = w->out[w->axes - 1];
    for (int64_t column = 0; column < width; column += BLOCK) {
        int64_t columns = width - column < BLOCK ? width - column : BLOCK;
        float rest[BLOCK], *sums = columns == BLOCK ? y + column : rest;
        if (sums == rest) {
            for (int j = 0; j < BLOCK; j += LANES) STORE(rest + j, (lanes){0});
            memcpy(rest, y + column, (size_t)columns * sizeof *rest);
        }
        for (int i = 0; i < seen->count; i++)
            add_row(w, x + seen->start[i], weights + seen->weights[i], column, columns, sums);
        if (sums == rest) memcpy(y + column, rest, (size_t)columns * sizeof *rest);
    }
}

void mt_filter_channels(const mt_window *w, const float *x, int64_t channels, const float *weights, float bias,
                        float *y)
{
    int64_t width = w->out[w->axes - 1], rows = channels * (w->taps / w->kernel[w->axes - 1]);
    for (int64_t i = 0; i < w->out_count; i++) y[i] = bias;
    for (int64_t row = 0; row * width < w->out_count; row++)
        for (int64_t done = 0; done < rows;) {
            seen_rows seen;
            done = find_rows(w, channels, row, done, &seen);
            add_rows(w, x, weights, &seen, y + row * width);
        }
}
