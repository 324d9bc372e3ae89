/* Both conventions want the same four things of a recording: its tracks, the regions U and S of motet/score.h, and a
 * tally of each. They differ in which of the two tallies maps the speakers, and in how the JER is made. */
#include "score/file.h"

#include <math.h>

#include "core/memory.h"
#include "score/der.h"

/* What scoring a recording needs on its way, gathered so that it can be let go in one place. */
typedef struct bench {
    mt_track reference, hypothesis;
    mt_spans whole, scored; /* U and S of motet/score.h */
    mt_tally in_whole, in_scored;
    size_t *partner;
} bench;

static void release(bench *b)
{
    mt_track_free(&b->reference);
    mt_track_free(&b->hypothesis);
    mt_spans_free(&b->whole);
    mt_spans_free(&b->scored);
    mt_tally_free(&b->in_whole);
    mt_tally_free(&b->in_scored);
    mt_free(b->partner);
}

static void widen(mt_span *extent, const mt_track *track)
{
    for (size_t i = 0; i < track->count; i++) {
        extent->begin = fmin(extent->begin, track->turns[i].begin);
        extent->end = fmax(extent->end, track->turns[i].end);
    }
}

static motet_status find_whole(bench *b, const mt_spans *regions)
{
    if (!regions->count) {
        mt_span extent = {INFINITY, -INFINITY};
        widen(&extent, &b->reference);
        widen(&extent, &b->hypothesis);
        MT_TRY(mt_spans_add(&b->whole, extent.begin, extent.end));
    }
    for (size_t i = 0; i < regions->count; i++)
        MT_TRY(mt_spans_add(&b->whole, regions->items[i].begin, regions->items[i].end));
    mt_spans_unite(&b->whole);
    return MOTET_OK;
}

static motet_status prepare(bench *b, const mt_recording *recording, const motet_score_options *options)
{
    MT_TRY(mt_track_make(recording->reference, recording->reference_count, &b->reference));
    MT_TRY(mt_track_make(recording->hypothesis, recording->hypothesis_count, &b->hypothesis));
    MT_TRY(find_whole(b, &recording->regions));
    MT_TRY(mt_scored_regions(&b->reference, &b->whole, options, &b->scored));
    MT_TRY(mt_tally_make(&b->reference, &b->hypothesis, &b->whole, &b->in_whole));
    MT_TRY(mt_tally_make(&b->reference, &b->hypothesis, &b->scored, &b->in_scored));
    b->partner = mt_alloc_array(b->reference.speakers, sizeof *b->partner);
    return b->partner ? MOTET_OK : mt_fail_memory(b->reference.speakers * sizeof *b->partner);
}

static size_t count_heard(const double *times, size_t count)
{
    size_t heard = 0;
    for (size_t i = 0; i < count; i++) heard += times[i] > MT_INSTANT;
    return heard;
}

static motet_status measure(bench *b, const motet_score_options *options, motet_score *score, mt_jer *jer)
{
    bool md_eval = options->convention == MOTET_SCORE_MD_EVAL;
    MT_TRY(mt_map_speakers(md_eval ? &b->in_whole : &b->in_scored, b->partner));
    mt_der(&b->in_scored, b->partner, score);
    score->region = mt_spans_length(&b->scored);
    score->reference_speakers = count_heard(b->in_whole.reference_time, b->in_whole.references);
    score->hypothesis_speakers = count_heard(b->in_whole.hypothesis_time, b->in_whole.hypotheses);
    if (md_eval)
        MT_TRY(mt_jer_frames(&b->reference, &b->hypothesis, &b->whole, &b->in_whole, jer));
    else
        *jer = mt_jer_exact(&b->in_scored, b->partner);
    score->jer = mt_jer_rate(jer, score->hypothesis_speakers);
    return MOTET_OK;
}

motet_status mt_score_recording(const mt_recording *recording, const motet_score_options *options, motet_score *score,
                                mt_jer *jer)
{
    bench b = {0};
    *score = (motet_score){.no_hypothesis = !recording->hypothesis_count};
    motet_status status = prepare(&b, recording, options);
    if (status == MOTET_OK) status = measure(&b, options, score, jer);
    release(&b);
    return status;
}

double mt_jer_rate(const mt_jer *jer, size_t hypothesis_speakers)
{
    return mt_rate(jer->speakers ? jer->errors : (double)hypothesis_speakers, (double)jer->speakers);
}
