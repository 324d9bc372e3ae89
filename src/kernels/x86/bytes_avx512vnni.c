/* Bytes as tile_avx512.c does floats: vpdpbusd multiplies four by four, adds them up and wraps, which is exact. */
#include <immintrin.h>

#include "kernels/tile.h"

#define NAME      mt_bytes_avx512vnni
#define ROWS      12
#define WIDE_ROWS 3
#define LANES     16

typedef int32_t word;
typedef __m512i vector;

#define zero()            _mm512_setzero_si512()
#define broadcast(a)      _mm512_set1_epi32(*(a))
#define load(b)           _mm512_loadu_si512(b)
#define multiply(c, a, b) _mm512_dpbusd_epi32(c, a, b)

/* Whole rows go without masks, as in tile_avx512.c. */
static inline void store(const mt_tile *t, int i, __m512i c0, __m512i c1)
{
    int32_t *c = (int32_t *)t->c + i * t->c_row;
    if (t->columns == 2 * LANES) {
        __m512i old0 = _mm512_setzero_si512(), old1 = old0;
        if (t->add) old0 = _mm512_loadu_si512(c), old1 = _mm512_loadu_si512(c + 16);
        _mm512_storeu_si512(c, _mm512_add_epi32(c0, old0));
        _mm512_storeu_si512(c + 16, _mm512_add_epi32(c1, old1));
        return;
    }
    uint32_t wanted = (uint32_t)((UINT64_C(1) << t->columns) - 1), old = t->add ? wanted : 0;
    __m512i old0 = _mm512_maskz_loadu_epi32((__mmask16)old, c);
    __m512i old1 = _mm512_maskz_loadu_epi32((__mmask16)(old >> 16), c + 16);
    _mm512_mask_storeu_epi32(c, (__mmask16)wanted, _mm512_add_epi32(c0, old0));
    _mm512_mask_storeu_epi32(c + 16, (__mmask16)(wanted >> 16), _mm512_add_epi32(c1, old1));
}

#include "kernels/x86/tile_loops.h"
