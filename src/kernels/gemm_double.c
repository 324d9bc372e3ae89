/* float64 products, plain: for the few models that compute in it. A block is one strip of rows times a panel of B that
 * is copied in slices, and loops that the compiler vectorises do the rest. */
#include <string.h>

#include "kernels/gemm.h"
#include "kernels/simd.h"

enum { ROWS = 64, COLUMNS = 32, DEPTH = 128 };

typedef struct work {
    const mt_gemm *shape;
    int64_t down, across;
    const double *const *a, *const *b;
    double *const *c;
} work;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void copy_panel(const mt_gemm *s, const double *b, int64_t depth, int64_t columns, double *to)
{
    for (int64_t k = 0; k < depth; k++)
        for (int64_t j = 0; j < COLUMNS; j++)
            to[k * COLUMNS + j] = j >= columns ? 0 : s->b_transposed ? b[j * s->ldb + k] : b[k * s->ldb + j];
}

/* c[0 .. COLUMNS-1] += one row of A, its elements `step` apart, times the panel. */
MT_SIMD static void add_row(double *restrict c, const double *a, int64_t step, const double *panel, int64_t depth)
{
    for (int64_t k = 0; k < depth; k++)
        for (int64_t j = 0; j < COLUMNS; j++) c[j] += a[k * step] * panel[k * COLUMNS + j];
}

static void run_block(void *context, size_t number)
{
    const work *w = context;
    const mt_gemm *s = w->shape;
    int64_t each = w->down * w->across, item = (int64_t)number / each, at = (int64_t)number % each;
    int64_t row = at / w->across * ROWS, column = at % w->across * COLUMNS;
    int64_t rows = least(ROWS, s->m - row), columns = least(COLUMNS, s->n - column);
    double panel[DEPTH * COLUMNS], sums[ROWS * COLUMNS] = {0};
    for (int64_t first = 0; first < s->k; first += DEPTH) {
        int64_t depth = least(DEPTH, s->k - first);
        copy_panel(s, w->b[item] + (s->b_transposed ? column * s->ldb + first : first * s->ldb + column), depth,
                   columns, panel);
        for (int64_t i = 0; i < rows; i++) {
            const double *a = w->a[item] + (s->a_transposed ? first * s->lda + row + i : (row + i) * s->lda + first);
            add_row(sums + i * COLUMNS, a, s->a_transposed ? s->lda : 1, panel, depth);
        }
    }
    for (int64_t i = 0; i < rows; i++) {
        double *c = w->c[item] + (row + i) * s->ldc + column;
        for (int64_t j = 0; j < columns; j++)
            c[j] = s->alpha * sums[i * COLUMNS + j] + (s->beta == 0 ? 0 : s->beta * c[j]);
    }
}

void mt_dgemm_batch(mt_pool *pool, const mt_gemm *s, int64_t count, const double *const *a, const double *const *b,
                    double *const *c)
{
    work w = {s, (s->m + ROWS - 1) / ROWS, (s->n + COLUMNS - 1) / COLUMNS, a, b, c};
    mt_parallel(pool, (size_t)(count * w.down * w.across), run_block, &w);
}

void mt_dgemm(mt_pool *pool, const mt_gemm *shape, const double *a, const double *b, double *c)
{
    mt_dgemm_batch(pool, shape, 1, &a, &b, &c);
}
