/* The account of time: one row a chunk, and the figures that matter of it.
 *
 * Percentiles are exact, taken from all rows by the nearest-rank rule: the smallest value that at least p % of the rows
 * do not exceed. */
#ifndef MOTET_LATENCY_H
#define MOTET_LATENCY_H

#include "motet/diarize.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct motet_latency motet_latency;

typedef enum motet_stage {
    MOTET_STAGE_DECODE,
    MOTET_STAGE_RESAMPLE,
    MOTET_STAGE_ENCODE,
    MOTET_STAGE_CLUSTER,
    MOTET_STAGE_TOTAL,
    MOTET_STAGES
} motet_stage;

typedef struct motet_latency_summary {
    size_t count;
    double mean, p50, p95, p99, max; /* milliseconds; 0 when count is 0 */
} motet_latency_summary;

/* deadline_ms: a chunk whose stages take longer together has missed it (the hop). Errors: MEMORY. */
MOTET_API MOTET_CHECKED motet_status motet_latency_create(double deadline_ms, motet_latency **out);

/* The account of a live session: what stands under decode is the buffering, from capture until the work takes it, and
 * cluster is the tracking; the table has a histogram of the totals. */
MOTET_API MOTET_CHECKED motet_status motet_latency_create_live(double deadline_ms, motet_latency **out);
MOTET_API void motet_latency_destroy(motet_latency *latency); /* NULL is allowed */
MOTET_API MOTET_CHECKED motet_status motet_latency_add(motet_latency *latency, const motet_chunk *chunk);
MOTET_API MOTET_CHECKED motet_status motet_latency_summarize(const motet_latency *latency, motet_stage stage,
                                                             motet_latency_summary *out);

/* What came after the last chunk: the global clustering, the votes and the turns. It belongs to no chunk. */
MOTET_API void motet_latency_conclude(motet_latency *latency, double final_ms);
MOTET_API double motet_latency_final(const motet_latency *latency); /* milliseconds */
MOTET_API size_t motet_latency_misses(const motet_latency *latency);
MOTET_API double motet_latency_deadline(const motet_latency *latency);
MOTET_API const char *motet_stage_name(motet_stage stage); /* "decode", ... */

/* Texts to be freed with motet_string_free: a table for people, or every chunk with the summary as JSON, or every chunk
 * as CSV. Errors: MEMORY. */
typedef enum motet_latency_format { MOTET_LATENCY_TABLE, MOTET_LATENCY_JSON, MOTET_LATENCY_CSV } motet_latency_format;
MOTET_API MOTET_CHECKED motet_status motet_latency_write(const motet_latency *latency, motet_latency_format format,
                                                         char **text, size_t *length);

#ifdef __cplusplus
}
#endif
#endif
