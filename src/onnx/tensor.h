/* TensorProto and SparseTensorProto to tensor. */
#ifndef MT_ONNX_TENSOR_H
#define MT_ONNX_TENSOR_H

#include "core/tensor.h"
#include "onnx/file.h"

/* Makes the empty tensor `out` show the elements of `proto`, marked constant. Elements stay in the map (of the model or
 * of its external data) where they lie there as they are used; else they are decoded into memory of the tensor.
 * Errors: FORMAT, UNSUPPORTED (an element type), LIMIT, IO (external data), MEMORY. */
motet_status mt_file_tensor(mt_file *file, const Onnx__TensorProto *proto, motet_tensor *out);

/* The same for a sparse tensor: `out` has all its elements, zeros too, in memory of its own. At most
 * MT_MAX_SPARSE_BYTES: a few bytes of file could ask for any amount. */
motet_status mt_file_sparse_tensor(mt_file *file, const Onnx__SparseTensorProto *proto, motet_tensor *out);

#define MT_MAX_SPARSE_BYTES ((size_t)1 << 30)

#endif
