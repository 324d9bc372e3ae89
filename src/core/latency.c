/* The account of time. Rows are kept as they come, 20 bytes a chunk; percentiles sort a copy when somebody asks. */
#include "motet/latency.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/memory.h"
#include "core/status.h"
#include "core/text.h"

enum { PARTS = MOTET_STAGE_TOTAL };

typedef struct row {
    float start;
    float ms[PARTS];
} row;

struct motet_latency {
    double deadline_ms, final_ms;
    bool live;
    row *rows;
    size_t count, capacity;
};

const char *motet_stage_name(motet_stage stage)
{
    static const char *const names[MOTET_STAGES] = {"decode", "resample", "encode", "cluster", "total"};
    return (unsigned)stage < MOTET_STAGES ? names[stage] : "unknown";
}

motet_status motet_latency_create(double deadline_ms, motet_latency **out)
{
    motet_latency *latency = *out = mt_alloc_zero(1, sizeof *latency);
    if (!latency) return mt_fail_memory(sizeof *latency);
    latency->deadline_ms = deadline_ms;
    return MOTET_OK;
}

motet_status motet_latency_create_live(double deadline_ms, motet_latency **out)
{
    MT_TRY(motet_latency_create(deadline_ms, out));
    (*out)->live = true;
    return MOTET_OK;
}

void motet_latency_destroy(motet_latency *latency)
{
    if (!latency) return;
    mt_free(latency->rows);
    mt_free(latency);
}

motet_status motet_latency_add(motet_latency *latency, const motet_chunk *chunk)
{
    if (!mt_reserve((void **)&latency->rows, latency->count, &latency->capacity, sizeof(row)))
        return mt_fail_memory(latency->capacity * 2 * sizeof(row));
    latency->rows[latency->count++] =
        (row){(float)chunk->start,
              {(float)chunk->decode_ms, (float)chunk->resample_ms, (float)chunk->encode_ms, (float)chunk->cluster_ms}};
    return MOTET_OK;
}

static double stage_ms(const row *r, motet_stage stage)
{
    if (stage != MOTET_STAGE_TOTAL) return r->ms[stage];
    double total = 0;
    for (int part = 0; part < PARTS; part++) total += r->ms[part];
    return total;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Nearest rank (Hyndman and Fan 1996, definition 1). */
static double percentile(const double *sorted, size_t count, double p)
{
    size_t rank = (size_t)ceil(p / 100 * (double)count);
    return sorted[rank ? rank - 1 : 0];
}

motet_status motet_latency_summarize(const motet_latency *latency, motet_stage stage, motet_latency_summary *out)
{
    *out = (motet_latency_summary){.count = latency->count};
    if (!latency->count) return MOTET_OK;
    double *sorted = mt_alloc_array(latency->count, sizeof *sorted), sum = 0;
    if (!sorted) return mt_fail_memory(latency->count * sizeof *sorted);
    for (size_t i = 0; i < latency->count; i++) sum += sorted[i] = stage_ms(&latency->rows[i], stage);
    qsort(sorted, latency->count, sizeof *sorted, by_value);
    out->mean = sum / (double)latency->count;
    out->p50 = percentile(sorted, latency->count, 50);
    out->p95 = percentile(sorted, latency->count, 95);
    out->p99 = percentile(sorted, latency->count, 99);
    out->max = sorted[latency->count - 1];
    mt_free(sorted);
    return MOTET_OK;
}

void motet_latency_conclude(motet_latency *latency, double final_ms)
{
    latency->final_ms = final_ms;
}

double motet_latency_final(const motet_latency *latency)
{
    return latency->final_ms;
}

size_t motet_latency_misses(const motet_latency *latency)
{
    size_t misses = 0;
    for (size_t i = 0; i < latency->count; i++)
        misses += stage_ms(&latency->rows[i], MOTET_STAGE_TOTAL) > latency->deadline_ms;
    return misses;
}

double motet_latency_deadline(const motet_latency *latency)
{
    return latency->deadline_ms;
}

/* What a stage is called in this account. */
static const char *name_of(const motet_latency *latency, int stage)
{
    static const char *const live[MOTET_STAGES] = {"buffer", "resample", "encode", "track", "total"};
    return latency->live ? live[stage] : motet_stage_name((motet_stage)stage);
}

/* --- texts ---------------------------------------------------------------------------------------------------- */

/* How many totals lie under each bound. */
static void write_histogram(const motet_latency *latency, mt_text *text)
{
    static const double bounds[] = {5, 10, 15, 20, 30, 40, 60, 100, 200, 500, INFINITY};
    enum { BOUNDS = sizeof bounds / sizeof *bounds, WIDTH = 50 };
    size_t counts[BOUNDS] = {0}, most = 1;
    for (size_t i = 0; i < latency->count; i++) {
        int at = 0;
        while (stage_ms(&latency->rows[i], MOTET_STAGE_TOTAL) > bounds[at]) at++;
        if (++counts[at] > most) most = counts[at];
    }
    for (int at = 0; at < BOUNDS; at++) {
        if (!counts[at]) continue;
        int stars = (int)((counts[at] * WIDTH + most - 1) / most);
        if (at < BOUNDS - 1)
            mt_text_add(text, "  up to %5.0f ms %8zu %.*s\n", bounds[at], counts[at], stars,
                        "**************************************************");
        else
            mt_text_add(text, "  longer         %8zu %.*s\n", counts[at], stars,
                        "**************************************************");
    }
}

static motet_status write_table(const motet_latency *latency, mt_text *text)
{
    mt_text_add(text, latency->live ? "capture to event, ms  " : "latency per chunk, ms ");
    mt_text_add(text, "%9s %9s %9s %9s %9s\n", "mean", "P50", "P95", "P99", "max");
    for (int stage = 0; stage < MOTET_STAGES; stage++) {
        motet_latency_summary s;
        MT_TRY(motet_latency_summarize(latency, (motet_stage)stage, &s));
        mt_text_add(text, "  %-19s %9.3f %9.3f %9.3f %9.3f %9.3f\n", name_of(latency, stage), s.mean, s.p50, s.p95,
                    s.p99, s.max);
    }
    mt_text_add(text, "  %zu chunks, %zu slower than their hop of %.0f ms\n", latency->count,
                motet_latency_misses(latency), latency->deadline_ms);
    if (latency->live) write_histogram(latency, text);
    if (latency->final_ms > 0 || !latency->live)
        mt_text_add(text, "  final clustering and turns: %.3f ms\n", latency->final_ms);
    return MOTET_OK;
}

static motet_status write_json(const motet_latency *latency, mt_text *text)
{
    mt_json json = {.text = *text};
    mt_json_open(&json, NULL, '{');
    mt_json_int(&json, "chunks", (int64_t)latency->count);
    mt_json_number(&json, "deadline_ms", latency->deadline_ms, 3);
    mt_json_int(&json, "deadline_misses", (int64_t)motet_latency_misses(latency));
    mt_json_number(&json, "final_ms", latency->final_ms, 4);
    mt_json_open(&json, "stages", '{');
    motet_status status = MOTET_OK;
    for (int stage = 0; stage < MOTET_STAGES && status == MOTET_OK; stage++) {
        motet_latency_summary s;
        status = motet_latency_summarize(latency, (motet_stage)stage, &s);
        mt_json_open_row(&json, name_of(latency, stage));
        mt_json_number(&json, "mean_ms", s.mean, 4);
        mt_json_number(&json, "p50_ms", s.p50, 4);
        mt_json_number(&json, "p95_ms", s.p95, 4);
        mt_json_number(&json, "p99_ms", s.p99, 4);
        mt_json_number(&json, "max_ms", s.max, 4);
        mt_json_close(&json, '}');
    }
    mt_json_close(&json, '}');
    mt_json_open(&json, "rows", '[');
    for (size_t i = 0; i < latency->count; i++) {
        mt_json_open_row(&json, NULL);
        mt_json_int(&json, "chunk", (int64_t)i);
        mt_json_number(&json, "start", latency->rows[i].start, 3);
        for (int part = 0; part < PARTS; part++) {
            char key[32];
            snprintf(key, sizeof key, "%s_ms", name_of(latency, part));
            mt_json_number(&json, key, latency->rows[i].ms[part], 4);
        }
        mt_json_number(&json, "total_ms", stage_ms(&latency->rows[i], MOTET_STAGE_TOTAL), 4);
        mt_json_close(&json, '}');
    }
    mt_json_close(&json, ']');
    mt_json_close(&json, '}');
    *text = json.text;
    return status;
}

static motet_status write_csv(const motet_latency *latency, mt_text *text)
{
    mt_text_add(text, "chunk,start_s");
    for (int stage = 0; stage < MOTET_STAGES; stage++) mt_text_add(text, ",%s_ms", name_of(latency, stage));
    mt_text_add(text, ",missed\n");
    for (size_t i = 0; i < latency->count; i++) {
        const row *r = &latency->rows[i];
        double total = stage_ms(r, MOTET_STAGE_TOTAL);
        mt_text_add(text, "%zu,%.3f", i, r->start);
        for (int part = 0; part < PARTS; part++) mt_text_add(text, ",%.4f", r->ms[part]);
        mt_text_add(text, ",%.4f,%d\n", total, total > latency->deadline_ms);
    }
    return MOTET_OK;
}

motet_status motet_latency_write(const motet_latency *latency, motet_latency_format format, char **text, size_t *length)
{
    *text = NULL;
    mt_text out = {0};
    motet_status status = format == MOTET_LATENCY_TABLE  ? write_table(latency, &out)
                          : format == MOTET_LATENCY_JSON ? write_json(latency, &out)
                                                         : write_csv(latency, &out);
    if (status == MOTET_OK) return mt_text_take(&out, text, length);
    mt_free(out.bytes);
    return status;
}
