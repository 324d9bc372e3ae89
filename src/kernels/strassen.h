/* Products of many rows with weights, with fewer multiplications than the definition has. */
#ifndef MT_KERNELS_STRASSEN_H
#define MT_KERNELS_STRASSEN_H

#include "kernels/gemm.h"

/* True for shapes where seven multiplications of quarters are faster than eight: many rows, columns and terms, alpha 1,
 * beta 0, B packed or not transposed. */
bool mt_strassen_fits(const mt_gemm *shape);

/* How many floats of room a run needs, for sums of quarters of A; -1 when that overflows. */
int64_t mt_strassen_room(const mt_gemm *shape);

/* As mt_sgemm_batch of `count` products that all have the same A, to within rounding errors, which are the same whether
 * B is packed or not. The shape must fit, but for its size. b may lie at any address. */
void mt_strassen_run(mt_pool *pool, const mt_gemm *shape, int64_t count, const float *a, const float *const *b,
                     float *room, float *const *c);

#endif
