/* Where A, B and C are cut into quarters, seven products of quarters, or of sums of two, make what eight make by the
 * definition (V. Strassen, Gaussian Elimination is not Optimal, Numerische Mathematik 13, 1969). One level of that:
 *
 *     I = (A11 + A22)(B11 + B22)    II = (A21 + A22) B11    III = A11 (B12 - B22)    IV = A22 (B21 - B11)
 *     V = (A11 + A12) B22           VI = (A21 - A11)(B11 + B12)                     VII = (A12 - A22)(B21 + B22)
 *
 *     C11 = I + IV - V + VII        C12 = III + V           C21 = II + IV            C22 = I - II + III + VI
 *
 * Quarters are what suits the tiles. The rows are cut into parts, each part into an upper half of some whole tiles and
 * a lower half of as many; the few rows that are left are multiplied as they are. The halves of the columns are
 * neighbouring panels, two of which are a block's, and those of k are halves of a slice. A thread keeps to some parts,
 * and so to what its own cache has of their rows from the layer before, and of their sums; B is read once by each. Sums
 * of A are made first, once for all blocks. Sums of B are never stored: tiles add two panels on the way
 * (mt_tile.b_sign), which costs next to nothing beside their multiplications. The seven products of a tile of C11, and
 * of those of the other quarters that go with it, stay in the cache through all slices, and are put together once. A B
 * that is not packed is copied when its turn comes, a slice of two panels at a time, and then is the same.
 *
 * The price is accuracy: an element is off by roundings of the largest elements of four quarters, not of its own sum.
 * Against float64, of normally distributed numbers, the largest error is 6e-6 of the result's standard deviation for
 * 149 rows by 768 x 768 and 7e-6 by 3072 x 768, where the definition in float32 has 5e-6 and 4e-6. And what is infinite
 * or not a number in a row also spoils the row of the other half that it is added to. */
#include "kernels/strassen.h"

#include <stdalign.h>
#include <string.h>

#include "kernels/simd.h"

enum { I, II, III, IV, V, VI, VII, PRODUCTS };

enum {
    DEPTH = 768,                /* of half a slice of k, at most */
    TILES = 11,                 /* pairs of tiles of rows in a part, at most */
    FEW_TILES = 3,              /* at least, if there are to be two parts */
    WIDE = 2 * MT_TILE_COLUMNS, /* columns of a block */
    SUM = MT_TILE_ROWS * MT_TILE_COLUMNS,
    LINE = 16,                     /* floats of the cache */
    LEAST_ROWS = 4 * MT_TILE_ROWS, /* otherwise too many rows may be left */
    LEAST = 512                    /* n and k: sums of A and of products are not worth it for fewer */
};

/* What A and B are in each product. Sums of A come first. */
typedef enum quarter { Q11, Q12, Q21, Q22 } quarter;
typedef enum rows { A11_A22, A21_A22, A11_A12, A21_A11, A12_A22, SUMS, A11 = SUMS, A22 } rows;
static const struct {
    rows a;
    quarter b, other;
    int sign;
} products[PRODUCTS] = {
    [I] = {A11_A22, Q11, Q22, 1},   [II] = {A21_A22, Q11, Q11, 0}, [III] = {A11, Q12, Q22, -1},
    [IV] = {A22, Q21, Q11, -1},     [V] = {A11_A12, Q22, Q22, 0},  [VI] = {A21_A11, Q11, Q12, 1},
    [VII] = {A12_A22, Q21, Q22, 1},
};

typedef struct work {
    const mt_gemm *shape;
    mt_tile_function tile;
    const float *a;
    const float *const *b;
    float *const *c;
    float *sums;                  /* by slice, pair of tiles, sum: a tile's rows, dense */
    int64_t half;                 /* rows of all upper halves */
    int64_t depth;                /* of half a slice */
    int64_t tiles, parts, across; /* pairs of tiles in a part, parts, blocks by columns */
    int64_t blocks;
    int64_t together; /* parts that take the same columns one after the other: as many as a thread has */
} work;

typedef struct part {
    int64_t pair, pairs;  /* of tiles: which, how many */
    int64_t upper, lower; /* rows at which the halves begin */
} part;

/* A block, and where in k it is. */
typedef struct block {
    const float *panels[2]; /* of the slice */
    part part;
    int64_t item, column;
    int64_t rest;         /* rows beyond the halves: the parts take turns with them */
    int64_t first, depth; /* of the upper half of the slice, counted through upper halves alone; of either half */
    bool last;            /* slice */
} block;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t parts_of(int64_t size, int64_t most)
{
    return (size + most - 1) / most;
}

bool mt_strassen_fits(const mt_gemm *s)
{
    bool plain = !s->a_transposed && s->alpha == 1 && s->beta == 0 && !s->epilogue.row_bias;
    plain = plain && (s->b_packed || !s->b_transposed);
    bool halves = s->n % WIDE == 0 && s->k % 2 == 0;
    return plain && halves && s->m >= LEAST_ROWS && s->n >= LEAST && s->k >= LEAST;
}

static int64_t half_of(const mt_gemm *s)
{
    return s->m / (2 * MT_TILE_ROWS) * MT_TILE_ROWS;
}

int64_t mt_strassen_room(const mt_gemm *s)
{
    int64_t room;
    return __builtin_mul_overflow(half_of(s) * SUMS, s->k / 2, &room) ? -1 : room;
}

static work cut(const mt_gemm *s)
{
    work w = {.shape = s, .tile = mt_tile_floats(), .half = half_of(s), .across = s->n / WIDE};
    int64_t pairs = w.half / MT_TILE_ROWS;
    w.depth = parts_of(s->k / 2, parts_of(s->k / 2, DEPTH));
    w.parts = parts_of(pairs, TILES);
    if (w.parts == 1 && pairs >= 2 * FEW_TILES) w.parts = 2;
    w.tiles = parts_of(pairs, w.parts);
    w.parts = parts_of(pairs, w.tiles);
    return w;
}

static part find_part(const work *w, int64_t number)
{
    part p = {.pair = number * w->tiles, .upper = 2 * number * w->tiles * MT_TILE_ROWS};
    p.pairs = least(w->tiles, w->half / MT_TILE_ROWS - p.pair);
    p.lower = p.upper + p.pairs * MT_TILE_ROWS;
    return p;
}

/* --- sums of A ------------------------------------------------------------------------------------------------ */

/* The sums of a pair of tiles in a slice. */
static float *sums_at(const work *w, int64_t first, int64_t depth, int64_t pair)
{
    return w->sums + SUMS * (w->half * first + pair * MT_TILE_ROWS * depth);
}

/* One row of all sums, which are `apart`. */
MT_SIMD static void add_quarters(const float *restrict a11, const float *restrict a21, int64_t depth,
                                 float *restrict sums, int64_t apart)
{
    const float *a12 = a11 + depth, *a22 = a21 + depth;
    for (int64_t i = 0; i < depth; i++) {
        sums[A11_A22 * apart + i] = a11[i] + a22[i];
        sums[A21_A22 * apart + i] = a21[i] + a22[i];
        sums[A11_A12 * apart + i] = a11[i] + a12[i];
        sums[A21_A11 * apart + i] = a21[i] - a11[i];
        sums[A12_A22 * apart + i] = a12[i] - a22[i];
    }
}

static void add_rows(void *context, size_t number)
{
    const work *w = context;
    int64_t pair = (int64_t)number, half = w->shape->k / 2, lda = w->shape->lda;
    part p = find_part(w, pair / w->tiles);
    const float *upper = w->a + (p.upper + (pair - p.pair) * MT_TILE_ROWS) * lda;
    for (int64_t first = 0, depth; first < half; first += depth) {
        depth = least(w->depth, half - first);
        float *sums = sums_at(w, first, depth, pair);
        const float *a = upper + 2 * first;
        for (int64_t i = 0; i < MT_TILE_ROWS; i++)
            add_quarters(a + i * lda, a + (p.lower - p.upper + i) * lda, depth, sums + i * depth, MT_TILE_ROWS * depth);
    }
}

/* --- a block -------------------------------------------------------------------------------------------------- */

static block find_block(const work *w, int64_t number)
{
    int64_t columns = w->blocks / w->parts, first = number / (columns * w->together) * w->together;
    int64_t parts = least(w->together, w->parts - first), at = number - first * columns, which = first + at % parts;
    block b = {.part = find_part(w, which), .item = at / parts / w->across, .column = at / parts % w->across * WIDE};
    b.depth = w->depth;
    if (at / parts % w->parts == which) b.rest = w->shape->m - 2 * w->half;
    return b;
}

/* Goes on to the next slice; false: that was the last. */
static bool next_slice(const work *w, block *b)
{
    int64_t half = w->shape->k / 2;
    b->first += b->depth;
    b->depth = least(w->depth, half - b->first);
    return b->depth > 0;
}

/* The slice in one of two packed panels. */
static const float *panel_at(const work *w, const block *b, int panel)
{
    return w->b[b->item] + (b->column + panel * MT_TILE_COLUMNS) * w->shape->k + 2 * b->first * MT_TILE_COLUMNS;
}

/* Those of a plain B, to 2 * depth rows of each panel. */
MT_SIMD static void copy_panels(const work *w, const block *b, float *to)
{
    const size_t width = MT_TILE_COLUMNS * sizeof *to;
    const char *row = (const char *)(w->b[b->item] + 2 * b->first * w->shape->ldb + b->column);
    float *other = to + 2 * b->depth * MT_TILE_COLUMNS;
    for (int64_t k = 0; k < 2 * b->depth; k++, row += w->shape->ldb * (int64_t)sizeof *to) {
        memcpy(to + k * MT_TILE_COLUMNS, row, width);
        memcpy(other + k * MT_TILE_COLUMNS, row + width, width);
    }
}

static const float *quarter_of_b(const block *b, quarter q)
{
    return b->panels[q % 2] + (q < Q21 ? 0 : b->depth * MT_TILE_COLUMNS);
}

static void find_rows(const work *w, const block *b, int64_t tile, rows which, mt_tile *t)
{
    int64_t row = (which == A22 ? b->part.lower : b->part.upper) + tile * MT_TILE_ROWS;
    const float *a = w->a + row * w->shape->lda + 2 * b->first;
    t->a_step = 1;
    t->a_row = which < SUMS ? b->depth : w->shape->lda;
    if (which < SUMS)
        t->a = sums_at(w, b->first, b->depth, b->part.pair + tile) + which * MT_TILE_ROWS * b->depth;
    else
        t->a = which == A11 ? a : a + b->depth;
}

/* One product for one tile. The panels of what comes next are asked for by all tiles of a slice together: by the first
 * half of them one panel, by the rest the other. */
static void multiply(const work *w, const block *b, const float *const next[2], int64_t tile, int which, float *to)
{
    mt_tile t = {.k = b->depth, .b_row = MT_TILE_COLUMNS, .c = to, .c_row = MT_TILE_COLUMNS, .alpha = 1};
    int64_t half = parts_of(b->part.pairs * PRODUCTS, 2), at = tile * PRODUCTS + which;
    const float *panel = quarter_of_b(b, products[which].b);
    find_rows(w, b, tile, products[which].a, &t);
    t.b = panel;
    t.b_sign = products[which].sign;
    t.b_other = quarter_of_b(b, products[which].other) - panel;
    t.rows = MT_TILE_ROWS;
    t.columns = MT_TILE_COLUMNS;
    t.add = b->first > 0;
    t.ahead_step = parts_of(2 * MT_TILE_COLUMNS * (int64_t)sizeof(float), half);
    t.ahead = (const char *)next[at / half] + at % half * t.ahead_step * t.k;
    w->tile(&t);
}

static float *c_at(const work *w, const block *b, int64_t tile, quarter q)
{
    int64_t row = (q < Q21 ? b->part.upper : b->part.lower) + tile * MT_TILE_ROWS;
    return w->c[b->item] + row * w->shape->ldc + b->column + q % 2 * MT_TILE_COLUMNS;
}

/* C comes from afar; asked for before it is computed, it is there when it is stored. */
static void fetch(const work *w, const block *b, int64_t tile, int which)
{
    enum { EACH = 2 /* rows of either half */ };
    for (int i = which * EACH; i < which * EACH + EACH && i < MT_TILE_ROWS; i++)
        for (int j = 0; j < WIDE; j += LINE) {
            __builtin_prefetch(c_at(w, b, tile, Q11) + i * w->shape->ldc + j, 1);
            __builtin_prefetch(c_at(w, b, tile, Q21) + i * w->shape->ldc + j, 1);
        }
}

MT_SIMD static void put_together(float (*restrict of)[SUM], float (*restrict c)[SUM])
{
    for (int i = 0; i < SUM; i++) {
        c[Q11][i] = (of[I][i] + of[IV][i]) + (of[VII][i] - of[V][i]);
        c[Q12][i] = of[III][i] + of[V][i];
        c[Q21][i] = of[II][i] + of[IV][i];
        c[Q22][i] = (of[I][i] - of[II][i]) + (of[III][i] + of[VI][i]);
    }
}

/* A tile of each quarter of C. */
static void finish(const work *w, const block *b, int64_t tile, float (*of)[SUM])
{
    alignas(64) float quarters[4][SUM];
    put_together(of, quarters);
    for (quarter q = Q11; q <= Q22; q++) {
        mt_piece piece = {.item = b->item, .rows = MT_TILE_ROWS, .columns = MT_TILE_COLUMNS, .last = true};
        piece.column = b->column + q % 2 * MT_TILE_COLUMNS;
        piece.c = quarters[q];
        piece.c_row = MT_TILE_COLUMNS;
        piece.to = c_at(w, b, tile, q);
        piece.to_row = w->shape->ldc;
        mt_epilogue_run(&w->shape->epilogue, &piece);
    }
}

/* The rows beyond the halves, by the definition. */
static void run_rest(const work *w, const block *b, int panel)
{
    const mt_gemm *s = w->shape;
    mt_piece piece = {.item = b->item, .columns = MT_TILE_COLUMNS, .c_row = s->ldc, .last = b->last};
    mt_tile t = {.k = 2 * b->depth, .a_row = s->lda, .a_step = 1, .b_row = MT_TILE_COLUMNS, .alpha = 1};
    t.b = b->panels[panel];
    t.c_row = s->ldc;
    t.columns = MT_TILE_COLUMNS;
    t.add = b->first > 0;
    t.ahead = t.b;
    piece.column = b->column + panel * MT_TILE_COLUMNS;
    for (int64_t i = 0; i < b->rest; i += MT_TILE_ROWS) {
        int64_t row = 2 * w->half + i;
        piece.rows = t.rows = (int)least(MT_TILE_ROWS, b->rest - i);
        piece.to = piece.c = t.c = w->c[b->item] + row * s->ldc + piece.column;
        t.a = w->a + row * s->lda + 2 * b->first;
        w->tile(&t);
        mt_epilogue_run(&s->epilogue, &piece);
    }
}

/* What the thread with this block will probably read after the slice, if that is packed. */
static void find_next(const work *w, const block *b, int64_t number, const float *next[2])
{
    block after = *b;
    for (int i = 0; i < 2; i++) next[i] = b->panels[i];
    if (!w->shape->b_packed) return;
    if (!next_slice(w, &after)) after = find_block(w, least(number + 1, w->blocks - 1));
    for (int i = 0; i < 2; i++) next[i] = panel_at(w, &after, i);
}

/* `room` holds the slices of a B that is not packed. */
static void run_slices(const work *w, int64_t number, float *room)
{
    alignas(64) float sums[TILES][PRODUCTS][SUM];
    block b = find_block(w, number);
    do {
        const float *next[2];
        b.last = b.first + b.depth == w->shape->k / 2;
        if (room) copy_panels(w, &b, room);
        for (int i = 0; i < 2; i++) b.panels[i] = room ? room + i * 2 * b.depth * MT_TILE_COLUMNS : panel_at(w, &b, i);
        find_next(w, &b, number, next);
        for (int64_t tile = 0; tile < b.part.pairs; tile++) {
            for (int i = 0; i < PRODUCTS; i++) {
                if (b.last) fetch(w, &b, tile, i);
                multiply(w, &b, next, tile, i, sums[tile][i]);
            }
            if (b.last) finish(w, &b, tile, sums[tile]);
        }
        for (int panel = 0; panel < 2; panel++) run_rest(w, &b, panel);
    } while (next_slice(w, &b));
}

static void run_block(void *context, size_t number)
{
    run_slices(context, (int64_t)number, NULL);
}

static void copy_and_run_block(void *context, size_t number)
{
    alignas(64) float room[2 * DEPTH * WIDE];
    run_slices(context, (int64_t)number, room);
}

void mt_strassen_run(mt_pool *pool, const mt_gemm *s, int64_t count, const float *a, const float *const *b, float *room,
                     float *const *c)
{
    work w = cut(s);
    w.a = a;
    w.b = b;
    w.c = c;
    w.sums = room;
    w.blocks = count * w.across * w.parts;
    w.together = parts_of(w.parts, mt_pool_threads(pool));
    mt_parallel(pool, (size_t)(w.half / MT_TILE_ROWS), add_rows, &w);
    mt_parallel(pool, (size_t)w.blocks, s->b_packed ? run_block : copy_and_run_block, &w);
}
