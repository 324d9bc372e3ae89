/* Products of matrices as they come. B is brought into panels: packed ones are there already; full panels of a plain B
 * are read where they lie by a few rows of A (then copying would cost as much as multiplying), and by many if all rows
 * of a panel have room in the second cache; otherwise panels are copied, or transposed, when their turn comes. */
#include "kernels/gemm.h"

#include <limits.h>
#include <stdalign.h>
#include <string.h>

#include "core/cpu.h"
#include "core/tensor.h"
#include "kernels/simd.h"

enum { FEW_ROWS = 2 * MT_TILE_ROWS };

mt_gemm mt_gemm_plain(int64_t m, int64_t n, int64_t k)
{
    return (mt_gemm){.m = m, .n = n, .k = k, .lda = k, .ldb = n, .ldc = n, .alpha = 1};
}

bool mt_gemm_fits(const mt_gemm *s)
{
    const int64_t sizes[] = {s->m, s->n, s->k, s->lda, s->ldb, s->ldc};
    for (int i = 0; i < 6; i++)
        if (sizes[i] < 0 || sizes[i] > INT_MAX) return false;
    return true;
}

/* --- panels --------------------------------------------------------------------------------------------------- */

MT_SIMD static void copy_rows(const mt_loose_float *b, int64_t ldb, int64_t depth, int columns, float *to)
{
    if (columns == MT_TILE_COLUMNS) {
        for (int64_t k = 0; k < depth; k++) memcpy(to + k * MT_TILE_COLUMNS, b + k * ldb, MT_TILE_COLUMNS * sizeof *to);
        return;
    }
    for (int64_t k = 0; k < depth; k++, to += MT_TILE_COLUMNS) {
        memcpy(to, b + k * ldb, (size_t)columns * sizeof *to);
        memset(to + columns, 0, (size_t)(MT_TILE_COLUMNS - columns) * sizeof *to);
    }
}

typedef float quad __attribute__((vector_size(16)));

/* Four elements of four rows of b become four of four columns. */
static inline void turn(const mt_loose_float *b, int64_t ldb, float *to)
{
    quad r[4];
    for (int j = 0; j < 4; j++) memcpy(&r[j], b + j * ldb, sizeof *r);
    quad a = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5), c = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7),
         d = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5), e = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
    r[0] = __builtin_shufflevector(a, d, 0, 1, 4, 5);
    r[1] = __builtin_shufflevector(a, d, 2, 3, 6, 7);
    r[2] = __builtin_shufflevector(c, e, 0, 1, 4, 5);
    r[3] = __builtin_shufflevector(c, e, 2, 3, 6, 7);
    for (int k = 0; k < 4; k++) memcpy(to + k * MT_TILE_COLUMNS, &r[k], sizeof *r);
}

/* Column j of the panel is row j of b. Short stretches of each, so that what is written stays in the first cache. */
static void copy_columns(const mt_loose_float *b, int64_t ldb, int64_t depth, int columns, float *to)
{
    enum { STRETCH = 16 };
    for (int64_t first = 0; first < depth; first += STRETCH) {
        int64_t n = depth - first < STRETCH ? depth - first : STRETCH, quads = n / 4 * 4;
        float *rows = to + first * MT_TILE_COLUMNS;
        int j = 0;
        for (; j + 4 <= columns; j += 4)
            for (int64_t k = 0; k < quads; k += 4) turn(b + j * ldb + first + k, ldb, rows + k * MT_TILE_COLUMNS + j);
        for (int i = 0; i < columns; i++)
            for (int64_t k = i < j ? quads : 0; k < n; k++) rows[k * MT_TILE_COLUMNS + i] = b[i * ldb + first + k];
        for (j = columns; j < MT_TILE_COLUMNS; j++)
            for (int64_t k = 0; k < n; k++) rows[k * MT_TILE_COLUMNS + j] = 0;
    }
}

static void copy_panel(const mt_gemm *s, const mt_loose_float *b, int64_t first, int64_t depth, int64_t column,
                       int columns, float *to)
{
    if (s->b_transposed)
        copy_columns(b + column * s->ldb + first, s->ldb, depth, columns, to);
    else
        copy_rows(b + first * s->ldb + column, s->ldb, depth, columns, to);
}

static int panel_columns(int64_t left)
{
    return (int)(left < MT_TILE_COLUMNS ? left : MT_TILE_COLUMNS);
}

typedef struct matrices {
    const mt_gemm *shape;
    const float *const *b;
} matrices;

/* True unless rows of a panel, so many bytes apart, meet in so few sets of the second cache that they push each other
 * out. A quarter of it is left to A. */
static bool stay_near(int64_t apart, int64_t rows)
{
    enum { LINE = 64 };
    const mt_cache_shape cache = mt_cpu_second_cache();
    int64_t sets = cache.sets, lines = apart / LINE;
    if (apart % LINE) return rows <= sets * cache.ways / 4;
    while (sets > 1 && lines % 2 == 0) {
        sets /= 2;
        lines /= 2;
    }
    return rows <= sets * cache.ways * 3 / 4;
}

static mt_panel_place find_panels(const void *source, const mt_panels *wanted, void *memory, int32_t *sums)
{
    (void)sums;
    float *room = memory;
    const matrices *from = source;
    const mt_gemm *s = from->shape;
    const float *b = from->b[wanted->item];
    int64_t panel = wanted->depth * MT_TILE_COLUMNS, full = wanted->columns / MT_TILE_COLUMNS * MT_TILE_COLUMNS;
    if (s->b_packed)
        return (mt_panel_place){b + wanted->column * s->k + wanted->first * MT_TILE_COLUMNS, MT_TILE_COLUMNS,
                                s->k * MT_TILE_COLUMNS};
    bool whole = !s->b_transposed && wanted->columns == full && (uintptr_t)b % alignof(float) == 0;
    if (whole && (wanted->rows <= FEW_ROWS || stay_near(s->ldb * (int64_t)sizeof *b, wanted->depth)))
        return (mt_panel_place){b + wanted->first * s->ldb + wanted->column, s->ldb, MT_TILE_COLUMNS};
    for (int64_t j = 0; j < wanted->columns; j += MT_TILE_COLUMNS)
        copy_panel(s, b, wanted->first, wanted->depth, wanted->column + j, panel_columns(wanted->columns - j),
                   room + j / MT_TILE_COLUMNS * panel);
    return (mt_panel_place){room, MT_TILE_COLUMNS, panel};
}

int64_t mt_sgemm_packed_size(const mt_gemm *s)
{
    int64_t columns = (s->n + MT_TILE_COLUMNS - 1) / MT_TILE_COLUMNS * MT_TILE_COLUMNS, size;
    return __builtin_mul_overflow(columns, s->k, &size) ? -1 : size;
}

typedef struct packing {
    const mt_gemm *shape;
    const float *b;
    float *packed;
} packing;

static void pack_panel(void *context, size_t panel)
{
    const packing *p = context;
    const mt_gemm *s = p->shape;
    int64_t column = (int64_t)panel * MT_TILE_COLUMNS;
    copy_panel(s, p->b, 0, s->k, column, panel_columns(s->n - column), p->packed + column * s->k);
}

void mt_sgemm_pack(mt_pool *pool, const mt_gemm *s, const float *b, float *packed)
{
    packing p = {s, b, packed};
    mt_parallel(pool, (size_t)((s->n + MT_TILE_COLUMNS - 1) / MT_TILE_COLUMNS), pack_panel, &p);
}

/* --- products ------------------------------------------------------------------------------------------------- */

MT_SIMD static void scale_rows(float *c, int64_t c_row, int64_t rows, int64_t columns, float factor)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) c[i * c_row + j] *= factor;
}

void mt_sgemm_batch(mt_pool *pool, const mt_gemm *s, int64_t count, const float *const *a, const float *const *b,
                    float *const *c)
{
    matrices source = {s, b};
    mt_product product = {.tile = mt_tile_floats(), .m = s->m, .n = s->n, .k = s->k, .count = count};
    product.a = (const void *const *)a;
    product.a_row = s->a_transposed ? 1 : s->lda;
    product.a_step = s->a_transposed ? s->lda : 1;
    product.panels = find_panels;
    product.source = &source;
    product.packed = s->b_packed ? (const void *const *)b : NULL;
    product.plain = !s->b_packed && !s->b_transposed && s->m > FEW_ROWS ? (const void *const *)b : NULL;
    product.plain_row = s->ldb;
    product.c = (void *const *)c;
    product.c_row = s->ldc;
    product.alpha = (float)s->alpha;
    product.add = s->beta != 0;
    product.finish = mt_epilogue_run;
    product.finish_context = &s->epilogue;
    for (int64_t i = 0; i < count && s->beta != 0 && s->beta != 1; i++)
        scale_rows(c[i], s->ldc, s->m, s->n, (float)s->beta);
    mt_product_run(pool, &product);
}

void mt_sgemm(mt_pool *pool, const mt_gemm *shape, const float *a, const float *b, float *c)
{
    mt_sgemm_batch(pool, shape, 1, &a, &b, &c);
}
