/* A model file: its structure as protobuf-c messages, its weights where they lie in the mapped file. */
#ifndef MT_ONNX_FILE_H
#define MT_ONNX_FILE_H

#include <stdbool.h>

#include "core/arena.h"
#include "onnx/map.h"
#include "onnx/onnx.pb-c.h"

typedef struct mt_external mt_external; /* onnx/external.h */

typedef struct mt_file {
    mt_map map;
    bool owns_map;         /* false: the caller's memory */
    bool loose;            /* large float32 matrices and filters may be shown at odd addresses: see mt_tensor_settle */
    mt_external *external; /* NULL: external data is refused */
    mt_arena arena;        /* of the structure */
    const ProtobufCMessage *message;
    const Onnx__ModelProto *model; /* the message, when the file is a model */
} mt_file;

/* Opens and checks the wire format. Messages do not name the file, as the caller does.
 * Errors: IO, FORMAT ("not an ONNX model: ..."), LIMIT, MEMORY. */
motet_status mt_file_open(const char *path, mt_file **out);

/* The same for a file that is some other message, such as a TensorProto. */
motet_status mt_file_open_message(const char *path, const ProtobufCMessageDescriptor *message, mt_file **out);

/* The same over memory that must outlive the file. External data is refused. */
motet_status mt_file_open_memory(const void *bytes, size_t size, mt_file **out);
motet_status mt_file_open_message_memory(const void *bytes, size_t size, const ProtobufCMessageDescriptor *message,
                                         mt_file **out);

/* Unpacks an AttributeProto that protobuf-c left alone because it knows no field of that number. Its memory goes with
 * the structure. */
motet_status mt_file_unpack_attribute(mt_file *file, const ProtobufCMessageUnknownField *field,
                                      const Onnx__AttributeProto **out);

/* A text that protobuf-c left alone because it knows no field `number` of that message, in the file's arena; "" when it
 * is not there, NULL when memory is short. */
const char *mt_file_unknown_text(mt_file *file, const ProtobufCMessage *message, uint32_t number);

/* Frees the structure (file->message and file->model are NULL then); weights that tensors show stay. */
void mt_file_forget_structure(mt_file *file);

/* Pages that lie wholly within these bytes, if they are the file's or its external data's, need not stay in memory; a
 * later touch reads them again. */
void mt_file_let_go(const mt_file *file, const void *bytes, size_t size);

/* The same for all there is. */
void mt_file_let_go_of_all(const mt_file *file);

void mt_file_close(mt_file *file); /* NULL is allowed */

#endif
