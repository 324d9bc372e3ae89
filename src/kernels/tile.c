/* The plain tiles, and the choice between the levels. */
#include "kernels/tile.h"

#include "core/cpu.h"

/* Where row k of B begins for column j, a multiple of MT_TILE_COLUMNS. */
static const void *b_at(const mt_tile *t, int64_t k, int j)
{
    int64_t jumps = t->b_run ? k / t->b_run : 0;
    return (const char *)t->b + (j / MT_TILE_COLUMNS * t->b_panel + k * t->b_row + jumps * t->b_jump) * MT_WORD;
}

static int columns_from(const mt_tile *t, int j)
{
    return t->columns - j < MT_TILE_COLUMNS ? t->columns - j : MT_TILE_COLUMNS;
}

static void float_row(const mt_tile *t, int i, int first)
{
    float sums[MT_TILE_COLUMNS] = {0}, *c = (float *)t->c + i * t->c_row + first;
    for (int64_t k = 0; k < t->k; k++) {
        float a = ((const float *)t->a)[i * t->a_row + k * t->a_step];
        const float *b = b_at(t, k, first);
        for (int j = 0; j < MT_TILE_COLUMNS; j++)
            sums[j] += a * (t->b_sign ? b[j] + (float)t->b_sign * b[t->b_other + j] : b[j]);
    }
    for (int j = 0; j < columns_from(t, first); j++) c[j] = t->alpha * sums[j] + (t->add ? c[j] : 0);
}

static void byte_row(const mt_tile *t, int i, int first)
{
    uint32_t sums[MT_TILE_COLUMNS] = {0}, *c = (uint32_t *)t->c + i * t->c_row + first;
    for (int64_t k = 0; k < t->k; k++) {
        const uint8_t *a = (const uint8_t *)t->a + (i * t->a_row + k * t->a_step) * MT_WORD;
        const int8_t *b = b_at(t, k, first);
        for (int j = 0; j < MT_TILE_COLUMNS; j++)
            for (int n = 0; n < MT_WORD; n++) sums[j] += (uint32_t)(a[n] * b[j * MT_WORD + n]);
    }
    for (int j = 0; j < columns_from(t, first); j++) c[j] = sums[j] + (t->add ? c[j] : 0);
}

void mt_tile_scalar(const mt_tile *t)
{
    for (int i = 0; i < t->rows; i++)
        for (int j = 0; j < t->columns; j += MT_TILE_COLUMNS) float_row(t, i, j);
}

void mt_bytes_scalar(const mt_tile *t)
{
    for (int i = 0; i < t->rows; i++)
        for (int j = 0; j < t->columns; j += MT_TILE_COLUMNS) byte_row(t, i, j);
}

mt_tile_function mt_tile_floats(void)
{
#if defined(__x86_64__)
    if (mt_cpu_level() >= MT_CPU_AVX512) return mt_tile_avx512;
    if (mt_cpu_level() >= MT_CPU_AVX2) return mt_tile_avx2;
#endif
    return mt_tile_scalar;
}

mt_tile_function mt_tile_bytes(void)
{
#if defined(__x86_64__)
    if (mt_cpu_level() == MT_CPU_AVX512VNNI) return mt_bytes_avx512vnni;
    if (mt_cpu_level() == MT_CPU_AVXVNNI) return mt_bytes_avxvnni;
    if (mt_cpu_level() >= MT_CPU_AVX2) return mt_bytes_avx2;
#endif
    return mt_bytes_scalar;
}
