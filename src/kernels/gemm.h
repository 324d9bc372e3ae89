/* Matrix products on the pool: C = alpha * op(A) * op(B) + beta * C, matrices in row-major order.
 *
 * The product is cut into tiles that depend on its shape alone, and every element of C is summed in the order of k: so
 * any number of threads gives the same bytes. A B that is used often is packed once (mt_sgemm_pack): then it is read
 * in the order in which it lies. */
#ifndef MT_KERNELS_GEMM_H
#define MT_KERNELS_GEMM_H

#include <stddef.h>

#include "kernels/epilogue.h"

typedef struct mt_gemm {
    bool a_transposed, b_transposed; /* A lies as k x m, B as n x k */
    int64_t m, n, k;
    int64_t lda, ldb, ldc; /* elements between rows as they lie in memory */
    double alpha, beta;    /* with beta 0, C is not read */
    bool b_packed;         /* B is what mt_sgemm_pack made; b_transposed and ldb do not matter (float32 only) */
    mt_epilogue epilogue;  /* float32 only */
} mt_gemm;

/* Dense A, B and C, alpha 1, beta 0. */
mt_gemm mt_gemm_plain(int64_t m, int64_t n, int64_t k);

/* False when a size or stride is beyond 2^31 - 1, so that products of two of them are safe. */
bool mt_gemm_fits(const mt_gemm *shape);

/* `count` products of one shape: c[i] from a[i] and b[i]. The shape must fit. */
void mt_sgemm_batch(mt_pool *pool, const mt_gemm *shape, int64_t count, const float *const *a, const float *const *b,
                    float *const *c);
void mt_dgemm_batch(mt_pool *pool, const mt_gemm *shape, int64_t count, const double *const *a, const double *const *b,
                    double *const *c);

void mt_sgemm(mt_pool *pool, const mt_gemm *shape, const float *a, const float *b, float *c);
void mt_dgemm(mt_pool *pool, const mt_gemm *shape, const double *a, const double *b, double *c);

/* How many floats the packed B of a shape takes: k rows of n rounded up to MT_TILE_COLUMNS; -1 when that overflows. */
int64_t mt_sgemm_packed_size(const mt_gemm *shape);

/* The name of how mt_sgemm_pack lays things out: another one whenever that changes. */
#define MT_SGEMM_LAYOUT "float panels 1"

/* Packs the B of `shape` (which says how it lies): panel after panel, MT_TILE_COLUMNS columns each, the missing columns
 * of the last being 0. The same for every level of mt_cpu. b may lie at any address. */
void mt_sgemm_pack(mt_pool *pool, const mt_gemm *shape, const float *b, float *packed);

#endif
