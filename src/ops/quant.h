/* What quantised operators share. */
#ifndef MT_OPS_QUANT_H
#define MT_OPS_QUANT_H

#include "ops/support.h"

/* True for signed and unsigned integers of 8 and 16 bits. */
bool mt_is_quantised(motet_type type);

/* round(x) + zero, held within the type; NaN becomes the least value. */
int32_t mt_quantised(float x, int32_t zero, motet_type type);

#endif
