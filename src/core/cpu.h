/* What the processor can do, as far as the kernels care. */
#ifndef MT_CORE_CPU_H
#define MT_CORE_CPU_H

#include <stdbool.h>

/* Each level has what those before it have, but for the dot products of bytes: MT_CPU_AVX512 does without them. */
typedef enum mt_cpu {
    MT_CPU_SCALAR,    /* plain C */
    MT_CPU_AVX2,      /* and FMA */
    MT_CPU_AVXVNNI,   /* and dot products of bytes in 256 bits */
    MT_CPU_AVX512,    /* F, BW, DQ, VL */
    MT_CPU_AVX512VNNI /* and dot products of bytes in 512 bits */
} mt_cpu;

enum { MT_CPU_LEVELS = MT_CPU_AVX512VNNI + 1 };

/* "scalar", "avx2", "avxvnni", "avx512", "avx512vnni" */
const char *mt_cpu_name(mt_cpu level);

/* True when this processor can run kernels of that level. */
bool mt_cpu_has(mt_cpu level);

/* The level whose kernels are used: the highest there is, or the highest up to the one that the environment variable
 * MOTET_CPU names. Asked for the first time, it is settled for the process. */
mt_cpu mt_cpu_level(void);

/* For tests: from now on this level, which the processor must have. No kernel may be running. */
void mt_cpu_force(mt_cpu level);

/* The second cache: lines of 64 bytes, `sets` of them (a power of two), `ways` in each. What is not known is guessed.
 */
typedef struct mt_cache_shape {
    int sets, ways;
} mt_cache_shape;

mt_cache_shape mt_cpu_second_cache(void);

#endif
