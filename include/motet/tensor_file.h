/* Tensors in files: NumPy's .npy, and .pb, a serialised ONNX TensorProto (the format of the ONNX backend tests).
 *
 *     .npy   https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 *     .pb    https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
 *
 * Files are untrusted: a damaged or hostile one costs an error. */
#ifndef MOTET_TENSOR_FILE_H
#define MOTET_TENSOR_FILE_H

#include "motet/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Reads the tensor in `path`; what the file starts with tells which of the two it is. The tensor owns its elements and
 * is the caller's. From .npy come booleans, integers, float16/32/64, complex64/128, and text ('U' as UTF-8, 'S' as it
 * is); both memory orders, little-endian. Errors: IO, FORMAT, UNSUPPORTED (an element type), LIMIT, MEMORY. */
MOTET_API MOTET_CHECKED motet_status motet_tensor_read(const char *path, motet_tensor **out);

/* Reads a sequence or an optional from a .pb, which is then a SequenceProto or an OptionalProto
 * (https://github.com/onnx/onnx/blob/main/onnx/onnx-data.proto). Errors: as above, and ARGUMENT (another kind). */
MOTET_API MOTET_CHECKED motet_status motet_tensor_read_list(const char *path, motet_kind kind, motet_tensor **out);

/* Writes the tensor; the end of the name, .npy or .pb, tells how. The file is whole or not there, as with
 * motet_file_write. Errors: ARGUMENT (another name), UNSUPPORTED (a list, a type that .npy does not have), IO, MEMORY.
 */
MOTET_API MOTET_CHECKED motet_status motet_tensor_write(const char *path, const motet_tensor *tensor);

#ifdef __cplusplus
}
#endif
#endif
