/* From voices with speakers to turns.
 *
 * Every window that covers a frame votes on it: how likely each of its voices is active there, weighted so that the
 * middle of a window counts more than its edges, where the network sees only one side. The mean of the votes' sum says
 * how many people speak in the frame; so many of the speakers with the most votes are active. Runs of active frames are
 * turns; short pauses are filled, short turns dropped. */
#ifndef MT_DIARIZE_TURNS_H
#define MT_DIARIZE_TURNS_H

#include <stdbool.h>

#include "diarize/record.h"
#include "motet/diarize.h"

typedef struct mt_turn_rules {
    double frame;    /* seconds */
    double duration; /* seconds of audio: no turn ends later */
    bool exclusive;
    double min_turn, min_gap; /* seconds */
    float onset;              /* a frame holds n speakers when the votes sum to at least n - 1 + onset */
} mt_turn_rules;

/* A run of frames in which a speaker is active, before the rules on durations. */
typedef struct mt_run {
    int64_t start, end; /* frames, end excluded */
    int speaker;
    double votes; /* summed over its frames */
} mt_run;

typedef struct mt_runs {
    mt_run *items;
    size_t count, capacity;
} mt_runs;

/* The votes alone: the runs of every speaker, in the order they end. On success the items are the caller's to
 * mt_free. */
motet_status mt_turns_runs(const mt_record *record, int speakers, const mt_turn_rules *rules, mt_runs *out);

/* Reckons up what turns and speakers say of themselves, from when the turns are and whose. */
void mt_turns_account(motet_diarization *diarization);

/* The record's voices have speakers 0 .. speakers - 1. On success *out is owned by the caller. */
motet_status mt_turns_make(const mt_record *record, int speakers, const mt_turn_rules *rules, motet_diarization **out);

#endif
