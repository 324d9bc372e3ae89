/* Sums are made in C itself, which holds int32 until the last slice of k and then, where it is to be so, float32. */
#include "kernels/bytes.h"

#include <math.h>
#include <string.h>

#include "kernels/half.h"
#include "kernels/simd.h"

enum { MAX_UNITS = 64 };

/* --- from sums to results ------------------------------------------------------------------------------------- */

typedef struct finish {
    const mt_byte_result *result;
    const int32_t *const *a_sums; /* of rows, by product; or NULL */
    int64_t k;
    int64_t first_unit, groups, rows; /* product p begins at row (first_unit + p) % groups * rows of the lists */
    bool sums_at_end;                 /* the sums of columns come with the last slice of k, not with each its own */
} finish;

enum { PIECE = MT_TILE_ROWS * MT_TILE_COLUMNS };
_Static_assert(MT_TILE_FEW_ROWS *MT_TILE_PANELS <= MT_TILE_ROWS, "a wide piece fits, too");

static const int32_t *int_at(const mt_byte_list *list, int64_t row, int64_t column)
{
    return (const int32_t *)list->values + row * list->row + column * list->column;
}

/* A list as it goes with a piece: element i * row + j is for row i and column j. */
typedef struct spread {
    const float *values; /* NULL: none */
    int64_t row;
} spread;

/* Where a list has one value for all columns, it is repeated in `room`. */
static spread spread_out(const mt_byte_list *list, int64_t row, int64_t column, const mt_piece *p, float *room)
{
    if (!list->values) return (spread){NULL, 0};
    const float *first = (const float *)list->values + row * list->row + column * list->column;
    if (list->column) return (spread){first, list->row};
    for (int i = 0; i < (list->row ? p->rows : 1); i++)
        for (int j = 0; j < p->columns; j++) room[i * p->columns + j] = first[i * list->row];
    return (spread){room, list->row ? p->columns : 0};
}

/* to = factor * values, element by element, or added to it. */
MT_SIMD static void scale_sums(int32_t *restrict to, const int32_t *restrict values, int32_t factor, int n)
{
    for (int j = 0; j < n; j++) to[j] = (int32_t)((uint32_t)values[j] * (uint32_t)factor);
}

MT_SIMD static void add_scaled_sums(int32_t *restrict to, const int32_t *restrict values, int64_t step, int32_t factor,
                                    int n)
{
    if (step)
        for (int j = 0; j < n; j++) to[j] = (int32_t)((uint32_t)to[j] + (uint32_t)values[j] * (uint32_t)factor);
    else
        for (int j = 0; j < n; j++) to[j] = (int32_t)((uint32_t)to[j] + (uint32_t)values[0] * (uint32_t)factor);
}

/* What zero points add to the sums, a row of the piece after the other; returns how far apart they are: 0 where one is
 * for all. */
static int find_excess(const finish *f, const mt_piece *p, int64_t row, int32_t *excess)
{
    const mt_byte_result *r = f->result;
    bool b_too = p->last && f->a_sums, one = !b_too && (!r->a_zero.values || !r->a_zero.row);
    for (int i = 0; i < (one ? 1 : p->rows); i++) {
        int32_t a_zero = r->a_zero.values ? *int_at(&r->a_zero, row + i, p->column) : 0;
        int32_t *to = excess + i * p->columns;
        scale_sums(to, p->sums, a_zero, p->columns);
        if (!b_too) continue;
        uint32_t rest = (uint32_t)f->a_sums[p->item][p->row + i] - (uint32_t)f->k * (uint32_t)a_zero;
        add_scaled_sums(to, int_at(&r->b_zero, row + i, p->column), r->b_zero.column, (int32_t)rest, p->columns);
    }
    return one ? 0 : p->columns;
}

/* One row, of n columns: sums to sums, or to floats. */
static inline void take_away(int32_t *restrict c, const int32_t *restrict excess, int n)
{
    for (int j = 0; j < n; j++) c[j] = (int32_t)((uint32_t)c[j] - (uint32_t)excess[j]);
}

static inline void to_floats(uint32_t *restrict c, const int32_t *restrict excess, const float *restrict scale,
                             const float *restrict bias, int n)
{
    if (bias)
        for (int j = 0; j < n; j++)
            c[j] = mt_float_to_bits((float)(int32_t)(c[j] - (uint32_t)excess[j]) * scale[j] + bias[j]);
    else
        for (int j = 0; j < n; j++) c[j] = mt_float_to_bits((float)(int32_t)(c[j] - (uint32_t)excess[j]) * scale[j]);
}

/* Most pieces are a panel wide: then the loops over columns become a few instructions. */
MT_SIMD static void take_away_rows(int32_t *c, int64_t c_row, int rows, int columns, const int32_t *excess, int row)
{
    for (int i = 0; i < rows; i++) {
        if (columns == MT_TILE_COLUMNS)
            take_away(c + i * c_row, excess + i * row, MT_TILE_COLUMNS);
        else
            take_away(c + i * c_row, excess + i * row, columns);
    }
}

MT_SIMD static void rows_to_floats(uint32_t *c, int64_t c_row, int rows, int columns, const int32_t *excess, int row,
                                   spread scale, spread bias)
{
    for (int i = 0; i < rows; i++) {
        const float *b = bias.values ? bias.values + i * bias.row : NULL;
        if (columns == MT_TILE_COLUMNS)
            to_floats(c + i * c_row, excess + i * row, scale.values + i * scale.row, b, MT_TILE_COLUMNS);
        else
            to_floats(c + i * c_row, excess + i * row, scale.values + i * scale.row, b, columns);
    }
}

static void finish_piece(const void *context, const mt_piece *p)
{
    const finish *f = context;
    const mt_byte_result *r = f->result;
    int64_t row = (f->first_unit + p->item) % f->groups * f->rows + p->row;
    int32_t excess[PIECE];
    float scales[PIECE], biases[PIECE];
    if (f->sums_at_end && !p->last) return;
    int excess_row = find_excess(f, p, row, excess);
    if (!p->last || !r->scale.values) {
        take_away_rows(p->c, p->c_row, p->rows, p->columns, excess, excess_row);
        return;
    }
    rows_to_floats(p->c, p->c_row, p->rows, p->columns, excess, excess_row,
                   spread_out(&r->scale, row, p->column, p, scales), spread_out(&r->bias, row, p->column, p, biases));
    for (int i = 0; i < p->rows && r->activate; i++) r->activate((float *)p->c + i * p->c_row, p->columns);
}

/* --- matrices ------------------------------------------------------------------------------------------------- */

int64_t mt_byte_row(int64_t k)
{
    return (k + MT_WORD - 1) / MT_WORD * MT_WORD;
}

static int64_t padded_columns(int64_t n)
{
    return (n + MT_TILE_COLUMNS - 1) / MT_TILE_COLUMNS * MT_TILE_COLUMNS;
}

int64_t mt_byte_packed_size(int64_t k, int64_t n)
{
    int64_t size;
    return __builtin_mul_overflow(mt_byte_row(k) + (int64_t)sizeof(int32_t), padded_columns(n), &size) ? -1 : size;
}

typedef struct packing {
    int64_t k, n;
    const uint8_t *b;
    uint8_t flip;
    int8_t *packed;
    int32_t *sums;
} packing;

static void pack_panel(void *context, size_t panel)
{
    const packing *p = context;
    int64_t first = (int64_t)panel * MT_TILE_COLUMNS;
    int8_t *to = p->packed + first * mt_byte_row(p->k);
    int32_t *sums = p->sums + first;
    int64_t columns = p->n - first < MT_TILE_COLUMNS ? p->n - first : MT_TILE_COLUMNS;
    memset(to, 0, (size_t)(MT_TILE_COLUMNS * mt_byte_row(p->k)));
    memset(sums, 0, MT_TILE_COLUMNS * sizeof *sums);
    for (int64_t k = 0; k < p->k; k++) {
        const uint8_t *row = p->b + k * p->n + first;
        int8_t *words = to + k / MT_WORD * MT_WORD * MT_TILE_COLUMNS + k % MT_WORD;
        for (int64_t j = 0; j < columns; j++) {
            words[j * MT_WORD] = (int8_t)(row[j] ^ p->flip);
            sums[j] += words[j * MT_WORD];
        }
    }
}

void mt_byte_pack(mt_pool *pool, int64_t k, int64_t n, const void *b, uint8_t flip, void *packed)
{
    packing p = {k, n, b, flip, packed, (int32_t *)((char *)packed + padded_columns(n) * mt_byte_row(k))};
    mt_parallel(pool, (size_t)(padded_columns(n) / MT_TILE_COLUMNS), pack_panel, &p);
}

typedef struct matrices {
    int64_t k, n;
    const void *const *packed;
} matrices;

/* The sums of whole columns go with the last slice. */
static mt_panel_place find_panels(const void *source, const mt_panels *wanted, void *room, int32_t *sums)
{
    (void)room;
    const matrices *from = source;
    const char *packed = from->packed[wanted->item];
    int64_t words = mt_byte_row(from->k) / MT_WORD;
    if (wanted->first + wanted->depth >= words)
        memcpy(sums, packed + (padded_columns(from->n) * words + wanted->column) * MT_WORD,
               (size_t)wanted->columns * sizeof *sums);
    return (mt_panel_place){packed + (wanted->column * words + wanted->first * MT_TILE_COLUMNS) * MT_WORD,
                            MT_TILE_COLUMNS, words * MT_TILE_COLUMNS};
}

void mt_byte_gemm_run(mt_pool *pool, const mt_byte_gemm *s, int64_t count, const uint8_t *const *a,
                      const void *const *packed, void *const *c)
{
    matrices source = {s->k, s->n, packed};
    finish end = {&s->result, NULL, s->k, 0, 1, 0, true};
    mt_product product = {.tile = mt_tile_bytes(), .m = s->m, .n = s->n, .k = mt_byte_row(s->k) / MT_WORD, .alpha = 1};
    product.count = 1;
    product.a_row = s->lda / MT_WORD;
    product.a_step = 1;
    product.panels = find_panels;
    product.source = &source;
    product.c_row = s->n;
    product.finish = finish_piece;
    product.finish_context = &end;
    for (int64_t i = 0; i < count; i++) {
        const int32_t *sums = s->a_sums ? s->a_sums + i * s->m : NULL;
        end.a_sums = s->a_sums ? &sums : NULL;
        source.packed = packed + i;
        product.a = (const void *const *)a + i;
        product.c = c + i;
        mt_product_run(pool, &product);
    }
}

/* --- convolution ---------------------------------------------------------------------------------------------- */

static int64_t filter_length(const mt_conv *conv)
{
    return conv->in_channels * conv->window.taps;
}

int64_t mt_byte_filters_size(const mt_conv *conv)
{
    int64_t size, filters = conv->groups * conv->out_channels;
    return __builtin_mul_overflow(mt_byte_row(filter_length(conv)) + (int64_t)sizeof(int32_t), filters, &size) ? -1
                                                                                                               : size;
}

void mt_byte_filters(const mt_conv *conv, const void *w, uint8_t flip, void *prepared)
{
    int64_t filters = conv->groups * conv->out_channels, k = filter_length(conv), row = mt_byte_row(k);
    uint8_t *to = prepared;
    int32_t *sums = (int32_t *)(to + filters * row);
    memset(to, 0, (size_t)(filters * row));
    for (int64_t i = 0; i < filters; i++) {
        sums[i] = 0;
        for (int64_t j = 0; j < k; j++) {
            to[i * row + j] = ((const uint8_t *)w)[i * k + j] ^ flip;
            sums[i] += to[i * row + j];
        }
    }
}

typedef struct conv_work {
    const mt_conv *conv;
    const uint8_t *x;
    uint8_t flip, padding; /* padding as x holds it */
    int64_t first_unit;
} conv_work;

/* Rows of one panel as they are unrolled, a byte a column, before they are woven into words. */
enum { ROWS = MT_PANEL_DEPTH * MT_WORD };

MT_SIMD static void copy_stretches(uint8_t *restrict to, int64_t to_row, const uint8_t *restrict from, int64_t from_row,
                                   int64_t channels, const mt_stretch *stretches, int count, int64_t stride)
{
    for (int64_t channel = 0; channel < channels; channel++, to += to_row, from += from_row)
        for (const mt_stretch *s = stretches; s < stretches + count; s++) {
            uint8_t *y = to + s->to;
            const uint8_t *x = from + s->from;
            if (s->length == MT_TILE_COLUMNS && stride == 1)
                memcpy(y, x, MT_TILE_COLUMNS);
            else if (s->length == MT_TILE_COLUMNS && stride == 2)
                for (int j = 0; j < MT_TILE_COLUMNS; j++) y[j] = x[2 * j];
            else
                for (int j = 0; j < s->length; j++) y[j] = x[j * stride];
        }
}

static void unroll_tap(const conv_work *work, const mt_panels *p, int64_t tap, const uint8_t *x, uint8_t *rows)
{
    const mt_window *w = &work->conv->window;
    mt_stretch stretches[MT_STRETCHES];
    int count = mt_window_stretches(w, p, tap, stretches);
    int64_t begin, end, row, covered = 0;
    mt_window_channels(w, p, tap, &begin, &end, &row);
    uint8_t *to = rows + row * MT_TILE_COLUMNS;
    for (int i = 0; i < count; i++) covered += stretches[i].length;
    for (int64_t i = 0; i < end - begin && covered < MT_TILE_COLUMNS; i++)
        memset(to + i * w->taps * MT_TILE_COLUMNS, work->padding, MT_TILE_COLUMNS);
    copy_stretches(to, w->taps * MT_TILE_COLUMNS, x + begin * w->in_count, w->in_count, end - begin, stretches, count,
                   w->stride[w->axes - 1]);
}

/* Four rows of `columns` bytes, row_step apart, to a row of words in each panel, and their sums. As bytes from 0 to
 * 255, 128 more than they are, they need no care for signs. */
MT_SIMD static void weave(uint32_t *restrict to, int64_t panel, const uint8_t *restrict rows, int64_t row_step,
                          int64_t columns, uint8_t flip, int32_t *restrict sums)
{
    const uint8_t lift = flip ^ 0x80;
    for (int64_t first = 0; first < columns; first += MT_TILE_COLUMNS, to += panel, sums += MT_TILE_COLUMNS) {
        const uint8_t *x = rows + first;
        for (int j = 0; j < MT_TILE_COLUMNS; j++) {
            uint32_t a = x[j] ^ lift, b = x[row_step + j] ^ lift;
            uint32_t c = x[2 * row_step + j] ^ lift, d = x[3 * row_step + j] ^ lift;
            to[j] = (a | b << 8 | c << 16 | d << 24) ^ 0x80808080;
            sums[j] += (int32_t)(a + b + c + d) - MT_WORD * 128;
        }
    }
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Panel by panel and tap by tap. The last rows, less than a word, are zeros beyond k: as they are multiplied, hence
 * flipped before. */
static void unroll_taps(const conv_work *work, const mt_panels *wanted, const uint8_t *x, uint32_t *room, int32_t *sums)
{
    int64_t k = filter_length(work->conv), panel = wanted->depth * MT_TILE_COLUMNS;
    uint8_t rows[ROWS * MT_TILE_COLUMNS];
    for (int64_t column = 0; column < wanted->columns; column += MT_TILE_COLUMNS) {
        mt_panels p = *wanted; /* in bytes */
        p.first *= MT_WORD;
        p.depth = least(k - p.first, wanted->depth * MT_WORD);
        p.column += column;
        p.columns = least(wanted->columns - column, MT_TILE_COLUMNS);
        memset(rows + p.depth * MT_TILE_COLUMNS, work->flip,
               (size_t)((wanted->depth * MT_WORD - p.depth) * MT_TILE_COLUMNS));
        for (int64_t tap = 0; tap < work->conv->window.taps; tap++) unroll_tap(work, &p, tap, x, rows);
        for (int64_t i = 0; i < wanted->depth; i++)
            weave(room + column / MT_TILE_COLUMNS * panel + i * MT_TILE_COLUMNS, panel,
                  rows + i * MT_WORD * MT_TILE_COLUMNS, MT_TILE_COLUMNS, MT_TILE_COLUMNS, work->flip, sums + column);
    }
}

/* One row of all panels, a byte a column: x is a channel. */
MT_SIMD static void copy_line(uint8_t *restrict to, const uint8_t *restrict x, const mt_line *line, int64_t columns,
                              int64_t stride, uint8_t padding)
{
    int64_t n = line->high - line->low;
    if (n < columns) memset(to, padding, (size_t)columns);
    to += line->low;
    x += line->from;
    if (stride == 1)
        memcpy(to, x, (size_t)n);
    else if (stride == 2)
        for (int64_t i = 0; i < n; i++) to[i] = x[2 * i];
    else
        for (int64_t i = 0; i < n; i++) to[i] = x[i * stride];
}

/* Of a window with one axis: four rows at a time, all panels. */
static void unroll_lines(const conv_work *work, const mt_panels *p, const uint8_t *x, uint32_t *room, int32_t *sums)
{
    const mt_window *w = &work->conv->window;
    enum { MOST = MT_PANELS * MT_TILE_COLUMNS };
    int64_t k = filter_length(work->conv), row = p->first * MT_WORD, channel = row / w->taps, tap = row % w->taps;
    uint8_t four[MT_WORD * MOST];
    for (int64_t i = 0; i < p->depth; i++) {
        for (int n = 0; n < MT_WORD; n++, row++) {
            if (row >= k) {
                memset(four + n * MOST, work->flip, MOST);
                continue;
            }
            mt_line line = mt_window_line(w, p, tap);
            copy_line(four + n * MOST, x + channel * w->in_count, &line, p->columns, w->stride[0], work->padding);
            if (++tap == w->taps) channel++, tap = 0;
        }
        weave(room + i * MT_TILE_COLUMNS, p->depth * MT_TILE_COLUMNS, four, MOST, p->columns, work->flip, sums);
    }
}

/* A long window in words: four neighbouring taps are one, and columns a byte apart see words that overlap. */
static bool is_long(const mt_window *w)
{
    return mt_window_is_long(w) && w->taps % MT_WORD == 0 && w->dilation[0] == 1;
}

/* words[j] is x[j] .. x[j+3], of n words. */
MT_SIMD static void overlap(uint32_t *restrict words, const uint8_t *restrict x, int64_t n)
{
    for (int64_t j = 0; j < n; j++)
        words[j] = x[j] | (uint32_t)x[j + 1] << 8 | (uint32_t)x[j + 2] << 16 | (uint32_t)x[j + 3] << 24;
}

/* One channel of a long window, and what its taps add up to for every column. */
static mt_panel_place lay_line(const conv_work *work, const mt_panels *p, const uint8_t *x, uint32_t *room,
                               int32_t *sums)
{
    const mt_window *w = &work->conv->window;
    int64_t n = p->columns + w->taps - 1, sum = 0;
    uint8_t line[MT_LONG_LINE + MT_TILE_COLUMNS + MT_WORD];
    mt_line seen = mt_window_long_line(w, p);
    memset(line, work->padding, (size_t)(n + MT_TILE_COLUMNS + MT_WORD));
    memcpy(line + seen.low, x + p->first * MT_WORD / w->taps * w->in_count + seen.from, (size_t)(seen.high - seen.low));
    for (int64_t i = 0; i < n; i++) line[i] ^= work->flip;
    overlap(room, line, n + MT_TILE_COLUMNS);
    for (int64_t i = 0; i < w->taps - 1; i++) sum += (int8_t)line[i];
    for (int64_t j = 0; j < p->columns; j++) {
        sum += (int8_t)line[j + w->taps - 1];
        sums[j] = (int32_t)sum;
        sum -= (int8_t)line[j];
    }
    return (mt_panel_place){room, MT_WORD, MT_TILE_COLUMNS};
}

static mt_panel_place unroll(const void *source, const mt_panels *wanted, void *room, int32_t *sums)
{
    const conv_work *work = source;
    const mt_conv *conv = work->conv;
    const uint8_t *x = work->x + (work->first_unit + wanted->item) * conv->in_channels * conv->window.in_count;
    if (is_long(&conv->window)) return lay_line(work, wanted, x, room, sums);
    memset(sums, 0, (size_t)padded_columns(wanted->columns) * sizeof *sums);
    if (conv->window.axes == 1)
        unroll_lines(work, wanted, x, room, sums);
    else
        unroll_taps(work, wanted, x, room, sums);
    return (mt_panel_place){room, MT_TILE_COLUMNS, wanted->depth * MT_TILE_COLUMNS};
}

void mt_byte_conv_run(mt_pool *pool, const mt_conv *conv, const void *x, uint8_t flip, const void *filters,
                      const mt_byte_result *result, void *y)
{
    int64_t units = conv->batch * conv->groups, k = filter_length(conv), row = mt_byte_row(k);
    const uint8_t *weights = filters;
    const int32_t *sums = (const int32_t *)(weights + conv->groups * conv->out_channels * row);
    int32_t zero = result->b_zero.values ? *(const int32_t *)result->b_zero.values : 0;
    conv_work work = {conv, x, flip, (uint8_t)((uint8_t)zero ^ flip), 0};
    const void *a[MAX_UNITS];
    const int32_t *a_sums[MAX_UNITS];
    void *c[MAX_UNITS];
    for (work.first_unit = 0; work.first_unit < units; work.first_unit += MAX_UNITS) {
        int64_t count = units - work.first_unit < MAX_UNITS ? units - work.first_unit : MAX_UNITS;
        for (int64_t i = 0; i < count; i++) {
            int64_t filter = (work.first_unit + i) % conv->groups * conv->out_channels;
            a[i] = weights + filter * row;
            a_sums[i] = sums + filter;
            c[i] = (int32_t *)y + (work.first_unit + i) * conv->out_channels * conv->window.out_count;
        }
        finish end = {result, zero ? a_sums : NULL, k, work.first_unit, conv->groups, conv->out_channels, false};
        mt_product product = {.tile = mt_tile_bytes(), .m = conv->out_channels, .k = row / MT_WORD, .count = count};
        product.n = conv->window.out_count;
        product.a = a;
        product.a_row = row / MT_WORD;
        product.a_step = 1;
        product.panels = unroll;
        product.depth = is_long(&conv->window) ? conv->window.taps / MT_WORD : 0;
        product.source = &work;
        product.c = c;
        product.c_row = conv->window.out_count;
        product.alpha = 1;
        product.finish = finish_piece;
        product.finish_context = &end;
        mt_product_run(pool, &product);
    }
}

/* --- quantising ----------------------------------------------------------------------------------------------- */

MT_SIMD void mt_byte_range(const float *x, int64_t n, float *least, float *most)
{
    enum { LANES = 16 };
    float low[LANES] = {0}, high[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) {
            low[j] = x[i + j] < low[j] ? x[i + j] : low[j];
            high[j] = x[i + j] > high[j] ? x[i + j] : high[j];
        }
    for (int j = 0; i < n; i++, j++) {
        low[j] = x[i] < low[j] ? x[i] : low[j];
        high[j] = x[i] > high[j] ? x[i] : high[j];
    }
    for (int j = 1; j < LANES; j++) {
        low[0] = low[j] < low[0] ? low[j] : low[0];
        high[0] = high[j] > high[0] ? high[j] : high[0];
    }
    *least = low[0];
    *most = high[0];
}

/* Adding 1.5 * 2^23 rounds to even, as long as the quotient is held within a range where that is exact. */
MT_SIMD void mt_byte_quantise(uint8_t *y, const float *x, int64_t n, float scale, int32_t zero)
{
    const float magic = 12582912.0f;
    for (int64_t i = 0; i < n; i++) {
        float q = x[i] / scale;
        q = q > -1024 ? q : -1024;
        q = q < 1024 ? q : 1024;
        q = (q + magic) - magic + (float)zero;
        q = q > 0 ? q : 0;
        q = q < 255 ? q : 255;
        y[i] = (uint8_t)(int32_t)q;
    }
}
