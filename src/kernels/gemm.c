/* Tiles of at most 192 x 192 keep both cores busy on the products of a 3-second window (149 x 768 x 768 makes four of
 * them); where there are plenty they are twice as long, since OpenBLAS repacks A and B for every tile. A product with
 * one row or one column is a matrix times a vector and goes to gemv, which reads the matrix once and packs nothing. */
#include "kernels/gemm.h"

#include <cblas.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

enum { TILE = 192, LARGE_TILE = 384, PLENTY = 8, TILE_STEP = 16, SMALL = 1 << 18 };

static void hold_blas_to_one_thread(void)
{
    openblas_set_num_threads(1);
}

static void prepare_blas(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, hold_blas_to_one_thread);
}

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

static int64_t parts_of(int64_t size, int64_t most)
{
    return (size + most - 1) / most;
}

/* The length of equal parts, a multiple of TILE_STEP and at most `most`, that cover `size`. */
static int64_t tile_length(int64_t size, int64_t most)
{
    int64_t length = parts_of(size, parts_of(size, most));
    return parts_of(length, TILE_STEP) * TILE_STEP;
}

typedef struct tiling {
    int64_t height, width; /* of a tile */
    int64_t down, across;  /* tiles in one product */
} tiling;

static tiling cut(const mt_gemm *s)
{
    tiling t = {s->m, s->n, 1, 1};
    if ((double)s->m * (double)s->n * (double)s->k <= SMALL) return t;
    int64_t most = parts_of(s->m, LARGE_TILE) * parts_of(s->n, LARGE_TILE) >= PLENTY ? LARGE_TILE : TILE;
    t.height = tile_length(s->m, most);
    t.width = tile_length(s->n, most);
    t.down = parts_of(s->m, t.height);
    t.across = parts_of(s->n, t.width);
    return t;
}

#define FOR_PRECISION(T, letter)                                                                                       \
    typedef struct letter##_work {                                                                                     \
        const mt_gemm *shape;                                                                                          \
        tiling tiles;                                                                                                  \
        const T *const *a, *const *b;                                                                                  \
        T *const *c;                                                                                                   \
    } letter##_work;                                                                                                   \
                                                                                                                       \
    /* m rows and n columns from a, b and c on */                                                                      \
    static void letter##_tile(const mt_gemm *s, int m, int n, const T *a, const T *b, T *c)                            \
    {                                                                                                                  \
        int k = (int)s->k, lda = (int)s->lda, ldb = (int)s->ldb, ldc = (int)s->ldc;                                    \
        T alpha = (T)s->alpha, beta = (T)s->beta;                                                                      \
        if (m == 1)                                                                                                    \
            cblas_##letter##gemv(CblasRowMajor, s->b_transposed ? CblasNoTrans : CblasTrans, s->b_transposed ? n : k,  \
                                 s->b_transposed ? k : n, alpha, b, ldb, a, s->a_transposed ? lda : 1, beta, c, 1);    \
        else if (n == 1)                                                                                               \
            cblas_##letter##gemv(CblasRowMajor, s->a_transposed ? CblasTrans : CblasNoTrans, s->a_transposed ? k : m,  \
                                 s->a_transposed ? m : k, alpha, a, lda, b, s->b_transposed ? 1 : ldb, beta, c, ldc);  \
        else                                                                                                           \
            cblas_##letter##gemm(CblasRowMajor, s->a_transposed ? CblasTrans : CblasNoTrans,                           \
                                 s->b_transposed ? CblasTrans : CblasNoTrans, m, n, k, alpha, a, lda, b, ldb, beta, c, \
                                 ldc);                                                                                 \
    }                                                                                                                  \
                                                                                                                       \
    static void letter##_block(void *context, size_t block)                                                            \
    {                                                                                                                  \
        const letter##_work *w = context;                                                                              \
        const mt_gemm *s = w->shape;                                                                                   \
        const tiling *t = &w->tiles;                                                                                   \
        int64_t i = (int64_t)block / (t->down * t->across), tile = (int64_t)block % (t->down * t->across);             \
        int64_t row = tile / t->across * t->height, column = tile % t->across * t->width;                              \
        int64_t m = s->m - row < t->height ? s->m - row : t->height;                                                   \
        int64_t n = s->n - column < t->width ? s->n - column : t->width;                                               \
        letter##_tile(s, (int)m, (int)n, w->a[i] + (s->a_transposed ? row : row * s->lda),                             \
                      w->b[i] + (s->b_transposed ? column * s->ldb : column), w->c[i] + row * s->ldc + column);        \
    }                                                                                                                  \
                                                                                                                       \
    /* With nothing to add up, BLAS need not touch C. */                                                               \
    static void letter##_empty(const mt_gemm *s, T *c)                                                                 \
    {                                                                                                                  \
        for (int64_t i = 0; i < s->m; i++)                                                                             \
            for (int64_t j = 0; j < s->n; j++) c[i * s->ldc + j] = s->beta == 0 ? 0 : (T)s->beta * c[i * s->ldc + j];  \
    }                                                                                                                  \
                                                                                                                       \
    void mt_##letter##gemm_batch(mt_pool *pool, const mt_gemm *shape, int64_t count, const T *const *a,                \
                                 const T *const *b, T *const *c)                                                       \
    {                                                                                                                  \
        if (shape->m == 0 || shape->n == 0) return;                                                                    \
        if (shape->k == 0) {                                                                                           \
            for (int64_t i = 0; i < count; i++) letter##_empty(shape, c[i]);                                           \
            return;                                                                                                    \
        }                                                                                                              \
        prepare_blas();                                                                                                \
        letter##_work work = {shape, cut(shape), a, b, c};                                                             \
        mt_parallel(pool, (size_t)(count * work.tiles.down * work.tiles.across), letter##_block, &work);               \
    }                                                                                                                  \
                                                                                                                       \
    void mt_##letter##gemm(mt_pool *pool, const mt_gemm *shape, const T *a, const T *b, T *c)                          \
    {                                                                                                                  \
        mt_##letter##gemm_batch(pool, shape, 1, &a, &b, &c);                                                           \
    }

FOR_PRECISION(float, s)
FOR_PRECISION(double, d)
