/* One source, several instruction sets: a function marked MT_SIMD is compiled for AVX-512, AVX2 and the baseline, and
 * the loader binds the one the CPU can run. Contraction to fused multiply-add is off in the whole library, so all of
 * them give the same bits. Sanitizers cannot run before their own start-up, when the loader asks: one version there. */
#ifndef MT_KERNELS_SIMD_H
#define MT_KERNELS_SIMD_H

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) &&               \
    !defined(__SANITIZE_THREAD__)
#define MT_SIMD __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define MT_SIMD
#endif

/* Before a loop: its turns are independent of each other, whatever its pointers point to. clang warns
 * where it does not make use of that, and finds out by itself. */
#if defined(__GNUC__) && !defined(__clang__)
#define MT_INDEPENDENT _Pragma("GCC ivdep")
#else
#define MT_INDEPENDENT
#endif

#endif
