/* Diarization error rate: see motet/score.h for the definition. */
#ifndef MT_SCORE_DER_H
#define MT_SCORE_DER_H

#include "motet/score.h"
#include "score/tally.h"

/* What of `whole` is scored: collars around the reference's boundaries are taken out, and its overlaps if so asked. */
motet_status mt_scored_regions(const mt_track *reference, const mt_spans *whole, const motet_score_options *options,
                               mt_spans *scored);

/* Pairs the speakers who are active together longest. partner: one for each reference speaker, MT_UNASSIGNED for none.
 */
motet_status mt_map_speakers(const mt_tally *tally, size_t *partner);

/* Fills in the times and the rate. `tally` is that of the scored regions. */
void mt_der(const mt_tally *tally, const size_t *partner, motet_score *score);

/* errors / total; 0 errors of nothing are 0, errors of nothing are 1. */
double mt_rate(double errors, double total);

#endif
