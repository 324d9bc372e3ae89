#include "diarize/evidence.h"

#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "diarize/agglomerate.h"

/* The share of a turn's time that is right, as a logistic regression on the votes and the voices (Platt 1999). Fitted
 * by tests/bench/calibration.py for motet-cnn 0.3 on the simulated conversations of seed 21; checked on others. */
static const double BIAS = -1.99, OF_SHARE = 0.655, OF_SIMILARITY = 3.18, OF_MARGIN = 0.458;

static double find_confidence(const motet_turn *turn)
{
    double share = fmin(fmax(turn->share, 0.01), 0.99), rival = turn->rival >= 0 ? turn->rival_similarity : -1;
    return 1 / (1 + exp(-(BIAS + OF_SHARE * log(share / (1 - share)) + OF_SIMILARITY * turn->similarity +
                          OF_MARGIN * (turn->similarity - rival))));
}

/* Seconds of the turn, at most its length, in which this voice is active. */
static double heard(const mt_record *record, size_t voice, int64_t window_start, const motet_turn *turn, double frame)
{
    const uint8_t *activity = mt_record_activity(record, voice);
    int64_t from = llround(turn->start / frame) - window_start, to = llround(turn->end / frame) - window_start;
    double sum = 0;
    if (from < 0) from = 0;
    if (to > record->frames) to = record->frames;
    for (int64_t t = from; t < to; t++) sum += activity[t];
    return sum / 255 * frame;
}

/* Adds what window w hears of the turn to its voice. */
static void add_window(const mt_record *record, size_t w, int speakers, const int *numbers, double frame,
                       motet_turn *turn, float *voice)
{
    size_t first, end, dims = (size_t)record->dims;
    bool any = false;
    mt_record_voices_of(record, w, &first, &end);
    for (size_t v = first; v < end; v++) {
        int speaker = record->voices[v].speaker;
        if (speaker < 0 || speaker >= speakers || numbers[speaker] != turn->speaker) continue;
        float weight = (float)heard(record, v, record->windows[w].start, turn, frame) * record->voices[v].alone;
        const float *vector = mt_record_vector(record, v);
        for (size_t i = 0; i < dims; i++) voice[i] += weight * vector[i];
        if (weight > 0) turn->clean += record->voices[v].alone;
        any |= weight > 0;
    }
    turn->windows += any;
}

static void compare(motet_diarization *d, motet_turn *turn, float *voice)
{
    size_t dims = (size_t)d->voice_dims;
    mt_normalize(voice, d->voice_dims);
    turn->similarity = (double)mt_dot(voice, d->voices + (size_t)turn->speaker * dims, d->voice_dims);
    turn->rival = -1;
    for (int k = 0; k < (int)d->speaker_count; k++) {
        double similarity = (double)mt_dot(voice, d->voices + (size_t)k * dims, d->voice_dims);
        if (k == turn->speaker || (turn->rival >= 0 && similarity <= turn->rival_similarity)) continue;
        turn->rival = k;
        turn->rival_similarity = similarity;
    }
}

/* Turns and windows both come in the order of time. */
motet_status mt_evidence_find(const mt_record *record, int speakers, const int *numbers, double frame,
                              motet_diarization *d)
{
    size_t dims = (size_t)record->dims, from = 0;
    float *voice = mt_alloc_array(dims, sizeof *voice);
    if (!voice) return mt_fail_memory(dims * sizeof *voice);
    for (size_t i = 0; i < d->turn_count; i++) {
        motet_turn *turn = &d->turns[i];
        int64_t start = llround(turn->start / frame), end = llround(turn->end / frame);
        memset(voice, 0, dims * sizeof *voice);
        while (from < record->window_count && record->windows[from].start + record->frames <= start) from++;
        for (size_t w = from; w < record->window_count && record->windows[w].start < end; w++)
            add_window(record, w, speakers, numbers, frame, turn, voice);
        compare(d, turn, voice);
        turn->confidence = find_confidence(turn);
    }
    mt_free(voice);
    return MOTET_OK;
}
