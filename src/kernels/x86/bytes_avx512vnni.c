/* Bytes as tile_avx512.c does floats: vpdpbusd multiplies four by four, adds them up and wraps, which is exact. */
#include <immintrin.h>

#include "kernels/tile.h"
#include "kernels/x86/rows.h"

#define START(i) __m512i c##i##0 = _mm512_setzero_si512(), c##i##1 = _mm512_setzero_si512();
#define STEP(i)                                                                                                        \
    {                                                                                                                  \
        __m512i a = _mm512_set1_epi32(MT_A_##i(int32_t));                                                              \
        c##i##0 = _mm512_dpbusd_epi32(c##i##0, a, b0);                                                                 \
        c##i##1 = _mm512_dpbusd_epi32(c##i##1, a, b1);                                                                 \
    }
#define STORE(i)                                                                                                       \
    {                                                                                                                  \
        int32_t *c = (int32_t *)t->c + i * t->c_row;                                                                   \
        __m512i old0 = _mm512_maskz_loadu_epi32(add0, c), old1 = _mm512_maskz_loadu_epi32(add1, c + 16);               \
        _mm512_mask_storeu_epi32(c, store0, _mm512_add_epi32(c##i##0, old0));                                          \
        _mm512_mask_storeu_epi32(c + 16, store1, _mm512_add_epi32(c##i##1, old1));                                     \
    }

#define TILE(n)                                                                                                        \
    static void tile_##n(const mt_tile *t)                                                                             \
    {                                                                                                                  \
        int64_t row = t->a_row, step = t->a_step, b_row = t->b_row;                                                    \
        const int32_t *p0 = t->a, *p3 = p0 + 3 * row, *p6 = p3 + 3 * row, *p9 = p6 + 3 * row, *b = t->b;               \
        MT_ROWS_##n(START);                                                                                            \
        for (int64_t k = t->k; k > 0; k--) {                                                                           \
            __m512i b0 = _mm512_loadu_si512(b), b1 = _mm512_loadu_si512(b + 16);                                       \
            MT_ROWS_##n(STEP);                                                                                         \
            p0 += step, p3 += step, p6 += step, p9 += step, b += b_row;                                                \
        }                                                                                                              \
        uint32_t wanted = (uint32_t)((UINT64_C(1) << t->columns) - 1), old = t->add ? wanted : 0;                      \
        __mmask16 store0 = (__mmask16)wanted, store1 = (__mmask16)(wanted >> 16);                                      \
        __mmask16 add0 = (__mmask16)old, add1 = (__mmask16)(old >> 16);                                                \
        MT_ROWS_##n(STORE);                                                                                            \
    }
TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)
TILE(7)
TILE(8)
TILE(9)
TILE(10)
TILE(11)
TILE(12)

void mt_bytes_avx512vnni(const mt_tile *t)
{
    static const mt_tile_function tiles[MT_TILE_ROWS] = {tile_1, tile_2, tile_3, tile_4,  tile_5,  tile_6,
                                                         tile_7, tile_8, tile_9, tile_10, tile_11, tile_12};
    tiles[t->rows - 1](t);
}
