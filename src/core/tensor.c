/* Tensors and their counted buffers. */
#include "core/tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"

static const struct {
    const char *name;
    size_t size;
} types[] = {
    [MOTET_UNDEFINED] = {"undefined", 0}, [MOTET_FLOAT] = {"float32", 4},
    [MOTET_UINT8] = {"uint8", 1},         [MOTET_INT8] = {"int8", 1},
    [MOTET_UINT16] = {"uint16", 2},       [MOTET_INT16] = {"int16", 2},
    [MOTET_INT32] = {"int32", 4},         [MOTET_INT64] = {"int64", 8},
    [MOTET_STRING] = {"string", 0},       [MOTET_BOOL] = {"bool", 1},
    [MOTET_FLOAT16] = {"float16", 2},     [MOTET_DOUBLE] = {"float64", 8},
    [MOTET_UINT32] = {"uint32", 4},       [MOTET_UINT64] = {"uint64", 8},
    [MOTET_COMPLEX64] = {"complex64", 8}, [MOTET_COMPLEX128] = {"complex128", 16},
    [MOTET_BFLOAT16] = {"bfloat16", 2},
};

enum { TYPES = sizeof types / sizeof *types };

const char *motet_type_name(motet_type type)
{
    return (unsigned)type < TYPES ? types[type].name : types[MOTET_UNDEFINED].name;
}

size_t motet_type_size(motet_type type)
{
    return (unsigned)type < TYPES ? types[type].size : 0;
}

int64_t mt_shape_count(int rank, const int64_t *dims)
{
    int64_t count = 1;
    bool empty = false;
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0) return -1;
        if (dims[i] == 0)
            empty = true; /* but go on: the other dimensions must be sound too */
        else if (__builtin_mul_overflow(count, dims[i], &count))
            return -1;
    }
    return empty ? 0 : count;
}

static motet_status set_shape(motet_tensor *tensor, motet_type type, int rank, const int64_t *dims)
{
    if ((unsigned)type >= TYPES || type == MOTET_UNDEFINED)
        return mt_fail(MOTET_ERROR_ARGUMENT, "%d is not a tensor element type", (int)type);
    if (rank < 0 || rank > MOTET_MAX_RANK)
        return mt_fail(MOTET_ERROR_LIMIT, "a tensor of rank %d: at most %d axes are supported", rank, MOTET_MAX_RANK);
    char text[MT_SHAPE_TEXT];
    int64_t count = mt_shape_count(rank, dims);
    if (count < 0)
        return mt_fail(MOTET_ERROR_LIMIT, "a tensor of shape %s is not possible",
                       mt_shape_text(rank, dims, text, sizeof text));
    tensor->type = type;
    tensor->rank = rank;
    if (rank) memcpy(tensor->dims, dims, (size_t)rank * sizeof *dims);
    tensor->count = count;
    return MOTET_OK;
}

motet_status mt_tensor_alloc(motet_tensor *tensor, motet_type type, int rank, const int64_t *dims)
{
    MT_TRY(set_shape(tensor, type, rank, dims));
    size_t size = type == MOTET_STRING ? sizeof(mt_string) : motet_type_size(type), bytes;
    if (!mt_mul((size_t)tensor->count, size, &bytes) || bytes > PTRDIFF_MAX) {
        char text[MT_SHAPE_TEXT];
        return mt_fail(MOTET_ERROR_LIMIT, "%s does not fit into memory", mt_tensor_describe(tensor, text, sizeof text));
    }
    mt_buffer *buffer = mt_alloc(sizeof *buffer);
    void *elements = mt_alloc_aligned(bytes);
    if (!buffer || !elements) {
        mt_free(buffer);
        mt_free(elements);
        return mt_fail_memory(bytes);
    }
    if (type == MOTET_STRING) memset(elements, 0, bytes);
    atomic_init(&buffer->references, 1);
    buffer->bytes = bytes;
    buffer->strings = type == MOTET_STRING ? (size_t)tensor->count : 0;
    buffer->elements = elements;
    tensor->buffer = buffer;
    tensor->data = elements;
    tensor->constant = false;
    return MOTET_OK;
}

void mt_tensor_share(motet_tensor *out, const motet_tensor *source, int rank, const int64_t *dims)
{
    *out = *source;
    out->rank = rank;
    if (rank) memmove(out->dims, dims, (size_t)rank * sizeof *dims);
    if (out->buffer) atomic_fetch_add_explicit(&out->buffer->references, 1, memory_order_relaxed);
}

motet_status mt_tensor_wrap(motet_tensor *out, motet_type type, int rank, const int64_t *dims, const void *data)
{
    MT_TRY(set_shape(out, type, rank, dims));
    out->data = (void *)(uintptr_t)data; /* the engine never writes to borrowed elements */
    out->buffer = NULL;
    out->constant = false;
    return MOTET_OK;
}

void mt_tensor_clear(motet_tensor *tensor)
{
    mt_buffer *buffer = tensor->buffer;
    if (buffer && atomic_fetch_sub_explicit(&buffer->references, 1, memory_order_acq_rel) == 1) {
        mt_string *strings = buffer->elements;
        for (size_t i = 0; i < buffer->strings; i++) mt_free(strings[i].bytes);
        mt_free(buffer->elements);
        mt_free(buffer);
    }
    memset(tensor, 0, sizeof *tensor);
}

char *mt_shape_text(int rank, const int64_t *dims, char *text, size_t size)
{
    size_t used = 0;
    for (int i = 0; i < rank && used < size; i++) {
        int length = snprintf(text + used, size - used, "%c%" PRId64, i ? ',' : '[', dims[i]);
        used += length > 0 ? (size_t)length : 0;
    }
    if (used < size) snprintf(text + used, size - used, rank > 0 ? "]" : "[]");
    return text;
}

char *mt_tensor_describe(const motet_tensor *tensor, char *text, size_t size)
{
    char shape[MT_SHAPE_TEXT];
    snprintf(text, size, "%s%s", motet_type_name(tensor->type),
             mt_shape_text(tensor->rank, tensor->dims, shape, sizeof shape));
    return text;
}

/* --- the public face ------------------------------------------------------------------------------------------ */

motet_status motet_tensor_create(motet_type type, int rank, const int64_t *dims, motet_tensor **out)
{
    *out = NULL;
    motet_tensor *tensor = mt_alloc_zero(1, sizeof *tensor);
    if (!tensor) return mt_fail_memory(sizeof *tensor);
    motet_status status = mt_tensor_alloc(tensor, type, rank, dims);
    if (status != MOTET_OK) {
        mt_free(tensor);
        return status;
    }
    memset(tensor->data, 0, tensor->buffer->bytes);
    *out = tensor;
    return MOTET_OK;
}

motet_status motet_tensor_borrow(motet_type type, int rank, const int64_t *dims, void *data, size_t bytes,
                                 motet_tensor **out)
{
    *out = NULL;
    if (type == MOTET_STRING) return mt_fail(MOTET_ERROR_ARGUMENT, "a string tensor cannot borrow its elements");
    motet_tensor *tensor = mt_alloc_zero(1, sizeof *tensor);
    if (!tensor) return mt_fail_memory(sizeof *tensor);
    motet_status status = mt_tensor_wrap(tensor, type, rank, dims, data);
    size_t needed;
    if (status == MOTET_OK && (!mt_mul((size_t)tensor->count, motet_type_size(type), &needed) || needed > bytes))
        status = mt_fail(MOTET_ERROR_ARGUMENT, "%zu bytes are too few for the tensor's shape", bytes);
    if (status != MOTET_OK) {
        mt_free(tensor);
        return status;
    }
    *out = tensor;
    return MOTET_OK;
}

void motet_tensor_destroy(motet_tensor *tensor)
{
    if (!tensor) return;
    mt_tensor_clear(tensor);
    mt_free(tensor);
}

motet_type motet_tensor_type(const motet_tensor *tensor)
{
    return tensor->type;
}
int motet_tensor_rank(const motet_tensor *tensor)
{
    return tensor->rank;
}
const int64_t *motet_tensor_dims(const motet_tensor *tensor)
{
    return tensor->dims;
}
int64_t motet_tensor_count(const motet_tensor *tensor)
{
    return tensor->count;
}
void *motet_tensor_data(motet_tensor *tensor)
{
    return tensor->data;
}
const void *motet_tensor_const_data(const motet_tensor *tensor)
{
    return tensor->data;
}

const char *motet_tensor_string(const motet_tensor *tensor, int64_t index, size_t *length)
{
    if (tensor->type != MOTET_STRING || index < 0 || index >= tensor->count) return NULL;
    const mt_string *string = (const mt_string *)tensor->data + index;
    if (length) *length = string->length;
    return string->bytes ? string->bytes : "";
}

motet_status motet_tensor_set_string(motet_tensor *tensor, int64_t index, const char *bytes, size_t length)
{
    if (tensor->type != MOTET_STRING) return mt_fail(MOTET_ERROR_ARGUMENT, "not a string tensor");
    if (index < 0 || index >= tensor->count)
        return mt_fail(MOTET_ERROR_ARGUMENT, "string %" PRId64 " of %" PRId64, index, tensor->count);
    char *copy = mt_copy_bytes(bytes, length);
    if (!copy) return mt_fail_memory(length);
    mt_string *string = (mt_string *)tensor->data + index;
    mt_free(string->bytes);
    *string = (mt_string){copy, length};
    return MOTET_OK;
}
