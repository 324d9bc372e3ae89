/* Activations that go into the end of a product. */
#ifndef MT_KERNELS_ACTIVATION_H
#define MT_KERNELS_ACTIVATION_H

#include <stdint.h>

/* n elements, in place. */
typedef void (*mt_activation)(float *x, int64_t n);

/* "Relu" or "Gelu" (the exact one) for the level in use; NULL for any other name. */
mt_activation mt_activation_find(const char *name);

/* One for each level. */
void mt_relu_scalar(float *x, int64_t n);
void mt_relu_avx2(float *x, int64_t n);
void mt_relu_avx512(float *x, int64_t n);
void mt_gelu_scalar(float *x, int64_t n);
void mt_gelu_avx2(float *x, int64_t n);
void mt_gelu_avx512(float *x, int64_t n);

#endif
