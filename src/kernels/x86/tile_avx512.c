/* 12 rows by 2 registers: 24 accumulators, two registers of B and one of A, of the 32 there are. A step is 24
 * multiply-adds on 14 loads, which keeps two multiply-add units busy. */
#include <immintrin.h>

#include "kernels/tile.h"

#define NAME      mt_tile_avx512
#define ROWS      12
#define WIDE_ROWS 3
#define LANES     16

typedef float word;
typedef __m512 vector;

#define zero()            _mm512_setzero_ps()
#define broadcast(a)      _mm512_set1_ps(*(a))
#define load(b)           _mm512_loadu_ps(b)
#define multiply(c, a, b) _mm512_fmadd_ps(a, b, c)
#define plus(a, b)        _mm512_add_ps(a, b)
#define minus(a, b)       _mm512_sub_ps(a, b)

/* Whole rows go without masks: what a masked store wrote cannot be read until it is in the cache. */
static inline void store(const mt_tile *t, int i, __m512 c0, __m512 c1)
{
    float *c = (float *)t->c + i * t->c_row;
    __m512 alpha = _mm512_set1_ps(t->alpha);
    if (t->columns == 2 * LANES) {
        __m512 old0 = _mm512_setzero_ps(), old1 = old0;
        if (t->add) old0 = _mm512_loadu_ps(c), old1 = _mm512_loadu_ps(c + 16);
        _mm512_storeu_ps(c, _mm512_fmadd_ps(c0, alpha, old0));
        _mm512_storeu_ps(c + 16, _mm512_fmadd_ps(c1, alpha, old1));
        return;
    }
    uint32_t wanted = (uint32_t)((UINT64_C(1) << t->columns) - 1), old = t->add ? wanted : 0;
    __m512 old0 = _mm512_maskz_loadu_ps((__mmask16)old, c),
           old1 = _mm512_maskz_loadu_ps((__mmask16)(old >> 16), c + 16);
    _mm512_mask_storeu_ps(c, (__mmask16)wanted, _mm512_fmadd_ps(c0, alpha, old0));
    _mm512_mask_storeu_ps(c + 16, (__mmask16)(wanted >> 16), _mm512_fmadd_ps(c1, alpha, old1));
}

#include "kernels/x86/tile_loops.h"
