/* A small copy of a model file, without its weights: what protobuf-c unpacks. */
#ifndef MT_ONNX_COMPACT_H
#define MT_ONNX_COMPACT_H

#include <protobuf-c/protobuf-c.h>

#include "motet/status.h"
#include "onnx/map.h"

/* What stands in the copy in place of every TensorProto.raw_data: where the bytes lie in the file. */
typedef struct mt_span {
    uint64_t offset, length;
} mt_span;

/* Fields that are younger than the schema that Debian ships: the attributes of a function with their defaults, and
 * which of several functions of one name is meant. protobuf-c keeps them as bytes. */
enum { MT_FUNCTION_ATTRIBUTE_PROTO = 11, MT_FUNCTION_OVERLOAD = 13, MT_NODE_OVERLOAD = 8 };

/* Checks and copies a file that is one message (a ModelProto, a TensorProto). *out is freed with mt_free. Errors:
 * FORMAT with the byte where the file goes wrong, LIMIT, MEMORY. */
motet_status mt_compact(mt_map file, const ProtobufCMessageDescriptor *message, uint8_t **out, size_t *size);

#endif
