/* Bytes without a dot product of bytes. vpmaddubsw would saturate (255 * 127 * 2 does not fit into 16 bits), so both
 * sides are widened to 16 bits and vpmaddwd, which is exact, adds up pairs: a register holds two sums for each of four
 * columns, to be added at the end. 6 rows by 8 columns: 12 accumulators, two registers of B and one of A. */
#include <immintrin.h>

#include "kernels/tile.h"
#include "kernels/x86/lanes.h"

#define NAME      mt_bytes_avx2
#define ROWS      6
#define WIDE_ROWS 1
#define LANES     4

typedef int32_t word;
typedef __m256i vector;

#define zero()            _mm256_setzero_si256()
#define broadcast(a)      _mm256_cvtepu8_epi16(_mm_set1_epi32(*(a)))
#define load(b)           _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(b)))
#define multiply(c, a, b) _mm256_add_epi32(c, _mm256_madd_epi16(a, b))

static inline void store(const mt_tile *t, int i, __m256i c0, __m256i c1)
{
    int32_t *c = (int32_t *)t->c + i * t->c_row;
    __m256i wanted = mt_first_lanes(t->columns);
    __m256i sums = _mm256_hadd_epi32(c0, c1); /* columns 0 1 4 5, 2 3 6 7 */
    sums = _mm256_permute4x64_epi64(sums, _MM_SHUFFLE(3, 1, 2, 0));
    if (t->add) sums = _mm256_add_epi32(sums, _mm256_maskload_epi32(c, wanted));
    _mm256_maskstore_epi32(c, wanted, sums);
}

#include "kernels/x86/tile_loops.h"
