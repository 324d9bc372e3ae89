/* Text files of blank-separated fields, as RTTM and UEM are: lines, fields, numbers, and errors that name all three. */
#ifndef MT_SCORE_LINES_H
#define MT_SCORE_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "core/status.h"

/* The latest time that is accepted, in seconds: doubles still tell tenths of a microsecond there. */
#define MT_LATEST 1e9

typedef struct mt_lines {
    const char *path;
    size_t number; /* of the current line, from 1 */
    char *text, *next;
} mt_lines;

/* Reads the whole file; `path` must outlive the lines. Errors: IO, MEMORY; LIMIT: over 1 GiB; FORMAT: control
 * characters. */
motet_status mt_lines_open(mt_lines *lines, const char *path);
void mt_lines_close(mt_lines *lines);

/* Splits the next line that is neither blank nor begins with `comment`: at most `limit` fields, which last as long as
 * the lines. Returns how many fields there are, 0 at the end of the file. */
size_t mt_lines_next(mt_lines *lines, const char *comment, char **fields, size_t limit);

/* "path:line: " and the message. */
motet_status mt_lines_fail(const mt_lines *lines, motet_status status, const char *format, ...) MT_PRINTF(3, 4);

/* Reads field `index` (from 0) as seconds from 0 to MT_LATEST. `name` is for the message. */
motet_status mt_lines_seconds(const mt_lines *lines, char *const *fields, size_t index, const char *name,
                              double *seconds);

#endif
