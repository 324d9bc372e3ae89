/* Frames are counted as dscore counts them: frame i begins at 0.01 * i, computed in double precision, and belongs to a
 * turn when onset <= 0.01 * i < onset + duration. Turns and regions are turned from seconds into numbers of frames, and
 * the same sweep that counts seconds counts them. */
#include "score/jer.h"

#include <math.h>

#include "core/assignment.h"
#include "core/memory.h"

#define FRAME 0.01 /* s */

static double error_of_pair(const mt_tally *tally, size_t reference, size_t hypothesis)
{
    double both = tally->both[reference * tally->hypotheses + hypothesis];
    double either = tally->reference_time[reference] + tally->hypothesis_time[hypothesis] - both;
    return either > 0 ? 1 - both / either : 1;
}

static double error_of_speaker(const mt_tally *tally, const size_t *partner, size_t reference)
{
    return partner[reference] == MT_UNASSIGNED ? 1 : error_of_pair(tally, reference, partner[reference]);
}

mt_jer mt_jer_exact(const mt_tally *tally, const size_t *partner)
{
    mt_jer jer = {0};
    for (size_t i = 0; i < tally->references; i++) {
        if (tally->reference_time[i] <= MT_INSTANT) continue;
        jer.errors += error_of_speaker(tally, partner, i);
        jer.speakers++;
    }
    return jer;
}

/* The first frame that does not begin before `time`, but no later than `last`. */
static double frame_at(double time, double last)
{
    double frame = floor(time / FRAME);
    while (frame > 0 && (frame - 1) * FRAME >= time) frame--;
    while (frame * FRAME < time) frame++;
    return fmin(frame, last);
}

static motet_status track_in_frames(const mt_track *track, double last, mt_track *frames)
{
    frames->turns = mt_alloc_array(track->count, sizeof *frames->turns);
    if (!frames->turns) return mt_fail_memory(track->count * sizeof *frames->turns);
    frames->count = track->count;
    frames->speakers = track->speakers;
    for (size_t i = 0; i < track->count; i++) {
        frames->turns[i] = track->turns[i];
        frames->turns[i].begin = frame_at(track->turns[i].begin, last);
        frames->turns[i].end = frame_at(track->turns[i].end, last);
    }
    return MOTET_OK;
}

static motet_status regions_in_frames(const mt_spans *regions, double last, mt_spans *frames)
{
    for (size_t i = 0; i < regions->count; i++)
        MT_TRY(mt_spans_add(frames, frame_at(regions->items[i].begin, last), frame_at(regions->items[i].end, last)));
    mt_spans_unite(frames);
    return MOTET_OK;
}

static motet_status tally_frames(const mt_track *reference, const mt_track *hypothesis, const mt_spans *regions,
                                 mt_tally *tally)
{
    mt_track reference_frames = {0}, hypothesis_frames = {0};
    mt_spans region_frames = {0};
    double last = regions->count ? floor(regions->items[regions->count - 1].end / FRAME) : 0;
    motet_status status = track_in_frames(reference, last, &reference_frames);
    if (status == MOTET_OK) status = track_in_frames(hypothesis, last, &hypothesis_frames);
    if (status == MOTET_OK) status = regions_in_frames(regions, last, &region_frames);
    if (status == MOTET_OK) status = mt_tally_make(&reference_frames, &hypothesis_frames, &region_frames, tally);
    mt_track_free(&reference_frames);
    mt_track_free(&hypothesis_frames);
    mt_spans_free(&region_frames);
    return status;
}

/* The mapping with the least sum of errors. */
static motet_status map_speakers(const mt_tally *tally, size_t *partner)
{
    size_t cells = tally->references * tally->hypotheses;
    double *errors = mt_alloc_array(cells, sizeof *errors);
    if (!errors) return mt_fail_memory(cells * sizeof *errors);
    for (size_t i = 0; i < tally->references; i++)
        for (size_t j = 0; j < tally->hypotheses; j++) errors[i * tally->hypotheses + j] = error_of_pair(tally, i, j);
    motet_status status = mt_assign(tally->references, tally->hypotheses, errors, partner);
    mt_free(errors);
    return status;
}

motet_status mt_jer_frames(const mt_track *reference, const mt_track *hypothesis, const mt_spans *regions,
                           const mt_tally *present, mt_jer *jer)
{
    *jer = (mt_jer){0};
    size_t *partner = mt_alloc_array(reference->speakers, sizeof *partner);
    if (!partner) return mt_fail_memory(reference->speakers * sizeof *partner);
    mt_tally tally = {0};
    motet_status status = tally_frames(reference, hypothesis, regions, &tally);
    if (status == MOTET_OK) status = map_speakers(&tally, partner);
    for (size_t i = 0; status == MOTET_OK && i < tally.references; i++) {
        if (present->reference_time[i] <= MT_INSTANT) continue;
        jer->errors += error_of_speaker(&tally, partner, i);
        jer->speakers++;
    }
    mt_tally_free(&tally);
    mt_free(partner);
    return status;
}
