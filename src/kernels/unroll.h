/* The input of a convolution as the panels of a product: every row is what one weight sees, every column an output
 * position. Elements are words, which are only copied. */
#ifndef MT_KERNELS_UNROLL_H
#define MT_KERNELS_UNROLL_H

#include "kernels/window.h"

/* A float32, or four bytes. */
typedef uint32_t mt_unrolled __attribute__((may_alias));

/* x [channels, positions] of one product; what is outside of it is `padding`. For mt_product.panels. */
mt_panel_place mt_unroll(const mt_window *window, const mt_panels *panels, const mt_unrolled *x, uint32_t padding,
                         mt_unrolled *room);

/* How the panels are to be asked for: sets depth, run and jump. */
void mt_unroll_prepare(const mt_window *window, mt_product *product);

#endif
