/* A stream of rows cut into overlapping windows. A row is a log-mel frame (`width` bins) or a sample (`width` 1).
 *
 * Window k holds rows k*hop ... k*hop + length - 1. The last one ends where the stream ends, so that no row is seen at
 * the edge of a window alone; a stream shorter than a window is filled up with `padding`. */
#ifndef MT_DIARIZE_WINDOWS_H
#define MT_DIARIZE_WINDOWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

typedef struct mt_windows {
    int width, length, hop; /* values a row; rows */
    int grid;               /* windows begin at multiples of this many rows */
    float padding;

    float *rows; /* held rows, the first of them number `first` */
    size_t held, capacity;
    int64_t first; /* where the window handed out last begins; 0 before any */
    int64_t next;  /* where the next one begins */
    bool any;      /* a window has been handed out */
} mt_windows;

/* Adds `count` rows. Windows that are complete must be taken before more rows come, or memory grows. */
motet_status mt_windows_push(mt_windows *windows, const float *rows, size_t count);

/* True while a complete window is at hand: *rows points to it until the next call, *start is its first row. */
bool mt_windows_take(mt_windows *windows, const float **rows, int64_t *start);

/* The end of the stream. *last is false when every row has been in a window already; else *rows is the last window. */
motet_status mt_windows_finish(mt_windows *windows, bool *last, const float **rows, int64_t *start);

/* The first window as far as it has come: copies the first `count` rows, which must have come and be no more than
 * `length`, to `window` (length rows) and pads the rest. Only before the first window is taken. */
void mt_windows_peek(const mt_windows *windows, size_t count, float *window);

void mt_windows_reset(mt_windows *windows); /* ready for another stream; keeps the settings */

#endif
