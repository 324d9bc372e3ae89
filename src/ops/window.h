/* Windows over spatial axes, as convolution and pooling describe them in attributes. */
#ifndef MT_OPS_WINDOW_H
#define MT_OPS_WINDOW_H

#include "kernels/conv.h"
#include "ops/support.h"

/* Reads strides, dilations, pads and auto_pad for the spatial axes of `in` (those from 2 on) and computes the output
 * positions. kernel: its sizes, or NULL to read kernel_shape. With round_up (ceil_mode) a window that hangs over the
 * end counts when it starts inside the input or the padding before it. */
motet_status mt_window_read(mt_op_context *c, const motet_tensor *in, const int64_t *kernel, bool round_up,
                            mt_window *window);

/* The attributes alone, before there are output positions (for ConvTranspose): kernel, stride, dilation, pads. */
motet_status mt_window_attributes(mt_op_context *c, const motet_tensor *in, const int64_t *kernel, mt_window *window);

#endif
