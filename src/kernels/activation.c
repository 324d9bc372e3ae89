/* The plain loops, and the choice between the levels. */
#define LEVEL scalar
#include "kernels/activation_loops.h"

#include <string.h>

#include "core/cpu.h"

mt_activation mt_activation_find(const char *name)
{
    bool relu = strcmp(name, "Relu") == 0;
    if (!relu && strcmp(name, "Gelu")) return NULL;
#if defined(__x86_64__)
    if (mt_cpu_level() >= MT_CPU_AVX512) return relu ? mt_relu_avx512 : mt_gelu_avx512;
    if (mt_cpu_level() >= MT_CPU_AVX2) return relu ? mt_relu_avx2 : mt_gelu_avx2;
#endif
    return relu ? mt_relu_scalar : mt_gelu_scalar;
}
