/* Masks of 256 bits. */
#ifndef MT_KERNELS_X86_LANES_H
#define MT_KERNELS_X86_LANES_H

#include <immintrin.h>

/* All ones in the first `n` of 8 lanes. */
static inline __m256i mt_first_lanes(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

#endif
