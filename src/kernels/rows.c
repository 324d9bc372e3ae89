/* Sums run over LANES interleaved parts that are joined at the end: an order that the compiler can turn into vectors
 * and that never changes. */
#include "kernels/rows.h"

#include "core/cpu.h"
#include "kernels/math.h"
#include "kernels/simd.h"

enum { LANES = 16 };

MT_SIMD static float row_max(const float *x, int64_t n)
{
    float lanes[LANES];
    int64_t i = 0;
    for (int j = 0; j < LANES; j++) lanes[j] = -INFINITY;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) lanes[j] = x[i + j] > lanes[j] ? x[i + j] : lanes[j];
    for (int j = 0; i < n; i++, j++) lanes[j] = x[i] > lanes[j] ? x[i] : lanes[j];
    for (int j = 1; j < LANES; j++) lanes[0] = lanes[j] > lanes[0] ? lanes[j] : lanes[0];
    return lanes[0];
}

MT_SIMD static void row_exp(float *y, const float *x, int64_t n, float shift)
{
    for (int64_t i = 0; i < n; i++) y[i] = mt_expf(x[i] - shift);
}

MT_SIMD static double row_sum(const float *x, int64_t n)
{
    double lanes[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) lanes[j] += (double)x[i + j];
    for (int j = 0; i < n; i++, j++) lanes[j] += (double)x[i];
    for (int j = 1; j < LANES; j++) lanes[0] += lanes[j];
    return lanes[0];
}

MT_SIMD static double row_squares(const float *x, int64_t n, double mean)
{
    double lanes[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) lanes[j] += ((double)x[i + j] - mean) * ((double)x[i + j] - mean);
    for (int j = 0; i < n; i++, j++) lanes[j] += ((double)x[i] - mean) * ((double)x[i] - mean);
    for (int j = 1; j < LANES; j++) lanes[0] += lanes[j];
    return lanes[0];
}

MT_SIMD static void row_scale(float *y, int64_t n, float factor)
{
    for (int64_t i = 0; i < n; i++) y[i] *= factor;
}

void mt_softmax_row(float *y, const float *x, int64_t n)
{
#if defined(__x86_64__)
    if (mt_cpu_level() >= MT_CPU_AVX512) {
        mt_softmax_row_avx512(y, x, n);
        return;
    }
#endif
    row_exp(y, x, n, row_max(x, n));
    row_scale(y, n, (float)(1.0 / row_sum(y, n)));
}

void mt_row_moments(const float *x, int64_t n, double *mean, double *variance)
{
    *mean = row_sum(x, n) / (double)n;
    *variance = row_squares(x, n, *mean) / (double)n;
}

double mt_row_mean_square(const float *x, int64_t n)
{
    return row_squares(x, n, 0) / (double)n;
}

MT_SIMD void mt_row_affine(float *y, const float *x, int64_t n, float mean, float factor, const float *scale,
                           const float *bias)
{
    if (scale && bias)
        for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * factor * scale[i] + bias[i];
    else if (scale)
        for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * factor * scale[i];
    else if (bias)
        for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * factor + bias[i];
    else
        for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * factor;
}

MT_SIMD void mt_row_shift(float *y, const float *x, int64_t n, float mean, float factor, float shift)
{
    for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * factor + shift;
}
