/* Probabilistic linear discriminant analysis of voice vectors (Ioffe 2006; in the form Kaldi keeps it).
 *
 * A vector is its speaker's own place plus what differs from one utterance to the next, both Gaussian. In the space
 * that a PLDA projects to, an utterance scatters around its speaker with variance 1 in every dimension, speakers
 * scatter around 0 with variance `psi`, and dimensions have nothing to do with each other. That is the space VBx
 * (vbx.h) works in, and in which log-likelihood ratios between voices are sums over dimensions.
 *
 * Before it comes what made the vectors fit for a Gaussian (Garcia-Romero and Espy-Wilson 2011): centering, unit
 * length, a linear discriminant transform to fewer dimensions, centering and unit length again. */
#ifndef MT_DIARIZE_PLDA_H
#define MT_DIARIZE_PLDA_H

#include "core/status.h"

typedef struct mt_plda {
    int in, dims;     /* of a voice vector; of the space, at most `in` */
    float *center;    /* in: the mean of voice vectors */
    float *reduce;    /* dims x in: the discriminant transform */
    float *offset;    /* dims: taken off after it */
    float *mean;      /* dims: of reduced vectors of unit length */
    float *transform; /* dims x dims: makes the scatter within a speaker the identity, between speakers diagonal */
    float *psi;       /* dims: the latter's diagonal, not negative */
} mt_plda;

/* All zeros, to be filled in. in and dims: 1 to 65536, dims at most in. Errors: ARGUMENT, MEMORY. */
motet_status mt_plda_create(int in, int dims, mt_plda *plda);
void mt_plda_free(mt_plda *plda);

/* voice: `in` floats of any length but 0; unit: `dims` floats of unit length, whose dot products are the cosines that
 * agglomerative clustering compares. */
void mt_plda_reduce(const mt_plda *plda, const float *voice, float *unit);

/* unit: from mt_plda_reduce; place: `dims` floats, see above. */
void mt_plda_project(const mt_plda *plda, const float *unit, float *place);

/* The natural logarithm of how much likelier `place` is if it is one more utterance of the speaker of whom `known` is
 * the mean of `count` places than if it is anybody's (Ioffe 2006, section 3; Kaldi ivector/plda.cc). */
double mt_plda_ratio(const mt_plda *plda, const float *known, int count, const float *place);

#endif
