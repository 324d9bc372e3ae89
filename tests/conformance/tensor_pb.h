/* Tensors in files: one serialised TensorProto each, the format of the backend tests and of our golden outputs. */
#ifndef CONFORMANCE_TENSOR_PB_H
#define CONFORMANCE_TENSOR_PB_H

#include "motet/tensor.h"
#include "reason.h"

/* Reads the tensor in `path`; it owns its elements and belongs to the caller. */
bool tensor_pb_read(const char *path, motet_tensor **out, reason *why);

#endif
