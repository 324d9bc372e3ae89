/* The loops of activation.h, for whatever instruction set this is compiled for: LEVEL is the end of the names. */
#include "kernels/activation.h"
#include "kernels/math.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_(a, b)

void JOIN(mt_relu_, LEVEL)(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = x[i] > 0 || x[i] != x[i] ? x[i] : 0;
}

void JOIN(mt_gelu_, LEVEL)(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = mt_geluf(x[i]);
}
