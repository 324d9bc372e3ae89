/* VBx: variational Bayesian clustering of voice vectors (Landini, Profant, Diez, Burget 2022, "Bayesian HMM clustering
 * of x-vector sequences (VBx) in speaker diarization"; numbers in vbx.c are its equations).
 *
 * Speakers are points of the PLDA space with a Gaussian prior, voices scatter around the points of their speakers. From
 * labels of a first clustering, two steps alternate: where is each speaker, given who each voice probably is; who is
 * each voice, given where the speakers are. The evidence (a lower bound on the logarithm of the likelihood) never
 * falls. A speaker has to pay for being there at all, so those that the first clustering made in vain lose their
 * voices.
 *
 * What it wants, and how a diarizer comes by it:
 *   - vectors from mt_plda_project, in the order of time. With the PLDA must come `fa` and `fb`: how much a vector
 * counts (neighbours that overlap say the same thing twice) and what a speaker costs. loop is the probability that the
 * next voice has no new turn.
 *   - windows, when several people are heard in one window: the window number of every voice, not falling. Voices of
 * one window then are different people, but for a factor `same`, and windows do not remember each other (fa is the
 *     smaller, loop has no meaning: what is active in which frame says more). Without, it is one voice after the other.
 *   - first labels: several times as many clusters as there may be speakers, from agglomerative clustering of the unit
 *     vectors (mt_cut). Too many cost time alone; from too few it cannot find more. Starting from several cuts and
 *     keeping the greatest evidence is no way out: with fa below 1, evidence of different starts leans to too few. */
#ifndef MT_DIARIZE_VBX_H
#define MT_DIARIZE_VBX_H

#include "diarize/agglomerate.h"

enum { MT_VBX_MAX_WINDOW = 6 }; /* voices of one window */

typedef struct mt_vbx_voices {
    int count, dims;
    const float *places;  /* dims a voice */
    const float *psi;     /* dims, of the PLDA */
    const float *weights; /* how much a voice counts, above 0 (its share of clean speech); NULL: 1 each */
    const int *windows;   /* NULL: a sequence */
} mt_vbx_voices;

typedef struct mt_vbx_rules {
    double fa, fb;    /* both above 0 */
    double loop;      /* 0 to below 1 */
    double smoothing; /* of the first labels: e^smoothing times likelier than any other; the paper uses 5 to 7 */
    double same;      /* above 0 to 1 */
    double epsilon;   /* the gain in evidence that another round must bring */
    int rounds;       /* at most */
} mt_vbx_rules;

/* labels: in 0 .. *speakers - 1, out the same with speakers that have lost all voices left out, in the order of first
 * appearance. evidence, which may be NULL, is without terms that are the same for all labels. Errors: ARGUMENT (labels
 * or windows that cannot be), MEMORY. */
motet_status mt_vbx(const mt_vbx_voices *voices, const mt_vbx_rules *rules, int *labels, int *speakers,
                    double *evidence);

#endif
