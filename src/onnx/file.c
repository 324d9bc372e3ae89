/* Opening a model: map, compact, unpack. protobuf-c allocates from an arena, so that the whole structure goes at once
 * when the graph has been built from it, and a failure half-way has nothing to clean up. */
#include "onnx/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/status.h"
#include "onnx/compact.h"
#include "onnx/external.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "weights are used as they lie in the file");

typedef struct structure_allocator {
    mt_arena *arena;
    bool short_of_memory;
} structure_allocator;

static void *structure_alloc(void *data, size_t size)
{
    structure_allocator *allocator = data;
    void *block = mt_arena_alloc(allocator->arena, size);
    if (!block) allocator->short_of_memory = true;
    return block;
}

static void structure_free(void *data, void *block)
{
    (void)data;
    (void)block;
}

static motet_status unpack(mt_file *file, const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes,
                           size_t size, const ProtobufCMessage **out)
{
    structure_allocator data = {&file->arena, false};
    ProtobufCAllocator allocator = {structure_alloc, structure_free, &data};
    *out = protobuf_c_message_unpack(descriptor, &allocator, size, bytes);
    if (*out) return MOTET_OK;
    if (data.short_of_memory) return mt_fail_memory(size);
    return mt_fail(MOTET_ERROR_FORMAT, "a field is not of the kind that ONNX gives it");
}

/* Before the bytes of an unknown field stands their length. */
static mt_map payload_of(const ProtobufCMessageUnknownField *field)
{
    size_t prefix = 0;
    while (prefix < field->len && field->data[prefix] >= 0x80) prefix++;
    if (prefix == field->len) return (mt_map){field->data, 0};
    return (mt_map){field->data + prefix + 1, field->len - prefix - 1};
}

motet_status mt_file_unpack_attribute(mt_file *file, const ProtobufCMessageUnknownField *field,
                                      const Onnx__AttributeProto **out)
{
    const ProtobufCMessage *message;
    mt_map payload = payload_of(field);
    MT_TRY(unpack(file, &onnx__attribute_proto__descriptor, payload.bytes, payload.size, &message));
    *out = (const Onnx__AttributeProto *)message;
    return MOTET_OK;
}

const char *mt_file_unknown_text(mt_file *file, const ProtobufCMessage *message, uint32_t number)
{
    for (unsigned i = message->n_unknown_fields; i-- > 0;) { /* the last one counts, as protobuf has it */
        const ProtobufCMessageUnknownField *field = &message->unknown_fields[i];
        if (field->tag != number || field->wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED) continue;
        mt_map payload = payload_of(field);
        return mt_arena_bytes(&file->arena, (const char *)payload.bytes, payload.size);
    }
    return "";
}

static motet_status read_structure(mt_file *file, const ProtobufCMessageDescriptor *descriptor)
{
    static const char pointer_file[] = "version https://git-lfs";
    if (file->map.size >= sizeof pointer_file && !memcmp(file->map.bytes, pointer_file, sizeof pointer_file - 1))
        return mt_fail(MOTET_ERROR_FORMAT, "a Git LFS pointer; fetch the file itself with git lfs pull");
    uint8_t *compact;
    size_t size;
    MT_TRY(mt_compact(file->map, descriptor, &compact, &size));
    motet_status status = unpack(file, descriptor, compact, size, &file->message);
    mt_free(compact);
    return status;
}

static motet_status read_model(mt_file *file)
{
    MT_TRY(read_structure(file, &onnx__model_proto__descriptor));
    file->model = (const Onnx__ModelProto *)file->message;
    return file->model->graph ? MOTET_OK : mt_fail(MOTET_ERROR_FORMAT, "there is no graph in it");
}

/* Hands out the file, or closes it when its structure could not be read. */
static motet_status finish(mt_file *file, motet_status status, mt_file **out)
{
    if (status == MOTET_OK)
        *out = file;
    else
        mt_file_close(file);
    return status;
}

static motet_status finish_model(mt_file *file, mt_file **out)
{
    motet_status status = finish(file, read_model(file), out);
    return status == MOTET_ERROR_FORMAT ? mt_fail_in(status, "not an ONNX model") : status;
}

static motet_status map_path(mt_file *file, const char *path)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not block before it is refused */
    if (descriptor < 0) return mt_fail(MOTET_ERROR_IO, "%s", strerror(errno));
    motet_status status = mt_map_file(descriptor, &file->map);
    close(descriptor);
    if (status != MOTET_OK) return status;
    file->owns_map = true;
    return mt_external_open(path, &file->external);
}

static motet_status map_new(const char *path, mt_file **out)
{
    *out = mt_alloc_zero(1, sizeof **out);
    if (!*out) return mt_fail_memory(sizeof **out);
    motet_status status = map_path(*out, path);
    if (status == MOTET_OK) return MOTET_OK;
    mt_file_close(*out);
    *out = NULL;
    return status;
}

motet_status mt_file_open(const char *path, mt_file **out)
{
    mt_file *file;
    *out = NULL;
    MT_TRY(map_new(path, &file));
    return finish_model(file, out);
}

motet_status mt_file_open_message(const char *path, const ProtobufCMessageDescriptor *message, mt_file **out)
{
    mt_file *file;
    *out = NULL;
    MT_TRY(map_new(path, &file));
    return finish(file, read_structure(file, message), out);
}

static motet_status show_memory(const void *bytes, size_t size, mt_file **out)
{
    *out = mt_alloc_zero(1, sizeof **out);
    if (!*out) return mt_fail_memory(sizeof **out);
    (*out)->map = (mt_map){bytes, size};
    return MOTET_OK;
}

motet_status mt_file_open_memory(const void *bytes, size_t size, mt_file **out)
{
    mt_file *file;
    *out = NULL;
    if (size == 0) return mt_fail(MOTET_ERROR_FORMAT, "not an ONNX model: there are no bytes");
    MT_TRY(show_memory(bytes, size, &file));
    return finish_model(file, out);
}

motet_status mt_file_open_message_memory(const void *bytes, size_t size, const ProtobufCMessageDescriptor *message,
                                         mt_file **out)
{
    mt_file *file;
    *out = NULL;
    MT_TRY(show_memory(bytes, size, &file));
    return finish(file, read_structure(file, message), out);
}

void mt_file_forget_structure(mt_file *file)
{
    file->message = NULL;
    file->model = NULL;
    mt_arena_clear(&file->arena);
    mt_external_leave_folder(file->external);
}

void mt_file_let_go(const mt_file *file, const void *bytes, size_t size)
{
    if ((file->owns_map && mt_map_holds(&file->map, bytes)) || mt_external_holds(file->external, bytes))
        mt_map_let_go(bytes, size);
}

void mt_file_let_go_of_all(const mt_file *file)
{
    if (file->owns_map) mt_map_let_go(file->map.bytes, file->map.size);
    mt_external_let_go(file->external);
}

void mt_file_close(mt_file *file)
{
    if (!file) return;
    mt_file_forget_structure(file);
    mt_external_close(file->external);
    if (file->owns_map) mt_map_close(&file->map);
    mt_free(file);
}
