/* Sets of time: spans that are sorted and do not overlap. */
#ifndef MT_SCORE_SPANS_H
#define MT_SCORE_SPANS_H

#include <stddef.h>

#include "core/status.h"

/* Times closer than this are the same time, as in md-eval-22. */
#define MT_INSTANT 1e-8

typedef struct mt_span {
    double begin, end;
} mt_span;

typedef struct mt_spans {
    mt_span *items;
    size_t count, capacity;
} mt_spans; /* all zero: empty */

void mt_spans_free(mt_spans *spans);

/* Puts a span at the end; the set is one again after mt_spans_unite. */
motet_status mt_spans_add(mt_spans *spans, double begin, double end);

/* Sorts, joins what overlaps or touches, and drops what is shorter than an instant. */
void mt_spans_unite(mt_spans *spans);

/* What of `whole` is not in `holes` (both sets), into the empty set *rest. */
motet_status mt_spans_subtract(const mt_spans *whole, const mt_spans *holes, mt_spans *rest);

double mt_spans_length(const mt_spans *spans);

#endif
