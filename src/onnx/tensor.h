/* TensorProto to tensor. */
#ifndef MT_ONNX_TENSOR_H
#define MT_ONNX_TENSOR_H

#include "core/tensor.h"
#include "onnx/file.h"

/* Makes the empty tensor `out` show the elements of `proto`, marked constant. Elements stay in the map (of the model or
 * of its external data) where they lie there as they are used; else they are decoded into memory of the tensor.
 * Errors: FORMAT, UNSUPPORTED (an element type), LIMIT, IO (external data), MEMORY. */
motet_status mt_file_tensor(mt_file *file, const Onnx__TensorProto *proto, motet_tensor *out);

#endif
