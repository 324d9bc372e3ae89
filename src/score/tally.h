/* Who speaks together with whom, and for how long: everything that DER and JER are made of. */
#ifndef MT_SCORE_TALLY_H
#define MT_SCORE_TALLY_H

#include "score/track.h"

typedef struct mt_tally {
    size_t references, hypotheses; /* speakers */
    double *reference_time;        /* s that each speaker is active */
    double *hypothesis_time;
    double *both;                                     /* [references][hypotheses]: s that both are active */
    double scored;                                    /* sums over stretches of length d: of d n_ref, */
    double missed, false_alarm;                       /* of d max(n_ref - n_hyp, 0) and the reverse, */
    double shared;                                    /* and of d min(n_ref, n_hyp) */
    double speech, missed_speech, false_alarm_speech; /* s with n_ref > 0; of them with n_hyp = 0; and the reverse */
} mt_tally;                                           /* all zero: nothing */

/* Counts what lies inside of `regions`. */
motet_status mt_tally_make(const mt_track *reference, const mt_track *hypothesis, const mt_spans *regions,
                           mt_tally *tally);
void mt_tally_free(mt_tally *tally);

#endif
