/* A message's length stands before it and is known only after it, so every length takes a fixed five bytes that are
 * filled in when the message ends; readers of protobuf take that as they take the shortest form. Borrowed payloads are
 * remembered with the place where they belong, and join when the file is written. */
#include "onnx/writer.h"

#include <string.h>

#include "core/file.h"
#include "core/memory.h"
#include "core/narrow.h"
#include "core/status.h"
#include "onnx/wire.h"

struct mt_borrowed {
    size_t at; /* in mt_writer.bytes */
    mt_part part;
};

enum { VARINT_BYTES = 10, LENGTH_BYTES = 5 };

static const uint64_t most_bytes = INT32_MAX;

static bool make_room(mt_writer *w, size_t more)
{
    size_t wanted;
    if (w->failed || !mt_add(w->used, more, &wanted)) {
        w->failed = true;
        return false;
    }
    if (wanted <= w->capacity) return true;
    size_t capacity = w->capacity ? w->capacity : 4096;
    while (capacity < wanted) capacity += capacity / 2;
    uint8_t *grown = mt_grow(w->bytes, capacity, 1);
    w->failed = !grown;
    if (!grown) return false;
    w->bytes = grown;
    w->capacity = capacity;
    return true;
}

static void put_key(mt_writer *w, uint32_t field, mt_wire_type type)
{
    if (make_room(w, VARINT_BYTES)) w->used += mt_wire_put_varint(w->bytes + w->used, (uint64_t)field << 3 | type);
}

static void put_varint(mt_writer *w, uint64_t value)
{
    if (make_room(w, VARINT_BYTES)) w->used += mt_wire_put_varint(w->bytes + w->used, value);
}

void mt_writer_raw(mt_writer *w, const void *bytes, size_t length)
{
    if (!length || !make_room(w, length)) return;
    memcpy(w->bytes + w->used, bytes, length);
    w->used += length;
}

mt_mark mt_write_begin(mt_writer *w, uint32_t field)
{
    put_key(w, field, MT_WIRE_BYTES);
    if (make_room(w, LENGTH_BYTES)) w->used += LENGTH_BYTES;
    return (mt_mark){w->used, w->borrowed_bytes};
}

void mt_write_end(mt_writer *w, mt_mark mark)
{
    if (w->failed) return;
    uint64_t length = w->used - mark.used + (w->borrowed_bytes - mark.borrowed);
    for (int i = 0; i < LENGTH_BYTES; i++, length >>= 7)
        w->bytes[mark.used - LENGTH_BYTES + (size_t)i] = (uint8_t)((length & 0x7f) | (i < LENGTH_BYTES - 1 ? 0x80 : 0));
}

void mt_write_int(mt_writer *w, uint32_t field, int64_t value)
{
    put_key(w, field, MT_WIRE_VARINT);
    put_varint(w, (uint64_t)value);
}

void mt_write_float(mt_writer *w, uint32_t field, float value)
{
    put_key(w, field, MT_WIRE_32);
    mt_writer_raw(w, &value, sizeof value);
}

void mt_write_bytes(mt_writer *w, uint32_t field, const void *bytes, size_t length)
{
    put_key(w, field, MT_WIRE_BYTES);
    put_varint(w, length);
    mt_writer_raw(w, bytes, length);
}

void mt_write_text(mt_writer *w, uint32_t field, const char *text)
{
    mt_write_bytes(w, field, text, strlen(text));
}

void mt_write_borrowed(mt_writer *w, uint32_t field, const void *bytes, size_t length)
{
    put_key(w, field, MT_WIRE_BYTES);
    put_varint(w, length);
    if (w->failed) return;
    if (!mt_reserve((void **)&w->borrowed, w->borrowed_count, &w->borrowed_capacity, sizeof *w->borrowed)) {
        w->failed = true;
        return;
    }
    w->borrowed[w->borrowed_count++] = (struct mt_borrowed){w->used, {bytes, length}};
    w->borrowed_bytes += length;
}

uint64_t mt_writer_size(const mt_writer *w)
{
    return w->used + w->borrowed_bytes;
}

motet_status mt_writer_save(const mt_writer *w, const char *path)
{
    if (w->failed) return mt_fail_memory(w->used);
    if (mt_writer_size(w) > most_bytes)
        return mt_fail(MOTET_ERROR_LIMIT, "%s: more than 2 GiB cannot stand in one ONNX file", path);
    mt_part *parts = mt_alloc_array(2 * w->borrowed_count + 1, sizeof *parts);
    if (!parts) return mt_fail_memory(w->borrowed_count * sizeof *parts);
    size_t done = 0, count = 0;
    for (size_t i = 0; i < w->borrowed_count; i++) {
        parts[count++] = (mt_part){w->bytes + done, w->borrowed[i].at - done};
        parts[count++] = w->borrowed[i].part;
        done = w->borrowed[i].at;
    }
    parts[count++] = (mt_part){w->bytes + done, w->used - done};
    motet_status status = mt_file_write_parts(path, parts, count);
    mt_free(parts);
    return status;
}

void mt_writer_clear(mt_writer *w)
{
    mt_free(w->bytes);
    mt_free(w->borrowed);
    *w = (mt_writer){0};
}

/* --- tensors -------------------------------------------------------------------------------------------------- */

enum { TENSOR_DIMS = 1, TENSOR_TYPE = 2, TENSOR_STRINGS = 6, TENSOR_NAME = 8, TENSOR_RAW = 9 };
enum { TENSOR_EXTERNAL = 13, TENSOR_LOCATION = 14, ENTRY_KEY = 1, ENTRY_VALUE = 2 };
enum { SMALLEST_EXTERNAL = 1024, PAGE = 4096 };

static const uint8_t zeros[PAGE];

static void put_entry(mt_writer *w, const char *key, const char *value)
{
    mt_mark entry = mt_write_begin(w, TENSOR_EXTERNAL);
    mt_write_text(w, ENTRY_KEY, key);
    mt_write_text(w, ENTRY_VALUE, value);
    mt_write_end(w, entry);
}

static void put_number_entry(mt_writer *w, const char *key, uint64_t value)
{
    enum { DIGITS = 21 };
    char text[DIGITS], *at = text + DIGITS - 1;
    *at = '\0';
    do *--at = (char)('0' + value % 10);
    while (value /= 10);
    put_entry(w, key, at);
}

static bool add_part(mt_external_writer *e, const void *bytes, size_t length)
{
    if (!mt_reserve((void **)&e->parts, e->count, &e->capacity, sizeof *e->parts)) return false;
    e->parts[e->count++] = (mt_part){bytes, length};
    e->size += length;
    return true;
}

/* Starts at a page, so that readers can map it. */
static void put_external(mt_writer *w, const void *bytes, size_t length, mt_external_writer *e)
{
    size_t gap = (size_t)(PAGE - e->size % PAGE) % PAGE;
    if (!add_part(e, zeros, gap) || !add_part(e, bytes, length)) {
        w->failed = true;
        return;
    }
    put_entry(w, "location", e->location);
    put_number_entry(w, "offset", e->size - length);
    put_number_entry(w, "length", length);
    mt_write_int(w, TENSOR_LOCATION, 1);
}

static void put_packed(mt_writer *w, const motet_tensor *tensor)
{
    size_t bytes = mt_packed_bytes(tensor->type, (size_t)tensor->count);
    mt_mark mark = mt_write_begin(w, TENSOR_RAW);
    if (make_room(w, bytes)) {
        mt_pack(tensor->type, tensor->data, (size_t)tensor->count, w->bytes + w->used);
        w->used += bytes;
    }
    mt_write_end(w, mark);
}

void mt_write_tensor(mt_writer *w, const motet_tensor *tensor, const char *name, mt_external_writer *external)
{
    for (int i = 0; i < tensor->rank; i++) mt_write_int(w, TENSOR_DIMS, tensor->dims[i]);
    mt_write_int(w, TENSOR_TYPE, tensor->type);
    if (*name) mt_write_text(w, TENSOR_NAME, name);
    if (tensor->type == MOTET_STRING) {
        for (int64_t i = 0; i < tensor->count; i++) {
            size_t length;
            const char *bytes = motet_tensor_string(tensor, i, &length);
            mt_write_bytes(w, TENSOR_STRINGS, bytes, length);
        }
        return;
    }
    size_t bytes = (size_t)tensor->count * motet_type_size(tensor->type);
    if (mt_packed_bits(tensor->type))
        put_packed(w, tensor);
    else if (external && bytes >= SMALLEST_EXTERNAL)
        put_external(w, tensor->data, bytes, external);
    else
        mt_write_borrowed(w, TENSOR_RAW, tensor->data, bytes);
}

motet_status mt_external_writer_save(const mt_external_writer *external, const char *path)
{
    return mt_file_write_parts(path, external->parts, external->count);
}

void mt_external_writer_clear(mt_external_writer *external)
{
    mt_free(external->parts);
    *external = (mt_external_writer){0};
}
