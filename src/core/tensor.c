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
    [MOTET_UNDEFINED] = {"undefined", 0},
    [MOTET_FLOAT] = {"float32", 4},
    [MOTET_UINT8] = {"uint8", 1},
    [MOTET_INT8] = {"int8", 1},
    [MOTET_UINT16] = {"uint16", 2},
    [MOTET_INT16] = {"int16", 2},
    [MOTET_INT32] = {"int32", 4},
    [MOTET_INT64] = {"int64", 8},
    [MOTET_STRING] = {"string", 0},
    [MOTET_BOOL] = {"bool", 1},
    [MOTET_FLOAT16] = {"float16", 2},
    [MOTET_DOUBLE] = {"float64", 8},
    [MOTET_UINT32] = {"uint32", 4},
    [MOTET_UINT64] = {"uint64", 8},
    [MOTET_COMPLEX64] = {"complex64", 8},
    [MOTET_COMPLEX128] = {"complex128", 16},
    [MOTET_BFLOAT16] = {"bfloat16", 2},
    [MOTET_FLOAT8E4M3FN] = {"float8e4m3fn", 1},
    [MOTET_FLOAT8E4M3FNUZ] = {"float8e4m3fnuz", 1},
    [MOTET_FLOAT8E5M2] = {"float8e5m2", 1},
    [MOTET_FLOAT8E5M2FNUZ] = {"float8e5m2fnuz", 1},
    [MOTET_UINT4] = {"uint4", 1},
    [MOTET_INT4] = {"int4", 1},
    [MOTET_FLOAT4E2M1] = {"float4e2m1", 1},
    [MOTET_FLOAT8E8M0] = {"float8e8m0", 1},
    [MOTET_UINT2] = {"uint2", 1},
    [MOTET_INT2] = {"int2", 1},
    [MOTET_FLOAT6E2M3] = {"float6e2m3", 1},
    [MOTET_FLOAT6E3M2] = {"float6e3m2", 1},
};

enum { TYPES = sizeof types / sizeof *types };

const char *motet_type_name(motet_type type)
{
    return (unsigned)type < TYPES ? types[type].name : types[MOTET_UNDEFINED].name;
}

const char *motet_kind_name(motet_kind kind)
{
    static const char *const names[] = {"tensor", "sequence", "optional", "map"};
    return (unsigned)kind < sizeof names / sizeof *names ? names[kind] : "unknown";
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
    tensor->kind = MOTET_TENSOR;
    tensor->type = type;
    tensor->rank = rank;
    if (rank) memcpy(tensor->dims, dims, (size_t)rank * sizeof *dims);
    tensor->count = count;
    return MOTET_OK;
}

/* Gives the tensor a buffer for its count of elements of `size` bytes. */
static motet_status attach_buffer(motet_tensor *tensor, size_t size, bool zero)
{
    size_t bytes;
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
    if (zero) memset(elements, 0, bytes);
    *buffer = (mt_buffer){.bytes = bytes, .elements = elements};
    atomic_init(&buffer->references, 1);
    tensor->buffer = buffer;
    tensor->data = elements;
    tensor->constant = false;
    return MOTET_OK;
}

motet_status mt_tensor_alloc(motet_tensor *tensor, motet_type type, int rank, const int64_t *dims)
{
    MT_TRY(set_shape(tensor, type, rank, dims));
    bool text = type == MOTET_STRING;
    MT_TRY(attach_buffer(tensor, text ? sizeof(mt_string) : motet_type_size(type), text));
    tensor->buffer->strings = text ? (size_t)tensor->count : 0;
    return MOTET_OK;
}

motet_status mt_list_alloc(motet_tensor *list, motet_kind kind, int64_t count)
{
    *list = (motet_tensor){.kind = kind, .rank = 1, .dims = {count}, .count = count};
    motet_status status = attach_buffer(list, sizeof(motet_tensor), true);
    if (status == MOTET_OK)
        list->buffer->items = (size_t)count;
    else
        memset(list, 0, sizeof *list);
    return status;
}

static bool is_key(motet_type type)
{
    return type == MOTET_STRING || (type >= MOTET_UINT8 && type <= MOTET_INT64) || type == MOTET_UINT32 ||
           type == MOTET_UINT64;
}

static bool is_map(const motet_tensor *items, int64_t count)
{
    if (count != 2 || items[0].kind || items[1].kind || !is_key(items[0].type)) return false;
    return items[0].rank == 1 && items[1].rank == 1 && items[0].count == items[1].count;
}

motet_status mt_list_check(const motet_tensor *list)
{
    const motet_tensor *items = mt_items(list);
    bool good = true;
    for (int64_t i = 0; i < list->count && good; i++) {
        bool tensor_or_map = items[i].kind == MOTET_TENSOR || items[i].kind == MOTET_MAP;
        good = items[i].data != NULL;
        if (list->kind == MOTET_SEQUENCE)
            good = good && tensor_or_map && items[i].kind == items[0].kind && items[i].type == items[0].type;
        if (list->kind == MOTET_OPTIONAL)
            good = good && list->count == 1 && (tensor_or_map || items[i].kind == MOTET_SEQUENCE);
    }
    if (list->kind == MOTET_MAP) good = good && is_map(items, list->count);
    return good ? MOTET_OK
                : mt_fail(MOTET_ERROR_SHAPE, "items of these kinds, types or shapes do not make one %s",
                          motet_kind_name(list->kind));
}

void mt_item_share(motet_tensor *item, const motet_tensor *source)
{
    mt_tensor_share(item, source, source->rank, source->dims);
    item->constant = false;
}

size_t mt_tensor_bytes(const motet_tensor *tensor)
{
    size_t size = tensor->type == MOTET_STRING ? sizeof(mt_string) : motet_type_size(tensor->type);
    size_t bytes = (size_t)tensor->count * (tensor->kind == MOTET_TENSOR ? size : sizeof *tensor);
    if (tensor->kind != MOTET_TENSOR)
        for (int64_t i = 0; i < tensor->count; i++) bytes += mt_tensor_bytes(&mt_items(tensor)[i]);
    return bytes;
}

static motet_status copy_elements(motet_tensor *out, const motet_tensor *source)
{
    if (source->type != MOTET_STRING) {
        size_t bytes = mt_tensor_bytes(source);
        if (bytes) memcpy(out->data, source->data, bytes);
        return MOTET_OK;
    }
    for (int64_t i = 0; i < source->count; i++) {
        size_t length;
        const char *bytes = motet_tensor_string(source, i, &length);
        MT_TRY(motet_tensor_set_string(out, i, bytes, length));
    }
    return MOTET_OK;
}

static motet_status copy_items(motet_tensor *out, const motet_tensor *source)
{
    for (int64_t i = 0; i < source->count; i++) MT_TRY(mt_tensor_copy(&mt_items(out)[i], &mt_items(source)[i]));
    return MOTET_OK;
}

motet_status mt_tensor_copy(motet_tensor *out, const motet_tensor *source)
{
    motet_tensor copy = {0};
    bool list = source->kind != MOTET_TENSOR;
    MT_TRY(list ? mt_list_alloc(&copy, source->kind, source->count)
                : mt_tensor_alloc(&copy, source->type, source->rank, source->dims));
    motet_status status = list ? copy_items(&copy, source) : copy_elements(&copy, source);
    if (status == MOTET_OK)
        *out = copy;
    else
        mt_tensor_clear(&copy);
    return status;
}

void mt_tensor_share(motet_tensor *out, const motet_tensor *source, int rank, const int64_t *dims)
{
    *out = *source;
    out->rank = rank;
    if (rank) memmove(out->dims, dims, (size_t)rank * sizeof *dims);
    if (out->buffer) atomic_fetch_add_explicit(&out->buffer->references, 1, memory_order_relaxed);
}

bool mt_is_aligned(motet_type type, const void *data)
{
    size_t size = motet_type_size(type);
    if (!size) return true; /* strings, which are never a file's own bytes */
    return (uintptr_t)data % (size < sizeof(uint64_t) ? size : sizeof(uint64_t)) == 0;
}

motet_status mt_tensor_settle(motet_tensor *tensor)
{
    motet_tensor own = {0};
    if (tensor->kind != MOTET_TENSOR || mt_is_aligned(tensor->type, tensor->data)) return MOTET_OK;
    MT_TRY(mt_tensor_copy(&own, tensor));
    own.constant = tensor->constant;
    *tensor = own;
    return MOTET_OK;
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
        motet_tensor *items = buffer->elements;
        for (size_t i = 0; i < buffer->strings; i++) mt_free(strings[i].bytes);
        for (size_t i = 0; i < buffer->items; i++) mt_tensor_clear(&items[i]);
        if (buffer->release) {
            buffer->release(buffer);
        } else {
            mt_free(buffer->elements);
            mt_free(buffer);
        }
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
    if (tensor->kind != MOTET_TENSOR)
        snprintf(text, size, "%s of %" PRId64, motet_kind_name(tensor->kind), tensor->count);
    else
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
    if (status == MOTET_OK && !mt_is_aligned(type, data))
        status = mt_fail(MOTET_ERROR_ARGUMENT, "elements of %s cannot lie at this address", motet_type_name(type));
    if (status != MOTET_OK) {
        mt_free(tensor);
        return status;
    }
    *out = tensor;
    return MOTET_OK;
}

static motet_status fill_list(motet_tensor *list, const motet_tensor *const *items)
{
    for (int64_t i = 0; i < list->count; i++) {
        if (!items[i]) return mt_fail(MOTET_ERROR_ARGUMENT, "item %" PRId64 " is NULL", i);
        mt_item_share(&mt_items(list)[i], items[i]);
    }
    return mt_list_check(list) == MOTET_OK ? MOTET_OK : mt_fail_in(MOTET_ERROR_ARGUMENT, "a list");
}

motet_status motet_tensor_list(motet_kind kind, const motet_tensor *const *items, size_t count, motet_tensor **out)
{
    *out = NULL;
    if (kind != MOTET_SEQUENCE && kind != MOTET_OPTIONAL && kind != MOTET_MAP)
        return mt_fail(MOTET_ERROR_ARGUMENT, "%d is not a kind of list", (int)kind);
    if (count > INT64_MAX) return mt_fail(MOTET_ERROR_ARGUMENT, "%zu items are too many", count);
    motet_tensor *list = mt_alloc_zero(1, sizeof *list);
    if (!list) return mt_fail_memory(sizeof *list);
    motet_status status = mt_list_alloc(list, kind, (int64_t)count);
    if (status == MOTET_OK) status = fill_list(list, items);
    if (status == MOTET_OK)
        *out = list;
    else
        motet_tensor_destroy(list);
    return status;
}

const motet_tensor *motet_tensor_item(const motet_tensor *list, int64_t index)
{
    if (list->kind == MOTET_TENSOR || index < 0 || index >= list->count) return NULL;
    return &mt_items(list)[index];
}

void motet_tensor_destroy(motet_tensor *tensor)
{
    if (!tensor) return;
    motet_tensor last = *tensor; /* which may itself go with its buffer */
    if (!last.buffer || last.buffer->handle != tensor) mt_free(tensor);
    mt_tensor_clear(&last);
}

motet_kind motet_tensor_kind(const motet_tensor *tensor)
{
    return tensor->kind;
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
