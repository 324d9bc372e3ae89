/* Softmax of a row: its maximum, then exponentials and their sum in one pass, then the quotients. Lanes beyond the
 * row's end hold -infinity, which adds nothing. */
#include <immintrin.h>

#include "kernels/rows.h"

enum { LANES = 16 };

/* exp(x) for x up to 0, like mt_expf: Cephes' polynomial around the nearest power of 2. Below -104 the result is 0. */
static inline __m512 exp_down(__m512 x)
{
    x = _mm512_max_ps(_mm512_set1_ps(-104), x); /* NaN if x is */
    __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), _MM_FROUND_TO_NEAREST_INT);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
    r = _mm512_fmadd_ps(n, _mm512_set1_ps(2.12194440e-4f), r);
    __m512 p = _mm512_set1_ps(1.9875691500e-4f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.3981999507e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3334519073e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1665795894e-2f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666665459e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.0000001201e-1f));
    p = _mm512_add_ps(_mm512_fmadd_ps(p, _mm512_mul_ps(r, r), r), _mm512_set1_ps(1));
    return _mm512_scalef_ps(p, n);
}

static inline __mmask16 first_lanes(int64_t n)
{
    return (__mmask16)((1u << n) - 1);
}

static float row_max(const float *x, int64_t n)
{
    __m512 least = _mm512_set1_ps(-__builtin_inff()), most = least;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) most = _mm512_max_ps(_mm512_loadu_ps(x + i), most);
    most = _mm512_max_ps(_mm512_mask_loadu_ps(least, first_lanes(n - i), x + i), most);
    return _mm512_reduce_max_ps(most);
}

typedef struct sums {
    __m512d low, high;
} sums;

static inline void add(sums *s, __m512 e)
{
    s->low = _mm512_add_pd(s->low, _mm512_cvtps_pd(_mm512_castps512_ps256(e)));
    s->high = _mm512_add_pd(s->high, _mm512_cvtps_pd(_mm512_extractf32x8_ps(e, 1)));
}

/* Returns the sum. */
static double row_exp(float *y, const float *x, int64_t n, float shift)
{
    const __m512 least = _mm512_set1_ps(-__builtin_inff()), shifts = _mm512_set1_ps(shift);
    sums s = {_mm512_setzero_pd(), _mm512_setzero_pd()};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        __m512 e = exp_down(_mm512_sub_ps(_mm512_loadu_ps(x + i), shifts));
        _mm512_storeu_ps(y + i, e);
        add(&s, e);
    }
    __mmask16 rest = first_lanes(n - i);
    __m512 e = exp_down(_mm512_sub_ps(_mm512_mask_loadu_ps(least, rest, x + i), shifts));
    _mm512_mask_storeu_ps(y + i, rest, e);
    add(&s, e);
    return _mm512_reduce_add_pd(_mm512_add_pd(s.low, s.high));
}

void mt_softmax_row_avx512(float *y, const float *x, int64_t n)
{
    __m512 factor = _mm512_set1_ps((float)(1.0 / row_exp(y, x, n, row_max(x, n))));
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) _mm512_storeu_ps(y + i, _mm512_mul_ps(_mm512_loadu_ps(y + i), factor));
    __mmask16 rest = first_lanes(n - i);
    _mm512_mask_storeu_ps(y + i, rest, _mm512_mul_ps(_mm512_maskz_loadu_ps(rest, y + i), factor));
}
