/* One filter over a few channels: a depthwise convolution has one for each of its channels. */
#ifndef MT_KERNELS_FILTER_H
#define MT_KERNELS_FILTER_H

#include "kernels/window.h"

/* y[o] = bias + what position o sees of x [channels, in...] times weights [channels, kernel...], summed in the order of
 * the weights, for every output position. */
void mt_filter_channels(const mt_window *w, const float *x, int64_t channels, const float *weights, float bias,
                        float *y);

#endif
