/* Three ways to convolve.
 *
 * A group of one or two channels is filtered one by one (depthwise).
 *
 * Few output positions are the rows of a product: what each of them sees, times packed weights, a column for every
 * output channel; the result is turned round.
 *
 * Everything else is the product of the weights, a row for every output channel, and the unrolled input, a row for
 * every weight and a column for every output position. That matrix is never there as a whole: the product asks for it
 * panel by panel, and a panel is a few runs of the input for each weight. Channels stay as they lie, [channels,
 * positions]. Weights are read in place, or from filters packed in tiles: rows that lie a multiple of a page apart push
 * each other out of the cache. */
#include "kernels/conv.h"

#include <string.h>

#include "core/tensor.h"
#include "kernels/filter.h"
#include "kernels/gemm.h"
#include "kernels/unroll.h"

enum { MAX_UNITS = 64, FEW_ROWS = 2 * MT_TILE_ROWS /* for which the input is not worth a copy */ };

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

/* --- the product way ------------------------------------------------------------------------------------------ */

typedef struct conv_work {
    const mt_conv *conv;
    const float *x, *weights, *bias;
    float *y;
    mt_activation activate;
    bool tiled;         /* the weights */
    int64_t first_unit; /* of batch * groups, in the current round */
} conv_work;

static const float *unit_input(const conv_work *w, int64_t unit)
{
    return w->x + unit * w->conv->in_channels * w->conv->window.in_count;
}

static float *unit_output(const conv_work *w, int64_t unit)
{
    return w->y + unit * w->conv->out_channels * w->conv->window.out_count;
}

/* Filters of a group, with those that fill up the last tile. */
static int64_t tiled_rows(const mt_conv *conv)
{
    return (conv->out_channels + MT_TILE_ROWS - 1) / MT_TILE_ROWS * MT_TILE_ROWS;
}

static const float *unit_weights(const conv_work *w, int64_t unit)
{
    const mt_conv *conv = w->conv;
    int64_t filters = w->tiled ? tiled_rows(conv) : conv->out_channels;
    return w->weights + unit % conv->groups * filters * conv->in_channels * conv->window.taps;
}

static mt_panel_place unroll(const void *source, const mt_panels *p, void *room, int32_t *sums)
{
    (void)sums;
    const conv_work *work = source;
    const mt_window *w = &work->conv->window;
    const float *x = unit_input(work, work->first_unit + p->item);
    if (is_pointwise(w) && p->rows <= FEW_ROWS && p->columns % MT_TILE_COLUMNS == 0)
        return (mt_panel_place){x + p->first * w->in_count + p->column, w->in_count, MT_TILE_COLUMNS};
    return mt_unroll(w, p, (const void *)x, 0, room);
}

static void run_product(mt_pool *pool, conv_work *w)
{
    const mt_conv *conv = w->conv;
    int64_t units = conv->batch * conv->groups, k = conv->in_channels * conv->window.taps;
    const void *weights[MAX_UNITS];
    const float *bias[MAX_UNITS];
    void *y[MAX_UNITS];
    for (w->first_unit = 0; w->first_unit < units; w->first_unit += MAX_UNITS) {
        int64_t count = least(MAX_UNITS, units - w->first_unit);
        for (int64_t i = 0; i < count; i++) {
            weights[i] = unit_weights(w, w->first_unit + i);
            y[i] = unit_output(w, w->first_unit + i);
            if (w->bias) bias[i] = w->bias + (w->first_unit + i) % conv->groups * conv->out_channels;
        }
        mt_epilogue epilogue = {.row_bias = w->bias ? bias : NULL, .activate = w->activate};
        mt_product product = {.tile = mt_tile_floats(), .m = conv->out_channels, .k = k, .count = count, .alpha = 1};
        product.n = conv->window.out_count;
        product.a = weights;
        product.a_row = k;
        product.a_step = 1;
        product.a_tiled = w->tiled;
        product.panels = unroll;
        mt_unroll_prepare(&conv->window, &product);
        product.source = w;
        product.c = y;
        product.c_row = conv->window.out_count;
        product.finish = mt_epilogue_run;
        product.finish_context = &epilogue;
        mt_product_run(pool, &product);
    }
}

/* --- filters in tiles ----------------------------------------------------------------------------------------- */

bool mt_conv_has_tiles(const mt_conv *conv)
{
    return !is_depthwise(conv) && conv->out_channels >= MT_TILE_ROWS;
}

int64_t mt_conv_tiles_size(const mt_conv *conv)
{
    int64_t filters, all;
    if (__builtin_mul_overflow(tiled_rows(conv), conv->groups, &filters)) return -1;
    return __builtin_mul_overflow(filters, conv->in_channels * conv->window.taps, &all) ? -1 : all;
}

typedef struct packing {
    const mt_conv *conv;
    const mt_loose_float *weights;
    float *packed;
} packing;

/* Tile number `block` of all groups. */
static void pack_tile(void *context, size_t block)
{
    const packing *p = context;
    int64_t k = p->conv->in_channels * p->conv->window.taps, tiles = tiled_rows(p->conv) / MT_TILE_ROWS;
    int64_t group = (int64_t)block / tiles, row = (int64_t)block % tiles * MT_TILE_ROWS;
    int64_t rows = least(MT_TILE_ROWS, p->conv->out_channels - row);
    const mt_loose_float *from = p->weights + (group * p->conv->out_channels + row) * k;
    float *to = p->packed + (int64_t)block * MT_TILE_ROWS * k;
    for (int64_t i = 0; i < k; i++, to += MT_TILE_ROWS)
        for (int64_t j = 0; j < MT_TILE_ROWS; j++) to[j] = j < rows ? from[j * k + i] : 0;
}

void mt_conv_tiles_pack(mt_pool *pool, const mt_conv *conv, const float *weights, float *packed)
{
    packing p = {conv, weights, packed};
    mt_parallel(pool, (size_t)(conv->groups * (tiled_rows(conv) / MT_TILE_ROWS)), pack_tile, &p);
}

/* --- the depthwise way ---------------------------------------------------------------------------------------- */

/* One output channel of one item of the batch. */
static void depthwise_channel(void *context, size_t block)
{
    const conv_work *work = context;
    const mt_conv *conv = work->conv;
    int64_t unit = (int64_t)block / conv->out_channels, own = (int64_t)block % conv->out_channels;
    const float *filter = unit_weights(work, unit) + own * conv->in_channels * conv->window.taps;
    float *y = unit_output(work, unit) + own * conv->window.out_count;
    float bias = work->bias ? work->bias[(int64_t)block % (conv->groups * conv->out_channels)] : 0;
    mt_filter_channels(&conv->window, unit_input(work, unit), conv->in_channels, filter, bias, y);
    if (work->activate) work->activate(y, conv->window.out_count);
}

/* --- the short way -------------------------------------------------------------------------------------------- */

enum { SHORT = 16 /* output positions */, MANY = 8 /* filters of a group */ };

bool mt_conv_is_short(const mt_conv *conv)
{
    return conv->window.out_count <= SHORT && conv->out_channels >= MANY;
}

/* Of one group. */
static mt_gemm short_shape(const mt_conv *conv)
{
    int64_t k = conv->in_channels * conv->window.taps;
    mt_gemm shape = mt_gemm_plain(conv->window.out_count, conv->out_channels, k);
    shape.b_transposed = true;
    shape.ldb = k;
    return shape;
}

int64_t mt_conv_packed_size(const mt_conv *conv)
{
    mt_gemm shape = short_shape(conv);
    int64_t all, each = mt_sgemm_packed_size(&shape);
    return each < 0 || __builtin_mul_overflow(each, conv->groups, &all) ? -1 : all;
}

void mt_conv_pack(mt_pool *pool, const mt_conv *conv, const float *weights, float *packed)
{
    mt_gemm shape = short_shape(conv);
    for (int64_t g = 0; g < conv->groups; g++)
        mt_sgemm_pack(pool, &shape, weights + g * shape.n * shape.k, packed + g * mt_sgemm_packed_size(&shape));
}

int64_t mt_conv_room(const mt_conv *conv)
{
    return conv->window.out_count * (conv->in_channels * conv->window.taps + conv->out_channels);
}

/* What every output position sees, as a row. */
static void look(const mt_conv *conv, const float *x, float *rows)
{
    const mt_window *w = &conv->window;
    for (int64_t o = 0; o < w->out_count; o++)
        for (int64_t tap = 0; tap < w->taps; tap++) {
            int64_t from = mt_window_seen(w, o, tap);
            float *to = rows + o * conv->in_channels * w->taps + tap;
            for (int64_t i = 0; i < conv->in_channels; i++) to[i * w->taps] = from < 0 ? 0 : x[i * w->in_count + from];
        }
}

void mt_conv_run_short(mt_pool *pool, const mt_conv *conv, const float *x, const float *packed, const float *bias,
                       mt_activation activate, float *room, float *y)
{
    mt_gemm shape = short_shape(conv);
    int64_t positions = shape.m;
    float *rows = room, *turned = room + positions * shape.k;
    shape.b_packed = true;
    shape.epilogue.activate = activate;
    for (int64_t unit = 0; unit < conv->batch * conv->groups; unit++, y += shape.m * shape.n) {
        int64_t group = unit % conv->groups;
        float *c = positions == 1 ? y : turned;
        look(conv, x + unit * conv->in_channels * conv->window.in_count, rows);
        if (bias) shape.epilogue.column_bias = bias + group * shape.n;
        mt_sgemm(pool, &shape, rows, packed + group * mt_sgemm_packed_size(&shape), c);
        for (int64_t j = 0; j < shape.n && c != y; j++)
            for (int64_t o = 0; o < positions; o++) y[j * positions + o] = c[o * shape.n + j];
    }
}

/* --- the choice ----------------------------------------------------------------------------------------------- */

void mt_conv_run_tiles(mt_pool *pool, const mt_conv *conv, const float *x, const float *packed, const float *bias,
                       mt_activation activate, float *y)
{
    conv_work work = {.conv = conv, .x = x, .weights = packed, .bias = bias, .y = y, .activate = activate};
    work.tiled = true;
    if (conv->groups * conv->out_channels * conv->batch * conv->window.out_count > 0) run_product(pool, &work);
}

void mt_conv_run(mt_pool *pool, const mt_conv *conv, const float *x, const float *weights, const float *bias,
                 mt_activation activate, float *y)
{
    conv_work work = {.conv = conv, .x = x, .weights = weights, .bias = bias, .y = y, .activate = activate};
    int64_t channels = conv->groups * conv->out_channels * conv->batch;
    if (channels * conv->window.out_count == 0) return;
    if (is_depthwise(conv))
        mt_parallel(pool, (size_t)channels, depthwise_channel, &work);
    else
        run_product(pool, &work);
}
