/* Sums are made in C itself, which holds int32 until the last slice of k and then, where it is to be so, float32. */
#include "kernels/bytes.h"

#include <math.h>
#include <string.h>

#include "kernels/byte_finish.h"
#include "kernels/half.h"
#include "kernels/simd.h"

/* --- from sums to results ------------------------------------------------------------------------------------- */

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
static int find_excess(const mt_byte_finish *f, const mt_piece *p, int64_t row, int32_t *excess)
{
    const mt_byte_result *r = f->result;
    bool one = !f->a_sums && (!r->a_zero.values || !r->a_zero.row);
    for (int i = 0; i < (one ? 1 : p->rows); i++) {
        int32_t a_zero = r->a_zero.values ? *int_at(&r->a_zero, row + i, p->column) : 0;
        int32_t *to = excess + i * p->columns;
        scale_sums(to, p->sums, a_zero, p->columns);
        if (!f->a_sums) continue;
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

/* A row with one scale and one bias, where zero points of B are one for all: `rest` is what they add to every sum. */
static inline void row_to_floats(uint32_t *restrict c, const int32_t *restrict sums, uint32_t a_zero, uint32_t rest,
                                 float scale, float bias, int n)
{
    for (int j = 0; j < n; j++) {
        uint32_t sum = c[j] - a_zero * (uint32_t)sums[j] - rest;
        c[j] = mt_float_to_bits((float)(int32_t)sum * scale + bias);
    }
}

/* What a list of a value a row has from `row` on, or `otherwise`, which counts for all. */
typedef struct by_row {
    const void *values;
    int64_t step;
} by_row;

static by_row rows_from(const mt_byte_list *list, int64_t row, const void *otherwise)
{
    return list->values ? (by_row){int_at(list, row, 0), list->row} : (by_row){otherwise, 0};
}

static int32_t int_of(const by_row *list, int i)
{
    return ((const int32_t *)list->values)[i * list->step];
}

static float float_of(const by_row *list, int i)
{
    return ((const float *)list->values)[i * list->step];
}

/* -0 is the bias that changes nothing, not even the sign of a zero. */
MT_SIMD static void finish_by_row(const mt_byte_finish *f, const mt_piece *p, int64_t row)
{
    static const float one = 1, minus_zero = -0.0f;
    static const int32_t zero = 0;
    const mt_byte_result *r = f->result;
    by_row a_zeros = rows_from(&r->a_zero, row, &zero), b_zeros = rows_from(&r->b_zero, row, &zero);
    by_row scales = rows_from(&r->scale, row, &one), biases = rows_from(&r->bias, row, &minus_zero);
    by_row a_sums = f->a_sums ? (by_row){f->a_sums[p->item] + p->row, 1} : (by_row){&zero, 0};
    for (int i = 0; i < p->rows; i++) {
        uint32_t *c = (uint32_t *)p->c + i * p->c_row, a_zero = (uint32_t)int_of(&a_zeros, i);
        uint32_t rest = ((uint32_t)int_of(&a_sums, i) - (uint32_t)f->k * a_zero) * (uint32_t)int_of(&b_zeros, i);
        if (p->columns == MT_TILE_COLUMNS)
            row_to_floats(c, p->sums, a_zero, rest, float_of(&scales, i), float_of(&biases, i), MT_TILE_COLUMNS);
        else
            row_to_floats(c, p->sums, a_zero, rest, float_of(&scales, i), float_of(&biases, i), p->columns);
    }
}

void mt_byte_finish_run(const void *context, const mt_piece *p)
{
    const mt_byte_finish *f = context;
    const mt_byte_result *r = f->result;
    int64_t row = (f->first_unit + p->item) % f->groups * f->rows + p->row;
    int32_t excess[PIECE];
    float scales[PIECE], biases[PIECE];
    if (!p->last) return;
    if (r->scale.values && !r->scale.column && !r->bias.column && !r->b_zero.column && !r->a_zero.column) {
        finish_by_row(f, p, row);
    } else {
        int excess_row = find_excess(f, p, row, excess);
        if (r->scale.values)
            rows_to_floats(p->c, p->c_row, p->rows, p->columns, excess, excess_row,
                           spread_out(&r->scale, row, p->column, p, scales),
                           spread_out(&r->bias, row, p->column, p, biases));
        else
            take_away_rows(p->c, p->c_row, p->rows, p->columns, excess, excess_row);
    }
    if (r->activate && p->c_row == p->columns)
        r->activate(p->c, (int64_t)p->rows * p->columns);
    else if (r->activate)
        for (int i = 0; i < p->rows; i++) r->activate((float *)p->c + i * p->c_row, p->columns);
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
    mt_byte_finish end = {&s->result, NULL, s->k, 0, 1, 0};
    mt_product product = {.tile = mt_tile_bytes(), .m = s->m, .n = s->n, .k = mt_byte_row(s->k) / MT_WORD, .alpha = 1};
    product.count = 1;
    product.a_row = s->lda / MT_WORD;
    product.a_step = 1;
    product.panels = find_panels;
    product.source = &source;
    product.packed = packed;
    product.c_row = s->n;
    product.finish = mt_byte_finish_run;
    product.finish_context = &end;
    for (int64_t i = 0; i < count; i++) {
        const int32_t *sums = s->a_sums ? s->a_sums + i * s->m : NULL;
        end.a_sums = s->a_sums ? &sums : NULL;
        source.packed = product.packed = packed + i;
        product.a = (const void *const *)a + i;
        product.c = c + i;
        mt_product_run(pool, &product);
    }
}

/* --- quantising ----------------------------------------------------------------------------------------------- */

enum { SIGN = INT32_MIN, INFINITE = 0x7f800000 };

/* Positive floats are in the order of their bits, and so are negative ones, by magnitude: integers have a greatest one
 * that compilers find many at a time. */
MT_SIMD void mt_byte_range(const float *x, int64_t n, float *least, float *most)
{
    int32_t positive = 0, negative = 0; /* magnitudes */
    for (int64_t i = 0; i < n; i++) {
        int32_t bits = (int32_t)mt_float_to_bits(x[i]), magnitude = bits & ~SIGN;
        magnitude = magnitude > INFINITE ? 0 : magnitude; /* NaN */
        int32_t above = bits < 0 ? 0 : magnitude, below = bits < 0 ? magnitude : 0;
        positive = above > positive ? above : positive;
        negative = below > negative ? below : negative;
    }
    *least = 0.0f - mt_bits_to_float((uint32_t)negative);
    *most = mt_bits_to_float((uint32_t)positive);
}

/* Adding 1.5 * 2^23 rounds to even where results differ, and leaves the integer in the lowest bits; from there on, and
 * beyond, bits are in the order of what they stand for. */
static const float ROUNDING = 12582912.0f;
enum { ROUNDED = 0x4b400000 };

static inline uint8_t held(float quotient, int32_t zero)
{
    int32_t least = ROUNDED - zero, bits = (int32_t)mt_float_to_bits(quotient + ROUNDING);
    bits = bits > least ? bits : least;
    bits = bits < least + 255 ? bits : least + 255;
    return (uint8_t)(bits - least);
}

static void quantise_by_division(uint8_t *restrict y, const float *restrict x, int64_t n, float scale, int32_t zero)
{
    for (int64_t i = 0; i < n; i++) {
        float q = x[i] / scale;
        y[i] = held(q == q ? q : -INFINITY, zero);
    }
}

/* Multiplying is faster, and as long as the scale has a normal inverse no quotient within 256 is further off than
 * 256 * 3 * 2^-24, or 0.00005: it rounds to the same integer unless it is that near to the middle between two. Tells
 * whether any is, or is not a number. */
static inline bool quantise_by_inverse(uint8_t *restrict y, const float *restrict x, int64_t n, float inverse,
                                       int32_t zero)
{
    int doubtful = 0;
    for (int64_t i = 0; i < n; i++) {
        float q = x[i] * inverse, from_nearest = q - ((q + ROUNDING) - ROUNDING);
        doubtful |= !(from_nearest * from_nearest <= 0.4999f * 0.4999f);
        y[i] = held(q, zero);
    }
    return doubtful;
}

MT_SIMD void mt_byte_quantise(uint8_t *restrict y, const float *restrict x, int64_t n, float scale, int32_t zero)
{
    enum { PART = 128 };
    bool invertible = scale > 1e-30f && scale < 1e30f;
    float inverse = 1 / scale;
    for (; n >= PART && invertible; n -= PART, x += PART, y += PART)
        if (quantise_by_inverse(y, x, PART, inverse, zero)) quantise_by_division(y, x, PART, scale, zero);
    quantise_by_division(y, x, n, scale, zero);
}
