/* A convolution of bytes is one of words, which is unrolled like any other: four neighbouring channels make a word, or,
 * where that takes fewer of them, as with a single channel, four neighbouring taps. The input is laid out so first,
 * and added up over channels: what the columns of the product add up to, for zero points of filters, is then a sum over
 * taps. */
#include <string.h>

#include "kernels/byte_finish.h"
#include "kernels/simd.h"
#include "kernels/unroll.h"

enum { MAX_UNITS = 64 };

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t words_of(int64_t bytes)
{
    return (bytes + MT_WORD - 1) / MT_WORD;
}

/* --- in words ------------------------------------------------------------------------------------------------- */

/* True where four taps make a word. Columns a byte apart then see words that overlap. */
static bool folds_taps(const mt_conv *conv)
{
    const mt_window *w = &conv->window;
    return w->axes == 1 && w->dilation[0] == 1 &&
           conv->in_channels * words_of(w->taps) < words_of(conv->in_channels) * w->taps;
}

/* The same convolution with words in place of bytes. Where taps are folded, padding is part of its input. */
static mt_conv in_words(const mt_conv *conv)
{
    mt_conv words = *conv;
    mt_window *w = &words.window;
    if (!folds_taps(conv)) {
        words.in_channels = words_of(conv->in_channels);
        return words;
    }
    w->taps = w->kernel[0] = words_of(w->taps);
    w->dilation[0] = MT_WORD;
    w->before[0] = w->after[0] = 0;
    w->in_count = w->in[0] = (w->out[0] - 1) * w->stride[0] + (w->taps - 1) * MT_WORD + 1;
    return words;
}

static int64_t filter_length(const mt_conv *conv)
{
    return conv->in_channels * conv->window.taps;
}

/* --- filters -------------------------------------------------------------------------------------------------- */

int64_t mt_byte_filters_size(const mt_conv *conv)
{
    mt_conv words = in_words(conv);
    int64_t size, filters = conv->groups * conv->out_channels;
    return __builtin_mul_overflow((filter_length(&words) + 1) * MT_WORD, filters, &size) ? -1 : size;
}

/* Byte (channel, tap) of a filter in words. */
static int64_t place_of(const mt_conv *conv, bool taps, int64_t channel, int64_t tap)
{
    int64_t across = taps ? words_of(conv->window.taps) : conv->window.taps;
    if (taps) return channel * across * MT_WORD + tap;
    return (channel / MT_WORD * across + tap) * MT_WORD + channel % MT_WORD;
}

void mt_byte_filters(const mt_conv *conv, const void *w, uint8_t flip, void *prepared)
{
    mt_conv words = in_words(conv);
    int64_t filters = conv->groups * conv->out_channels, row = filter_length(&words) * MT_WORD;
    bool taps = folds_taps(conv);
    const uint8_t *from = w;
    uint8_t *to = prepared;
    int32_t *sums = (int32_t *)(to + filters * row);
    memset(to, 0, (size_t)(filters * row));
    for (int64_t i = 0; i < filters; i++, to += row) {
        sums[i] = 0;
        for (int64_t channel = 0; channel < conv->in_channels; channel++)
            for (int64_t tap = 0; tap < conv->window.taps; tap++) {
                uint8_t weight = *from++ ^ flip;
                to[place_of(conv, taps, channel, tap)] = weight;
                sums[i] += weight;
            }
    }
}

/* --- the input ------------------------------------------------------------------------------------------------ */

/* Of one run. A unit is one group of one item of the batch. */
typedef struct conv_work {
    const mt_conv *conv;
    mt_conv words;
    const uint8_t *x;
    uint8_t flip;
    int8_t padding;  /* after the flip */
    uint32_t *input; /* [units, channels, positions] in words */
    int32_t *totals; /* [units, positions] of all channels */
    const mt_byte_finish *finish;
    int64_t first_unit;
} conv_work;

enum { BLOCK = 1024 /* positions */ };

/* Four rows of bytes to a row of words, and to the sums. As bytes from 0 to 255, 128 more than they are, they need no
 * care for signs. */
MT_SIMD static void weave(uint32_t *restrict to, const uint8_t *const *rows, int64_t n, uint8_t flip,
                          int32_t *restrict sums)
{
    const uint8_t *x0 = rows[0], *x1 = rows[1], *x2 = rows[2], *x3 = rows[3], lift = flip ^ 0x80;
    for (int64_t j = 0; j < n; j++) {
        uint32_t a = x0[j] ^ lift, b = x1[j] ^ lift, c = x2[j] ^ lift, d = x3[j] ^ lift;
        to[j] = (a | b << 8 | c << 16 | d << 24) ^ 0x80808080;
        sums[j] += (int32_t)(a + b + c + d) - MT_WORD * 128;
    }
}

/* Asks for n bytes. Channels are far apart, which the processor does not see coming. */
static void fetch(const uint8_t *x, int64_t n)
{
    for (int64_t i = 0; i < n; i += 64) __builtin_prefetch(x + i);
}

/* A block of positions of all channels of one unit, four channels to a word; those beyond the last are 0. */
static void lay_channels(const conv_work *work, int64_t unit, int64_t first, int64_t count, int32_t *totals)
{
    const mt_conv *conv = work->conv;
    int64_t positions = conv->window.in_count, channels = conv->in_channels;
    const uint8_t *x = work->x + unit * channels * positions + first;
    uint32_t *to = work->input + unit * work->words.in_channels * positions + first;
    uint8_t none[BLOCK];
    memset(none, work->flip, (size_t)count);
    for (int64_t channel = 0; channel < channels; channel += MT_WORD, to += positions) {
        const uint8_t *rows[MT_WORD];
        for (int i = 0; i < MT_WORD; i++) rows[i] = channel + i < channels ? x + (channel + i) * positions : none;
        for (int i = 0; i < MT_WORD; i++) fetch(x + (channel + MT_WORD + i) * positions, count);
        weave(to, rows, count, work->flip, totals);
    }
}

MT_SIMD static void add_bytes(int32_t *restrict to, const uint8_t *restrict x, int64_t n, uint8_t flip)
{
    for (int64_t j = 0; j < n; j++) to[j] += (int8_t)(x[j] ^ flip);
}

static void lay_block(void *context, size_t number)
{
    const conv_work *work = context;
    int64_t positions = work->conv->window.in_count, blocks = (positions + BLOCK - 1) / BLOCK;
    int64_t unit = (int64_t)number / blocks, first = (int64_t)number % blocks * BLOCK;
    int64_t count = least(BLOCK, positions - first), channels = work->conv->in_channels;
    int32_t *totals = work->totals + unit * positions + first;
    memset(totals, 0, (size_t)count * sizeof *totals);
    if (!folds_taps(work->conv)) {
        lay_channels(work, unit, first, count, totals);
        return;
    }
    for (int64_t i = 0; i < channels; i++)
        add_bytes(totals, work->x + (unit * channels + i) * positions + first, count, work->flip);
}

/* words[j] is x[j] .. x[j+3], of n words. */
MT_SIMD static void overlap(uint32_t *restrict words, const uint8_t *restrict x, int64_t n, uint32_t flip)
{
    for (int64_t j = 0; j < n; j++)
        words[j] = (x[j] | (uint32_t)x[j + 1] << 8 | (uint32_t)x[j + 2] << 16 | (uint32_t)x[j + 3] << 24) ^ flip;
}

/* A word at the edge: taps before the first element and beyond the last see padding. */
static uint32_t edge_word(const conv_work *work, const uint8_t *x, int64_t at)
{
    uint32_t word = 0;
    for (int i = 0; i < MT_WORD; i++) {
        bool inside = at + i >= 0 && at + i < work->conv->window.in_count;
        word |= (uint32_t)(inside ? x[at + i] ^ work->flip : (uint8_t)work->padding) << 8 * i;
    }
    return word;
}

/* One channel, four taps to a word; word j begins with element j - before. */
static void lay_taps(void *context, size_t channel)
{
    const conv_work *work = context;
    const mt_window *w = &work->conv->window;
    int64_t words = work->words.window.in_count, before = w->before[0];
    const uint8_t *x = work->x + (int64_t)channel * w->in_count;
    uint32_t *to = work->input + (int64_t)channel * words;
    int64_t low = least(before, words), high = least(words, before + w->in_count - MT_WORD + 1), j = 0;
    for (; j < low; j++) to[j] = edge_word(work, x, j - before);
    if (high > low) {
        overlap(to + low, x + low - before, high - low, work->flip * 0x01010101u);
        j = high;
    }
    for (; j < words; j++) to[j] = edge_word(work, x, j - before);
}

static void lay_out(mt_pool *pool, const conv_work *work)
{
    const mt_conv *conv = work->conv;
    int64_t units = conv->batch * conv->groups, blocks = (conv->window.in_count + BLOCK - 1) / BLOCK;
    void *context = (void *)(uintptr_t)work;
    mt_parallel(pool, (size_t)(units * blocks), lay_block, context);
    if (folds_taps(conv)) mt_parallel(pool, (size_t)(units * conv->in_channels), lay_taps, context);
}

/* --- panels --------------------------------------------------------------------------------------------------- */

/* What columns add up to through a long window: what comes in less what goes out. */
static void slide_totals(const conv_work *work, const mt_panels *p, const int32_t *totals, int32_t *sums)
{
    const mt_window *w = &work->conv->window;
    int32_t line[MT_LONG_LINE + MT_TILE_COLUMNS], sum = 0, outside = (int32_t)work->conv->in_channels * work->padding;
    int64_t n = p->columns + w->taps - 1;
    mt_line seen = mt_window_long_line(w, p);
    for (int64_t i = 0; i < n; i++)
        line[i] = i >= seen.low && i < seen.high ? totals[seen.from + i - seen.low] : outside;
    for (int64_t i = 0; i < w->taps - 1; i++) sum += line[i];
    for (int64_t j = 0; j < p->columns; j++) {
        sum += line[j + w->taps - 1];
        sums[j] = sum;
        sum -= line[j];
    }
}

MT_SIMD static void add_totals(int32_t *restrict sums, const int32_t *restrict totals, int64_t n, int64_t stride,
                               int32_t outside)
{
    for (int64_t j = 0; j < n; j++) sums[j] += totals[j * stride] - outside;
}

/* Tap by tap; what lies outside has been counted for all of them first. */
static void sum_columns(const conv_work *work, const mt_panels *wanted, const int32_t *totals, int32_t *sums)
{
    const mt_window *w = &work->conv->window;
    int32_t outside = (int32_t)work->conv->in_channels * work->padding;
    mt_panels p = *wanted;
    mt_stretch stretches[MT_STRETCHES];
    p.depth = 1;
    for (int64_t j = 0; j < p.columns; j++) sums[j] = (int32_t)w->taps * outside;
    for (int64_t tap = 0; tap < w->taps; tap++) {
        int count = mt_window_stretches(w, &p, tap, stretches);
        for (const mt_stretch *s = stretches; s < stretches + count; s++)
            add_totals(sums + s->to, totals + s->from, s->length, w->stride[w->axes - 1], outside);
    }
}

static mt_panel_place unroll(const void *source, const mt_panels *p, void *room, int32_t *sums)
{
    const conv_work *work = source;
    const mt_conv *conv = work->conv, *words = &work->words;
    int64_t unit = work->first_unit + p->item;
    const int32_t *totals = work->totals + unit * conv->window.in_count;
    bool last = p->first + p->depth >= filter_length(words);
    if (last && mt_window_is_long(&conv->window) && conv->window.dilation[0] == 1)
        slide_totals(work, p, totals, sums);
    else if (last)
        sum_columns(work, p, totals, sums);
    if (last) mt_byte_finish_sums(work->finish, sums, p->columns);
    return mt_unroll(&words->window, p, work->input + unit * words->in_channels * words->window.in_count,
                     (uint8_t)work->padding * 0x01010101u, room);
}

/* --- all of it ------------------------------------------------------------------------------------------------ */

int64_t mt_byte_conv_room(const mt_conv *conv)
{
    mt_conv words = in_words(conv);
    int64_t units = conv->batch * conv->groups, each, size;
    if (__builtin_mul_overflow(words.in_channels, words.window.in_count, &each)) return -1;
    if (__builtin_add_overflow(each, conv->window.in_count, &each)) return -1;
    return __builtin_mul_overflow(each, units, &size) || __builtin_mul_overflow(size, MT_WORD, &size) ? -1 : size;
}

/* Products of at most MAX_UNITS units. */
static void run_units(mt_pool *pool, conv_work *work, int64_t count, const void *filters, const mt_byte_result *result,
                      void *y)
{
    const mt_conv *conv = work->conv;
    int64_t row = filter_length(&work->words);
    const uint32_t *weights = filters;
    const int32_t *sums = (const int32_t *)(weights + conv->groups * conv->out_channels * row);
    const void *a[MAX_UNITS];
    const int32_t *a_sums[MAX_UNITS];
    void *c[MAX_UNITS];
    for (int64_t i = 0; i < count; i++) {
        int64_t filter = (work->first_unit + i) % conv->groups * conv->out_channels;
        a[i] = weights + filter * row;
        a_sums[i] = sums + filter;
        c[i] = (int32_t *)y + (work->first_unit + i) * conv->out_channels * conv->window.out_count;
    }
    mt_byte_finish end = {
        result, work->padding ? a_sums : NULL, filter_length(conv), work->first_unit, conv->groups, conv->out_channels};
    mt_product product = {.tile = mt_tile_bytes(), .m = conv->out_channels, .k = row, .count = count, .alpha = 1};
    product.n = conv->window.out_count;
    product.a = a;
    product.a_row = row;
    product.a_step = 1;
    product.panels = unroll;
    mt_unroll_prepare(&work->words.window, &product);
    product.source = work;
    work->finish = &end;
    product.c = c;
    product.c_row = conv->window.out_count;
    product.finish = mt_byte_finish_run;
    product.finish_context = &end;
    mt_product_run(pool, &product);
}

void mt_byte_conv_run(mt_pool *pool, const mt_conv *conv, const void *x, uint8_t flip, const void *filters,
                      const mt_byte_result *result, void *room, void *y)
{
    int64_t units = conv->batch * conv->groups;
    if (units * conv->out_channels * conv->window.out_count == 0) return;
    conv_work work = {.conv = conv, .words = in_words(conv), .x = x, .flip = flip, .input = room};
    work.padding = (int8_t)(result->b_zero.values ? *(const int32_t *)result->b_zero.values : 0);
    work.totals = (int32_t *)(work.input + units * work.words.in_channels * work.words.window.in_count);
    lay_out(pool, &work);
    for (; work.first_unit < units; work.first_unit += MAX_UNITS)
        run_units(pool, &work, least(MAX_UNITS, units - work.first_unit), filters, result, y);
}
