/* The same functions, bit for bit, that the operators of these names compute. */
#include "kernels/activation.h"

#include <string.h>

#include "kernels/math.h"
#include "kernels/simd.h"

MT_SIMD static void relu(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = x[i] > 0 || x[i] != x[i] ? x[i] : 0;
}

MT_SIMD static void gelu(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = mt_geluf(x[i]);
}

mt_activation mt_activation_find(const char *name)
{
    return strcmp(name, "Relu") == 0 ? relu : strcmp(name, "Gelu") == 0 ? gelu : NULL;
}
