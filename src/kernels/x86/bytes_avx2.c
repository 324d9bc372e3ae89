/* Bytes without a dot product of bytes. vpmaddubsw would saturate (255 * 127 * 2 does not fit into 16 bits), so both
 * sides are widened to 16 bits and vpmaddwd, which is exact, adds up pairs: a register holds two sums for each of four
 * columns, to be added at the end. 6 rows by 8 columns: 12 accumulators, two registers of B and one of A. */
#include <immintrin.h>

#include "kernels/tile.h"
#include "kernels/x86/rows.h"

enum { ROWS = 6, COLUMNS = 8 };

#define START(i) __m256i c##i##0 = _mm256_setzero_si256(), c##i##1 = _mm256_setzero_si256();
#define STEP(i)                                                                                                        \
    {                                                                                                                  \
        __m256i a = _mm256_cvtepu8_epi16(_mm_set1_epi32(MT_A_##i(int32_t)));                                           \
        c##i##0 = _mm256_add_epi32(c##i##0, _mm256_madd_epi16(a, b0));                                                 \
        c##i##1 = _mm256_add_epi32(c##i##1, _mm256_madd_epi16(a, b1));                                                 \
    }
#define STORE(i)                                                                                                       \
    {                                                                                                                  \
        int32_t *c = (int32_t *)t->c + i * t->c_row;                                                                   \
        __m256i sums = _mm256_hadd_epi32(c##i##0, c##i##1); /* columns 0 1 4 5, 2 3 6 7 */                             \
        sums = _mm256_permute4x64_epi64(sums, _MM_SHUFFLE(3, 1, 2, 0));                                                \
        if (t->add) sums = _mm256_add_epi32(sums, _mm256_maskload_epi32(c, store));                                    \
        _mm256_maskstore_epi32(c, store, sums);                                                                        \
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
            __m256i b0 = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)b));                                    \
            __m256i b1 = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(b + 4)));                              \
            MT_ROWS_##n(STEP);                                                                                         \
            p0 += step, p3 += step, b += b_row;                                                                        \
        }                                                                                                              \
        __m256i store = first_lanes(t->columns);                                                                       \
        MT_ROWS_##n(STORE);                                                                                            \
    }
TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)

void mt_bytes_avx2(const mt_tile *t)
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
