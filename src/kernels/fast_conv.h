/* Convolutions of three taps along one axis, stride 1 or 2, with fewer multiplications than the definition has. */
#ifndef MT_KERNELS_FAST_CONV_H
#define MT_KERNELS_FAST_CONV_H

#include "kernels/conv.h"

/* True for the shapes that are computed so, if the weights are constant: enough channels, filters and positions that
 * what is saved is more than what it costs to bring inputs and outputs into the form needed. */
bool mt_fast_conv_fits(const mt_conv *conv);

/* The name of how mt_fast_conv_pack lays things out: another one whenever that changes. */
#define MT_FAST_CONV_LAYOUT "float fast filters 1"

/* Packed weights: how many floats they take (-1 when that overflows), and packing. They may lie at any address. */
int64_t mt_fast_conv_packed_size(const mt_conv *conv);
void mt_fast_conv_pack(mt_pool *pool, const mt_conv *conv, const float *weights, float *packed);

/* As mt_conv_run, to within rounding errors. */
void mt_fast_conv_run(mt_pool *pool, const mt_conv *conv, const float *x, const float *packed, const float *bias,
                      mt_activation activate, float *y);

#endif
