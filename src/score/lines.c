/* A file is read whole and cut up in place: RTTM files are small, and fields can then be handed out as pointers.
 *
 * Numbers are read here rather than by strtod, which listens to the locale of the process (a comma for a point) and
 * also takes "nan", "inf" and hexadecimal. Up to 15 digits, more than any RTTM file has, the result is the nearest
 * double: the digits and the power of ten are both exact, so that one division rounds once (W. D. Clinger, "How to read
 * floating point numbers accurately", PLDI 1990). */
#include "score/lines.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"

#define LARGEST_FILE ((size_t)1 << 30)

static motet_status read_stream(FILE *stream, const char *path, char **text, size_t *length)
{
    size_t capacity = 0;
    for (*length = 0;;) {
        if (*length > LARGEST_FILE) return mt_fail(MOTET_ERROR_LIMIT, "%s: larger than 1 GiB", path);
        if (capacity - *length < 2) {
            capacity = capacity ? capacity * 2 : 1 << 16;
            char *grown = mt_grow(*text, capacity, 1);
            if (!grown) return mt_fail_memory(capacity);
            *text = grown;
        }
        size_t count = fread(*text + *length, 1, capacity - *length - 1, stream);
        *length += count;
        if (count) continue;
        if (ferror(stream)) return mt_fail(MOTET_ERROR_IO, "%s: %s", path, strerror(errno));
        (*text)[*length] = '\0';
        return MOTET_OK;
    }
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* The first byte that no text has: NUL, escape and the like. */
static const char *find_control(const char *text, const char *end)
{
    for (; text < end; text++)
        if (((unsigned char)*text < 0x20 && *text != '\n' && !blank(*text)) || *text == 0x7f) return text;
    return NULL;
}

static size_t count_lines(const char *text, const char *end)
{
    size_t count = 1;
    for (; text < end; text++) count += *text == '\n';
    return count;
}

motet_status mt_lines_open(mt_lines *lines, const char *path)
{
    *lines = (mt_lines){.path = path};
    FILE *stream = fopen(path, "rb");
    if (!stream) return mt_fail(MOTET_ERROR_IO, "%s: %s", path, strerror(errno));
    size_t length;
    motet_status status = read_stream(stream, path, &lines->text, &length);
    fclose(stream);
    const char *control = status == MOTET_OK ? find_control(lines->text, lines->text + length) : NULL;
    if (control)
        status = mt_fail(MOTET_ERROR_FORMAT, "%s:%zu: byte 0x%02x: this is not a text file", path,
                         count_lines(lines->text, control), (unsigned char)*control);
    if (status != MOTET_OK) {
        mt_lines_close(lines);
        return status;
    }
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    lines->next = lines->text;
    if (strncmp(lines->text, byte_order_mark, 3) == 0) lines->next += 3;
    return MOTET_OK;
}

void mt_lines_close(mt_lines *lines)
{
    mt_free(lines->text);
    *lines = (mt_lines){0};
}

static size_t split(char *line, char **fields, size_t limit)
{
    size_t count = 0;
    while (count < limit) {
        while (blank(*line)) line++;
        if (!*line) break;
        fields[count++] = line;
        while (*line && !blank(*line)) line++;
        if (*line) *line++ = '\0';
    }
    return count;
}

size_t mt_lines_next(mt_lines *lines, const char *comment, char **fields, size_t limit)
{
    while (*lines->next) {
        char *line = lines->next;
        char *end = strchrnul(line, '\n');
        lines->next = *end ? end + 1 : end;
        *end = '\0';
        lines->number++;
        size_t count = split(line, fields, limit);
        if (count && strncmp(fields[0], comment, strlen(comment)) != 0) return count;
    }
    return 0;
}

motet_status mt_lines_fail(const mt_lines *lines, motet_status status, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return mt_fail(status, "%s:%zu: %s", lines->path, lines->number, text);
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* digits times ten to the power of `exponent`. */
static double scale(uint64_t digits, int exponent)
{
    long double power = 1;
    for (int i = exponent < 0 ? -exponent : exponent; i > 0; i--) power *= 10;
    bool exact = digits < (uint64_t)1 << 53 && exponent >= -22 && exponent <= 22;
    if (exact) return exponent < 0 ? (double)digits / (double)power : (double)digits * (double)power;
    return (double)(exponent < 0 ? (long double)digits / power : (long double)digits * power);
}

/* Reads "e-12" at *text, if it is there. Exponents beyond what a double can hold are held to +-9999. */
static bool read_exponent(const char **text, int *exponent)
{
    const char *c = *text;
    *exponent = 0;
    if (*c != 'e' && *c != 'E') return true;
    c++;
    bool negative = *c == '-';
    if (*c == '-' || *c == '+') c++;
    if (!digit(*c)) return false;
    for (; digit(*c); c++)
        if (*exponent < 1000) *exponent = *exponent * 10 + (*c - '0');
    if (negative) *exponent = -*exponent;
    *text = c;
    return true;
}

/* A decimal number without hexadecimal, infinity, NaN and locale; false when it is none, or is followed by something.
 */
static bool read_number(const char *text, double *value)
{
    bool negative = *text == '-', any = false, fraction = false;
    uint64_t digits = 0;
    int shift = 0, exponent;
    if (*text == '-' || *text == '+') text++;
    for (; digit(*text) || (*text == '.' && !fraction); text++) {
        if (*text == '.') {
            fraction = true;
            continue;
        }
        any = true;
        bool room = digits < UINT64_MAX / 10 - 1; /* beyond 18 digits they no longer count */
        if (room) digits = digits * 10 + (uint64_t)(*text - '0');
        if (room == fraction && shift > -100000 && shift < 100000) shift += room ? -1 : 1;
    }
    if (!any || !read_exponent(&text, &exponent) || *text) return false;
    *value = digits ? scale(digits, shift + exponent) : 0;
    if (negative) *value = -*value;
    return true;
}

motet_status mt_lines_seconds(const mt_lines *lines, char *const *fields, size_t index, const char *name,
                              double *seconds)
{
    const char *text = fields[index];
    const char *problem = NULL;
    if (!read_number(text, seconds))
        problem = "expected a number";
    else if (*seconds < 0)
        problem = "expected seconds, 0 or more";
    if (problem)
        return mt_lines_fail(lines, MOTET_ERROR_FORMAT, "field %zu (%s) '%.60s': %s", index + 1, name, text, problem);
    if (*seconds > MT_LATEST)
        return mt_lines_fail(lines, MOTET_ERROR_LIMIT, "field %zu (%s) '%.60s': times go up to 1e9 s", index + 1, name,
                             text);
    return MOTET_OK;
}
