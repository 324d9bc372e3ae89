/* exp, tanh, erf and the logistic function on float32, as straight-line code that compilers turn into vector loops.
 *
 * Largest errors against the exact value, measured over all floats of the stated range by tests/kernels:
 *     mt_expf      1 ulp where the result is normal; overflows to infinity, and underflows gradually to 0
 *     mt_tanhf     2 ulp
 *     mt_erff      2 ulp
 *     mt_sigmoidf  3 ulp where the result is normal
 *     mt_rational_tanhf, mt_rational_sigmoidf  4e-7 and 2e-7, absolute; the first goes 2.4e-7 beyond -1 and 1
 * NaN gives NaN. The polynomials of exp and tanh are those of Cephes (S. Moshier, expf.c and tanhf.c), that of erf is
 * N. Juffa's (the two-branch minimax fit used by MLAS and CUDA).
 *
 * The rational ones are for the gates of recurrent cells. A cell without bound sums thousands of steps, each scaled by
 * gates next to 1, and so tells apart two good approximations of a gate: networks are carried on as ONNX Runtime would
 * only with its own. They are Eigen's fits (generic_fast_tanh_float and its logistic), every step one fused
 * multiply-add, so that the result is the same on every processor. */
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

static inline float mt_rational_tanhf(float x)
{
    x = x > 9.0f ? 9.0f : x < -9.0f ? -9.0f : x;
    float s = x * x;
    float p = fmaf(s, -2.76076847742355e-16f, 2.00018790482477e-13f);
    p = fmaf(p, s, -8.60467152213735e-11f);
    p = fmaf(p, s, 5.12229709037114e-08f);
    p = fmaf(p, s, 1.48572235717979e-05f);
    p = fmaf(p, s, 6.37261928875436e-04f);
    p = fmaf(p, s, 4.89352455891786e-03f);
    float q = fmaf(s, 1.19825839466702e-06f, 1.18534705686654e-04f);
    q = fmaf(q, s, 2.26843463243900e-03f);
    q = fmaf(q, s, 4.89352518554385e-03f);
    return p * x / q;
}

static inline float mt_rational_sigmoidf(float x)
{
    x = x > 18.0f ? 18.0f : x < -18.0f ? -18.0f : x;
    float s = x * x;
    float p = fmaf(s, 4.37031012579801e-11f, 1.15627324459942e-07f);
    p = fmaf(p, s, 6.08574864600143e-05f);
    p = fmaf(p, s, 8.51377133304701e-03f);
    p = fmaf(p, s, 2.48287947061529e-01f);
    float q = fmaf(s, 6.10247389755681e-13f, 5.76102136993427e-09f);
    q = fmaf(q, s, 6.29106785017040e-06f);
    q = fmaf(q, s, 1.70198817374094e-03f);
    q = fmaf(q, s, 1.16817656904453e-01f);
    q = fmaf(q, s, 9.93151921023180e-01f);
    float y = p * x / q + 0.5f;
    return y > 1.0f ? 1.0f : y < 0.0f ? 0.0f : y;
}

/* x * Phi(x) with the exact distribution function: never the tanh approximation, which is off by up to 4.7e-4. */
static inline float mt_geluf(float x)
{
    return 0.5f * x * (1.0f + mt_erff(x * 0.707106781f));
}

#endif
