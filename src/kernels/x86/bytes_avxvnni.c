/* Bytes as tile_avx2.c does floats; vpdpbusd as in bytes_avx512vnni.c, in 256 bits. */
#include <immintrin.h>

#include "kernels/tile.h"
#include "kernels/x86/lanes.h"

#define NAME      mt_bytes_avxvnni
#define ROWS      6
#define WIDE_ROWS 1
#define LANES     8

typedef int32_t word;
typedef __m256i vector;

#define zero()            _mm256_setzero_si256()
#define broadcast(a)      _mm256_set1_epi32(*(a))
#define load(b)           _mm256_loadu_si256((const __m256i *)(b))
#define multiply(c, a, b) _mm256_dpbusd_avx_epi32(c, a, b)

static inline void store(const mt_tile *t, int i, __m256i c0, __m256i c1)
{
    int32_t *c = (int32_t *)t->c + i * t->c_row;
    __m256i wanted0 = mt_first_lanes(t->columns), wanted1 = mt_first_lanes(t->columns - LANES);
    __m256i old0 = _mm256_setzero_si256(), old1 = old0;
    if (t->add) old0 = _mm256_maskload_epi32(c, wanted0), old1 = _mm256_maskload_epi32(c + LANES, wanted1);
    _mm256_maskstore_epi32(c, wanted0, _mm256_add_epi32(c0, old0));
    _mm256_maskstore_epi32(c + LANES, wanted1, _mm256_add_epi32(c1, old1));
}

#include "kernels/x86/tile_loops.h"
