/* Scoring sets: turns are sorted by file, so that reference and hypothesis are matched by walking along both; regions
 * then find their recordings by name. Files are scored one by one in the order of their ids, and added up. */
#include "motet/score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "score/der.h"
#include "score/file.h"
#include "score/report.h"
#include "score/uem.h"

typedef struct matching {
    motet_rttm_turn *reference, *hypothesis; /* sorted */
    size_t reference_count, hypothesis_count;
    mt_recording *recordings; /* by file id */
    size_t count;
} matching;

static const char *file_of(const mt_recording *recording)
{
    return recording->reference[0].file;
}

static motet_status omit(motet_score_report *report, const char *file, motet_score_reason reason)
{
    if (!mt_reserve((void **)&report->omissions, report->omission_count, &report->omission_capacity,
                    sizeof *report->omissions))
        return mt_fail_memory(report->omission_capacity * 2 * sizeof *report->omissions);
    const char *name = mt_arena_string(&report->names, file);
    if (!name) return mt_fail_memory(strlen(file));
    report->omissions[report->omission_count++] = (motet_score_omission){name, reason};
    return MOTET_OK;
}

/* --- which turns belong together ------------------------------------------------------------------------------- */

static motet_status list_recordings(matching *m)
{
    size_t capacity = 0;
    for (size_t first = 0; first < m->reference_count;) {
        if (!mt_reserve((void **)&m->recordings, m->count, &capacity, sizeof *m->recordings))
            return mt_fail_memory(capacity * 2 * sizeof *m->recordings);
        size_t length = mt_turns_of_file(m->reference, m->reference_count, first);
        m->recordings[m->count++] = (mt_recording){.reference = m->reference + first, .reference_count = length};
        first += length;
    }
    return MOTET_OK;
}

static motet_status match_hypothesis(matching *m, motet_score_report *report)
{
    size_t next = 0; /* recording */
    for (size_t first = 0; first < m->hypothesis_count;) {
        const char *file = m->hypothesis[first].file;
        size_t length = mt_turns_of_file(m->hypothesis, m->hypothesis_count, first);
        while (next < m->count && strcmp(file_of(&m->recordings[next]), file) < 0) next++;
        if (next < m->count && strcmp(file_of(&m->recordings[next]), file) == 0) {
            m->recordings[next].hypothesis = m->hypothesis + first;
            m->recordings[next].hypothesis_count = length;
        } else {
            MT_TRY(omit(report, file, MOTET_SCORE_NO_REFERENCE));
        }
        first += length;
    }
    return MOTET_OK;
}

/* The recording whose file id is the first `length` characters of `name`. */
static mt_recording *find_recording(const matching *m, const char *name, size_t length)
{
    size_t low = 0, high = m->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *file = file_of(&m->recordings[middle]);
        int order = strncmp(file, name, length);
        if (order == 0 && file[length] == '\0') return &m->recordings[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static motet_status match_regions(matching *m, const motet_uem *uem, motet_score_report *report)
{
    for (size_t i = 0; i < uem->count; i++) {
        const mt_region *region = &uem->regions[i];
        const char *extension = strrchr(region->file, '.');
        mt_recording *recording = find_recording(m, region->file, strlen(region->file));
        if (!recording && extension) recording = find_recording(m, region->file, (size_t)(extension - region->file));
        if (recording)
            MT_TRY(mt_spans_add(&recording->regions, region->begin, region->end));
        else
            MT_TRY(omit(report, region->file, MOTET_SCORE_NO_REFERENCE));
    }
    for (size_t i = 0; i < m->count; i++) {
        mt_spans_unite(&m->recordings[i].regions);
        if (!m->recordings[i].regions.count) MT_TRY(omit(report, file_of(&m->recordings[i]), MOTET_SCORE_NOT_IN_UEM));
    }
    return MOTET_OK;
}

static int compare_omissions(const void *a, const void *b)
{
    const motet_score_omission *first = a, *second = b;
    return strcmp(first->file, second->file);
}

/* Sorts, and says each file once: a UEM often has many regions of one. */
static void tidy_omissions(motet_score_report *report)
{
    if (!report->omission_count) return;
    qsort(report->omissions, report->omission_count, sizeof *report->omissions, compare_omissions);
    size_t kept = 1;
    for (size_t i = 1; i < report->omission_count; i++)
        if (strcmp(report->omissions[i].file, report->omissions[kept - 1].file) != 0)
            report->omissions[kept++] = report->omissions[i];
    report->omission_count = kept;
}

static motet_status match(matching *m, const motet_rttm *reference, const motet_rttm *hypothesis, const motet_uem *uem,
                          motet_score_report *report)
{
    m->reference_count = motet_rttm_count(reference);
    m->hypothesis_count = motet_rttm_count(hypothesis);
    MT_TRY(mt_turns_sorted(reference, &m->reference));
    MT_TRY(mt_turns_sorted(hypothesis, &m->hypothesis));
    MT_TRY(list_recordings(m));
    MT_TRY(match_hypothesis(m, report));
    if (uem) MT_TRY(match_regions(m, uem, report));
    tidy_omissions(report);
    return MOTET_OK;
}

static void release(matching *m)
{
    for (size_t i = 0; i < m->count; i++) mt_spans_free(&m->recordings[i].regions);
    mt_free(m->recordings);
    mt_free(m->reference);
    mt_free(m->hypothesis);
}

/* --- scoring them ---------------------------------------------------------------------------------------------- */

static void pool(motet_score *pooled, const motet_score *file)
{
    pooled->scored += file->scored;
    pooled->missed += file->missed;
    pooled->false_alarm += file->false_alarm;
    pooled->confusion += file->confusion;
    pooled->region += file->region;
    pooled->speech += file->speech;
    pooled->missed_speech += file->missed_speech;
    pooled->false_alarm_speech += file->false_alarm_speech;
    pooled->reference_speakers += file->reference_speakers;
    pooled->hypothesis_speakers += file->hypothesis_speakers;
}

static motet_status score_all(const matching *m, bool regions_needed, motet_score_report *report)
{
    mt_jer all = {0};
    motet_score *pooled = &report->pooled;
    report->files = mt_alloc_array(m->count, sizeof *report->files);
    if (!report->files) return mt_fail_memory(m->count * sizeof *report->files);
    for (size_t i = 0; i < m->count; i++) {
        const mt_recording *recording = &m->recordings[i];
        if (regions_needed && !recording->regions.count) continue;
        motet_score *score = &report->files[report->file_count];
        mt_jer jer;
        MT_TRY(mt_score_recording(recording, &report->options, score, &jer));
        score->file = mt_arena_string(&report->names, file_of(recording));
        if (!score->file) return mt_fail_memory(strlen(file_of(recording)));
        report->file_count++;
        pool(pooled, score);
        all.errors += jer.errors;
        all.speakers += jer.speakers;
    }
    pooled->der = mt_rate(pooled->missed + pooled->false_alarm + pooled->confusion, pooled->scored);
    pooled->jer = mt_jer_rate(&all, pooled->hypothesis_speakers);
    return MOTET_OK;
}

void motet_score_options_init(motet_score_options *options)
{
    *options = (motet_score_options){.convention = MOTET_SCORE_MD_EVAL};
}

motet_status motet_score_run(const motet_rttm *reference, const motet_rttm *hypothesis, const motet_uem *uem,
                             const motet_score_options *options, motet_score_report **out)
{
    *out = NULL;
    motet_score_options chosen;
    motet_score_options_init(&chosen);
    if (options) chosen = *options;
    if (!(chosen.collar >= 0) || !isfinite(chosen.collar))
        return mt_fail(MOTET_ERROR_ARGUMENT, "collar %g: expected seconds, 0 or more", chosen.collar);
    motet_score_report *report = mt_alloc_zero(1, sizeof *report);
    if (!report) return mt_fail_memory(sizeof *report);
    report->options = chosen;
    matching m = {0};
    motet_status status = match(&m, reference, hypothesis, uem, report);
    if (status == MOTET_OK) status = score_all(&m, uem != NULL, report);
    release(&m);
    if (status == MOTET_OK)
        *out = report;
    else
        motet_score_report_destroy(report);
    return status;
}

/* --- the report ------------------------------------------------------------------------------------------------ */

void motet_score_report_destroy(motet_score_report *report)
{
    if (!report) return;
    mt_free(report->files);
    mt_free(report->omissions);
    mt_arena_clear(&report->names);
    mt_free(report);
}

size_t motet_score_file_count(const motet_score_report *report)
{
    return report->file_count;
}

const motet_score *motet_score_file(const motet_score_report *report, size_t index)
{
    return index < report->file_count ? &report->files[index] : NULL;
}

const motet_score *motet_score_pooled(const motet_score_report *report)
{
    return &report->pooled;
}

size_t motet_score_omission_count(const motet_score_report *report)
{
    return report->omission_count;
}

const motet_score_omission *motet_score_omission_at(const motet_score_report *report, size_t index)
{
    return index < report->omission_count ? &report->omissions[index] : NULL;
}
