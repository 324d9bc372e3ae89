/* Denormal numbers (below 1e-38) make some processors a hundred times slower and mean nothing in a network: within a
 * run they count as zero. Threads start with the setting of the thread that starts them, so a pool that is made while
 * they are off has them off for good. */
#ifndef MT_ENGINE_DENORMALS_H
#define MT_ENGINE_DENORMALS_H

#if defined(__SSE2__)
#include <immintrin.h>

enum { MT_FLUSH_TO_ZERO = 0x8000, MT_DENORMALS_ARE_ZERO = 0x0040 };

/* Turns them off for this thread; returns what mt_denormals_restore takes. */
static inline unsigned mt_denormals_off(void)
{
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | MT_FLUSH_TO_ZERO | MT_DENORMALS_ARE_ZERO);
    return before;
}

static inline void mt_denormals_restore(unsigned before)
{
    _mm_setcsr(before);
}

#else

static inline unsigned mt_denormals_off(void)
{
    return 0;
}

static inline void mt_denormals_restore(unsigned before)
{
    (void)before;
}

#endif
#endif
