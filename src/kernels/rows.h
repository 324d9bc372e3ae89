/* Row kernels on float32: softmax and the normalisations' inner loops. */
#ifndef MT_KERNELS_ROWS_H
#define MT_KERNELS_ROWS_H

#include <stdint.h>

/* y = exp(x - max x) / sum, over n elements; y may be x. A row of -infinity gives NaN. */
void mt_softmax_row(float *y, const float *x, int64_t n);
void mt_softmax_row_avx512(float *y, const float *x, int64_t n); /* for that level */

/* Mean, and sum of squared deviations from it divided by n, each in a pass of its own and summed in double: exact
 * where the mean is large against the spread. */
void mt_row_moments(const float *x, int64_t n, double *mean, double *variance);

/* Mean of the squares. */
double mt_row_mean_square(const float *x, int64_t n);

/* y = (x - mean) * factor * scale + bias, element by element; scale and bias may be NULL. */
void mt_row_affine(float *y, const float *x, int64_t n, float mean, float factor, const float *scale,
                   const float *bias);

/* y = (x - mean) * factor + shift; y may be x. */
void mt_row_shift(float *y, const float *x, int64_t n, float mean, float factor, float shift);

#endif
