/* The one piece of global state besides the test hook of core/memory: the level in use and the second cache, settled
 * when first asked for. Two threads that ask at once settle them alike. */
#include "core/cpu.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[MT_CPU_LEVELS] = {"scalar", "avx2", "avxvnni", "avx512", "avx512vnni"};

static _Atomic int settled = -1;

const char *mt_cpu_name(mt_cpu level)
{
    return names[level];
}

#if defined(__x86_64__)
#include <cpuid.h>

/* Leaf 7.1, which __builtin_cpu_supports of older compilers does not know; the state of the 256-bit registers is
 * covered by the question for AVX2. */
static bool has_avx_vnni(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
}

bool mt_cpu_has(mt_cpu level)
{
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    switch (level) {
    case MT_CPU_SCALAR: return true;
    case MT_CPU_AVX2: return avx2;
    case MT_CPU_AVXVNNI: return avx2 && has_avx_vnni();
    case MT_CPU_AVX512: return avx512;
    case MT_CPU_AVX512VNNI: return avx512 && __builtin_cpu_supports("avx512vnni");
    }
    return false;
}

#else

bool mt_cpu_has(mt_cpu level)
{
    return level == MT_CPU_SCALAR;
}

#endif

static int highest(void)
{
    const char *wanted = getenv("MOTET_CPU");
    int most = MT_CPU_LEVELS - 1;
    for (int i = 0; i < MT_CPU_LEVELS; i++)
        if (wanted && strcmp(wanted, names[i]) == 0) most = i;
    while (!mt_cpu_has((mt_cpu)most)) most--;
    return most;
}

mt_cpu mt_cpu_level(void)
{
    int level = atomic_load_explicit(&settled, memory_order_relaxed);
    if (level >= 0) return (mt_cpu)level;
    level = highest();
    atomic_store_explicit(&settled, level, memory_order_relaxed);
    return (mt_cpu)level;
}

void mt_cpu_force(mt_cpu level)
{
    atomic_store_explicit(&settled, (int)level, memory_order_relaxed);
}

/* --- the second cache ----------------------------------------------------------------------------------------- */

static mt_cache_shape ask_for_cache(void)
{
    mt_cache_shape found = {.sets = 512, .ways = 8}; /* a small one */
#if defined(_SC_LEVEL2_CACHE_SIZE)
    long size = sysconf(_SC_LEVEL2_CACHE_SIZE), ways = sysconf(_SC_LEVEL2_CACHE_ASSOC),
         line = sysconf(_SC_LEVEL2_CACHE_LINESIZE);
    bool known = size > 0 && size < 1 << 30 && ways > 0 && ways <= 64 && line == 64;
    long sets = known ? size / (ways * line) : 0;
    if (sets > 0 && (sets & (sets - 1)) == 0) found = (mt_cache_shape){(int)sets, (int)ways};
#endif
    return found;
}

mt_cache_shape mt_cpu_second_cache(void)
{
    static _Atomic mt_cache_shape shape; /* ways is 0: not asked for */
    mt_cache_shape known = atomic_load_explicit(&shape, memory_order_relaxed);
    if (known.ways == 0) {
        known = ask_for_cache();
        atomic_store_explicit(&shape, known, memory_order_relaxed);
    }
    return known;
}
