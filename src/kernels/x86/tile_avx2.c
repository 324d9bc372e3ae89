/* 6 rows by 2 registers of 8: 12 accumulators, two registers of B and one of A, of the 16 there are. A tile is done in
 * at most two by two such pieces. */
#include <immintrin.h>

#include "kernels/tile.h"
#include "kernels/x86/rows.h"

enum { ROWS = 6, COLUMNS = 16 };

#define START(i) __m256 c##i##0 = _mm256_setzero_ps(), c##i##1 = _mm256_setzero_ps();
#define STEP(i)                                                                                                        \
    {                                                                                                                  \
        __m256 a = _mm256_broadcast_ss(&MT_A_##i(float));                                                              \
        c##i##0 = _mm256_fmadd_ps(a, b0, c##i##0);                                                                     \
        c##i##1 = _mm256_fmadd_ps(a, b1, c##i##1);                                                                     \
    }
#define STORE(i)                                                                                                       \
    {                                                                                                                  \
        float *c = (float *)t->c + i * t->c_row;                                                                       \
        __m256 old0 = _mm256_setzero_ps(), old1 = old0;                                                                \
        if (t->add) old0 = _mm256_maskload_ps(c, store0), old1 = _mm256_maskload_ps(c + 8, store1);                    \
        _mm256_maskstore_ps(c, store0, _mm256_fmadd_ps(c##i##0, alpha, old0));                                         \
        _mm256_maskstore_ps(c + 8, store1, _mm256_fmadd_ps(c##i##1, alpha, old1));                                     \
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
        const float *p0 = t->a, *p3 = p0 + 3 * row, *b = t->b;                                                         \
        MT_ROWS_##n(START);                                                                                            \
        for (int64_t k = t->k; k > 0; k--) {                                                                           \
            __m256 b0 = _mm256_loadu_ps(b), b1 = _mm256_loadu_ps(b + 8);                                               \
            MT_ROWS_##n(STEP);                                                                                         \
            p0 += step, p3 += step, b += b_row;                                                                        \
        }                                                                                                              \
        __m256i store0 = first_lanes(t->columns), store1 = first_lanes(t->columns - 8);                                \
        __m256 alpha = _mm256_set1_ps(t->alpha);                                                                       \
        MT_ROWS_##n(STORE);                                                                                            \
    }
TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)

void mt_tile_avx2(const mt_tile *t)
{
    static const mt_tile_function tiles[ROWS] = {tile_1, tile_2, tile_3, tile_4, tile_5, tile_6};
    for (int j = 0; j < t->columns; j += COLUMNS)
        for (int i = 0; i < t->rows; i += ROWS) {
            mt_tile piece = *t;
            piece.a = (const float *)t->a + i * t->a_row;
            piece.b = (const float *)t->b + j;
            piece.c = (float *)t->c + i * t->c_row + j;
            piece.rows = t->rows - i < ROWS ? t->rows - i : ROWS;
            piece.columns = t->columns - j < COLUMNS ? t->columns - j : COLUMNS;
            tiles[piece.rows - 1](&piece);
        }
}
