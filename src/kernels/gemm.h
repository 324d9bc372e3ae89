/* Matrix products on the pool: C = alpha * op(A) * op(B) + beta * C, matrices in row-major order.
 *
 * The product is cut into tiles that depend on its shape alone, and OpenBLAS, held to one thread, computes each tile:
 * so any number of threads gives the same bytes. */
#ifndef MT_KERNELS_GEMM_H
#define MT_KERNELS_GEMM_H

#include <stdbool.h>
#include <stdint.h>

#include "core/pool.h"

typedef struct mt_gemm {
    bool a_transposed, b_transposed; /* A lies as k x m, B as n x k */
    int64_t m, n, k;
    int64_t lda, ldb, ldc; /* elements between rows as they lie in memory */
    double alpha, beta;    /* with beta 0, C is not read */
} mt_gemm;

/* Dense A, B and C, alpha 1, beta 0. */
mt_gemm mt_gemm_plain(int64_t m, int64_t n, int64_t k);

/* False when a size or stride is beyond what the BLAS interface can say (2^31 - 1). */
bool mt_gemm_fits(const mt_gemm *shape);

/* `count` products of one shape: c[i] from a[i] and b[i]. The shape must fit. */
void mt_sgemm_batch(mt_pool *pool, const mt_gemm *shape, int64_t count, const float *const *a, const float *const *b,
                    float *const *c);
void mt_dgemm_batch(mt_pool *pool, const mt_gemm *shape, int64_t count, const double *const *a, const double *const *b,
                    double *const *c);

void mt_sgemm(mt_pool *pool, const mt_gemm *shape, const float *a, const float *b, float *c);
void mt_dgemm(mt_pool *pool, const mt_gemm *shape, const double *a, const double *b, double *c);

#endif
