/* Activations that go into the end of a product. */
#ifndef MT_KERNELS_ACTIVATION_H
#define MT_KERNELS_ACTIVATION_H

#include <stdint.h>

/* n elements, in place. */
typedef void (*mt_activation)(float *x, int64_t n);

/* "Relu" or "Gelu" (the exact one); NULL for any other name. */
mt_activation mt_activation_find(const char *name);

#endif
