/* Sums are made in C itself, which holds int32 until the last slice of k and then, where it is to be so, float32. */
#include "kernels/bytes.h"

#include <math.h>
#include <string.h>

#include "kernels/byte_finish.h"
#include "kernels/epilogue.h"
#include "kernels/half.h"
#include "kernels/simd.h"

/* --- from sums to results ------------------------------------------------------------------------------------- */

enum { PIECE = MT_TILE_ROWS * MT_TILE_COLUMNS, WIDEST = MT_TILE_PANELS * MT_TILE_COLUMNS };
_Static_assert(MT_TILE_FEW_ROWS *MT_TILE_PANELS <= MT_TILE_ROWS, "a wide piece fits, too");

static const int32_t *int_at(const mt_byte_list *list, int64_t row, int64_t column)
{
    return (const int32_t *)list->values + row * list->row + column * list->column;
}

MT_SIMD static void multiply_sums(int32_t *sums, int32_t factor, int64_t n)
{
    for (int64_t j = 0; j < n; j++) sums[j] = (int32_t)((uint32_t)sums[j] * (uint32_t)factor);
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

/* Whether rows differ by more than a number that is one for all columns: by zero points of A, or those of B where they
 * count. */
static bool rows_differ(const mt_byte_finish *f)
{
    return f->result->a_zero.row || (f->a_sums && f->result->b_zero.column);
}

void mt_byte_finish_sums(const mt_byte_finish *f, int32_t *sums, int64_t n)
{
    const mt_byte_list *zero = &f->result->a_zero;
    if (!rows_differ(f)) multiply_sums(sums, zero->values ? *int_at(zero, 0, 0) : 0, n);
}

/* What zero points add to the sums of a piece: excess[i * row + j] + rest[i]. */
typedef struct surplus {
    const int32_t *all;
    int64_t row;
    int32_t rest[MT_TILE_ROWS], room[PIECE];
} surplus;

static void find_surplus(const mt_byte_finish *f, const mt_piece *p, int64_t row, surplus *e)
{
    const mt_byte_result *r = f->result;
    bool differ = rows_differ(f);
    e->all = differ ? e->room : p->sums;
    e->row = differ ? p->columns : 0;
    memset(e->rest, 0, sizeof e->rest);
    if (!differ && !f->a_sums) return;
    for (int i = 0; i < p->rows; i++) {
        uint32_t a_zero = r->a_zero.values ? (uint32_t)*int_at(&r->a_zero, row + i, 0) : 0;
        uint32_t rest = f->a_sums ? (uint32_t)f->a_sums[p->item][p->row + i] - (uint32_t)f->k * a_zero : 0;
        if (differ) scale_sums(e->room + i * p->columns, p->sums, (int32_t)a_zero, p->columns);
        if (f->a_sums && differ)
            add_scaled_sums(e->room + i * p->columns, int_at(&r->b_zero, 0, p->column), r->b_zero.column, (int32_t)rest,
                            p->columns);
        else if (f->a_sums)
            e->rest[i] = (int32_t)(rest * (uint32_t)*int_at(&r->b_zero, 0, 0));
    }
}

/* Floats by rows: that of row i is element i * step. */
typedef struct by_row {
    const float *values;
    int64_t step;
} by_row;

/* A piece on its way to where it is wanted, row by row. */
typedef struct way {
    const uint32_t *c;
    uint32_t *to;
    int64_t c_row, to_row;
    int rows;
} way;

/* Sums to sums, or to floats, with a scale and a bias for every column, or for every row. */
static inline void take_away(way w, int columns, const surplus *e)
{
    int64_t row = e->row;
    const int32_t *excess = e->all;
    for (int i = 0; i < w.rows; i++, w.c += w.c_row, w.to += w.to_row, excess += row) {
        uint32_t rest = (uint32_t)e->rest[i];
        MT_INDEPENDENT
        for (int j = 0; j < columns; j++) w.to[j] = w.c[j] - (uint32_t)excess[j] - rest;
    }
}

static inline void to_floats_by_columns(way w, int columns, const surplus *e, const float *scale, const float *bias)
{
    int64_t row = e->row;
    const int32_t *excess = e->all;
    for (int i = 0; i < w.rows; i++, w.c += w.c_row, w.to += w.to_row, excess += row) {
        uint32_t rest = (uint32_t)e->rest[i];
        MT_INDEPENDENT
        for (int j = 0; j < columns; j++) {
            uint32_t sum = w.c[j] - (uint32_t)excess[j] - rest;
            w.to[j] = mt_float_to_bits((float)(int32_t)sum * scale[j] + bias[j]);
        }
    }
}

static inline void to_floats_by_rows(way w, int columns, const surplus *e, by_row scales, by_row biases)
{
    int64_t row = e->row;
    const int32_t *excess = e->all;
    for (int i = 0; i < w.rows; i++, w.c += w.c_row, w.to += w.to_row, excess += row) {
        uint32_t rest = (uint32_t)e->rest[i];
        float scale = scales.values[i * scales.step], bias = biases.values[i * biases.step];
        MT_INDEPENDENT
        for (int j = 0; j < columns; j++) {
            uint32_t sum = w.c[j] - (uint32_t)excess[j] - rest;
            w.to[j] = mt_float_to_bits((float)(int32_t)sum * scale + bias);
        }
    }
}

/* Most pieces are a panel wide: then the loops over columns become a few instructions. */
MT_SIMD static void put_sums(const way *w, int columns, const surplus *e)
{
    if (columns == MT_TILE_COLUMNS)
        take_away(*w, MT_TILE_COLUMNS, e);
    else
        take_away(*w, columns, e);
}

MT_SIMD static void put_floats_by_columns(const way *w, int columns, const surplus *e, const float *scale,
                                          const float *bias)
{
    if (columns == MT_TILE_COLUMNS)
        to_floats_by_columns(*w, MT_TILE_COLUMNS, e, scale, bias);
    else
        to_floats_by_columns(*w, columns, e, scale, bias);
}

MT_SIMD static void put_floats_by_rows(const way *w, int columns, const surplus *e, by_row scale, by_row bias)
{
    if (columns == MT_TILE_COLUMNS)
        to_floats_by_rows(*w, MT_TILE_COLUMNS, e, scale, bias);
    else
        to_floats_by_rows(*w, columns, e, scale, bias);
}

/* A list by columns from the first of a piece on; where one number is for all, it is repeated in `room`. */
static const float *columns_of(const mt_byte_list *list, const mt_piece *p, float *room)
{
    const float *values = list->values;
    if (list->column) return values + p->column;
    for (int j = 0; j < p->columns; j++) room[j] = *values;
    return room;
}

static by_row rows_of(const mt_byte_list *list, int64_t row)
{
    return (by_row){(const float *)list->values + row * list->row, list->row};
}

/* -0 is the bias that changes nothing, not even the sign of a zero. */
static void put_floats(const mt_byte_finish *f, const mt_piece *p, int64_t row, const way *w, const surplus *e)
{
    static const float minus_zero = -0.0f;
    float scales[WIDEST], biases[WIDEST];
    mt_byte_list scale = f->result->scale, bias = f->result->bias;
    if (!bias.values) bias = (mt_byte_list){&minus_zero, 0, 0};
    if (scale.column || bias.column)
        put_floats_by_columns(w, p->columns, e, columns_of(&scale, p, scales), columns_of(&bias, p, biases));
    else
        put_floats_by_rows(w, p->columns, e, rows_of(&scale, row), rows_of(&bias, row));
}

/* What is to be activated stays where it is, in the first cache, until it has been. */
void mt_byte_finish_run(const void *context, const mt_piece *p)
{
    const mt_byte_finish *f = context;
    const mt_byte_result *r = f->result;
    int64_t row = (f->first_unit + p->item) % f->groups * f->rows + p->row;
    way w = {p->c, r->activate ? p->c : p->to, p->c_row, r->activate ? p->c_row : p->to_row, p->rows};
    surplus e;
    if (!p->last) return;
    find_surplus(f, p, row, &e);
    if (r->scale.values)
        put_floats(f, p, row, &w, &e);
    else
        put_sums(&w, p->columns, &e);
    if (!r->activate) return;
    mt_piece_activate(p, r->activate);
    mt_piece_move(p);
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
    const mt_byte_finish *finish;
} matrices;

/* The sums of whole columns go with the last slice. */
static mt_panel_place find_panels(const void *source, const mt_panels *wanted, void *room, int32_t *sums)
{
    (void)room;
    const matrices *from = source;
    const char *packed = from->packed[wanted->item];
    int64_t words = mt_byte_row(from->k) / MT_WORD;
    if (wanted->first + wanted->depth >= words) {
        memcpy(sums, packed + (padded_columns(from->n) * words + wanted->column) * MT_WORD,
               (size_t)wanted->columns * sizeof *sums);
        mt_byte_finish_sums(from->finish, sums, wanted->columns);
    }
    return (mt_panel_place){packed + (wanted->column * words + wanted->first * MT_TILE_COLUMNS) * MT_WORD,
                            MT_TILE_COLUMNS, words * MT_TILE_COLUMNS};
}

void mt_byte_gemm_run(mt_pool *pool, const mt_byte_gemm *s, int64_t count, const uint8_t *const *a,
                      const void *const *packed, void *const *c)
{
    mt_byte_finish end = {&s->result, NULL, s->k, 0, 1, 0};
    matrices source = {s->k, s->n, packed, &end};
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
