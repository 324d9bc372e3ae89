/* exp, tanh, erf and the logistic function on float32, as straight-line code that compilers turn into vector loops.
 *
 * Largest errors against the exact value, measured over all floats of the stated range by tests/kernels:
 *     mt_expf      1 ulp where the result is normal; overflows to infinity, and underflows gradually to 0
 *     mt_tanhf     2 ulp
 *     mt_erff      2 ulp
 *     mt_sigmoidf  3 ulp where the result is normal
 * NaN gives NaN. The polynomials of exp and tanh are those of Cephes (S. Moshier, expf.c and tanhf.c), that of erf is
 * N. Juffa's (the two-branch minimax fit used by MLAS and CUDA). */
#ifndef MT_KERNELS_MATH_H
#define MT_KERNELS_MATH_H

#include <math.h>

#include "kernels/half.h"

static inline float mt_expf(float x)
{
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it leaves round(value) in the low bits */
    x = x > 89.0f ? 89.0f : x;
    x = x < -104.0f ? -104.0f : x;
    float shifted = x * 1.44269504f + magic;
    uint32_t n = mt_float_to_bits(shifted) - mt_float_to_bits(magic);
    float whole = shifted - magic;
    float r = x - whole * 0.693359375f;
    r = r + whole * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = (p * (r * r) + r) + 1.0f;
    /* 2^n in two factors, since n runs from -150 to 128 */
    uint32_t half = (uint32_t)((int32_t)n >> 1);
    return p * mt_bits_to_float((half + 127u) << 23) * mt_bits_to_float((n - half + 127u) << 23);
}

static inline float mt_tanhf(float x)
{
    float z = x * x;
    float p = -5.70498872745e-3f;
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    float near = p * z * x + x;
    float far = copysignf(1.0f - 2.0f / (mt_expf(2.0f * fabsf(x)) + 1.0f), x);
    return fabsf(x) < 0.625f ? near : far;
}

static inline float mt_erff(float x)
{
    float t = fabsf(x), s = x * x;
    t = t > 4.0f ? 4.0f : t; /* erf(4) rounds to 1 */
    float far = -1.72853470e-5f * t + 3.83197126e-4f;
    far = far * (t * t) + (-3.88396438e-3f * t + 2.42546219e-2f);
    far = far * t - 1.06777877e-1f;
    far = far * t - 6.34846687e-1f;
    far = far * t - 1.28717512e-1f;
    far = far * t - t;
    far = copysignf(1.0f - mt_expf(far), x);
    float near = -5.96761703e-4f;
    near = near * s + 4.99119423e-3f;
    near = near * s - 2.67681349e-2f;
    near = near * s + 1.12819925e-1f;
    near = near * s - 3.76125336e-1f;
    near = near * s + 1.28379166e-1f;
    near = near * x + x;
    return fabsf(x) > 0.927734375f ? far : near;
}

static inline float mt_sigmoidf(float x)
{
    return 1.0f / (1.0f + mt_expf(-x));
}

/* x * Phi(x) with the exact distribution function: never the tanh approximation, which is off by up to 4.7e-4. */
static inline float mt_geluf(float x)
{
    return 0.5f * x * (1.0f + mt_erff(x * 0.707106781f));
}

#endif
