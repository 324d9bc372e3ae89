/* A published recipe's files: x-vectors and what belongs to them, as BUTSpeechFIT/VBx lays a meeting out in a folder
 * NAME: NAME.ark (Kaldi, float vectors), NAME.seg ("KEY FILE START END" a line), plda (Kaldi, double), transform.h5
 * (mean1, lda, mean2). Just as much of Kaldi's and HDF5's formats is read as these use. */
#ifndef MT_BENCH_XVECTORS_H
#define MT_BENCH_XVECTORS_H

#include "diarize/plda.h"

typedef struct xvectors {
    int count, dims;
    float *vectors;      /* dims each, in the order of time */
    double *start, *end; /* seconds */
    mt_plda plda;
} xvectors;

/* name: of the meeting. Errors: IO, FORMAT, naming the file. */
motet_status xvectors_read(const char *folder, const char *name, xvectors *out);
void xvectors_free(xvectors *x);

#endif
