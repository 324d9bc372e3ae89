/* The turns of one file on one side, reference or hypothesis: speakers numbered, turns of one speaker free of overlap.
 */
#ifndef MT_SCORE_TRACK_H
#define MT_SCORE_TRACK_H

#include "core/status.h"
#include "motet/score.h"
#include "score/spans.h"

/* The most speakers of one file: the tables of who meets whom grow with its square. */
#define MT_MOST_SPEAKERS 1024

typedef struct mt_speech {
    double begin, end;
    size_t speaker;
} mt_speech;

typedef struct mt_track {
    mt_speech *turns;
    size_t count;
    size_t speakers;
} mt_track; /* all zero: nobody speaks */

/* The turns of a set by file id, then speaker, then onset (strings borrowed). `count` is that of the set. */
motet_status mt_turns_sorted(const motet_rttm *rttm, motet_rttm_turn **turns);

/* How many of the sorted turns, from `first`, are of the same file. */
size_t mt_turns_of_file(const motet_rttm_turn *turns, size_t count, size_t first);

/* Makes the track of one file's sorted turns. Errors: LIMIT: too many speakers; MEMORY. */
motet_status mt_track_make(const motet_rttm_turn *turns, size_t count, mt_track *track);
void mt_track_free(mt_track *track);

/* Where two speakers or more are active. */
motet_status mt_track_overlaps(const mt_track *track, mt_spans *overlaps);

#endif
