/* The plain tile, and the choice between the levels. */
#include "kernels/tile.h"

#include "core/cpu.h"

void mt_tile_scalar(const mt_tile *t)
{
    for (int i = 0; i < t->rows; i++) {
        float sums[MT_TILE_COLUMNS] = {0}, *c = t->c + i * t->c_row;
        for (int64_t k = 0; k < t->k; k++) {
            float a = t->a[i * t->a_row + k * t->a_step];
            const float *b = t->b + k * t->b_row;
            for (int j = 0; j < MT_TILE_COLUMNS; j++) sums[j] += a * b[j];
        }
        for (int j = 0; j < t->columns; j++) c[j] = t->alpha * sums[j] + (t->add ? c[j] : 0);
    }
}

mt_tile_function mt_tile_kernel(void)
{
#if defined(__x86_64__)
    if (mt_cpu_level() >= MT_CPU_AVX512) return mt_tile_avx512;
    if (mt_cpu_level() >= MT_CPU_AVX2) return mt_tile_avx2;
#endif
    return mt_tile_scalar;
}
