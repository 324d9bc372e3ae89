/* Text that grows, and JSON on top of it. Failure is remembered, so a writer adds and adds and asks once, at the end.
 */
#ifndef MT_CORE_TEXT_H
#define MT_CORE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

typedef struct mt_text {
    char *bytes;
    size_t length, capacity;
    bool failed;
} mt_text;

void mt_text_add(mt_text *text, const char *format, ...) MT_PRINTF(2, 3);
void mt_text_add_bytes(mt_text *text, const char *bytes, size_t length);

/* Hands the NUL-terminated text over (motet_string_free frees it), or fails with MEMORY and frees it. */
motet_status mt_text_take(mt_text *text, char **bytes, size_t *length);

bool mt_is_utf8(const char *text); /* RFC 3629 */

/* JSON, indented by two blanks. `key` is NULL inside arrays. */
typedef struct mt_json {
    mt_text text;
    int depth;
    bool inside; /* something stands in the current object or array already */
    bool row;    /* the current object is written on one line */
} mt_json;

void mt_json_open(mt_json *json, const char *key, char bracket); /* '{' or '[' */
void mt_json_open_row(mt_json *json, const char *key);           /* an object on one line */
void mt_json_close(mt_json *json, char bracket);
void mt_json_string(mt_json *json, const char *key, const char *value); /* NULL value: null; bad UTF-8 becomes U+FFFD */
void mt_json_number(mt_json *json, const char *key, double value, int decimals); /* NaN and infinity: null */
void mt_json_int(mt_json *json, const char *key, int64_t value);
void mt_json_bool(mt_json *json, const char *key, bool value);

#endif
