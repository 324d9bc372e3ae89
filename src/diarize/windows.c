/* Rows are held from the start of the window handed out last, because the window at the end of the stream may begin
 * anywhere after it. */
#include "diarize/windows.h"

#include <string.h>

#include "core/memory.h"

static motet_status make_room(mt_windows *w, size_t count)
{
    size_t wanted = w->held + count, width = (size_t)w->width;
    if (wanted <= w->capacity) return MOTET_OK;
    size_t capacity = w->capacity ? w->capacity : (size_t)(w->length + w->hop);
    while (capacity < wanted) capacity += capacity / 2;
    float *grown = mt_grow(w->rows, capacity, width * sizeof(float));
    if (!grown) return mt_fail_memory(capacity * width * sizeof(float));
    w->rows = grown;
    w->capacity = capacity;
    return MOTET_OK;
}

motet_status mt_windows_push(mt_windows *w, const float *rows, size_t count)
{
    if (count == 0) return MOTET_OK;
    MT_TRY(make_room(w, count));
    memcpy(w->rows + w->held * (size_t)w->width, rows, count * (size_t)w->width * sizeof(float));
    w->held += count;
    return MOTET_OK;
}

static void drop_before(mt_windows *w, int64_t row)
{
    size_t dropped = (size_t)(row - w->first), width = (size_t)w->width;
    memmove(w->rows, w->rows + dropped * width, (w->held - dropped) * width * sizeof(float));
    w->held -= dropped;
    w->first = row;
}

bool mt_windows_take(mt_windows *w, const float **rows, int64_t *start)
{
    if (w->first + (int64_t)w->held < w->next + w->length) return false;
    drop_before(w, w->next);
    *rows = w->rows;
    *start = w->next;
    w->next += w->hop;
    w->any = true;
    return true;
}

motet_status mt_windows_finish(mt_windows *w, bool *last, const float **rows, int64_t *start)
{
    int64_t end = w->first + (int64_t)w->held;
    *last = w->any ? end > w->first + w->length : end > 0;
    if (!*last) return MOTET_OK;
    int64_t from = end - w->length;
    from = from > 0 ? (from + w->grid - 1) / w->grid * w->grid : 0;
    drop_before(w, from);
    size_t missing = (size_t)w->length - w->held, width = (size_t)w->width;
    MT_TRY(make_room(w, missing));
    for (size_t i = w->held * width; i < (size_t)w->length * width; i++) w->rows[i] = w->padding;
    *rows = w->rows;
    *start = from;
    return MOTET_OK;
}

void mt_windows_peek(const mt_windows *w, size_t count, float *window)
{
    size_t width = (size_t)w->width, filled = count * width;
    memcpy(window, w->rows, filled * sizeof(float));
    for (size_t i = filled; i < (size_t)w->length * width; i++) window[i] = w->padding;
}

void mt_windows_reset(mt_windows *w)
{
    mt_free(w->rows);
    *w = (mt_windows){.width = w->width, .length = w->length, .hop = w->hop, .grid = w->grid, .padding = w->padding};
}
