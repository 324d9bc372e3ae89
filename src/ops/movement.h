/* Joining tensors, for Concat and ConcatFromSequence. */
#ifndef MT_OPS_MOVEMENT_H
#define MT_OPS_MOVEMENT_H

#include "ops/op.h"

/* Output 0: `count` tensors of one type joined along `axis`. */
motet_status mt_concat(mt_op_context *c, const motet_tensor *parts, int64_t count, int64_t axis);

#endif
