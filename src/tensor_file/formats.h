/* The two formats behind motet/tensor_file.h. Messages do not name the file, as the caller does. */
#ifndef MT_TENSOR_FILE_FORMATS_H
#define MT_TENSOR_FILE_FORMATS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/tensor.h"

/* pb.c: a TensorProto. `out` is empty and will own its elements. */
motet_status mt_pb_read(const char *path, motet_tensor *out);
/* The same for the SequenceProto or OptionalProto in memory. */
motet_status mt_pb_read_list(const void *bytes, size_t size, motet_kind kind, motet_tensor *out);
motet_status mt_pb_write(const char *path, const motet_tensor *tensor);

/* npy.c: NumPy's format. */
bool mt_npy_is(const void *bytes, size_t size); /* by the first bytes of a file */
motet_status mt_npy_read(const void *bytes, size_t size, motet_tensor *out);
motet_status mt_npy_write(const char *path, const motet_tensor *tensor);

#endif
