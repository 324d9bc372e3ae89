/* What is done to pieces of a float32 product when they are finished, while they are in the cache. */
#ifndef MT_KERNELS_EPILOGUE_H
#define MT_KERNELS_EPILOGUE_H

#include "kernels/activation.h"
#include "kernels/product.h"

/* All of it optional. */
typedef struct mt_epilogue {
    const float *column_bias;
    const float *const *column_biases; /* by product, in place of one for all; NULL for one that has none */
    const float *const *row_bias;      /* by product */
    mt_activation activate;            /* n elements of one row, in place */
} mt_epilogue;

/* Every row of a piece of floats, where it is. */
void mt_piece_activate(const mt_piece *piece, mt_activation activate);

/* An mt_product.finish; the context is an mt_epilogue. */
void mt_epilogue_run(const void *context, const mt_piece *piece);

#endif
