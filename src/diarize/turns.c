/* Votes, runs, turns. Votes are kept for one window length only and settled as windows pass, so this pass needs no
 * memory that grows but for the turns. */
#include "diarize/turns.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "diarize/agglomerate.h"
#include "diarize/evidence.h"

typedef mt_run run;
typedef mt_runs runs;

/* --- votes ----------------------------------------------------------------------------------------------------- */

typedef struct ballot {
    int frames, speakers;
    const mt_turn_rules *rules;
    float *window;  /* weight of each frame of a window */
    float *votes;   /* [frame][speaker]; row 0 is frame `first` */
    float *weights; /* [frame] */
    int64_t first;
    run *open; /* a speaker's run that goes on; start < 0: none */
    runs *closed;
} ballot;

static void ballot_free(ballot *b)
{
    mt_free(b->window);
    mt_free(b->votes);
    mt_free(b->weights);
    mt_free(b->open);
}

static motet_status ballot_make(ballot *b, int frames, int speakers, const mt_turn_rules *rules, runs *closed)
{
    size_t f = (size_t)frames, s = (size_t)speakers;
    *b = (ballot){.frames = frames,
                  .speakers = speakers,
                  .rules = rules,
                  .window = mt_alloc_array(f, sizeof(float)),
                  .votes = mt_alloc_zero(f * s, sizeof(float)),
                  .weights = mt_alloc_zero(f, sizeof(float)),
                  .open = mt_alloc_array(s, sizeof(run)),
                  .closed = closed};
    if (!b->window || !b->votes || !b->weights || !b->open) {
        ballot_free(b);
        return mt_fail_memory(f * (s + 2) * sizeof(float));
    }
    for (int t = 0; t < frames; t++) /* Hamming */
        b->window[t] = 0.54f - 0.46f * cosf(2 * (float)M_PI * ((float)t + 0.5f) / (float)frames);
    for (int k = 0; k < speakers; k++) b->open[k].start = -1;
    return MOTET_OK;
}

static void vote(ballot *b, const mt_record *record, size_t w)
{
    size_t first, end;
    mt_record_voices_of(record, w, &first, &end);
    for (int t = 0; t < b->frames; t++) b->weights[t] += b->window[t];
    for (size_t v = first; v < end; v++) {
        const uint8_t *activity = mt_record_activity(record, v);
        float *votes = b->votes + record->voices[v].speaker;
        for (int t = 0; t < b->frames; t++)
            votes[(size_t)t * (size_t)b->speakers] += b->window[t] * (float)activity[t] / 255;
    }
}

static motet_status close_run(ballot *b, int speaker)
{
    run *open = &b->open[speaker];
    if (open->start < 0) return MOTET_OK;
    if (!mt_reserve((void **)&b->closed->items, b->closed->count, &b->closed->capacity, sizeof(run)))
        return mt_fail_memory(b->closed->capacity * 2 * sizeof(run));
    b->closed->items[b->closed->count++] = *open;
    open->start = -1;
    return MOTET_OK;
}

/* Decides one frame: the `active` speakers with the most votes go on or begin, all others end. */
static motet_status decide(ballot *b, int64_t frame, float *votes, float weight)
{
    float sum = 0;
    for (int k = 0; k < b->speakers; k++) sum += votes[k];
    int active = weight > 0 ? (int)floorf(sum / weight + 1 - b->rules->onset) : 0;
    if (b->rules->exclusive && active > 1) active = 1;
    for (int k = 0; k < b->speakers; k++) {
        int ahead = 0; /* speakers with more votes; of equal ones the first counts as ahead */
        for (int j = 0; j < b->speakers; j++) ahead += votes[j] > votes[k] || (votes[j] == votes[k] && j < k);
        if (ahead >= active || votes[k] <= 0) {
            MT_TRY(close_run(b, k));
            continue;
        }
        if (b->open[k].start < 0) b->open[k] = (run){frame, frame, k, 0};
        b->open[k].end = frame + 1;
        b->open[k].votes += votes[k] / weight;
    }
    return MOTET_OK;
}

/* Decides the frames before `until`, which no later window covers, and moves the ballot on. */
static motet_status settle(ballot *b, int64_t until)
{
    int done = until - b->first > b->frames ? b->frames : (int)(until - b->first);
    size_t row = (size_t)b->speakers;
    for (int t = 0; t < done; t++) MT_TRY(decide(b, b->first + t, b->votes + (size_t)t * row, b->weights[t]));
    if (until - b->first > b->frames) /* frames that no window covers: nobody speaks there */
        for (int k = 0; k < b->speakers; k++) MT_TRY(close_run(b, k));
    size_t kept = (size_t)(b->frames - done);
    memmove(b->votes, b->votes + (size_t)done * row, kept * row * sizeof(float));
    memset(b->votes + kept * row, 0, (size_t)done * row * sizeof(float));
    memmove(b->weights, b->weights + done, kept * sizeof(float));
    memset(b->weights + kept, 0, (size_t)done * sizeof(float));
    b->first = until;
    return MOTET_OK;
}

static motet_status find_runs(const mt_record *record, int speakers, const mt_turn_rules *rules, runs *out)
{
    ballot b;
    MT_TRY(ballot_make(&b, record->frames, speakers, rules, out));
    motet_status status = MOTET_OK;
    for (size_t w = 0; w < record->window_count && status == MOTET_OK; w++) {
        status = settle(&b, record->windows[w].start);
        if (status == MOTET_OK) vote(&b, record, w);
    }
    if (status == MOTET_OK) status = settle(&b, b.first + b.frames);
    for (int k = 0; k < speakers && status == MOTET_OK; k++) status = close_run(&b, k);
    ballot_free(&b);
    return status;
}

motet_status mt_turns_runs(const mt_record *record, int speakers, const mt_turn_rules *rules, mt_runs *out)
{
    *out = (mt_runs){0};
    motet_status status = find_runs(record, speakers, rules, out);
    if (status == MOTET_OK) return status;
    mt_free(out->items);
    *out = (mt_runs){0};
    return status;
}

/* --- turns ----------------------------------------------------------------------------------------------------- */

static int by_speaker(const void *a, const void *b)
{
    const run *x = a, *y = b;
    if (x->speaker != y->speaker) return x->speaker < y->speaker ? -1 : 1;
    return (x->start > y->start) - (x->start < y->start);
}

static int by_start(const void *a, const void *b)
{
    const run *x = a, *y = b;
    if (x->start != y->start) return x->start < y->start ? -1 : 1;
    return (x->speaker > y->speaker) - (x->speaker < y->speaker);
}

/* Fills a speaker's pauses shorter than min_gap, then drops what is shorter than min_turn. An exclusive turn is never
 * stretched over somebody else's, so `others` must be silent in the gap then: gaps are filled only when the runs on
 * both sides follow each other in time. */
static void smooth(runs *r, const mt_turn_rules *rules)
{
    qsort(r->items, r->count, sizeof(run), rules->exclusive ? by_start : by_speaker);
    size_t kept = 0;
    for (size_t i = 0; i < r->count; i++) {
        run *last = kept ? &r->items[kept - 1] : NULL;
        if (last && last->speaker == r->items[i].speaker &&
            (double)(r->items[i].start - last->end) * rules->frame < rules->min_gap) {
            last->end = r->items[i].end;
            last->votes += r->items[i].votes;
        } else {
            r->items[kept++] = r->items[i];
        }
    }
    r->count = kept;
    kept = 0;
    for (size_t i = 0; i < r->count; i++)
        if ((double)(r->items[i].end - r->items[i].start) * rules->frame >= rules->min_turn)
            r->items[kept++] = r->items[i];
    r->count = kept;
    qsort(r->items, r->count, sizeof(run), by_start);
}

/* Seconds of every turn that another turn covers. Turns are sorted by start, so those that end before this one starts
 * concern no later one either. */
static void measure_overlap(motet_diarization *d)
{
    size_t from_turn = 0;
    for (size_t i = 0; i < d->turn_count; i++) {
        motet_turn *turn = &d->turns[i];
        turn->overlap = 0;
        double covered_to = turn->start;
        while (from_turn < i && d->turns[from_turn].end <= turn->start) from_turn++;
        for (size_t j = from_turn; j < d->turn_count && d->turns[j].start < turn->end; j++) {
            const motet_turn *other = &d->turns[j];
            if (other->speaker == turn->speaker || other->end <= covered_to) continue;
            double from = other->start > covered_to ? other->start : covered_to;
            double to = other->end < turn->end ? other->end : turn->end;
            if (to > from) turn->overlap += to - from;
            if (to > covered_to) covered_to = to;
        }
    }
}

/* Speakers numbered by their first turn; those without a turn are not there. */
static void name_speakers(motet_diarization *d, int *numbers)
{
    for (size_t i = 0; i < d->turn_count; i++) {
        motet_turn *turn = &d->turns[i];
        if (numbers[turn->speaker] < 0) {
            numbers[turn->speaker] = (int)d->speaker_count;
            motet_speaker *speaker = &d->speakers[d->speaker_count++];
            snprintf(speaker->label, sizeof speaker->label, "SPEAKER_%02d", numbers[turn->speaker]);
        }
        turn->speaker = numbers[turn->speaker];
    }
}

void mt_turns_account(motet_diarization *d)
{
    for (size_t k = 0; k < d->speaker_count; k++) {
        motet_speaker *speaker = &d->speakers[k];
        speaker->speech = speaker->alone = speaker->confidence = 0;
        speaker->turns = 0;
    }
    measure_overlap(d);
    for (size_t i = 0; i < d->turn_count; i++) {
        const motet_turn *turn = &d->turns[i];
        motet_speaker *speaker = &d->speakers[turn->speaker];
        double length = turn->end - turn->start;
        speaker->speech += length;
        speaker->alone += length - turn->overlap;
        speaker->turns++;
        speaker->confidence += turn->confidence * length;
    }
    for (size_t k = 0; k < d->speaker_count; k++) d->speakers[k].confidence /= d->speakers[k].speech;
}

/* The mean of each speaker's voices, weighted by their clean speech, at unit length. */
static void average_voices(const mt_record *record, int speakers, const int *numbers, motet_diarization *d)
{
    size_t dims = (size_t)record->dims;
    for (size_t v = 0; v < record->voice_count; v++) {
        int from = record->voices[v].speaker, speaker = from < 0 || from >= speakers ? -1 : numbers[from];
        if (speaker < 0) continue;
        const float *vector = mt_record_vector(record, v);
        float weight = record->voices[v].alone + 0.01f; /* even a voice that is never alone counts */
        for (size_t i = 0; i < dims; i++) d->voices[(size_t)speaker * dims + i] += weight * vector[i];
    }
    for (size_t k = 0; k < d->speaker_count; k++) {
        mt_normalize(d->voices + k * dims, record->dims);
        d->speakers[k].voice = d->voices + k * dims;
    }
}

static motet_status make_diarization(const mt_record *record, const runs *r, int speakers, const mt_turn_rules *rules,
                                     motet_diarization **out)
{
    motet_diarization *d = mt_alloc_zero(1, sizeof *d);
    int *numbers = mt_alloc_array((size_t)speakers, sizeof *numbers);
    if (d) d->turns = mt_alloc_zero(r->count, sizeof *d->turns);
    if (d) d->speakers = mt_alloc_zero((size_t)speakers, sizeof *d->speakers);
    if (d) d->voices = mt_alloc_zero((size_t)speakers * (size_t)record->dims, sizeof *d->voices);
    if (!d || !numbers || !d->turns || !d->speakers || !d->voices) {
        motet_diarization_destroy(d);
        mt_free(numbers);
        return mt_fail_memory(r->count * sizeof(motet_turn));
    }
    d->duration = rules->duration;
    d->voice_dims = record->dims;
    for (int k = 0; k < speakers; k++) numbers[k] = -1;
    for (size_t i = 0; i < r->count; i++) {
        const run *from = &r->items[i];
        double start = (double)from->start * rules->frame, end = (double)from->end * rules->frame;
        if (end > rules->duration) end = rules->duration;
        if (end <= start) continue;
        double mean = from->votes / (double)(from->end - from->start);
        d->turns[d->turn_count++] =
            (motet_turn){.start = start, .end = end, .speaker = from->speaker, .share = mean < 1 ? mean : 1};
    }
    name_speakers(d, numbers);
    average_voices(record, speakers, numbers, d);
    motet_status status = mt_evidence_find(record, speakers, numbers, rules->frame, d);
    mt_turns_account(d);
    mt_free(numbers);
    if (status == MOTET_OK)
        *out = d;
    else
        motet_diarization_destroy(d);
    return status;
}

motet_status mt_turns_make(const mt_record *record, int speakers, const mt_turn_rules *rules, motet_diarization **out)
{
    *out = NULL;
    runs r = {0};
    motet_status status = speakers > 0 ? find_runs(record, speakers, rules, &r) : MOTET_OK;
    if (status == MOTET_OK) {
        if (r.count) smooth(&r, rules);
        status = make_diarization(record, &r, speakers, rules, out);
    }
    mt_free(r.items);
    return status;
}

void motet_diarization_destroy(motet_diarization *diarization)
{
    if (!diarization) return;
    mt_free(diarization->turns);
    mt_free(diarization->speakers);
    mt_free(diarization->voices);
    mt_free(diarization);
}
