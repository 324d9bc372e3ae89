/* NumPy's format: "\x93NUMPY", a version, the length of a header, the header - a Python dictionary such as
 *
 *     {'descr': '<f4', 'fortran_order': False, 'shape': (1, 16000), }
 *
 * padded with blanks to a multiple of 64, and the elements. Of Python only what such a dictionary needs is read. Text
 * is UTF-32 of a fixed width ('U') there and UTF-8 here; bytes of a fixed width ('S') are taken as they are.
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/memory.h"
#include "core/status.h"
#include "tensor_file/formats.h"

static const char magic[] = "\x93NUMPY";

enum { MAGIC_BYTES = 6, PREFIX_BYTES = 10, MAX_HEADER = 65535, HEADER_ALIGNMENT = 64 };
enum { MAX_EMPTY = 1 << 20 }; /* elements of no size, which a file of a hundred bytes can claim to have any number of */

/* The types that both sides have, by NumPy's letter and size. */
static const struct {
    motet_type type;
    char kind;
    int size;
} types[] = {{MOTET_BOOL, 'b', 1},   {MOTET_INT8, 'i', 1},      {MOTET_INT16, 'i', 2},      {MOTET_INT32, 'i', 4},
             {MOTET_INT64, 'i', 8},  {MOTET_UINT8, 'u', 1},     {MOTET_UINT16, 'u', 2},     {MOTET_UINT32, 'u', 4},
             {MOTET_UINT64, 'u', 8}, {MOTET_FLOAT16, 'f', 2},   {MOTET_FLOAT, 'f', 4},      {MOTET_DOUBLE, 'f', 8},
             {MOTET_STRING, 'U', 0}, {MOTET_COMPLEX64, 'c', 8}, {MOTET_COMPLEX128, 'c', 16}};

enum { TYPES = sizeof types / sizeof *types };

typedef struct header {
    char kind;    /* 'f', 'i', ..., 'U', 'S' */
    int64_t size; /* of an element; of 'U' in characters */
    bool fortran_order;
    int rank;
    int64_t dims[MOTET_MAX_RANK];
} header;

bool mt_npy_is(const void *bytes, size_t size)
{
    return size >= MAGIC_BYTES && memcmp(bytes, magic, MAGIC_BYTES) == 0;
}

/* --- the header ----------------------------------------------------------------------------------------------- */

/* The value of a key: what stands after "'key':", blanks left out; NULL when the key is not there. */
static const char *value_of(const char *text, const char *key)
{
    char quoted[32];
    snprintf(quoted, sizeof quoted, "'%s'", key);
    const char *at = strstr(text, quoted);
    if (!at) return NULL;
    at += strlen(quoted);
    at += strspn(at, " ");
    return *at == ':' ? at + 1 + strspn(at + 1, " ") : NULL;
}

static motet_status wrong(const char *what)
{
    return mt_fail(MOTET_ERROR_FORMAT, "a NumPy header without %s that can be read", what);
}

/* '<f4', '|b1', '<U12' */
static motet_status read_type(const char *text, header *h)
{
    const char *at = value_of(text, "descr");
    if (!at || *at++ != '\'') return wrong("a simple 'descr'");
    char order = *at++;
    h->kind = *at++;
    char *end;
    errno = 0;
    h->size = strtoll(at, &end, 10);
    if (errno || end == at || *end != '\'' || h->size < 0 || h->size > INT32_MAX) return wrong("a simple 'descr'");
    if (order == '>') return mt_fail(MOTET_ERROR_UNSUPPORTED, "big-endian elements are not supported");
    return MOTET_OK;
}

static motet_status read_dims(const char *text, header *h)
{
    const char *at = value_of(text, "shape");
    if (!at || *at++ != '(') return wrong("a 'shape'");
    for (at += strspn(at, " "); *at != ')'; at += strspn(at, ", ")) {
        char *end;
        if (h->rank == MOTET_MAX_RANK)
            return mt_fail(MOTET_ERROR_LIMIT, "more than %d axes: not supported", MOTET_MAX_RANK);
        errno = 0;
        h->dims[h->rank] = strtoll(at, &end, 10);
        if (errno || end == at || h->dims[h->rank] < 0) return wrong("a 'shape'");
        h->rank++;
        at = end;
    }
    return MOTET_OK;
}

static motet_status parse(const char *text, header *h)
{
    const char *order = value_of(text, "fortran_order");
    if (!order) return wrong("'fortran_order'");
    h->fortran_order = strncmp(order, "True", 4) == 0;
    MT_TRY(read_type(text, h));
    return read_dims(text, h);
}

/* *data is where the elements begin. */
static motet_status read_header(const uint8_t *bytes, size_t size, header *h, size_t *data)
{
    static const char short_file[] = "a NumPy file that ends in its header";
    if (size < PREFIX_BYTES) return mt_fail(MOTET_ERROR_FORMAT, "%s", short_file);
    size_t length = bytes[8] | (size_t)bytes[9] << 8, start = PREFIX_BYTES;
    if (bytes[6] >= 2) { /* version 2 and later: four bytes */
        if (size < PREFIX_BYTES + 2) return mt_fail(MOTET_ERROR_FORMAT, "%s", short_file);
        length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
        start += 2;
    }
    if (length > size - start) return mt_fail(MOTET_ERROR_FORMAT, "%s", short_file);
    if (length > MAX_HEADER) return mt_fail(MOTET_ERROR_LIMIT, "a NumPy header of %zu bytes", length);
    char *text = mt_copy_bytes(bytes + start, length);
    if (!text) return mt_fail_memory(length);
    *h = (header){0};
    motet_status status = parse(text, h);
    mt_free(text);
    *data = start + length;
    return status;
}

static motet_status find_type(const header *h, motet_type *out)
{
    for (size_t i = 0; i < TYPES; i++) {
        *out = types[i].type;
        if (types[i].kind == h->kind && types[i].size == (int)h->size) return MOTET_OK;
    }
    *out = MOTET_STRING;
    if (h->kind == 'U' || h->kind == 'S') return MOTET_OK;
    return mt_fail(MOTET_ERROR_UNSUPPORTED, "elements of NumPy's type '%c%" PRId64 "' are not supported", h->kind,
                   h->size);
}

/* --- the elements --------------------------------------------------------------------------------------------- */

/* Where element `index`, counted in row-major order, lies in column-major order. */
static int64_t column_major(const motet_tensor *tensor, int64_t index)
{
    int64_t at[MOTET_MAX_RANK], place = 0;
    for (int i = tensor->rank; i-- > 0; index /= tensor->dims[i]) at[i] = index % tensor->dims[i];
    for (int i = tensor->rank; i-- > 0;) place = place * tensor->dims[i] + at[i];
    return place;
}

static size_t put_utf8(uint32_t c, char *to)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    size_t more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    for (size_t i = more; i > 0; i--, c >>= 6) to[i] = (char)(0x80 | (c & 0x3f));
    to[0] = (char)((0xf0 << (3 - more)) | c);
    return more + 1;
}

/* An element of `width` characters that ends with them or where only zeros are left. */
static motet_status set_text(motet_tensor *out, int64_t index, const uint8_t *from, const header *h, char *text)
{
    size_t length = 0, width = (size_t)h->size;
    if (h->kind == 'S') {
        while (width > 0 && !from[width - 1]) width--;
        return motet_tensor_set_string(out, index, (const char *)from, width);
    }
    uint32_t c;
    for (; width > 0; width--) {
        memcpy(&c, from + 4 * (width - 1), sizeof c);
        if (c) break;
    }
    for (size_t i = 0; i < width; i++) {
        memcpy(&c, from + 4 * i, sizeof c);
        if (c > 0x10ffff) return mt_fail(MOTET_ERROR_FORMAT, "text with a character that cannot be");
        length += put_utf8(c, text + length);
    }
    return motet_tensor_set_string(out, index, text, length);
}

static motet_status read_text(const uint8_t *from, const header *h, size_t width, motet_tensor *out)
{
    char *text = mt_alloc(width);
    if (!text) return mt_fail_memory(width);
    motet_status status = MOTET_OK;
    for (int64_t i = 0; status == MOTET_OK && i < out->count; i++) {
        int64_t place = h->fortran_order ? column_major(out, i) : i;
        status = set_text(out, i, from + (size_t)place * width, h, text);
    }
    mt_free(text);
    return status;
}

static void read_numbers(const uint8_t *from, const header *h, size_t size, motet_tensor *out)
{
    uint8_t *to = out->data;
    if (!h->fortran_order)
        memcpy(to, from, (size_t)out->count * size);
    else
        for (int64_t i = 0; i < out->count; i++)
            memcpy(to + (size_t)i * size, from + (size_t)column_major(out, i) * size, size);
    if (out->type == MOTET_BOOL)
        for (int64_t i = 0; i < out->count; i++) to[i] = to[i] != 0;
}

motet_status mt_npy_read(const void *bytes, size_t size, motet_tensor *out)
{
    header h;
    motet_type type;
    size_t data, needed, width;
    MT_TRY(read_header(bytes, size, &h, &data));
    MT_TRY(find_type(&h, &type));
    width = h.kind == 'U' ? 4 * (size_t)h.size : (size_t)h.size;
    int64_t count = mt_shape_count(h.rank, h.dims);
    if (count < 0 || !mt_mul((size_t)count, width, &needed) || needed != size - data || (!width && count > MAX_EMPTY))
        return mt_fail(MOTET_ERROR_FORMAT, "its shape does not go with the %zu bytes of elements", size - data);
    MT_TRY(mt_tensor_alloc(out, type, h.rank, h.dims));
    if (type == MOTET_STRING) {
        motet_status status = read_text((const uint8_t *)bytes + data, &h, width, out);
        if (status != MOTET_OK) mt_tensor_clear(out);
        return status;
    }
    if (needed) read_numbers((const uint8_t *)bytes + data, &h, width, out);
    return MOTET_OK;
}

/* --- writing -------------------------------------------------------------------------------------------------- */

/* Decodes one character of UTF-8 (RFC 3629), which is U+FFFD where it is none. */
static uint32_t next_character(const unsigned char **at, const unsigned char *end)
{
    unsigned char first = *(*at)++;
    if (first < 0x80) return first;
    int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    uint32_t c = first & (0x3fu >> more), lowest = more == 1 ? 0x80 : more == 2 ? 0x800 : 0x10000;
    if (first < 0xc2 || first > 0xf4 || end - *at < more) return 0xfffd;
    for (int i = 0; i < more; i++) {
        if (((*at)[i] & 0xc0) != 0x80) return 0xfffd;
        c = c << 6 | ((*at)[i] & 0x3f);
    }
    if (c < lowest || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return 0xfffd;
    *at += more;
    return c;
}

/* Writes the characters of element `index` to `to`, unless that is NULL; returns how many there are. */
static size_t put_utf32(const motet_tensor *tensor, int64_t index, uint32_t *to)
{
    size_t length, count = 0;
    const unsigned char *at = (const unsigned char *)motet_tensor_string(tensor, index, &length), *end = at + length;
    while (at < end) {
        uint32_t c = next_character(&at, end);
        if (to) to[count] = c;
        count++;
    }
    return count;
}

static motet_status make_text(const motet_tensor *tensor, size_t *width, uint32_t **out)
{
    *width = 1; /* as NumPy has no use for width 0 */
    for (int64_t i = 0; i < tensor->count; i++) {
        size_t length = put_utf32(tensor, i, NULL);
        if (length > *width) *width = length;
    }
    size_t all;
    *out = mt_mul((size_t)tensor->count, *width, &all) ? mt_alloc_zero(all, sizeof **out) : NULL;
    if (!*out) return mt_fail_memory(*width);
    for (int64_t i = 0; i < tensor->count; i++) put_utf32(tensor, i, *out + (size_t)i * *width);
    return MOTET_OK;
}

/* Returns the length. The longest has eight axes of 19 digits. */
static size_t make_header(const motet_tensor *tensor, const char *descr, char text[static 512])
{
    char shape[256];
    size_t used = 0;
    shape[0] = '\0';
    for (int i = 0; i < tensor->rank; i++)
        used += (size_t)snprintf(shape + used, sizeof shape - used, "%s%" PRId64 "%s", i ? " " : "", tensor->dims[i],
                                 i + 1 < tensor->rank || tensor->rank == 1 ? "," : "");
    size_t length = (size_t)snprintf(text + PREFIX_BYTES, 512 - PREFIX_BYTES,
                                     "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, shape) +
                    PREFIX_BYTES;
    while ((length + 1) % HEADER_ALIGNMENT) text[length++] = ' ';
    text[length++] = '\n';
    memcpy(text, magic, MAGIC_BYTES);
    text[6] = 1;
    text[7] = 0;
    text[8] = (char)((length - PREFIX_BYTES) & 0xff);
    text[9] = (char)((length - PREFIX_BYTES) >> 8);
    return length;
}

static motet_status write_with_header(const char *path, const motet_tensor *tensor, const char *descr,
                                      const void *elements, size_t size)
{
    char text[512];
    size_t length = make_header(tensor, descr, text);
    const mt_part parts[] = {{text, length}, {elements, (size_t)tensor->count * size}};
    return mt_file_write_parts(path, parts, 2);
}

static motet_status write_text(const char *path, const motet_tensor *tensor)
{
    size_t width;
    uint32_t *text;
    char descr[32];
    MT_TRY(make_text(tensor, &width, &text));
    snprintf(descr, sizeof descr, "<U%zu", width);
    motet_status status = write_with_header(path, tensor, descr, text, width * sizeof *text);
    mt_free(text);
    return status;
}

motet_status mt_npy_write(const char *path, const motet_tensor *tensor)
{
    if (tensor->type == MOTET_STRING) return write_text(path, tensor);
    for (size_t i = 0; i < TYPES; i++) {
        if (types[i].type != tensor->type) continue;
        char descr[32];
        snprintf(descr, sizeof descr, "%c%c%d", types[i].size == 1 ? '|' : '<', types[i].kind, types[i].size);
        return write_with_header(path, tensor, descr, tensor->data, (size_t)types[i].size);
    }
    return mt_fail(MOTET_ERROR_UNSUPPORTED, "NumPy has no type for %s; .pb can hold it", motet_type_name(tensor->type));
}
