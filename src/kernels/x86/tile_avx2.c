/* 6 rows by 2 registers of 8: 12 accumulators, two registers of B and one of A, of the 16 there are. */
#include <immintrin.h>

#include "kernels/tile.h"
#include "kernels/x86/lanes.h"

#define NAME      mt_tile_avx2
#define ROWS      6
#define WIDE_ROWS 1
#define LANES     8

typedef float word;
typedef __m256 vector;

#define zero()            _mm256_setzero_ps()
#define broadcast(a)      _mm256_broadcast_ss(a)
#define load(b)           _mm256_loadu_ps(b)
#define multiply(c, a, b) _mm256_fmadd_ps(a, b, c)
#define plus(a, b)        _mm256_add_ps(a, b)
#define minus(a, b)       _mm256_sub_ps(a, b)

static inline void store(const mt_tile *t, int i, __m256 c0, __m256 c1)
{
    float *c = (float *)t->c + i * t->c_row;
    __m256i wanted0 = mt_first_lanes(t->columns), wanted1 = mt_first_lanes(t->columns - LANES);
    __m256 old0 = _mm256_setzero_ps(), old1 = old0, alpha = _mm256_set1_ps(t->alpha);
    if (t->add) old0 = _mm256_maskload_ps(c, wanted0), old1 = _mm256_maskload_ps(c + LANES, wanted1);
    _mm256_maskstore_ps(c, wanted0, _mm256_fmadd_ps(c0, alpha, old0));
    _mm256_maskstore_ps(c + LANES, wanted1, _mm256_fmadd_ps(c1, alpha, old1));
}

#include "kernels/x86/tile_loops.h"
