/* A TensorProto keeps its elements in one of two ways: all bytes in raw_data, little-endian as here, or each value in
 * the repeated field of its type, where everything narrower than 32 bits travels as an int32. Files are read whole:
 * what is compared with stored outputs is small beside the models that made them. */
#include "tensor_pb.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "onnx/onnx.pb-c.h"

static bool read_file(const char *path, uint8_t **bytes, size_t *size, reason *why)
{
    FILE *file = fopen(path, "rb");
    if (!file) return because(why, "%s: %s", path, strerror(errno));
    uint8_t *buffer = NULL;
    size_t capacity = 0, length = 0;
    for (;;) {
        if (length == capacity) {
            capacity = capacity ? 2 * capacity : 1 << 16;
            uint8_t *grown = realloc(buffer, capacity);
            if (!grown) break;
            buffer = grown;
        }
        size_t got = fread(buffer + length, 1, capacity - length, file);
        length += got;
        if (got == 0) break;
    }
    bool whole = feof(file) && !ferror(file);
    fclose(file);
    if (!whole) {
        free(buffer);
        return because(why, "%s: cannot be read whole", path);
    }
    *bytes = buffer;
    *size = length;
    return true;
}

/* The field of values that belongs to a type: how many it holds, and element `i` of it into `to`. */
static size_t value_count(const Onnx__TensorProto *proto, motet_type type)
{
    switch (type) {
    case MOTET_FLOAT: return proto->n_float_data;
    case MOTET_COMPLEX64: return proto->n_float_data / 2;
    case MOTET_DOUBLE: return proto->n_double_data;
    case MOTET_COMPLEX128: return proto->n_double_data / 2;
    case MOTET_INT64: return proto->n_int64_data;
    case MOTET_UINT32:
    case MOTET_UINT64: return proto->n_uint64_data;
    case MOTET_STRING: return proto->n_string_data;
    default: return proto->n_int32_data;
    }
}

static void copy_values(const Onnx__TensorProto *proto, motet_type type, size_t count, unsigned char *to)
{
    size_t size = motet_type_size(type);
    switch (type) {
    case MOTET_FLOAT:
    case MOTET_COMPLEX64: memcpy(to, proto->float_data, count * size); break;
    case MOTET_DOUBLE:
    case MOTET_COMPLEX128: memcpy(to, proto->double_data, count * size); break;
    case MOTET_INT64: memcpy(to, proto->int64_data, count * size); break;
    case MOTET_UINT32:
    case MOTET_UINT64:
        for (size_t i = 0; i < count; i++) memcpy(to + i * size, &proto->uint64_data[i], size);
        break;
    default: /* the low bytes: also how float16 and bfloat16 travel */
        for (size_t i = 0; i < count; i++) memcpy(to + i * size, &proto->int32_data[i], size);
    }
}

static bool fill(const Onnx__TensorProto *proto, motet_tensor *tensor, const char *path, reason *why)
{
    motet_type type = motet_tensor_type(tensor);
    size_t count = (size_t)motet_tensor_count(tensor);
    size_t bytes = count * motet_type_size(type);
    if (proto->has_raw_data && type != MOTET_STRING) {
        if (proto->raw_data.len != bytes)
            return because(why, "%s: %zu bytes of raw data where the shape wants %zu", path, proto->raw_data.len,
                           bytes);
        if (bytes) memcpy(motet_tensor_data(tensor), proto->raw_data.data, bytes);
        return true;
    }
    if (value_count(proto, type) != count)
        return because(why, "%s: %zu values where the shape wants %zu", path, value_count(proto, type), count);
    if (type != MOTET_STRING) {
        if (count) copy_values(proto, type, count, motet_tensor_data(tensor));
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        const ProtobufCBinaryData *text = &proto->string_data[i];
        if (motet_tensor_set_string(tensor, (int64_t)i, (const char *)text->data, text->len) != MOTET_OK)
            return because(why, "%s: %s", path, motet_error_message());
    }
    return true;
}

static bool convert(const Onnx__TensorProto *proto, const char *path, motet_tensor **out, reason *why)
{
    if (proto->n_external_data) return because(why, "%s: its data lie in another file", path);
    if (proto->n_dims > MOTET_MAX_RANK) return because(why, "%s: rank %zu", path, proto->n_dims);
    motet_tensor *tensor;
    if (motet_tensor_create((motet_type)proto->data_type, (int)proto->n_dims, proto->dims, &tensor) != MOTET_OK)
        return because(why, "%s: %s", path, motet_error_message());
    if (!fill(proto, tensor, path, why)) {
        motet_tensor_destroy(tensor);
        return false;
    }
    *out = tensor;
    return true;
}

bool tensor_pb_read(const char *path, motet_tensor **out, reason *why)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    if (!read_file(path, &bytes, &size, why)) return false;
    Onnx__TensorProto *proto = onnx__tensor_proto__unpack(NULL, size, bytes);
    free(bytes);
    if (!proto) return because(why, "%s: not a TensorProto", path);
    bool converted = convert(proto, path, out, why);
    onnx__tensor_proto__free_unpacked(proto, NULL);
    return converted;
}
