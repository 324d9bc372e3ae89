/* What Conv shares with its quantised relatives. */
#ifndef MT_OPS_CONVOLUTION_H
#define MT_OPS_CONVOLUTION_H

#include "ops/window.h"

/* Checks x [batch, channels, positions...] and w [filters, channels of a group, kernel...] against each other and the
 * attributes. */
motet_status mt_conv_read(mt_op_context *c, const motet_tensor *x, const motet_tensor *w, mt_conv *conv);

/* The output's dimensions; returns their number. */
int mt_conv_dims(const mt_conv *conv, int64_t *dims);

/* The plain loops, on float32, double or int32 (modulo 2^32). bias may be NULL. */
void mt_conv_plain(mt_pool *pool, const mt_conv *conv, motet_type type, const void *x, const void *w, const void *bias,
                   void *y);

#endif
