/* How near the matrix kernels come to what the processor can do, one thread: for every shape the share of the peak of
 * multiply-adds that is measured in the same program, in turn with it.
 *
 *     bench_kernels [SECONDS_A_SHAPE]        MOTET_CPU=avx2 etc. for lower levels
 *
 * Minimum over many repeats, since other work on the machine only ever makes a repeat longer. */
#include <immintrin.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/cpu.h"
#include "core/memory.h"
#include "kernels/conv.h"
#include "kernels/gemm.h"

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static double patience = 0.3; /* seconds a shape */

typedef struct job {
    const char *name;
    double operations;
    void (*run)(void *context);
    void *context;
} job;

static double fastest(const job *j)
{
    double best = 1e9;
    for (double end = now() + patience; now() < end;) {
        double start = now();
        j->run(j->context);
        double took = now() - start;
        best = took < best ? took : best;
    }
    return best;
}

/* --- the peak ------------------------------------------------------------------------------------------------- */

/* Multiply-adds on ten registers and nothing else. */
enum { PEAK_STEPS = 20000, PEAK_CHAINS = 10 };

#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9)
#define PEAK(name, isa, type, set, sum)                                                                                \
    __attribute__((target(isa))) static void name(void *context)                                                       \
    {                                                                                                                  \
        volatile float *factor = context;                                                                              \
        type x = set(*factor);                                                                                         \
        CHAINS(PEAK_START_##sum)                                                                                       \
        for (int i = 0; i < PEAK_STEPS; i++) {                                                                         \
            CHAINS(PEAK_STEP_##sum)                                                                                    \
        }                                                                                                              \
        CHAINS(PEAK_END_##sum)                                                                                         \
    }
#define PEAK_START_f512(i) __m512 c##i = _mm512_set1_ps(*factor + (i));
#define PEAK_STEP_f512(i)  c##i = _mm512_fmadd_ps(c##i, x, x);
#define PEAK_END_f512(i)   *factor = 0.5f + 1e-9f * _mm512_reduce_add_ps(c##i);
#define PEAK_START_f256(i) __m256 c##i = _mm256_set1_ps(*factor + (i));
#define PEAK_STEP_f256(i)  c##i = _mm256_fmadd_ps(c##i, x, x);
#define PEAK_END_f256(i)   *factor = 0.5f + 1e-9f * _mm256_cvtss_f32(c##i);
PEAK(float_peak_512, "avx512f", __m512, _mm512_set1_ps, f512)
PEAK(float_peak_256, "avx2,fma", __m256, _mm256_set1_ps, f256)

static double float_peak(void)
{
    static float factor = 0.5f;
    bool wide = mt_cpu_level() >= MT_CPU_AVX512;
    job j = {"peak", 2.0 * PEAK_STEPS * PEAK_CHAINS * (wide ? 16 : 8), wide ? float_peak_512 : float_peak_256, &factor};
    return j.operations / fastest(&j);
}

/* --- products ------------------------------------------------------------------------------------------------- */

static float *floats(int64_t count)
{
    float *values = mt_alloc_aligned((size_t)count * sizeof *values);
    if (!values) exit(1);
    for (int64_t i = 0; i < count; i++) values[i] = (float)(i % 17) / 17;
    return values;
}

typedef struct product {
    mt_gemm shape;
    float *a, *b, *c;
} product;

static void run_product(void *context)
{
    const product *p = context;
    mt_sgemm(NULL, &p->shape, p->a, p->b, p->c);
}

typedef struct convolution {
    mt_conv conv;
    float *x, *w, *y;
} convolution;

static void run_convolution(void *context)
{
    const convolution *v = context;
    mt_conv_run(NULL, &v->conv, v->x, v->w, NULL, NULL, v->y);
}

static void report(const job *j)
{
    double best = float_peak(), speed = j->operations / fastest(j), again = float_peak();
    best = again > best ? again : best;
    printf("%-44s %8.1f Gop/s  %5.1f %% of %.1f\n", j->name, speed * 1e-9, 100 * speed / best, best * 1e-9);
    fflush(stdout);
}

static void bench_product(int64_t m, int64_t n, int64_t k, bool packed)
{
    char name[80];
    product p = {.shape = mt_gemm_plain(m, n, k), .a = floats(m * k), .b = floats(k * (n + 32)), .c = floats(m * n)};
    p.shape.b_packed = packed;
    snprintf(name, sizeof name, "gemm %ld x %ld x %ld%s", (long)m, (long)n, (long)k, packed ? " packed" : "");
    report(&(job){name, 2.0 * (double)m * (double)n * (double)k, run_product, &p});
    mt_free(p.a);
    mt_free(p.b);
    mt_free(p.c);
}

static void bench_conv(const char *name, int64_t channels, int64_t filters, int64_t groups, int64_t in, int64_t kernel,
                       int64_t stride, int64_t pad)
{
    mt_conv v = {.batch = 1, .groups = groups, .in_channels = channels / groups, .out_channels = filters / groups};
    mt_window *w = &v.window;
    *w = (mt_window){.axes = 1, .in = {in}, .kernel = {kernel}, .stride = {stride}, .dilation = {1}};
    w->before[0] = w->after[0] = pad;
    w->out[0] = (in + 2 * pad - kernel) / stride + 1;
    w->in_count = in;
    w->out_count = w->out[0];
    w->taps = kernel;
    convolution c = {v, floats(channels * in), floats(filters * channels / groups * kernel),
                     floats(filters * w->out_count)};
    double operations = 2.0 * (double)(filters * w->out_count) * (double)(channels / groups * kernel);
    report(&(job){name, operations, run_convolution, &c});
    mt_free(c.x);
    mt_free(c.w);
    mt_free(c.y);
}

int main(int count, char **words)
{
    if (count > 1) patience = atof(words[1]);
    printf("level %s, one thread\n", mt_cpu_name(mt_cpu_level()));
    static const int64_t shapes[][3] = {{149, 768, 768}, {149, 3072, 768}, {149, 768, 3072}, {499, 768, 768},
                                        {32, 768, 768},  {12, 768, 768},   {1, 768, 768},    {1, 512, 128}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        bench_product(shapes[i][0], shapes[i][1], shapes[i][2], true);
    bench_product(149, 768, 768, false);
    bench_conv("conv 1 -> 512, 10 taps / 5, 48000", 1, 512, 1, 48000, 10, 5, 0);
    bench_conv("conv 512 -> 512, 3 taps / 2, 9599", 512, 512, 1, 9599, 3, 2, 0);
    bench_conv("conv 512 -> 512, 2 taps / 2, 299", 512, 512, 1, 299, 2, 2, 0);
    bench_conv("conv 768 -> 768 in 16 groups, 128 taps, 149", 768, 768, 16, 149, 128, 1, 64);
    return 0;
}
