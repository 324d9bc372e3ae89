/* Convolution of float32 tensors [batch, channels, positions...] in any number of spatial axes, with groups. */
#ifndef MT_KERNELS_CONV_H
#define MT_KERNELS_CONV_H

#include "kernels/epilogue.h"
#include "kernels/window.h"

typedef struct mt_conv {
    mt_window window;
    int64_t batch, groups;
    int64_t in_channels, out_channels; /* of one group */
} mt_conv;

/* x [batch, groups * in_channels, in...], weights [groups * out_channels, in_channels, kernel...], bias
 * [groups * out_channels] or NULL, y [batch, groups * out_channels, out...]. `activate`, unless it is NULL, is called
 * for pieces of y as they are finished, to change them in place. */
void mt_conv_run(mt_pool *pool, const mt_conv *conv, const float *x, const float *weights, const float *bias,
                 mt_activation activate, float *y);

#endif
