/* Scoring one recording. */
#ifndef MT_SCORE_FILE_H
#define MT_SCORE_FILE_H

#include "score/jer.h"

/* One recording: its sorted turns on both sides, and the regions of its UEM (none: the extent of the turns). */
typedef struct mt_recording {
    const motet_rttm_turn *reference, *hypothesis;
    size_t reference_count, hypothesis_count; /* the reference's is at least 1 */
    mt_spans regions;
} mt_recording;

/* Fills in all of *score but the file id, and *jer for pooling. Errors: LIMIT, MEMORY. */
motet_status mt_score_recording(const mt_recording *recording, const motet_score_options *options, motet_score *score,
                                mt_jer *jer);

/* The rate: the mean over the speakers; when there are none, 1 if the hypothesis heard somebody and 0 if not. */
double mt_jer_rate(const mt_jer *jer, size_t hypothesis_speakers);

#endif
