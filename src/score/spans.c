/* Sets are built by adding spans in any order and uniting them once, which keeps everything here at n log n. */
#include "score/spans.h"

#include <math.h>
#include <stdlib.h>

#include "core/memory.h"

void mt_spans_free(mt_spans *spans)
{
    mt_free(spans->items);
    *spans = (mt_spans){0};
}

motet_status mt_spans_add(mt_spans *spans, double begin, double end)
{
    if (!mt_reserve((void **)&spans->items, spans->count, &spans->capacity, sizeof *spans->items))
        return mt_fail_memory(spans->capacity * 2 * sizeof *spans->items);
    spans->items[spans->count++] = (mt_span){begin, end};
    return MOTET_OK;
}

static int compare_spans(const void *a, const void *b)
{
    const mt_span *first = a, *second = b;
    return (first->begin > second->begin) - (first->begin < second->begin);
}

void mt_spans_unite(mt_spans *spans)
{
    if (!spans->count) return;
    qsort(spans->items, spans->count, sizeof *spans->items, compare_spans);
    size_t kept = 0;
    for (size_t i = 0; i < spans->count; i++) {
        mt_span span = spans->items[i];
        if (span.end - span.begin <= MT_INSTANT) continue;
        if (kept && span.begin <= spans->items[kept - 1].end + MT_INSTANT)
            spans->items[kept - 1].end = fmax(spans->items[kept - 1].end, span.end);
        else
            spans->items[kept++] = span;
    }
    spans->count = kept;
}

static motet_status add_if_any(mt_spans *spans, double begin, double end)
{
    return end - begin > MT_INSTANT ? mt_spans_add(spans, begin, end) : MOTET_OK;
}

motet_status mt_spans_subtract(const mt_spans *whole, const mt_spans *holes, mt_spans *rest)
{
    size_t first = 0; /* the holes before it end before the current span */
    for (size_t i = 0; i < whole->count; i++) {
        double begin = whole->items[i].begin, end = whole->items[i].end;
        while (first < holes->count && holes->items[first].end <= begin) first++;
        for (size_t hole = first; hole < holes->count && holes->items[hole].begin < end; hole++) {
            MT_TRY(add_if_any(rest, begin, holes->items[hole].begin));
            begin = holes->items[hole].end;
        }
        MT_TRY(add_if_any(rest, begin, end));
    }
    return MOTET_OK;
}

double mt_spans_length(const mt_spans *spans)
{
    double length = 0;
    for (size_t i = 0; i < spans->count; i++) length += spans->items[i].end - spans->items[i].begin;
    return length;
}
