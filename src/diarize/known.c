/* A list of voice prints, gone through from front to back: people one knows are few. */
#include <stdint.h>
#include <string.h>

#include "core/memory.h"
#include "core/sources.h"
#include "diarize/agglomerate.h"
#include "diarize/turns.h"
#include "diarize/voiceprint.h"

struct motet_known {
    const motet_diarizer_info *model; /* while prints are read */
    int dims;
    double similarity; /* when nobody asks for another */
    motet_voiceprint **prints;
    size_t count, capacity;
};

void motet_known_options_init(motet_known_options *options)
{
    *options = (motet_known_options){.similarity = -2, .margin = 0.05};
}

/* --- reading --------------------------------------------------------------------------------------------------- */

static motet_status check_model(const motet_voiceprint *print, const motet_diarizer_info *model, const char *path)
{
    mt_voice_model from = mt_voices_of(model);
    if (strcmp(print->model_identity, model->voice_identity))
        return mt_fail(MOTET_ERROR_UNSUPPORTED,
                       "%s: a voice print of model %s %s (%s) says nothing to model %s %s (%s): enrol again", path,
                       print->model_name, print->model_version, print->model_identity, from.name, from.version,
                       model->voice_identity);
    if (print->dims != model->voice_dims)
        return mt_fail(MOTET_ERROR_FORMAT, "%s: \"vector\" has %d values, those of its model have %d", path,
                       print->dims, model->voice_dims);
    return MOTET_OK;
}

static motet_status add_file(void *target, const char *path)
{
    motet_known *known = target;
    if (!mt_reserve((void **)&known->prints, known->count, &known->capacity, sizeof *known->prints))
        return mt_fail_memory(known->count * sizeof *known->prints);
    motet_voiceprint **print = &known->prints[known->count];
    MT_TRY(mt_voiceprint_read(path, print));
    known->count++;
    return check_model(*print, known->model, path);
}

motet_status motet_known_open(const char *path, const motet_diarizer_info *model, motet_known **out)
{
    *out = NULL;
    motet_known *known = mt_alloc_zero(1, sizeof *known);
    if (!known) return mt_fail_memory(sizeof *known);
    known->model = model;
    known->dims = model->voice_dims;
    known->similarity = model->similarity;
    motet_status status = mt_each_source(path, ".json", add_file, known);
    known->model = NULL;
    if (status == MOTET_OK)
        *out = known;
    else
        motet_known_destroy(known);
    return status;
}

void motet_known_destroy(motet_known *known)
{
    if (!known) return;
    for (size_t i = 0; i < known->count; i++) motet_voiceprint_destroy(known->prints[i]);
    mt_free(known->prints);
    mt_free(known);
}

/* --- matching -------------------------------------------------------------------------------------------------- */

/* The print most like the voice, but for those of this name (NULL: all). NULL when there is none. */
static const motet_voiceprint *most_similar(const motet_known *known, const float *voice, const char *but,
                                            double *similarity)
{
    const motet_voiceprint *best = NULL;
    for (size_t i = 0; i < known->count; i++) {
        const motet_voiceprint *print = known->prints[i];
        if (but && !strcmp(print->name, but)) continue;
        double now = (double)mt_dot(print->sum, voice, print->dims);
        if (best && now <= *similarity) continue;
        best = print;
        *similarity = now;
    }
    return best;
}

void motet_known_match(const motet_known *known, const float *voice, const motet_known_options *options,
                       motet_match *out)
{
    motet_known_options defaults;
    motet_known_options_init(&defaults);
    if (!options) options = &defaults;
    *out = (motet_match){0};
    out->name = most_similar(known, voice, NULL, &out->similarity)->name;
    const motet_voiceprint *second = most_similar(known, voice, out->name, &out->runner_up_similarity);
    out->runner_up = second ? second->name : NULL;
    double least = options->similarity < -1 ? known->similarity : options->similarity;
    out->known =
        out->similarity >= least && (!second || out->similarity - out->runner_up_similarity >= options->margin);
}

/* --- names ----------------------------------------------------------------------------------------------------- */

/* The voices of speakers who are one: in proportion to how long each was heard alone. */
static void join_voices(motet_diarization *d, const int *numbers)
{
    size_t dims = (size_t)d->voice_dims;
    for (size_t k = 0; k < d->speaker_count; k++) {
        float *voice = d->voices + k * dims, weight = (float)d->speakers[k].alone + 0.01f;
        size_t first = k; /* the earliest of the same number: the one who stays */
        for (size_t j = 0; j < k && first == k; j++)
            if (numbers[j] == numbers[k]) first = j;
        for (size_t i = 0; i < dims; i++) voice[i] = weight * voice[i];
        for (size_t i = 0; i < dims && first < k; i++) d->voices[first * dims + i] += voice[i];
    }
    for (size_t k = 0; k < d->speaker_count; k++) mt_normalize(d->voices + k * dims, d->voice_dims);
}

/* numbers[k]: the speaker that speaker k becomes, not above k. */
static void close_ranks(motet_diarization *d, const int *numbers)
{
    size_t dims = (size_t)d->voice_dims, kept = 0;
    for (size_t k = 0; k < d->speaker_count; k++) {
        if ((size_t)numbers[k] != kept) continue; /* joined to an earlier one */
        if (kept != k) {
            d->speakers[kept] = d->speakers[k];
            memmove(d->voices + kept * dims, d->voices + k * dims, dims * sizeof *d->voices);
            d->speakers[kept].voice = d->voices + kept * dims;
        }
        kept++;
    }
    d->speaker_count = kept;
}

/* Turns of one speaker that have come to touch or overlap become one. last: for each speaker, where his last turn is.
 */
static void join_turns(motet_diarization *d, const int *numbers, size_t *last)
{
    size_t kept = 0;
    for (size_t k = 0; k < d->speaker_count; k++) last[k] = SIZE_MAX;
    for (size_t i = 0; i < d->turn_count; i++) {
        motet_turn turn = d->turns[i];
        turn.speaker = numbers[turn.speaker];
        if (turn.rival >= 0) turn.rival = numbers[turn.rival] == turn.speaker ? -1 : numbers[turn.rival];
        motet_turn *before = last[turn.speaker] == SIZE_MAX ? NULL : &d->turns[last[turn.speaker]];
        if (before && turn.start <= before->end) {
            if (turn.end > before->end) before->end = turn.end;
            if (turn.confidence > before->confidence) before->confidence = turn.confidence;
            continue;
        }
        last[turn.speaker] = kept;
        d->turns[kept++] = turn;
    }
    d->turn_count = kept;
}

/* Labels, and numbers[k]: what speaker k's number becomes. Returns whether any two became one. */
static bool label_speakers(const motet_known *known, const motet_known_options *options, motet_diarization *d,
                           int *numbers)
{
    int used = 0;
    for (size_t k = 0; k < d->speaker_count; k++) {
        motet_match match;
        numbers[k] = used;
        motet_known_match(known, d->speakers[k].voice, options, &match);
        if (match.known) strcpy(d->speakers[k].label, match.name);
        for (size_t j = 0; match.known && j < k && numbers[k] == used; j++)
            if (!strcmp(d->speakers[j].label, match.name)) numbers[k] = numbers[j];
        used += numbers[k] == used;
    }
    return (size_t)used < d->speaker_count;
}

motet_status motet_known_name(const motet_known *known, const motet_known_options *options,
                              motet_diarization *diarization)
{
    size_t count = diarization->speaker_count;
    if (diarization->voice_dims != known->dims)
        return mt_fail(MOTET_ERROR_ARGUMENT, "voice vectors of %d values cannot be compared with prints of %d",
                       diarization->voice_dims, known->dims);
    int *numbers = mt_alloc_array(count, sizeof *numbers);
    size_t *last = mt_alloc_array(count, sizeof *last);
    bool enough = numbers && last;
    if (enough && label_speakers(known, options, diarization, numbers)) {
        join_voices(diarization, numbers);
        join_turns(diarization, numbers, last);
        close_ranks(diarization, numbers);
        mt_turns_account(diarization);
    }
    mt_free(numbers);
    mt_free(last);
    return enough ? MOTET_OK : mt_fail_memory(count * (sizeof *numbers + sizeof *last));
}
