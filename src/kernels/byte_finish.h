/* From the sums of a product of bytes to its results, for matrices and convolutions alike. */
#ifndef MT_KERNELS_BYTE_FINISH_H
#define MT_KERNELS_BYTE_FINISH_H

#include "kernels/bytes.h"
#include "kernels/product.h"

/* The sums of columns are those of all k, and come with the last slice. */
typedef struct mt_byte_finish {
    const mt_byte_result *result;
    const int32_t *const *a_sums; /* of rows, by product; or NULL */
    int64_t k;
    int64_t first_unit, groups, rows; /* product p begins at row (first_unit + p) % groups * rows of the lists */
} mt_byte_finish;

/* Sums of columns, as panels of the last slice come with: they must be handed on by way of this. */
void mt_byte_finish_sums(const mt_byte_finish *finish, int32_t *sums, int64_t n);

/* An mt_product.finish; the context is an mt_byte_finish. */
void mt_byte_finish_run(const void *context, const mt_piece *piece);

#endif
