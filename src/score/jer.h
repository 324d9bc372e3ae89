/* Jaccard error rate: see motet/score.h for the definition. */
#ifndef MT_SCORE_JER_H
#define MT_SCORE_JER_H

#include "score/tally.h"

/* A sum of the errors of reference speakers, each from 0 to 1, and how many they are: what files are pooled from. */
typedef struct mt_jer {
    double errors;
    size_t speakers;
} mt_jer;

/* pyannote.metrics: exact times of the scored regions, and the mapping of the DER. Every reference speaker heard in
 * those regions counts. */
mt_jer mt_jer_exact(const mt_tally *tally, const size_t *partner);

/* dscore: frames of 10 ms, and the mapping that makes the sum least. `present` is the tally of the regions, exact: it
 * says who is heard at all. */
motet_status mt_jer_frames(const mt_track *reference, const mt_track *hypothesis, const mt_spans *regions,
                           const mt_tally *present, mt_jer *jer);

#endif
