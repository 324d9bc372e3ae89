/* The byte kernels at every level that the processor has: products and convolutions of random shapes and signs against
 * plain loops over integers, exactly, with guards around what is written, and the same from one thread as from two. */
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
#include "kernels/bytes.h"

static uint64_t seed = 7;

static uint32_t random_bits(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33);
}

static int64_t random_up_to(int64_t most) /* 1 .. most */
{
    return 1 + random_bits() % most;
}

enum { GUARD = 64, MOST = 600 /* rows, columns or filters */ };

/* `size` bytes between two guards. */
static uint8_t *guarded_make(int64_t size)
{
    uint8_t *all = mt_alloc_aligned((size_t)size + 2 * GUARD);
    assert_non_null(all);
    memset(all, 0x5a, (size_t)size + 2 * GUARD);
    return all + GUARD;
}

static void guarded_end(uint8_t *bytes, int64_t size)
{
    for (int i = 0; i < GUARD; i++) assert_true(bytes[i - GUARD] == 0x5a && bytes[size + i] == 0x5a);
    mt_free(bytes - GUARD);
}

/* Mostly the largest and the smallest: what saturates anywhere, saturates here. */
static uint8_t *random_bytes(int64_t count)
{
    static const uint8_t extreme[] = {0x00, 0x7f, 0x80, 0xff};
    uint8_t *bytes = guarded_make(count);
    bool wild = random_bits() % 2;
    for (int64_t i = 0; i < count; i++) bytes[i] = wild ? extreme[random_bits() % 4] : (uint8_t)random_bits();
    return bytes;
}

static int32_t value_of(uint8_t byte, bool is_signed)
{
    return is_signed ? (int8_t)byte : byte;
}

/* Zero points of `count` rows or columns within the type, and as the kernel wants them. */
typedef struct zeros {
    int32_t plain[MOST], moved[MOST];
    bool many;
} zeros;

static void make_zeros(zeros *z, int64_t count, bool is_signed, int32_t shift)
{
    z->many = random_bits() % 2;
    int32_t same = random_bits() % 3 ? (int32_t)(random_bits() % 256) - (is_signed ? 128 : 0) : 0;
    for (int64_t i = 0; i < count; i++) {
        z->plain[i] = z->many ? (int32_t)(random_bits() % 256) - (is_signed ? 128 : 0) : same;
        z->moved[i] = z->plain[i] + shift;
    }
}

static float random_scale(void)
{
    return (float)random_up_to(1000) * 1e-5f;
}

static void negate(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = -x[i];
}

static mt_pool *two_threads(void)
{
    mt_pool *pool;
    assert_int_equal(mt_pool_create(2, &pool), MOTET_OK);
    return pool;
}

/* --- products ------------------------------------------------------------------------------------------------- */

static void check_product(mt_pool *pool, int64_t m, int64_t n, int64_t k, bool a_signed, bool b_signed)
{
    int64_t row = mt_byte_row(k), packed_size = mt_byte_packed_size(k, n);
    uint8_t *a = random_bytes(m * row), *b = random_bytes(k * n), *packed = guarded_make(packed_size);
    uint8_t *c = guarded_make(m * n * 4), *again = guarded_make(m * n * 4), *unsigned_a = guarded_make(m * row);
    int32_t *sums = mt_alloc_zero((size_t)m, sizeof *sums);
    float *scale = mt_alloc_array((size_t)n, sizeof *scale), *bias = mt_alloc_array((size_t)n, sizeof *bias);
    static zeros za, zb;
    make_zeros(&za, m, a_signed, a_signed ? 128 : 0);
    make_zeros(&zb, n, b_signed, b_signed ? 0 : -128);
    for (int64_t i = 0; i < m * row; i++) unsigned_a[i] = a[i] ^ (a_signed ? 0x80 : 0);
    for (int64_t i = 0; i < m * k; i++) sums[i / k] += unsigned_a[i / k * row + i % k];
    for (int64_t j = 0; j < n; j++) scale[j] = random_scale(), bias[j] = random_scale();
    mt_byte_pack(pool, k, n, b, b_signed ? 0 : 0x80, packed);

    mt_byte_gemm g = {.m = m, .n = n, .k = k, .lda = row, .a_sums = sums};
    g.result.a_zero = (mt_byte_list){za.moved, za.many, 0};
    g.result.b_zero = (mt_byte_list){zb.moved, 0, zb.many};
    const uint8_t *rows = unsigned_a;
    const void *weights = packed;
    void *results[] = {c, again};
    mt_byte_gemm_run(NULL, &g, 1, &rows, &weights, &results[0]);
    mt_byte_gemm_run(pool, &g, 1, &rows, &weights, &results[1]);
    assert_memory_equal(c, again, (size_t)(m * n * 4));
    for (int64_t i = 0; i < m * n; i++) {
        int64_t sum = 0;
        for (int64_t x = 0; x < k; x++)
            sum += (int64_t)(value_of(a[i / n * row + x], a_signed) - za.plain[i / n]) *
                   (value_of(b[x * n + i % n], b_signed) - zb.plain[i % n]);
        assert_int_equal(((int32_t *)c)[i], (int32_t)(uint32_t)(uint64_t)sum);
    }
    for (int kind = 0; kind < 6; kind++) {
        bool many_scales = kind % 2, many_biases = kind / 2 == 1, no_bias = kind / 2 == 2;
        g.result.scale = (mt_byte_list){scale, 0, many_scales};
        g.result.bias = no_bias ? (mt_byte_list){0} : (mt_byte_list){bias, 0, many_biases};
        g.result.activate = kind == 3 ? negate : NULL;
        mt_byte_gemm_run(pool, &g, 1, &rows, &weights, &results[1]);
        for (int64_t i = 0; i < m * n; i++) {
            float wanted = (float)((int32_t *)c)[i] * scale[many_scales ? i % n : 0];
            if (!no_bias) wanted += bias[many_biases ? i % n : 0];
            assert_true(((float *)again)[i] == (kind == 3 ? -wanted : wanted));
        }
    }
    guarded_end(a, m * row);
    guarded_end(b, k * n);
    guarded_end(packed, packed_size);
    guarded_end(c, m * n * 4);
    guarded_end(again, m * n * 4);
    guarded_end(unsigned_a, m * row);
    mt_free(sums);
    mt_free(scale);
    mt_free(bias);
}

static void products_of_bytes(void **state)
{
    (void)state;
    mt_pool *pool = two_threads();
    for (int round = 0; round < 80; round++)
        check_product(pool, random_up_to(30), random_up_to(90), random_up_to(round % 8 ? 70 : 2500), round & 1,
                      round & 2);
    for (int round = 0; round < 20; round++) /* a few rows, and many panels */
        check_product(pool, random_up_to(4), random_up_to(500), random_up_to(70), round & 1, round & 2);
    check_product(pool, 150, 300, 96, true, true);
    mt_pool_destroy(pool);
}

/* --- convolutions --------------------------------------------------------------------------------------------- */

static int64_t coordinate(int axes, const int64_t *sizes, int axis, int64_t at)
{
    for (int i = axes - 1; i > axis; i--) at /= sizes[i];
    return at % sizes[axis];
}

/* Where output o looks through a tap, or -1. */
static int64_t seen(const mt_window *s, int64_t o, int64_t tap)
{
    int64_t at = 0;
    for (int axis = 0; axis < s->axes; axis++) {
        int64_t p = coordinate(s->axes, s->out, axis, o) * s->stride[axis] +
                    coordinate(s->axes, s->kernel, axis, tap) * s->dilation[axis] - s->before[axis];
        if (p < 0 || p >= s->in[axis]) return -1;
        at = at * s->in[axis] + p;
    }
    return at;
}

static void check_conv(mt_pool *pool, const mt_conv *v, bool x_signed, bool w_signed)
{
    const mt_window *s = &v->window;
    int64_t filters = v->groups * v->out_channels, k = v->in_channels * s->taps;
    int64_t outputs = v->batch * filters * s->out_count, inputs = v->batch * v->groups * v->in_channels * s->in_count;
    uint8_t *x = random_bytes(inputs), *w = random_bytes(filters * k),
            *prepared = guarded_make(mt_byte_filters_size(v));
    uint8_t *y = guarded_make(outputs * 4), *again = guarded_make(outputs * 4);
    uint8_t *room = guarded_make(mt_byte_conv_room(v));
    float scale[MOST], bias[MOST];
    static zeros zx, zw;
    make_zeros(&zx, 1, x_signed, x_signed ? 0 : -128);
    make_zeros(&zw, filters, w_signed, w_signed ? 128 : 0);
    for (int64_t i = 0; i < filters; i++) scale[i] = random_scale(), bias[i] = random_scale();
    mt_byte_filters(v, w, w_signed ? 0x80 : 0, prepared);
    mt_byte_result result = {.a_zero = {zw.moved, zw.many, 0}, .b_zero = {zx.moved, 0, 0}};
    uint8_t flip = x_signed ? 0 : 0x80;
    mt_byte_conv_run(NULL, v, x, flip, prepared, &result, room, y);
    mt_byte_conv_run(pool, v, x, flip, prepared, &result, room, again);
    assert_memory_equal(y, again, (size_t)(outputs * 4));
    for (int64_t i = 0; i < outputs; i++) {
        int64_t o = i % s->out_count, filter = i / s->out_count % filters, unit = i / s->out_count / v->out_channels;
        int64_t sum = 0;
        for (int64_t j = 0; j < k; j++) {
            int64_t at = seen(s, o, j % s->taps);
            if (at < 0) continue;
            sum += (int64_t)(value_of(x[(unit * v->in_channels + j / s->taps) * s->in_count + at], x_signed) -
                             zx.plain[0]) *
                   (value_of(w[filter * k + j], w_signed) - zw.plain[filter]);
        }
        assert_int_equal(((int32_t *)y)[i], (int32_t)sum);
    }
    for (int kind = 0; kind < 6; kind++) {
        bool many_scales = kind % 2, many_biases = kind / 2 == 1, no_bias = kind / 2 == 2;
        result.scale = (mt_byte_list){scale, many_scales, 0};
        result.bias = no_bias ? (mt_byte_list){0} : (mt_byte_list){bias, many_biases, 0};
        result.activate = kind == 3 ? negate : NULL;
        mt_byte_conv_run(pool, v, x, flip, prepared, &result, room, again);
        for (int64_t i = 0; i < outputs; i++) {
            int64_t filter = i / s->out_count % filters;
            float wanted = (float)((int32_t *)y)[i] * scale[many_scales ? filter : 0];
            if (!no_bias) wanted += bias[many_biases ? filter : 0];
            assert_true(((float *)again)[i] == (kind == 3 ? -wanted : wanted));
        }
    }
    guarded_end(x, inputs);
    guarded_end(w, filters * k);
    guarded_end(prepared, mt_byte_filters_size(v));
    guarded_end(room, mt_byte_conv_room(v));
    guarded_end(y, outputs * 4);
    guarded_end(again, outputs * 4);
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

static void convolutions_of_bytes(void **state)
{
    (void)state;
    mt_pool *pool = two_threads();
    for (int round = 0; round < 150; round++) {
        mt_conv v = {.batch = random_up_to(2), .groups = round % 3 ? 1 : random_up_to(66)};
        v.in_channels = random_up_to(round % 10 ? 9 : 400);
        v.out_channels = random_up_to(9);
        v.window.axes = 1 + round % 3;
        for (int i = 0; i < v.window.axes; i++) {
            v.window.in[i] = random_up_to(v.window.axes == 1 ? 200 : 9);
            v.window.kernel[i] = random_up_to(4);
            v.window.stride[i] = random_up_to(3);
            v.window.dilation[i] = random_up_to(3);
            v.window.before[i] = random_bits() % 5;
            v.window.after[i] = random_bits() % 5;
        }
        finish_window(&v.window);
        check_conv(pool, &v, round & 1, round & 2);
    }
    mt_pool_destroy(pool);
}

/* Many taps and no stride, as in positional convolutions. */
static void long_convolutions_of_bytes(void **state)
{
    (void)state;
    mt_pool *pool = two_threads();
    for (int round = 0; round < 24; round++) {
        mt_conv v = {.batch = 1, .groups = random_up_to(3), .in_channels = random_up_to(5)};
        v.out_channels = random_up_to(30);
        v.window = (mt_window){.axes = 1, .in = {random_up_to(round % 4 ? 300 : 1300)}, .stride = {1}};
        v.window.kernel[0] = round % 5 ? 4 * (7 + random_up_to(30)) : 31 + random_up_to(50);
        v.window.dilation[0] = round % 6 ? 1 : 2;
        v.window.before[0] = random_bits() % 150;
        v.window.after[0] = random_bits() % 150;
        finish_window(&v.window);
        check_conv(pool, &v, round & 1, round & 2);
    }
    mt_pool_destroy(pool);
}

/* --- quantising ----------------------------------------------------------------------------------------------- */

static void floats_to_bytes(void **state)
{
    (void)state;
    float x[100], least, most;
    uint8_t y[100];
    for (int i = 0; i < 100; i++) x[i] = (float)(i - 30) * 0.5f; /* ties at scale 1 */
    mt_byte_range(x, 100, &least, &most);
    assert_true(least == -15 && most == 34.5f);
    mt_byte_range(x + 50, 3, &least, &most);
    assert_true(least == 0 && most == 11);
    mt_byte_quantise(y, x, 100, 1, 10);
    for (int i = 0; i < 100; i++) {
        int wanted = (int)__builtin_rintf(x[i]) + 10;
        assert_int_equal(y[i], wanted < 0 ? 0 : wanted);
    }
    float odd[] = {1e30f, -1e30f, __builtin_nanf(""), __builtin_inff()};
    mt_byte_quantise(y, odd, 4, 1, 10);
    assert_true(y[0] == 255 && y[1] == 0 && y[2] == 0 && y[3] == 255);
}

static float random_float(float most)
{
    return ((float)random_bits() / (float)(1u << 31) * 2 - 1) * most;
}

/* By the formula, as it stands in the standard. */
static uint8_t quantised(float x, float scale, int32_t zero)
{
    float value = __builtin_rintf(x / scale) + (float)zero;
    return value >= 255 ? 255 : value > 0 ? (uint8_t)value : 0;
}

/* Quotients near the middle between two integers, where a product with the inverse may round the other way; scales that
 * have no inverse. */
static void bytes_exactly_as_the_formula(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    static float x[COUNT];
    uint8_t *y = guarded_make(COUNT);
    static const float odd_scales[] = {1e-45f, 1e-39f, 1e-31f, 1e31f, 3e38f, 1, 255};
    for (int round = 0; round < 400; round++) {
        float scale = (float)random_up_to(1 << 30) / (1 << 28) / (float)(1 << random_bits() % 12);
        if (round % 10 == 0) scale = odd_scales[random_bits() % 7];
        int32_t zero = (int32_t)(random_bits() % 256);
        int count = (int)random_up_to(COUNT);
        for (int i = 0; i < count; i++) {
            float middle = ((float)(random_bits() % 600) - 300.5f) * scale;
            x[i] = i % 4 == 0   ? random_float(300) * scale
                   : i % 4 == 1 ? middle
                   : i % 4 == 2 ? __builtin_nextafterf(middle, random_float(1e30f))
                                : random_float(round % 7 ? 600 * scale : 3e38f);
        }
        static const float odd[] = {__builtin_nanf(""), __builtin_inff(), -__builtin_inff()};
        if (round % 3 == 0) x[random_bits() % (uint32_t)count] = odd[random_bits() % 3];
        mt_byte_quantise(y, x, count, scale, zero);
        for (int i = 0; i < count; i++) assert_int_equal(y[i], quantised(x[i], scale, zero));
    }
    guarded_end(y, COUNT);
}

static void ranges_of_odd_floats(void **state)
{
    (void)state;
    float nan = __builtin_nanf(""), infinity = __builtin_inff(), least, most;
    float x[40] = {0};
    x[3] = nan, x[17] = -nan, x[20] = -0.0f, x[39] = 1e-45f;
    mt_byte_range(x, 40, &least, &most);
    assert_true(least == 0 && most == 1e-45f);
    x[0] = -infinity, x[33] = infinity;
    mt_byte_range(x, 40, &least, &most);
    assert_true(least == -infinity && most == infinity);
    mt_byte_range(x, 0, &least, &most);
    assert_true(least == 0 && most == 0);
    for (int round = 0; round < 100; round++) {
        int n = (int)random_up_to(40);
        float low = 0, high = 0;
        for (int i = 0; i < n; i++) {
            x[i] = random_float(3) + (float)(round % 3 - 1) * 3;
            low = x[i] < low ? x[i] : low;
            high = x[i] > high ? x[i] : high;
        }
        mt_byte_range(x, n, &least, &most);
        assert_true(least == low && most == high);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_of_bytes),
        cmocka_unit_test(convolutions_of_bytes),
        cmocka_unit_test(long_convolutions_of_bytes),
        cmocka_unit_test(floats_to_bytes),
        cmocka_unit_test(bytes_exactly_as_the_formula),
        cmocka_unit_test(ranges_of_odd_floats),
    };
    int failed = 0;
    for (int level = 0; level < MT_CPU_LEVELS; level++) {
        if (!mt_cpu_has((mt_cpu)level)) continue;
        mt_cpu_force((mt_cpu)level);
        failed += _cmocka_run_group_tests(mt_cpu_name((mt_cpu)level), tests, sizeof tests / sizeof *tests, NULL, NULL);
    }
    return failed;
}
