/* A convolution over few weights, and the normalisation of every channel that it makes, in one go: a channel is
 * normalised while it is in the cache. The stems of speech encoders begin so (wav2vec 2.0: ten weights of one channel,
 * 512 filters, group normalisation with a group for every channel), where nothing is so costly as memory. */
#ifndef MT_KERNELS_CONV_NORM_H
#define MT_KERNELS_CONV_NORM_H

#include "kernels/conv.h"

typedef struct mt_conv_norm {
    const mt_conv *conv;        /* with one spatial axis */
    const float *x, *weights;   /* as of mt_conv_run */
    const float *factors;       /* what the sums of a filter are multiplied with; NULL: nothing */
    const float *bias;          /* and what is added then; NULL: nothing */
    double epsilon;             /* of y = (sum - mean) / sqrt(variance + epsilon) * scale + shift */
    const float *scale, *shift; /* by filter, as factors and bias are */
    mt_activation activate;     /* may be NULL */
    float *y;
    float *ranges; /* of the channels of y, as mt_byte_range finds them: least and most of each; NULL: not wanted */
} mt_conv_norm;

/* How many floats of scratch mt_conv_norm_run needs: what every weight sees; -1 when that overflows. */
int64_t mt_conv_norm_room(const mt_conv *conv);

/* The same numbers as from mt_conv_run and a normalisation by kernels/rows.h, to the bit. */
void mt_conv_norm_run(mt_pool *pool, const mt_conv_norm *work, float *room);

#endif
