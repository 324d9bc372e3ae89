/* A tensor's elements stand in one of three places: raw_data (little-endian bytes), external data (the same bytes in
 * another file), or a typed field such as float_data, where narrow types share int32_data. Bytes are used in place,
 * unless they lie at an address that their type cannot have, or are booleans other than 0 and 1. */
#include "onnx/tensor.h"

#include <inttypes.h>
#include <string.h>

#include "core/memory.h"
#include "core/narrow.h"
#include "core/status.h"
#include "onnx/compact.h"
#include "onnx/external.h"

/* Type, shape and count of `proto` into `out`, which has no elements yet. */
static motet_status read_shape(const Onnx__TensorProto *proto, motet_tensor *out)
{
    static const char none;
    if (proto->n_dims > MOTET_MAX_RANK)
        return mt_fail(MOTET_ERROR_LIMIT, "%zu axes: at most %d are supported", proto->n_dims, MOTET_MAX_RANK);
    if (proto->data_type < MOTET_FLOAT)
        return mt_fail(MOTET_ERROR_FORMAT, "no element type (%d)", (int)proto->data_type);
    if (proto->data_type > MOTET_FLOAT6E3M2)
        return mt_fail(MOTET_ERROR_UNSUPPORTED, "the element type %d is not supported", (int)proto->data_type);
    return mt_tensor_wrap(out, (motet_type)proto->data_type, (int)proto->n_dims, proto->dims, &none);
}

/* --- bytes in place ------------------------------------------------------------------------------------------- */

static bool usable_in_place(motet_type type, const uint8_t *bytes, size_t size)
{
    if (!mt_is_aligned(type, bytes) || mt_packed_bits(type)) return false;
    if (type != MOTET_BOOL) return true;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] > 1) return false;
    }
    return true;
}

/* Not worth a copy that may never be needed: what multiplies by a matrix, or filters along one axis,
 * packs it from where it lies. */
static bool may_stay_loose(const mt_file *file, const motet_tensor *tensor, size_t size)
{
    enum { LARGE = 64 * 1024 };
    return file->loose && tensor->type == MOTET_FLOAT && (tensor->rank == 2 || tensor->rank == 3) && size >= LARGE;
}

static motet_status copy_bytes(const uint8_t *bytes, size_t size, motet_tensor *out)
{
    motet_tensor copy = {0};
    MT_TRY(mt_tensor_alloc(&copy, out->type, out->rank, out->dims));
    uint8_t *elements = copy.data;
    if (mt_packed_bits(out->type))
        mt_unpack(out->type, bytes, (size_t)out->count, elements);
    else if (out->type == MOTET_BOOL)
        for (size_t i = 0; i < size; i++) elements[i] = bytes[i] != 0;
    else
        memcpy(elements, bytes, size);
    *out = copy;
    return MOTET_OK;
}

/* What had to be copied out of a map of our own need not stay in memory twice. */
static motet_status show_bytes(const mt_file *file, const uint8_t *bytes, size_t size, motet_tensor *out)
{
    if (size == 0) return MOTET_OK;
    if (usable_in_place(out->type, bytes, size) || may_stay_loose(file, out, size)) {
        out->data = (void *)(uintptr_t)bytes; /* never written: constants are only read */
        return MOTET_OK;
    }
    motet_status status = copy_bytes(bytes, size, out);
    mt_file_let_go(file, bytes, size);
    return status;
}

/* The bytes that the elements take. */
static motet_status needed_bytes(const motet_tensor *tensor, size_t *out)
{
    if (tensor->type == MOTET_STRING) return mt_fail(MOTET_ERROR_FORMAT, "strings cannot stand in raw data");
    if (mt_packed_bits(tensor->type))
        *out = mt_packed_bytes(tensor->type, (size_t)tensor->count);
    else if (!mt_mul((size_t)tensor->count, motet_type_size(tensor->type), out))
        return mt_fail(MOTET_ERROR_LIMIT, "the shape does not fit into memory");
    return MOTET_OK;
}

static motet_status from_raw(mt_file *file, const Onnx__TensorProto *proto, motet_tensor *out)
{
    mt_span span;
    size_t needed;
    memcpy(&span, proto->raw_data.data, sizeof span); /* written by mt_compact, inside the file by construction */
    MT_TRY(needed_bytes(out, &needed));
    if (span.length != needed)
        return mt_fail(MOTET_ERROR_FORMAT, "its shape takes %zu bytes, but %" PRIu64 " are there", needed, span.length);
    return show_bytes(file, file->map.bytes + span.offset, needed, out);
}

static motet_status from_external(mt_file *file, const Onnx__TensorProto *proto, motet_tensor *out)
{
    const uint8_t *bytes;
    size_t needed;
    MT_TRY(needed_bytes(out, &needed));
    MT_TRY(mt_external_find(file->external, proto, needed, &bytes));
    return show_bytes(file, bytes, needed, out);
}

/* --- typed fields --------------------------------------------------------------------------------------------- */

static motet_status check_count(size_t there, int64_t count, size_t per_element)
{
    size_t needed;
    if (mt_mul((size_t)count, per_element, &needed) && there == needed) return MOTET_OK;
    return mt_fail(MOTET_ERROR_FORMAT, "its shape takes %" PRId64 " elements, but %zu are there", count,
                   there / per_element);
}

/* Copies `count` values that stand in the field as they are used. */
static motet_status from_field(const void *values, size_t there, size_t per_element, motet_tensor *out)
{
    MT_TRY(check_count(there, out->count, per_element));
    return out->count ? copy_bytes(values, (size_t)out->count * motet_type_size(out->type), out) : MOTET_OK;
}

/* Types of 4 and 2 bits stand in int32_data a byte a number, so that each holds several elements. */
static motet_status from_packed(const Onnx__TensorProto *proto, motet_tensor *out)
{
    size_t needed = mt_packed_bytes(out->type, (size_t)out->count);
    MT_TRY(check_count(proto->n_int32_data, (int64_t)needed, 1));
    uint8_t *bytes = mt_alloc(needed);
    if (!bytes) return mt_fail_memory(needed);
    for (size_t i = 0; i < needed; i++) bytes[i] = (uint8_t)proto->int32_data[i];
    motet_status status = copy_bytes(bytes, needed, out);
    mt_free(bytes);
    return status;
}

/* Other types of up to 16 bits stand in int32_data, one a number; floats as their bits. */
static motet_status from_int32(const Onnx__TensorProto *proto, motet_tensor *out)
{
    motet_tensor narrow = {0};
    MT_TRY(check_count(proto->n_int32_data, out->count, 1));
    MT_TRY(mt_tensor_alloc(&narrow, out->type, out->rank, out->dims));
    size_t size = motet_type_size(out->type);
    for (size_t i = 0; i < proto->n_int32_data; i++) {
        uint32_t value = (uint32_t)proto->int32_data[i];
        if (out->type == MOTET_BOOL) value = value != 0;
        memcpy((uint8_t *)narrow.data + i * size, &value, size); /* little-endian: the low bytes come first */
    }
    *out = narrow;
    return MOTET_OK;
}

static motet_status from_uint64(const Onnx__TensorProto *proto, motet_tensor *out)
{
    if (out->type == MOTET_UINT64) return from_field(proto->uint64_data, proto->n_uint64_data, 1, out);
    motet_tensor narrow = {0};
    MT_TRY(check_count(proto->n_uint64_data, out->count, 1));
    MT_TRY(mt_tensor_alloc(&narrow, out->type, out->rank, out->dims));
    for (size_t i = 0; i < proto->n_uint64_data; i++) ((uint32_t *)narrow.data)[i] = (uint32_t)proto->uint64_data[i];
    *out = narrow;
    return MOTET_OK;
}

static motet_status from_strings(const Onnx__TensorProto *proto, motet_tensor *out)
{
    motet_tensor strings = {0};
    MT_TRY(check_count(proto->n_string_data, out->count, 1));
    MT_TRY(mt_tensor_alloc(&strings, out->type, out->rank, out->dims));
    for (size_t i = 0; i < proto->n_string_data; i++) {
        const ProtobufCBinaryData *text = &proto->string_data[i];
        motet_status status = motet_tensor_set_string(&strings, (int64_t)i, (const char *)text->data, text->len);
        if (status != MOTET_OK) {
            mt_tensor_clear(&strings);
            return status;
        }
    }
    *out = strings;
    return MOTET_OK;
}

static motet_status from_typed(const Onnx__TensorProto *proto, motet_tensor *out)
{
    switch (out->type) {
    case MOTET_FLOAT: return from_field(proto->float_data, proto->n_float_data, 1, out);
    case MOTET_COMPLEX64: return from_field(proto->float_data, proto->n_float_data, 2, out);
    case MOTET_DOUBLE: return from_field(proto->double_data, proto->n_double_data, 1, out);
    case MOTET_COMPLEX128: return from_field(proto->double_data, proto->n_double_data, 2, out);
    case MOTET_INT64: return from_field(proto->int64_data, proto->n_int64_data, 1, out);
    case MOTET_INT32: return from_field(proto->int32_data, proto->n_int32_data, 1, out);
    case MOTET_UINT32:
    case MOTET_UINT64: return from_uint64(proto, out);
    case MOTET_STRING: return from_strings(proto, out);
    case MOTET_INT2:
    case MOTET_UINT2:
    case MOTET_INT4:
    case MOTET_UINT4:
    case MOTET_FLOAT4E2M1: return from_packed(proto, out);
    default: return from_int32(proto, out);
    }
}

static motet_status read_elements(mt_file *file, const Onnx__TensorProto *proto, motet_tensor *out)
{
    if (proto->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL) return from_external(file, proto, out);
    if (proto->segment) return mt_fail(MOTET_ERROR_UNSUPPORTED, "a tensor in segments is not supported");
    if (proto->has_raw_data) return from_raw(file, proto, out);
    return from_typed(proto, out);
}

motet_status mt_file_tensor(mt_file *file, const Onnx__TensorProto *proto, motet_tensor *out)
{
    motet_status status = read_shape(proto, out);
    if (status == MOTET_OK) status = read_elements(file, proto, out);
    if (status != MOTET_OK) {
        memset(out, 0, sizeof *out); /* what it may show then is not its own */
        return mt_fail_in(status, "tensor '%.128s'", proto->name ? proto->name : "");
    }
    out->constant = true;
    return MOTET_OK;
}
