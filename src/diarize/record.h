/* What the windows leave behind: for every local speaker of every window a voice vector, and its activity in each frame
 * as one byte. This, and nothing else, grows with the length of a recording: about 700 bytes a voice. */
#ifndef MT_DIARIZE_RECORD_H
#define MT_DIARIZE_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "core/store.h"

enum { MT_MAX_VOICE = 2048 }; /* the longest voice vector */

typedef struct mt_voice {
    int32_t window;
    float alone;     /* seconds in which nobody else speaks: what the vector was made from */
    int32_t point;   /* the point of the clustering it was folded into, -1: too short to take part */
    int32_t speaker; /* filled in at the end */
} mt_voice;

typedef struct mt_record_window {
    int64_t start;       /* its first frame */
    int32_t first_voice; /* its voices are first_voice ... of the next window's first_voice - 1 */
} mt_record_window;

typedef struct mt_record {
    int frames; /* a window */
    int dims;   /* a voice vector */

    mt_record_window *windows;
    size_t window_count, window_capacity;

    mt_voice *voices;
    size_t voice_count, voice_capacity;
    float *vectors;    /* dims a voice, unit length */
    uint8_t *activity; /* frames a voice: 255 * probability */
    size_t vector_capacity, activity_capacity;
    mt_store *stores; /* of the vectors and of the activity; NULL: they are in memory as everything else */
} mt_record;

void mt_record_init(mt_record *record, int frames, int dims);
void mt_record_free(mt_record *record); /* leaves it empty, as after mt_record_init */

/* Keeps vectors and activity, nearly all of it, in files from now on, where they do not move (store.h). Only while it
 * is empty. Errors: MEMORY. */
motet_status mt_record_keep_in_files(mt_record *record);

/* The voices before `voice` will not be looked at for a while. */
void mt_record_let_go(mt_record *record, size_t voice);

motet_status mt_record_window_begin(mt_record *record, int64_t start);

/* Takes the last window off the record again. */
void mt_record_window_drop(mt_record *record);

/* Adds a voice to the last window. probabilities: `frames` values, `stride` apart. */
motet_status mt_record_voice(mt_record *record, const float *vector, const float *probabilities, int stride,
                             float alone);

/* The voices of window w are [*first, *end). */
void mt_record_voices_of(const mt_record *record, size_t w, size_t *first, size_t *end);

static inline const float *mt_record_vector(const mt_record *record, size_t voice)
{
    return record->vectors + voice * (size_t)record->dims;
}

static inline const uint8_t *mt_record_activity(const mt_record *record, size_t voice)
{
    return record->activity + voice * (size_t)record->frames;
}

#endif
