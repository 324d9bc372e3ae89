/* kernels: functions against double libm over whole ranges of floats, matrix products and convolutions of random shapes
 * against plain loops in double, with guards around the output, and the same bytes from one thread as from two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/cpu.h"
#include "core/memory.h"
#include "core/pool.h"
#include "kernels/conv.h"
#include "kernels/fast_conv.h"
#include "kernels/conv_norm.h"
#include "kernels/gemm.h"
#include "kernels/math.h"
#include "kernels/rows.h"
#include "kernels/strassen.h"

/* --- help ----------------------------------------------------------------------------------------------------- */

static uint64_t seed = 1;

static uint32_t random_bits(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33);
}

static int64_t random_up_to(int64_t most) /* 1 .. most */
{
    return 1 + random_bits() % most;
}

static float random_float(void)
{
    return (float)(int32_t)(random_bits() << 1) / 2147483648.0f;
}

enum { GUARD = 64 };

/* `count` floats between two guards. */
typedef struct guarded {
    float *all, *values;
    int64_t count;
} guarded;

static guarded guarded_make(int64_t count)
{
    guarded g = {.count = count};
    g.all = mt_alloc((size_t)(count + 2 * GUARD) * sizeof *g.all);
    assert_non_null(g.all);
    g.values = g.all + GUARD;
    for (int64_t i = 0; i < count + 2 * GUARD; i++) g.all[i] = -1234.5f;
    return g;
}

static void guarded_check(const guarded *g)
{
    for (int64_t i = 0; i < GUARD; i++) {
        assert_true(g->all[i] == -1234.5f);
        assert_true(g->values[g->count + i] == -1234.5f);
    }
}

static float *random_floats(int64_t count)
{
    float *values = mt_alloc((size_t)count * sizeof *values);
    assert_non_null(values);
    for (int64_t i = 0; i < count; i++) values[i] = random_float();
    return values;
}

/* Two results of `count` sums of `terms` products of numbers up to 1. */
static void assert_close(const float *got, const double *wanted, int64_t count, int64_t terms)
{
    double allowed = 1e-6 * (double)(terms + 4);
    for (int64_t i = 0; i < count; i++)
        if (!(fabs((double)got[i] - wanted[i]) <= allowed)) {
            print_error("element %ld: %g, expected %g\n", (long)i, (double)got[i], wanted[i]);
            fail();
        }
}

static mt_pool *two_threads(void)
{
    mt_pool *pool;
    assert_int_equal(mt_pool_create(2, &pool), MOTET_OK);
    return pool;
}

/* --- functions ------------------------------------------------------------------------------------------------ */

static double ulps(float got, double exact)
{
    float nearest = (float)exact;
    if (isnan(nearest) || isinf(nearest)) return isnan(nearest) ? !isnan(got) : nearest != got;
    float size = fabsf(nearest) < 1.17549435e-38f ? 1.17549435e-38f : fabsf(nearest);
    return fabs((double)got - exact) / ((double)nextafterf(size, INFINITY) - (double)size);
}

/* The largest error over every 97th float of a range. */
static double worst(float (*f)(float), double (*exact)(double), float low, float high)
{
    double largest = 0;
    for (uint64_t bits = 0; bits < 0x100000000u; bits += 97) {
        float x = mt_bits_to_float((uint32_t)bits);
        if (!(x >= low && x <= high)) continue;
        double error = ulps(f(x), exact((double)x));
        if (error > largest) largest = error;
    }
    return largest;
}

/* The same in absolute terms; infinite where the function leaves its range. */
static double worst_apart(float (*f)(float), double (*exact)(double), float least, float most)
{
    double largest = 0;
    for (uint64_t bits = 0; bits < 0x100000000u; bits += 97) {
        float x = mt_bits_to_float((uint32_t)bits), y = f(x);
        if (isnan(x)) continue;
        double error = y >= least && y <= most ? fabs((double)y - exact((double)x)) : INFINITY;
        if (error > largest) largest = error;
    }
    return largest;
}

static double exact_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static void functions_keep_their_promised_errors(void **state)
{
    (void)state;
    assert_true(worst(mt_expf, exp, -87, 88.72f) <= 1);
    assert_true(worst(mt_tanhf, tanh, -200, 200) <= 2);
    assert_true(worst(mt_erff, erf, -200, 200) <= 2);
    assert_true(worst(mt_sigmoidf, exact_sigmoid, -87, 200) <= 3);
    assert_true(worst_apart(mt_rational_tanhf, tanh, -1.0000003f, 1.0000003f) <= 4e-7);
    assert_true(worst_apart(mt_rational_sigmoidf, exact_sigmoid, 0, 1) <= 2e-7);
}

static void functions_at_the_ends(void **state)
{
    (void)state;
    assert_true(isnan(mt_expf(NAN)) && isnan(mt_tanhf(NAN)) && isnan(mt_erff(NAN)) && isnan(mt_sigmoidf(NAN)));
    assert_true(isnan(mt_rational_tanhf(NAN)) && isnan(mt_rational_sigmoidf(NAN)));
    assert_true(mt_expf(INFINITY) == INFINITY && mt_expf(-INFINITY) == 0);
    assert_true(mt_expf(89) == INFINITY && mt_expf(-200) == 0);
    assert_true(mt_tanhf(INFINITY) == 1 && mt_tanhf(-INFINITY) == -1);
    assert_true(mt_erff(INFINITY) == 1 && mt_erff(-INFINITY) == -1);
    assert_true(mt_sigmoidf(INFINITY) == 1 && mt_sigmoidf(-INFINITY) == 0);
    assert_true(mt_geluf(0) == 0 && mt_geluf(20) == 20);
}

static void halves_come_back(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        uint16_t half = (uint16_t)bits;
        float from_half = mt_half_to_float(half), from_bfloat = mt_bfloat_to_float(half);
        if (isnan(from_half))
            assert_true(isnan(mt_half_to_float(mt_float_to_half(from_half))));
        else
            assert_int_equal(mt_float_to_half(from_half), half);
        if (isnan(from_bfloat))
            assert_true(isnan(mt_bfloat_to_float(mt_float_to_bfloat(from_bfloat))));
        else
            assert_int_equal(mt_float_to_bfloat(from_bfloat), half);
    }
}

static void halves_round_to_even(void **state)
{
    (void)state;
    assert_int_equal(mt_float_to_half(1.0f + 0x1p-11f), 0x3c00);     /* a tie, to the even 1 */
    assert_int_equal(mt_float_to_half(1.0f + 3 * 0x1p-11f), 0x3c02); /* a tie, up to even */
    assert_int_equal(mt_float_to_half(1.0f + 0x1p-11f + 0x1p-20f), 0x3c01);
    assert_int_equal(mt_float_to_half(65519.99f), 0x7bff);
    assert_int_equal(mt_float_to_half(65520.0f), 0x7c00);
    assert_int_equal(mt_float_to_half(0x1p-25f), 0); /* half the smallest subnormal */
    assert_int_equal(mt_float_to_half(0x1.8p-25f), 1);
    /* from double: rounding by way of the nearest float would meet a tie that is none */
    assert_int_equal(mt_float_to_half(mt_double_to_odd_float(1.0 + 0x1p-11 + 0x1p-40)), 0x3c01);
    assert_int_equal(mt_float_to_half(mt_double_to_odd_float(1.0 + 0x1p-11 - 0x1p-40)), 0x3c00);
}

/* --- rows ----------------------------------------------------------------------------------------------------- */

static void rows_of_every_length(void **state)
{
    (void)state;
    for (int64_t n = 1; n < 70; n++) {
        float *x = random_floats(n), *scale = random_floats(n), *bias = random_floats(n);
        guarded y = guarded_make(n);
        double sum = 0, mean = 0, squares = 0, got_mean, got_variance;
        for (int64_t i = 0; i < n; i++) sum += exp((double)x[i]);
        for (int64_t i = 0; i < n; i++) mean += (double)x[i] / (double)n;
        for (int64_t i = 0; i < n; i++) squares += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)n;
        mt_softmax_row(y.values, x, n);
        for (int64_t i = 0; i < n; i++) assert_true(fabs((double)y.values[i] - exp((double)x[i]) / sum) < 1e-6);
        mt_row_moments(x, n, &got_mean, &got_variance);
        assert_true(fabs(got_mean - mean) < 1e-12 && fabs(got_variance - squares) < 1e-12);
        mt_row_affine(y.values, x, n, 0.5f, 2, scale, bias);
        for (int64_t i = 0; i < n; i++) assert_true(y.values[i] == (x[i] - 0.5f) * 2 * scale[i] + bias[i]);
        guarded_check(&y);
        mt_free(x);
        mt_free(scale);
        mt_free(bias);
        mt_free(y.all);
    }
}

/* Infinite and missing numbers, and quotients that are nearly 0. */
static void softmax_at_the_ends(void **state)
{
    (void)state;
    for (int n = 1; n < 40; n++) {
        float x[40], y[40];
        for (int i = 0; i < n; i++) x[i] = -INFINITY;
        mt_softmax_row(y, x, n);
        for (int i = 0; i < n; i++) assert_true(isnan(y[i]));
        x[n / 2] = 3;
        mt_softmax_row(y, x, n);
        for (int i = 0; i < n; i++) assert_true(y[i] == (i == n / 2));
        for (int i = 0; i < n; i++) x[i] = 1000 - 3 * (float)i;
        mt_softmax_row(y, x, n);
        for (int i = 0; i < n; i++) {
            double exact = exp(-3.0 * i) * (1 - exp(-3)) / (1 - exp(-3.0 * n));
            assert_true(fabs((double)y[i] - exact) <= 1e-6 * exact + 1e-44);
        }
        x[n - 1] = NAN;
        mt_softmax_row(y, x, n);
        for (int i = 0; i < n; i++) assert_true(isnan(y[i]));
    }
}

/* A mean that is large against the spread, where E[x^2] - E[x]^2 in float32 would be noise. */
static void moments_do_not_cancel(void **state)
{
    (void)state;
    float x[1000];
    double mean, variance;
    for (int i = 0; i < 1000; i++) x[i] = 10000 + (float)(i % 2);
    mt_row_moments(x, 1000, &mean, &variance);
    assert_true(fabs(mean - 10000.5) < 1e-9 && fabs(variance - 0.25) < 1e-9);
}

/* --- activations ---------------------------------------------------------------------------------------------- */

/* At most two units in the last place of x, which is as much as the usual formula loses near -1. */
static void gelu_is_the_exact_one(void **state)
{
    (void)state;
    mt_activation gelu = mt_activation_find("Gelu");
    for (uint64_t bits = 0; bits < 0x100000000u; bits += 991) {
        float x = mt_bits_to_float((uint32_t)bits), y = x;
        if (!(fabsf(x) < 1000)) continue;
        gelu(&y, 1);
        double exact = 0.5 * (double)x * erfc(-(double)x * 0.70710678118654752);
        assert_true(fabs((double)y - exact) <= 0x1p-23 * fabs((double)x) + 1e-40);
    }
    float ends[] = {0, 20, INFINITY, NAN};
    gelu(ends, 4);
    assert_true(ends[0] == 0 && ends[1] == 20 && ends[2] == INFINITY && isnan(ends[3]));
}

static void activations_of_every_length(void **state)
{
    (void)state;
    mt_activation gelu = mt_activation_find("Gelu"), relu = mt_activation_find("Relu");
    for (int64_t n = 0; n < 70; n++) {
        guarded y = guarded_make(n), z = guarded_make(n);
        for (int64_t i = 0; i < n; i++) y.values[i] = z.values[i] = 8 * random_float();
        float *x = mt_alloc((size_t)(n + 1) * sizeof *x);
        assert_non_null(x);
        memcpy(x, y.values, (size_t)n * sizeof *x);
        gelu(y.values, n);
        relu(z.values, n);
        for (int64_t i = 0; i < n; i++) {
            assert_true(fabsf(y.values[i] - mt_geluf(x[i])) <= 1e-6f);
            assert_true(z.values[i] == (x[i] > 0 ? x[i] : 0));
        }
        guarded_check(&y);
        guarded_check(&z);
        mt_free(x);
        mt_free(y.all);
        mt_free(z.all);
    }
}

/* --- products ------------------------------------------------------------------------------------------------- */

static void plain_gemm(const mt_gemm *s, const float *a, const float *b, const float *before, double *c)
{
    for (int64_t i = 0; i < s->m; i++)
        for (int64_t j = 0; j < s->n; j++) {
            double sum = 0;
            for (int64_t k = 0; k < s->k; k++)
                sum += (double)(s->a_transposed ? a[k * s->lda + i] : a[i * s->lda + k]) *
                       (double)(s->b_transposed ? b[j * s->ldb + k] : b[k * s->ldb + j]);
            c[i * s->n + j] = s->alpha * sum + s->beta * (double)before[i * s->ldc + j];
        }
}

static void check_gemm(mt_pool *pool, const mt_gemm *s)
{
    int64_t a_count = (s->a_transposed ? s->k : s->m) * s->lda, b_count = (s->b_transposed ? s->n : s->k) * s->ldb;
    float *a = random_floats(a_count), *b = random_floats(b_count), *before = random_floats(s->m * s->ldc);
    double *wanted = mt_alloc((size_t)(s->m * s->n) * sizeof *wanted);
    guarded c = guarded_make(s->m * s->ldc), again = guarded_make(s->m * s->ldc);
    memcpy(c.values, before, (size_t)c.count * sizeof *before);
    memcpy(again.values, before, (size_t)c.count * sizeof *before);
    plain_gemm(s, a, b, before, wanted);
    mt_sgemm(NULL, s, a, b, c.values);
    mt_sgemm(pool, s, a, b, again.values);
    for (int64_t i = 0; i < s->m; i++) {
        assert_close(c.values + i * s->ldc, wanted + i * s->n, s->n, s->k);
        for (int64_t j = s->n; j < s->ldc; j++) assert_true(c.values[i * s->ldc + j] == before[i * s->ldc + j]);
    }
    assert_memory_equal(c.values, again.values, (size_t)c.count * sizeof *before);
    guarded_check(&c);
    guarded_check(&again);
    mt_free(a);
    mt_free(b);
    mt_free(before);
    mt_free(wanted);
    mt_free(c.all);
    mt_free(again.all);
}

static void products_of_random_shapes(void **state)
{
    (void)state;
    mt_pool *pool = two_threads();
    for (int round = 0; round < 400; round++) {
        int64_t most = round % 20 ? 40 : 400;
        mt_gemm s = mt_gemm_plain(random_up_to(most), random_up_to(most), random_up_to(most));
        if (round % 5 == 0) s.m = 1;
        if (round % 7 == 0) s.n = 1;
        s.a_transposed = round & 1;
        s.b_transposed = round & 2;
        s.lda = (s.a_transposed ? s.m : s.k) + random_bits() % 3;
        s.ldb = (s.b_transposed ? s.k : s.n) + random_bits() % 3;
        if (round % 9 == 0) s.ldb = (s.ldb + 1023) / 1024 * 1024; /* rows meet in a few sets of the caches */
        s.ldc = s.n + random_bits() % 3;
        s.alpha = round % 3 ? 1 : 0.5;
        s.beta = round % 4 ? 0 : -2;
        check_gemm(pool, &s);
    }
    mt_pool_destroy(pool);
}

static void negate(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = -x[i];
}

/* Packed or not, with one row or with many, an element is the same chain of operations; and the epilogue. */
static void packed_products_are_the_same(void **state)
{
    (void)state;
    for (int round = 0; round < 60; round++) {
        mt_gemm s =
            mt_gemm_plain(random_up_to(40), random_up_to(round % 3 ? 100 : 500), random_up_to(round % 10 ? 70 : 1100));
        s.b_transposed = round & 1;
        s.ldb = s.b_transposed ? s.k : s.n;
        float *a = random_floats(s.m * s.k), *b = random_floats(s.n * s.k), *bias = random_floats(s.n);
        float *plain = random_floats(s.m * s.n);
        guarded packed = guarded_make(mt_sgemm_packed_size(&s)), c = guarded_make(s.m * s.n);
        mt_sgemm(NULL, &s, a, b, plain);
        mt_sgemm_pack(NULL, &s, b, packed.values);
        guarded_check(&packed);
        mt_gemm again = s;
        again.b_packed = true;
        mt_sgemm(NULL, &again, a, packed.values, c.values);
        assert_memory_equal(c.values, plain, (size_t)c.count * sizeof *plain);
        for (again.m = 1; again.m <= s.m && again.m <= MT_TILE_FEW_ROWS; again.m++) {
            mt_sgemm(NULL, &again, a + (s.m - again.m) * s.k, packed.values, c.values);
            assert_memory_equal(c.values, plain + (s.m - again.m) * s.n, (size_t)(again.m * s.n) * sizeof *plain);
        }
        again.m = s.m;
        again.epilogue = (mt_epilogue){.column_bias = bias, .activate = negate};
        mt_sgemm(NULL, &again, a, packed.values, c.values);
        for (int64_t i = 0; i < s.m * s.n; i++) assert_true(c.values[i] == -(plain[i] + bias[i % s.n]));
        guarded_check(&c);
        mt_free(a);
        mt_free(b);
        mt_free(bias);
        mt_free(plain);
        mt_free(packed.all);
        mt_free(c.all);
    }
}

static void a_product_without_terms_is_zero(void **state)
{
    (void)state;
    float c[6] = {1, 1, 1, 1, 1, 1};
    mt_gemm s = mt_gemm_plain(2, 3, 0);
    mt_sgemm(NULL, &s, c, c, c);
    for (int i = 0; i < 6; i++) assert_true(c[i] == 0);
}

/* --- convolution ---------------------------------------------------------------------------------------------- */

/* Position along `axis` of flat position `at`. */
static int64_t coordinate(int axes, const int64_t *sizes, int axis, int64_t at)
{
    for (int i = axes - 1; i > axis; i--) at /= sizes[i];
    return at % sizes[axis];
}

static void plain_conv(const mt_conv *v, const float *x, const float *w, const float *bias, double *y)
{
    const mt_window *s = &v->window;
    for (int64_t i = 0; i < v->batch * v->groups * v->out_channels * s->out_count; i++) {
        int64_t o = i % s->out_count, filter = i / s->out_count % (v->groups * v->out_channels);
        int64_t unit = i / s->out_count / v->out_channels;
        double sum = bias ? (double)bias[filter] : 0;
        for (int64_t k = 0; k < v->in_channels * s->taps; k++) {
            int64_t at = 0;
            for (int axis = 0; axis < s->axes && at >= 0; axis++) {
                int64_t p = coordinate(s->axes, s->out, axis, o) * s->stride[axis] +
                            coordinate(s->axes, s->kernel, axis, k % s->taps) * s->dilation[axis] - s->before[axis];
                at = p < 0 || p >= s->in[axis] ? -1 : at * s->in[axis] + p;
            }
            if (at < 0) continue;
            sum += (double)x[(unit * v->in_channels + k / s->taps) * s->in_count + at] *
                   (double)w[filter * v->in_channels * s->taps + k];
        }
        y[i] = sum;
    }
}

static void finish_window(mt_window *w)
{
    w->in_count = w->out_count = w->taps = 1;
    for (int i = 0; i < w->axes; i++) {
        int64_t extent = (w->kernel[i] - 1) * w->dilation[i] + 1, least = extent - w->before[i] - w->after[i];
        if (w->in[i] < least) w->in[i] = least;
        w->out[i] = (w->in[i] + w->before[i] + w->after[i] - extent) / w->stride[i] + 1;
        w->in_count *= w->in[i];
        w->out_count *= w->out[i];
        w->taps *= w->kernel[i];
    }
}

/* The same bytes from packed weights, where k is cut into the same slices. */
static void check_short(mt_pool *pool, const mt_conv *v, const float *x, const float *w, const float *bias,
                        const float *wanted)
{
    guarded packed = guarded_make(mt_conv_packed_size(v)), room = guarded_make(mt_conv_room(v));
    guarded y = guarded_make(v->batch * v->groups * v->out_channels * v->window.out_count);
    mt_conv_pack(pool, v, w, packed.values);
    mt_conv_run_short(pool, v, x, packed.values, bias, NULL, room.values, y.values);
    assert_memory_equal(y.values, wanted, (size_t)y.count * sizeof *wanted);
    guarded_check(&packed);
    guarded_check(&room);
    guarded_check(&y);
    mt_free(packed.all);
    mt_free(room.all);
    mt_free(y.all);
}

/* Also from filters in tiles. */
static void check_tiles(mt_pool *pool, const mt_conv *v, const float *x, const float *w, const float *bias,
                        const float *wanted)
{
    guarded packed = guarded_make(mt_conv_tiles_size(v));
    guarded y = guarded_make(v->batch * v->groups * v->out_channels * v->window.out_count);
    mt_conv_tiles_pack(pool, v, w, packed.values);
    mt_conv_run_tiles(pool, v, x, packed.values, bias, NULL, y.values);
    assert_memory_equal(y.values, wanted, (size_t)y.count * sizeof *wanted);
    guarded_check(&packed);
    guarded_check(&y);
    mt_free(packed.all);
    mt_free(y.all);
}

static void check_conv(mt_pool *pool, const mt_conv *v, bool with_bias)
{
    const mt_window *s = &v->window;
    int64_t filters = v->groups * v->out_channels, outputs = v->batch * filters * s->out_count;
    float *x = random_floats(v->batch * v->groups * v->in_channels * s->in_count);
    float *w = random_floats(filters * v->in_channels * s->taps), *bias = with_bias ? random_floats(filters) : NULL;
    double *wanted = mt_alloc((size_t)outputs * sizeof *wanted);
    guarded y = guarded_make(outputs), again = guarded_make(outputs);
    plain_conv(v, x, w, bias, wanted);
    mt_conv_run(NULL, v, x, w, bias, NULL, y.values);
    mt_conv_run(pool, v, x, w, bias, NULL, again.values);
    assert_close(y.values, wanted, outputs, v->in_channels * s->taps);
    assert_memory_equal(y.values, again.values, (size_t)outputs * sizeof *y.values);
    guarded_check(&y);
    guarded_check(&again);
    if (mt_conv_is_short(v) && !mt_window_is_long(s)) check_short(pool, v, x, w, bias, y.values);
    if (mt_conv_has_tiles(v)) check_tiles(pool, v, x, w, bias, y.values);
    mt_free(x);
    mt_free(w);
    mt_free(bias);
    mt_free(wanted);
    mt_free(y.all);
    mt_free(again.all);
}

static void convolutions_of_random_shapes(void **state)
{
    (void)state;
    mt_pool *pool = two_threads();
    for (int round = 0; round < 600; round++) {
        mt_conv v = {.batch = random_up_to(2), .groups = round % 3 ? 1 : random_up_to(5)};
        v.in_channels = round % 4 ? random_up_to(9) : 1;
        v.out_channels = round % 4 ? random_up_to(round % 7 ? 9 : 150) : random_up_to(2);
        v.window.axes = 1 + round % 3;
        for (int i = 0; i < v.window.axes; i++) {
            bool pointwise = round % 6 == 5;
            v.window.in[i] = random_up_to(v.window.axes == 1 ? 200 : 12);
            v.window.kernel[i] = pointwise ? 1 : random_up_to(5);
            v.window.stride[i] = pointwise ? 1 : random_up_to(3);
            v.window.dilation[i] = random_up_to(3);
            v.window.before[i] = pointwise ? 0 : random_bits() % 7;
            v.window.after[i] = pointwise ? 0 : random_bits() % 7;
        }
        finish_window(&v.window);
        check_conv(pool, &v, round % 2);
    }
    mt_pool_destroy(pool);
}

/* Many positions; and many taps without a stride, as in positional convolutions. */
static void long_convolutions(void **state)
{
    (void)state;
    mt_pool *pool = two_threads();
    for (int round = 0; round < 24; round++) {
        mt_conv l = {.batch = random_up_to(2), .groups = random_up_to(3)};
        l.in_channels = random_up_to(round % 5 ? 5 : 40); /* in one slice or several */
        l.out_channels = random_up_to(30);
        l.window = (mt_window){.axes = 1, .in = {random_up_to(round % 4 ? 300 : 1300)}, .stride = {1}};
        l.window.kernel[0] = 31 + random_up_to(120);
        l.window.dilation[0] = round % 3 ? 1 : random_up_to(4);
        l.window.before[0] = random_bits() % 150;
        l.window.after[0] = random_bits() % 150;
        finish_window(&l.window);
        check_conv(pool, &l, round & 1);
    }
    mt_conv v = {.batch = 1, .groups = 1, .in_channels = 64, .out_channels = 3};
    v.window = (mt_window){.axes = 1, .in = {30000}, .kernel = {5}, .stride = {2}, .dilation = {1}, .before = {3}};
    finish_window(&v.window);
    check_conv(pool, &v, true);
    mt_pool_destroy(pool);
}

/* --- convolutions whose channels are normalised --------------------------------------------------------------- */

/* The same bytes as from a convolution and a normalisation one after the other. */
static void check_conv_norm(mt_pool *pool, const mt_conv *v, bool with_bias, bool with_factors)
{
    int64_t filters = v->groups * v->out_channels, n = v->window.out_count, outputs = v->batch * filters * n;
    float *x = random_floats(v->batch * v->groups * v->in_channels * v->window.in_count);
    float *w = random_floats(filters * v->in_channels * v->window.taps), *wanted = random_floats(outputs);
    float *each = random_floats(4 * filters);
    mt_conv_norm norm = {.conv = v, .x = x, .weights = w, .epsilon = 1e-5, .scale = each, .shift = each + filters};
    if (with_bias) norm.bias = each + 2 * filters;
    if (with_factors) norm.factors = each + 3 * filters;
    norm.activate = mt_activation_find("Gelu");
    mt_conv_run(NULL, v, x, w, with_factors ? NULL : norm.bias, NULL, wanted);
    for (int64_t i = 0; i < v->batch * filters; i++) {
        double mean, variance;
        float *row = wanted + i * n;
        for (int64_t j = 0; j < n && with_factors; j++)
            row[j] = row[j] * norm.factors[i % filters] + (with_bias ? norm.bias[i % filters] : 0);
        mt_row_moments(row, n, &mean, &variance);
        float factor = (float)(1 / sqrt(variance + 1e-5) * (double)norm.scale[i % filters]);
        mt_row_shift(row, row, n, (float)mean, factor, norm.shift[i % filters]);
        norm.activate(row, n);
    }
    guarded y = guarded_make(outputs), again = guarded_make(outputs), room = guarded_make(mt_conv_norm_room(v));
    norm.y = y.values;
    mt_conv_norm_run(NULL, &norm, room.values);
    guarded ranges = guarded_make(2 * v->batch * filters);
    norm.y = again.values;
    norm.ranges = ranges.values;
    mt_conv_norm_run(pool, &norm, room.values);
    for (int64_t i = 0; i < v->batch * filters; i++) {
        float least = 0, most = 0;
        for (int64_t j = 0; j < n; j++) least = fminf(least, wanted[i * n + j]), most = fmaxf(most, wanted[i * n + j]);
        assert_true(ranges.values[2 * i] == least && ranges.values[2 * i + 1] == most);
    }
    assert_memory_equal(y.values, wanted, (size_t)outputs * sizeof *wanted);
    assert_memory_equal(again.values, wanted, (size_t)outputs * sizeof *wanted);
    guarded_check(&y);
    guarded_check(&again);
    guarded_check(&room);
    guarded_check(&ranges);
    mt_free(x);
    mt_free(w);
    mt_free(wanted);
    mt_free(each);
    mt_free(ranges.all);
    mt_free(y.all);
    mt_free(again.all);
    mt_free(room.all);
}

static void convolutions_with_normalised_channels(void **state)
{
    (void)state;
    mt_pool *pool = two_threads();
    for (int round = 0; round < 100; round++) {
        mt_conv v = {.batch = random_up_to(2), .groups = random_up_to(3), .in_channels = random_up_to(3)};
        v.out_channels = 2 + random_up_to(40); /* fewer may be filtered, in another order */
        v.window = (mt_window){.axes = 1, .in = {random_up_to(300)}, .kernel = {random_up_to(10)}};
        v.window.stride[0] = random_up_to(6);
        v.window.dilation[0] = random_up_to(2);
        v.window.before[0] = random_bits() % 12;
        v.window.after[0] = random_bits() % 12;
        finish_window(&v.window);
        check_conv_norm(pool, &v, round & 1, round & 2);
    }
    mt_pool_destroy(pool);
}

/* --- convolutions with fewer multiplications ------------------------------------------------------------------ */

static mt_conv three_taps(int64_t channels, int64_t filters, int64_t in, int64_t stride)
{
    mt_conv v = {.batch = 1, .groups = 1, .in_channels = channels, .out_channels = filters};
    v.window = (mt_window){.axes = 1, .in = {in}, .kernel = {3}, .stride = {stride}, .dilation = {1}};
    finish_window(&v.window);
    return v;
}

/* The largest error, in standard deviations of what is wanted. */
static double largest_error(const float *got, const double *wanted, int64_t count)
{
    double largest = 0, sum = 0, squares = 0;
    for (int64_t i = 0; i < count; i++) {
        largest = fmax(largest, fabs((double)got[i] - wanted[i]));
        sum += wanted[i];
        squares += wanted[i] * wanted[i];
    }
    return largest / sqrt(squares / (double)count - sum * sum / (double)count / (double)count);
}

static double check_fast(mt_pool *pool, const mt_conv *v, bool with_bias)
{
    const mt_window *s = &v->window;
    int64_t filters = v->groups * v->out_channels, outputs = v->batch * filters * s->out_count;
    float *x = random_floats(v->batch * v->groups * v->in_channels * s->in_count);
    float *w = random_floats(filters * v->in_channels * s->taps), *bias = with_bias ? random_floats(filters) : NULL;
    double *wanted = mt_alloc((size_t)outputs * sizeof *wanted);
    guarded packed = guarded_make(mt_fast_conv_packed_size(v)), y = guarded_make(outputs),
            again = guarded_make(outputs);
    plain_conv(v, x, w, bias, wanted);
    mt_fast_conv_pack(pool, v, w, packed.values);
    mt_fast_conv_run(NULL, v, x, packed.values, bias, NULL, y.values);
    mt_fast_conv_run(pool, v, x, packed.values, bias, negate, again.values);
    assert_close(y.values, wanted, outputs, v->in_channels * s->taps);
    for (int64_t i = 0; i < outputs; i++) assert_true(again.values[i] == -y.values[i]);
    guarded_check(&packed);
    guarded_check(&y);
    guarded_check(&again);
    double error = largest_error(y.values, wanted, outputs);
    mt_free(x);
    mt_free(w);
    mt_free(bias);
    mt_free(wanted);
    mt_free(packed.all);
    mt_free(y.all);
    mt_free(again.all);
    return error;
}

static void fast_convolutions_of_random_shapes(void **state)
{
    (void)state;
    mt_pool *pool = two_threads();
    for (int round = 0; round < 80; round++) {
        bool deep = round % 20 == 0; /* channels in slices */
        mt_conv v = three_taps(deep ? 500 + random_up_to(600) : random_up_to(20), random_up_to(deep ? 15 : 40),
                               random_up_to(deep        ? 50
                                            : round % 3 ? 300
                                                        : 900),
                               1 + round % 2);
        v.batch = random_up_to(2);
        v.groups = random_up_to(2);
        v.window.before[0] = random_bits() % 5;
        v.window.after[0] = random_bits() % 5;
        finish_window(&v.window);
        check_fast(pool, &v, round % 4 > 1);
    }
    mt_pool_destroy(pool);
}

static void fast_convolutions_keep_their_promised_errors(void **state)
{
    (void)state;
    mt_conv one = three_taps(512, 24, 200, 1), two = three_taps(512, 24, 400, 2);
    assert_true(check_fast(NULL, &one, false) < 2e-5);
    assert_true(check_fast(NULL, &two, false) < 2e-5);
}

/* Few channels, filters or positions, or a panel hardly filled, are not worth it. */
static void fast_convolutions_fit_large_shapes(void **state)
{
    (void)state;
    static const struct {
        int64_t channels, filters, in, stride;
        bool fits;
    } cases[] = {{512, 512, 9599, 2, true},  {512, 512, 1199, 2, true}, {256, 256, 1000, 1, true},
                 {512, 512, 9599, 3, false}, {512, 512, 70, 2, false},  {3, 512, 9599, 2, false},
                 {512, 3, 9599, 2, false},   {512, 512, 265, 2, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mt_conv v = three_taps(cases[i].channels, cases[i].filters, cases[i].in, cases[i].stride);
        assert_int_equal(mt_fast_conv_fits(&v), cases[i].fits);
        v.window.dilation[0] = 2;
        finish_window(&v.window);
        assert_false(mt_fast_conv_fits(&v));
    }
}

/* --- products with fewer multiplications ---------------------------------------------------------------------- */

/* `count` products of rows that lie `apart` further than they must, alone and with an epilogue, against the plain one.
 */
static double check_strassen(mt_pool *pool, int64_t m, int64_t n, int64_t k, int64_t apart, int count)
{
    enum { MOST = 3 };
    mt_gemm s = mt_gemm_plain(m, n, k);
    double *wanted = mt_alloc((size_t)(m * n) * sizeof *wanted), worst_of_all = 0;
    guarded packed[MOST], room = guarded_make(mt_strassen_room(&s)), c[MOST], again[MOST];
    float *a, *b[MOST], *bias = random_floats(n), *made[MOST];
    const float *weights[MOST], *biases[] = {bias, NULL, bias};
    s.lda += apart;
    s.ldc += apart;
    a = random_floats(m * s.lda);
    for (int i = 0; i < count; i++) {
        b[i] = random_floats(n * k);
        packed[i] = guarded_make(mt_sgemm_packed_size(&s));
        mt_sgemm_pack(NULL, &s, b[i], packed[i].values);
        weights[i] = packed[i].values;
        c[i] = guarded_make(m * s.ldc);
        again[i] = guarded_make(m * s.ldc);
        made[i] = c[i].values;
    }
    s.b_packed = true;
    mt_strassen_run(NULL, &s, count, a, weights, room.values, made);
    for (int i = 0; i < count; i++) made[i] = again[i].values;
    s.b_packed = false;
    mt_strassen_run(pool, &s, count, a, (const float *const *)b, room.values, made);
    for (int i = 0; i < count; i++)
        assert_memory_equal(again[i].values, c[i].values, (size_t)c[i].count * sizeof(float));
    s.b_packed = true;
    s.epilogue = (mt_epilogue){.column_biases = biases, .activate = negate};
    mt_strassen_run(pool, &s, count, a, weights, room.values, made);
    guarded_check(&room);
    for (int i = 0; i < count; i++) {
        mt_gemm plain = s;
        plain.b_packed = false;
        plain_gemm(&plain, a, b[i], c[i].values, wanted);
        for (int64_t row = 0; row < m; row++) {
            const float *own = c[i].values + row * s.ldc, *other = again[i].values + row * s.ldc;
            assert_close(own, wanted + row * n, n, k);
            worst_of_all = fmax(worst_of_all, largest_error(own, wanted + row * n, n));
            for (int64_t j = 0; j < n; j++) assert_true(other[j] == -(own[j] + (biases[i] ? bias[j] : 0)));
            for (int64_t j = n; j < s.ldc; j++) assert_true(own[j] == -1234.5f && other[j] == -1234.5f);
        }
        guarded_check(&c[i]);
        guarded_check(&again[i]);
        mt_free(b[i]);
        mt_free(packed[i].all);
        mt_free(c[i].all);
        mt_free(again[i].all);
    }
    mt_free(a);
    mt_free(bias);
    mt_free(wanted);
    mt_free(room.all);
    return worst_of_all;
}

/* Rows beyond the halves or none, several blocks of rows, slices of k of two lengths. */
static void strassen_of_random_shapes(void **state)
{
    (void)state;
    mt_pool *pool = two_threads();
    for (int round = 0; round < 24; round++) {
        int64_t m = 23 + random_up_to(round % 6 ? 70 : 600), n = 64 * random_up_to(round % 6 ? 4 : 2);
        int64_t k = 2 * random_up_to(round % 8 ? 60 : 2000);
        check_strassen(pool, m, n, k, round % 3, (int)random_up_to(3));
    }
    mt_pool_destroy(pool);
}

static void strassen_keeps_its_promised_error(void **state)
{
    (void)state;
    assert_true(check_strassen(NULL, 149, 64, 768, 0, 1) < 2e-5);
}

static void strassen_fits_large_shapes(void **state)
{
    (void)state;
    static const struct {
        int64_t m, n, k;
        bool fits;
    } cases[] = {{149, 768, 768, true},  {149, 3072, 768, true}, {149, 768, 3072, true}, {499, 512, 512, true},
                 {149, 700, 768, false}, {149, 768, 769, false}, {32, 768, 768, false},  {149, 64, 768, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mt_gemm s = mt_gemm_plain(cases[i].m, cases[i].n, cases[i].k);
        assert_int_equal(mt_strassen_fits(&s), cases[i].fits);
        s.b_transposed = true;
        assert_false(mt_strassen_fits(&s));
        s.b_packed = true;
        assert_int_equal(mt_strassen_fits(&s), cases[i].fits);
        s.beta = 1;
        assert_false(mt_strassen_fits(&s));
    }
}

/* --- every level ---------------------------------------------------------------------------------------------- */

/* The group once for every level that this processor has. */
static int at_level(mt_cpu level, const struct CMUnitTest *tests, size_t count)
{
    if (!mt_cpu_has(level)) return 0;
    mt_cpu_force(level);
    return _cmocka_run_group_tests(mt_cpu_name(level), tests, count, NULL, NULL);
}

int main(void)
{
    static const struct CMUnitTest levelled[] = {
        cmocka_unit_test(products_of_random_shapes),
        cmocka_unit_test(a_product_without_terms_is_zero),
        cmocka_unit_test(packed_products_are_the_same),
        cmocka_unit_test(convolutions_of_random_shapes),
        cmocka_unit_test(long_convolutions),
        cmocka_unit_test(convolutions_with_normalised_channels),
        cmocka_unit_test(rows_of_every_length),
        cmocka_unit_test(softmax_at_the_ends),
        cmocka_unit_test(gelu_is_the_exact_one),
        cmocka_unit_test(activations_of_every_length),
        cmocka_unit_test(fast_convolutions_of_random_shapes),
        cmocka_unit_test(fast_convolutions_keep_their_promised_errors),
        cmocka_unit_test(strassen_of_random_shapes),
        cmocka_unit_test(strassen_keeps_its_promised_error),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_keep_their_promised_errors),
        cmocka_unit_test(functions_at_the_ends),
        cmocka_unit_test(halves_come_back),
        cmocka_unit_test(halves_round_to_even),
        cmocka_unit_test(moments_do_not_cancel),
        cmocka_unit_test(fast_convolutions_fit_large_shapes),
        cmocka_unit_test(strassen_fits_large_shapes),
    };
    int failed = cmocka_run_group_tests_name("kernels", tests, NULL, NULL);
    for (int level = 0; level < MT_CPU_LEVELS; level++)
        failed += at_level((mt_cpu)level, levelled, sizeof levelled / sizeof *levelled);
    return failed;
}
