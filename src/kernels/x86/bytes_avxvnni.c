/* Bytes as tile_avx2.c does floats; vpdpbusd as in bytes_avx512vnni.c, in 256 bits. */
#include <immintrin.h>

#include "kernels/tile.h"
#include "kernels/x86/rows.h"

enum { ROWS = 6, COLUMNS = 16 };

#define START(i) __m256i c##i##0 = _mm256_setzero_si256(), c##i##1 = _mm256_setzero_si256();
#define STEP(i)                                                                                                        \
    {                                                                                                                  \
        __m256i a = _mm256_set1_epi32(MT_A_##i(int32_t));                                                              \
        c##i##0 = _mm256_dpbusd_avx_epi32(c##i##0, a, b0);                                                             \
        c##i##1 = _mm256_dpbusd_avx_epi32(c##i##1, a, b1);                                                             \
    }
#define STORE(i)                                                                                                       \
    {                                                                                                                  \
        int32_t *c = (int32_t *)t->c + i * t->c_row;                                                                   \
        __m256i old0 = _mm256_setzero_si256(), old1 = old0;                                                            \
        if (t->add) old0 = _mm256_maskload_epi32(c, store0), old1 = _mm256_maskload_epi32(c + 8, store1);              \
        _mm256_maskstore_epi32(c, store0, _mm256_add_epi32(c##i##0, old0));                                            \
        _mm256_maskstore_epi32(c + 8, store1, _mm256_add_epi32(c##i##1, old1));                                        \
    }

/* All ones in the first `n` of 8 lanes. */
static __m256i first_lanes(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

#define TILE(n)                                                                                                        \
    static void tile_##n(const mt_tile *t)                                                                             \
    {                                                                                                                  \
        int64_t row = t->a_row, step = t->a_step, b_row = t->b_row;                                                    \
        const int32_t *p0 = t->a, *p3 = p0 + 3 * row, *b = t->b;                                                       \
        MT_ROWS_##n(START);                                                                                            \
        for (int64_t k = t->k; k > 0; k--) {                                                                           \
            __m256i b0 = _mm256_loadu_si256((const __m256i *)b), b1 = _mm256_loadu_si256((const __m256i *)(b + 8));    \
            MT_ROWS_##n(STEP);                                                                                         \
            p0 += step, p3 += step, b += b_row;                                                                        \
        }                                                                                                              \
        __m256i store0 = first_lanes(t->columns), store1 = first_lanes(t->columns - 8);                                \
        MT_ROWS_##n(STORE);                                                                                            \
    }
TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)

void mt_bytes_avxvnni(const mt_tile *t)
{
    static const mt_tile_function tiles[ROWS] = {tile_1, tile_2, tile_3, tile_4, tile_5, tile_6};
    for (int j = 0; j < t->columns; j += COLUMNS)
        for (int i = 0; i < t->rows; i += ROWS) {
            mt_tile piece = *t;
            piece.a = (const int32_t *)t->a + i * t->a_row;
            piece.b = (const int32_t *)t->b + j;
            piece.c = (int32_t *)t->c + i * t->c_row + j;
            piece.rows = t->rows - i < ROWS ? t->rows - i : ROWS;
            piece.columns = t->columns - j < COLUMNS ? t->columns - j : COLUMNS;
            tiles[piece.rows - 1](&piece);
        }
}
