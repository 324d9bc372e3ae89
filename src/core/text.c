/* Growing text and the JSON writer (RFC 8259). */
#include "core/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/number.h"

static bool make_room(mt_text *text, size_t more)
{
    size_t wanted;
    if (text->failed || !mt_add(text->length, more, &wanted) || !mt_add(wanted, 1, &wanted)) {
        text->failed = true;
        return false;
    }
    if (wanted <= text->capacity) return true;
    size_t capacity = text->capacity ? text->capacity : 256;
    while (capacity < wanted) capacity += capacity / 2;
    char *grown = mt_grow(text->bytes, capacity, 1);
    if (!grown) {
        text->failed = true;
        return false;
    }
    text->bytes = grown;
    text->capacity = capacity;
    return true;
}

void mt_text_add_bytes(mt_text *text, const char *bytes, size_t length)
{
    if (!make_room(text, length)) return;
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
}

void mt_text_add(mt_text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = mt_print(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0 || !make_room(text, (size_t)length)) {
        text->failed = true;
        return;
    }
    va_start(arguments, format);
    mt_print(text->bytes + text->length, (size_t)length + 1, format, arguments);
    va_end(arguments);
    text->length += (size_t)length;
}

motet_status mt_text_take(mt_text *text, char **bytes, size_t *length)
{
    *bytes = NULL;
    mt_text_add_bytes(text, "", 0); /* an empty text is a string too */
    if (text->failed) {
        size_t asked = text->capacity;
        mt_free(text->bytes);
        memset(text, 0, sizeof *text);
        return mt_fail_memory(asked);
    }
    *bytes = text->bytes;
    if (length) *length = text->length;
    memset(text, 0, sizeof *text);
    return MOTET_OK;
}

/* The length of the UTF-8 sequence at `s` (RFC 3629), 0 when it is none. */
static size_t utf8_length(const unsigned char *s)
{
    if (s[0] < 0x80) return 1;
    size_t length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4) return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool surrogate = s[0] == 0xed && s[1] > 0x9f;
    bool beyond = s[0] == 0xf4 && s[1] > 0x8f;
    return overlong || surrogate || beyond ? 0 : length;
}

bool mt_is_utf8(const char *text)
{
    for (size_t length; *text; text += length)
        if (!(length = utf8_length((const unsigned char *)text))) return false;
    return true;
}

static void add_quoted(mt_text *text, const char *value)
{
    mt_text_add_bytes(text, "\"", 1);
    for (const unsigned char *s = (const unsigned char *)value; *s;) {
        size_t length = utf8_length(s);
        if (length == 0) {
            mt_text_add(text, "\\ufffd");
            s++;
            continue;
        }
        if (*s == '"' || *s == '\\')
            mt_text_add(text, "\\%c", *s);
        else if (*s == '\n')
            mt_text_add(text, "\\n");
        else if (*s == '\t')
            mt_text_add(text, "\\t");
        else if (*s < 0x20)
            mt_text_add(text, "\\u%04x", *s);
        else
            mt_text_add_bytes(text, (const char *)s, length);
        s += length;
    }
    mt_text_add_bytes(text, "\"", 1);
}

static void start_value(mt_json *json, const char *key)
{
    if (json->inside) mt_text_add(&json->text, ",");
    if (json->row)
        mt_text_add(&json->text, json->inside ? " " : "");
    else if (json->depth)
        mt_text_add(&json->text, "\n%*s", 2 * json->depth, "");
    json->inside = true;
    if (!key) return;
    add_quoted(&json->text, key);
    mt_text_add(&json->text, ": ");
}

void mt_json_open(mt_json *json, const char *key, char bracket)
{
    start_value(json, key);
    mt_text_add(&json->text, "%c", bracket);
    json->depth++;
    json->inside = false;
}

void mt_json_open_row(mt_json *json, const char *key)
{
    mt_json_open(json, key, '{');
    json->row = true;
}

void mt_json_close(mt_json *json, char bracket)
{
    json->depth--;
    if (json->inside && !json->row) mt_text_add(&json->text, "\n%*s", 2 * json->depth, "");
    json->row = false;
    mt_text_add(&json->text, "%c", bracket);
    json->inside = true;
    if (json->depth == 0) mt_text_add(&json->text, "\n");
}

void mt_json_string(mt_json *json, const char *key, const char *value)
{
    start_value(json, key);
    if (value)
        add_quoted(&json->text, value);
    else
        mt_text_add(&json->text, "null");
}

void mt_json_number(mt_json *json, const char *key, double value, int decimals)
{
    start_value(json, key);
    if (isfinite(value))
        mt_text_add(&json->text, "%.*f", decimals, value);
    else
        mt_text_add(&json->text, "null");
}

void mt_json_int(mt_json *json, const char *key, int64_t value)
{
    start_value(json, key);
    mt_text_add(&json->text, "%" PRId64, value);
}

void mt_json_bool(mt_json *json, const char *key, bool value)
{
    start_value(json, key);
    mt_text_add(&json->text, value ? "true" : "false");
}
