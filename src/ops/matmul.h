/* Products of stacks of matrices by numpy's rules, for MatMul and its quantised relatives. */
#ifndef MT_OPS_MATMUL_H
#define MT_OPS_MATMUL_H

#include "kernels/gemm.h"
#include "ops/support.h"

typedef struct mt_matmul {
    mt_gemm shape;
    mt_broadcast batch;
    int rank;
    int64_t dims[MOTET_MAX_RANK]; /* of the result */
} mt_matmul;

/* Shapes only. A vector on the left is a row, on the right a column; the axis it lacks is left out of the result. */
motet_status mt_matmul_plan(mt_op_context *c, const motet_tensor *a, const motet_tensor *b, mt_matmul *plan);

/* Multiplies dense elements of `type`: float32 and double through the kernels (unless the reference is asked for),
 * integers in a plain loop modulo their range. */
motet_status mt_matmul_run(mt_op_context *c, const mt_matmul *plan, motet_type type, const void *a, const void *b,
                           void *result);

/* The matrix *b of weights, which input i is or comes from, packed if that is done: *b, and shape->b_packed and
 * shape->ldb, say so. In the first runs it may not be. */
motet_status mt_matmul_weights(mt_op_context *c, int i, mt_gemm *shape, const float **b);

/* Packs `count` matrices that lie one after the other, each n x k or k x n as `shape` says, from *b on; *b becomes
 * where they are packed, mt_sgemm_packed_size(shape) floats each. That is kept if input i, from which they come, is a
 * constant, and made anew in every run if it is not. */
motet_status mt_matmul_pack(mt_op_context *c, int i, const mt_gemm *shape, int64_t count, const float **b);

#endif
