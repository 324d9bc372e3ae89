/* How near the matrix kernels come to what the processor can do, one thread: for every shape the share of the peak of
 * multiply-adds that is measured in the same program, in turn with it.
 *
 *     bench_kernels [SECONDS_A_SHAPE]        MOTET_CPU=avx2 etc. for lower levels
 *
 * The two take turns, many times, as the clock goes up and down with what the machine's other tenants do; of each turn
 * the fastest repeat counts, since other work only ever makes one longer, and of all turns the median. */
#include <immintrin.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/cpu.h"
#include "core/memory.h"
#include "kernels/bytes.h"
#include "kernels/fast_conv.h"
#include "kernels/gemm.h"
#include "kernels/strassen.h"

static double now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

enum { TURNS = 31 };

static double patience = 0.4; /* seconds a shape */

typedef struct job {
    const char *name;
    double operations;
    void (*run)(void *context);
    void *context;
} job;

static double once(const job *j, clockid_t clock)
{
    double start = now(clock);
    j->run(j->context);
    return now(clock) - start;
}

/* By the clock where a repeat fits between two interruptions, else by processor time, which is too coarse for those. */
static double fastest(const job *j)
{
    enum { INTERRUPTED = 2 /* milliseconds */ };
    clockid_t clock = once(j, CLOCK_MONOTONIC) < 1e-3 * INTERRUPTED ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID;
    double best = 1e9;
    for (double end = now(CLOCK_MONOTONIC) + patience / (2 * TURNS); now(CLOCK_MONOTONIC) < end;) {
        double took = once(j, clock);
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

#define PEAK_START_b512(i) __m512i c##i = _mm512_set1_epi32((int)*factor + (i));
#define PEAK_STEP_b512(i)  c##i = _mm512_dpbusd_epi32(c##i, x, x);
#define PEAK_END_b512(i)   *factor = 0.5f + 1e-9f * (float)_mm512_reduce_add_epi32(c##i);
PEAK(byte_peak_512, "avx512f,avx512vnni", __m512i, _mm512_set1_epi8, b512)

/* 0 where the processor has no dot product of 512 bits of bytes. */
static double byte_peak(void)
{
    static float factor = 0.5f;
    if (mt_cpu_level() != MT_CPU_AVX512VNNI) return 0;
    job j = {"peak", 2.0 * PEAK_STEPS * PEAK_CHAINS * 64, byte_peak_512, &factor};
    return j.operations / fastest(&j);
}

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

typedef struct quarters {
    mt_gemm shape;
    const float *a, *b;
    float *room, *c;
} quarters;

static void run_strassen(void *context)
{
    const quarters *q = context;
    mt_strassen_run(NULL, &q->shape, 1, q->a, &q->b, q->room, (float *[]){q->c});
}

typedef struct convolution {
    mt_conv conv;
    float *x, *w, *y, *packed;
} convolution;

static void run_convolution(void *context)
{
    const convolution *v = context;
    if (mt_fast_conv_fits(&v->conv))
        mt_fast_conv_run(NULL, &v->conv, v->x, v->packed, NULL, NULL, v->y);
    else
        mt_conv_run_tiles(NULL, &v->conv, v->x, v->packed, NULL, NULL, v->y);
}

static int in_order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double values[TURNS])
{
    qsort(values, TURNS, sizeof *values, in_order);
    return values[TURNS / 2];
}

/* A turn is compared with the peaks before and after it. */
static void report(const job *j, double (*peak)(void))
{
    double speeds[TURNS], peaks[TURNS], shares[TURNS], before = peak();
    for (int i = 0; i < TURNS; i++) {
        speeds[i] = j->operations / fastest(j);
        double after = peak();
        peaks[i] = (before + after) / 2;
        shares[i] = speeds[i] / peaks[i];
        before = after;
    }
    printf("%-44s %8.1f Gop/s", j->name, median(speeds) * 1e-9);
    if (before > 0) printf("  %5.1f %% of %.1f", 100 * median(shares), median(peaks) * 1e-9);
    putchar('\n');
    fflush(stdout);
}

typedef struct bytes {
    mt_byte_gemm shape;
    const uint8_t *a;
    void *b, *c;
    int32_t zero;
    float scale;
} bytes;

static void run_bytes(void *context)
{
    bytes *p = context;
    const void *packed = p->b;
    mt_byte_gemm_run(NULL, &p->shape, 1, &p->a, &packed, &p->c);
}

static void *byte_array(int64_t count)
{
    uint8_t *values = mt_alloc_aligned((size_t)count);
    if (!values) exit(1);
    for (int64_t i = 0; i < count; i++) values[i] = (uint8_t)(i % 113);
    return values;
}

/* As a quantised layer runs it: a zero point of A, a scale for every column. */
static void bench_bytes(int64_t m, int64_t n, int64_t k)
{
    char name[80];
    bytes p = {.shape = {.m = m, .n = n, .k = k, .lda = k}, .zero = 128, .scale = 0.01f};
    void *plain = byte_array(k * n);
    p.a = byte_array(m * k);
    p.b = byte_array(mt_byte_packed_size(k, n));
    p.c = byte_array(m * n * 4);
    mt_byte_pack(NULL, k, n, plain, 0, p.b);
    p.shape.result.a_zero.values = &p.zero;
    p.shape.result.scale.values = &p.scale;
    snprintf(name, sizeof name, "bytes %ld x %ld x %ld", (long)m, (long)n, (long)k);
    report(&(job){name, 2.0 * (double)m * (double)n * (double)k, run_bytes, &p}, byte_peak);
    mt_free(plain);
    mt_free((void *)(uintptr_t)p.a);
    mt_free(p.b);
    mt_free(p.c);
}

static void bench_product(int64_t m, int64_t n, int64_t k, bool packed)
{
    char name[80];
    product p = {.shape = mt_gemm_plain(m, n, k), .a = floats(m * k), .b = floats(k * (n + 32)), .c = floats(m * n)};
    p.shape.b_packed = packed;
    snprintf(name, sizeof name, "gemm %ld x %ld x %ld%s", (long)m, (long)n, (long)k, packed ? " packed" : "");
    report(&(job){name, 2.0 * (double)m * (double)n * (double)k, run_product, &p}, float_peak);
    mt_free(p.a);
    mt_free(p.b);
    mt_free(p.c);
}

/* By the operations of the definition. */
static void bench_strassen(int64_t m, int64_t n, int64_t k)
{
    char name[80];
    float *a = floats(m * k), *b = floats(n * k);
    quarters q = {.shape = mt_gemm_plain(m, n, k), .a = a, .b = b, .c = floats(m * n)};
    q.room = floats(mt_strassen_room(&q.shape));
    q.shape.b_packed = true;
    snprintf(name, sizeof name, "strassen %ld x %ld x %ld", (long)m, (long)n, (long)k);
    report(&(job){name, 2.0 * (double)m * (double)n * (double)k, run_strassen, &q}, float_peak);
    mt_free(a);
    mt_free(b);
    mt_free(q.room);
    mt_free(q.c);
}

static mt_conv conv_of(int64_t channels, int64_t filters, int64_t groups, int64_t in, int64_t kernel, int64_t stride,
                       int64_t pad)
{
    mt_conv v = {.batch = 1, .groups = groups, .in_channels = channels / groups, .out_channels = filters / groups};
    mt_window *w = &v.window;
    *w = (mt_window){.axes = 1, .in = {in}, .kernel = {kernel}, .stride = {stride}, .dilation = {1}};
    w->before[0] = w->after[0] = pad;
    w->out[0] = (in + 2 * pad - kernel) / stride + 1;
    w->in_count = in;
    w->out_count = w->out[0];
    w->taps = kernel;
    return v;
}

typedef struct byte_convolution {
    mt_conv conv;
    mt_byte_result result;
    void *x, *w, *room, *y;
    int32_t zeros[2];
    float scale;
} byte_convolution;

static void run_byte_convolution(void *context)
{
    const byte_convolution *v = context;
    mt_byte_conv_run(NULL, &v->conv, v->x, 0x80, v->w, &v->result, v->room, v->y);
}

static void bench_byte_conv(const char *name, int64_t channels, int64_t filters, int64_t groups, int64_t in,
                            int64_t kernel, int64_t stride, int64_t pad)
{
    byte_convolution v = {.conv = conv_of(channels, filters, groups, in, kernel, stride, pad), .zeros = {128, 7}};
    void *plain = byte_array(filters * channels / groups * kernel);
    v.x = byte_array(channels * in);
    v.w = byte_array(mt_byte_filters_size(&v.conv));
    v.y = byte_array(filters * v.conv.window.out_count * 4);
    v.room = byte_array(mt_byte_conv_room(&v.conv));
    v.scale = 0.01f;
    v.result.a_zero.values = &v.zeros[0];
    v.result.b_zero.values = &v.zeros[1];
    v.result.scale.values = &v.scale;
    mt_byte_filters(&v.conv, plain, 0x80, v.w);
    double operations = 2.0 * (double)(filters * v.conv.window.out_count) * (double)(channels / groups * kernel);
    report(&(job){name, operations, run_byte_convolution, &v}, byte_peak);
    mt_free(plain);
    mt_free(v.x);
    mt_free(v.w);
    mt_free(v.room);
    mt_free(v.y);
}

static void bench_conv(const char *name, int64_t channels, int64_t filters, int64_t groups, int64_t in, int64_t kernel,
                       int64_t stride, int64_t pad)
{
    mt_conv v = conv_of(channels, filters, groups, in, kernel, stride, pad);
    convolution c = {v, floats(channels * in), floats(filters * channels / groups * kernel),
                     floats(filters * v.window.out_count), NULL};
    bool fast = mt_fast_conv_fits(&v);
    c.packed = floats(fast ? mt_fast_conv_packed_size(&v) : mt_conv_tiles_size(&v));
    if (fast)
        mt_fast_conv_pack(NULL, &v, c.w, c.packed);
    else
        mt_conv_tiles_pack(NULL, &v, c.w, c.packed);
    double operations = 2.0 * (double)(filters * v.window.out_count) * (double)(channels / groups * kernel);
    report(&(job){name, operations, run_convolution, &c}, float_peak);
    mt_free(c.x);
    mt_free(c.w);
    mt_free(c.y);
    mt_free(c.packed);
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
    for (size_t i = 0; i < 4; i++) bench_strassen(shapes[i][0], shapes[i][1], shapes[i][2]);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) bench_bytes(shapes[i][0], shapes[i][1], shapes[i][2]);
    bench_byte_conv("byte conv 512 -> 512, 3 taps / 2, 9599", 512, 512, 1, 9599, 3, 2, 0);
    bench_byte_conv("byte conv 768 -> 768 in 16 groups", 768, 768, 16, 149, 128, 1, 64);
    bench_conv("conv 1 -> 512, 10 taps / 5, 48000", 1, 512, 1, 48000, 10, 5, 0);
    bench_conv("conv 512 -> 512, 3 taps / 2, 9599", 512, 512, 1, 9599, 3, 2, 0);
    bench_conv("conv 512 -> 512, 2 taps / 2, 299", 512, 512, 1, 299, 2, 2, 0);
    bench_conv("conv 768 -> 768 in 16 groups, 128 taps, 149", 768, 768, 16, 149, 128, 1, 64);
    return 0;
}
