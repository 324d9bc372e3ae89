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

/* --- filters in tiles ------------------------------------------------------------------------------------------ */

/* True where filters that lie as the product reads them, several side by side, are worth being packed. */
bool mt_conv_has_tiles(const mt_conv *conv);

/* The name of how mt_conv_tiles_pack lays things out: another one whenever that changes. */
#define MT_CONV_TILES_LAYOUT "float filters in tiles 1"

/* Packed weights: how many floats they take (-1 when that overflows), and packing. They may lie at any address. */
int64_t mt_conv_tiles_size(const mt_conv *conv);
void mt_conv_tiles_pack(mt_pool *pool, const mt_conv *conv, const float *weights, float *packed);

/* As mt_conv_run, to the bit. */
void mt_conv_run_tiles(mt_pool *pool, const mt_conv *conv, const float *x, const float *packed, const float *bias,
                       mt_activation activate, float *y);

/* --- short outputs -------------------------------------------------------------------------------------------- */

/* True for a convolution with few output positions, as in a network that hears a few milliseconds at a time, and
 * filters enough: then it is faster with packed weights, by the functions below. */
bool mt_conv_is_short(const mt_conv *conv);

/* The name of how mt_conv_pack lays things out: another one whenever that changes. */
#define MT_CONV_LAYOUT "float filters 1"

/* Packed weights: how many floats they take (-1 when that overflows), and packing. They may lie at any address. */
int64_t mt_conv_packed_size(const mt_conv *conv);
void mt_conv_pack(mt_pool *pool, const mt_conv *conv, const float *weights, float *packed);

/* As mt_conv_run. room: mt_conv_room(conv) floats, which do not overflow where the weights exist. */
int64_t mt_conv_room(const mt_conv *conv);
void mt_conv_run_short(mt_pool *pool, const mt_conv *conv, const float *x, const float *packed, const float *bias,
                       mt_activation activate, float *room, float *y);

#endif
