/* ops: what the backend cases leave out: corners of the standard, values that C would trip over, random shapes against
 * plain indexing, hostile sizes and indices, and the same bytes from one thread as from two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "op_driver.h"

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

static float *counting(int64_t count)
{
    float *values = mt_alloc((size_t)(count ? count : 1) * sizeof *values);
    assert_non_null(values);
    for (int64_t i = 0; i < count; i++) values[i] = (float)i;
    return values;
}

static int64_t count_of(int rank, const int64_t *dims)
{
    return mt_shape_count(rank, dims);
}

#define LIST(...) ((int64_t[]){__VA_ARGS__})
#define ASSERT_ELEMENTS(tensor, T, ...)                                                                                \
    do {                                                                                                               \
        const T wanted[] = {__VA_ARGS__};                                                                              \
        assert_int_equal((tensor)->count, sizeof wanted / sizeof *wanted);                                             \
        for (size_t at = 0; at < sizeof wanted / sizeof *wanted; at++)                                                 \
            assert_true(((const T *)(tensor)->data)[at] == wanted[at]);                                                \
    } while (0)

/* --- attributes ----------------------------------------------------------------------------------------------- */

static void attributes_of_another_kind_are_refused(void **state)
{
    (void)state;
    const float values[] = {1, 2, 3, 4};
    driver *d = drive("Softmax", 13);
    drive_input(d, MOTET_FLOAT, 2, LIST(2, 2), values);
    drive_string(d, "axis", "1");
    assert_int_equal(drive_run(d, 1), MOTET_ERROR_FORMAT);
    assert_non_null(strstr(motet_error_message(), "\"axis\" is a string"));
    drive_end(d);
}

/* --- element by element --------------------------------------------------------------------------------------- */

static driver *pair_of_ints(const char *type, int64_t n, const int32_t *a, const int32_t *b)
{
    driver *d = drive(type, 13);
    drive_input(d, MOTET_INT32, 1, &n, a);
    drive_input(d, MOTET_INT32, 1, &n, b);
    return d;
}

static void integers_wrap_and_never_trap(void **state)
{
    (void)state;
    const int32_t a[] = {INT32_MAX, INT32_MIN, 7, -7, 7}, b[] = {1, -1, 0, 2, -2};
    driver *d = pair_of_ints("Add", 5, a, b);
    assert_int_equal(drive_run(d, 1), MOTET_OK);
    ASSERT_ELEMENTS(d->out[0], int32_t, INT32_MIN, INT32_MAX, 7, -5, 5);
    drive_end(d);
    d = pair_of_ints("Div", 5, a, b);
    assert_int_equal(drive_run(d, 1), MOTET_OK);
    ASSERT_ELEMENTS(d->out[0], int32_t, INT32_MAX, INT32_MIN, 0, -3, -3);
    drive_end(d);
    d = pair_of_ints("Mod", 5, a, b);
    assert_int_equal(drive_run(d, 1), MOTET_OK);
    ASSERT_ELEMENTS(d->out[0], int32_t, 0, 0, 0, 1, -1);
    drive_int(d, "fmod", 1);
    assert_int_equal(drive_run(d, 1), MOTET_OK);
    ASSERT_ELEMENTS(d->out[0], int32_t, 0, 0, 0, -1, 1);
    drive_end(d);
    d = pair_of_ints("Pow", 5, (int32_t[]){3, -1, 2, 0, -2}, (int32_t[]){4, -3, -1, 0, 3});
    assert_int_equal(drive_run(d, 1), MOTET_OK);
    ASSERT_ELEMENTS(d->out[0], int32_t, 81, -1, 0, 1, -8);
    drive_end(d);
}

static void nan_wins_min_and_max(void **state)
{
    (void)state;
    const float a[] = {NAN, 1, 2}, b[] = {1, NAN, 3};
    const char *const types[] = {"Min", "Max"};
    for (int i = 0; i < 2; i++) {
        driver *d = drive(types[i], 13);
        drive_input(d, MOTET_FLOAT, 1, LIST(3), a);
        drive_input(d, MOTET_FLOAT, 1, LIST(3), b);
        assert_int_equal(drive_run(d, 1), MOTET_OK);
        const float *y = d->out[0]->data;
        assert_true(isnan(y[0]) && isnan(y[1]) && y[2] == (float)(2 + i));
        drive_end(d);
    }
}

static void casts_from_float_stay_in_range(void **state)
{
    (void)state;
    const double x[] = {(double)NAN, (double)INFINITY, -(double)INFINITY, 1e30, -1e30, -0.9, 2.9};
    const struct {
        motet_type type;
        int64_t least;
        uint64_t most;
    } targets[] = {
        {MOTET_INT8, INT8_MIN, INT8_MAX},    {MOTET_INT16, INT16_MIN, INT16_MAX}, {MOTET_INT32, INT32_MIN, INT32_MAX},
        {MOTET_INT64, INT64_MIN, INT64_MAX}, {MOTET_UINT8, 0, UINT8_MAX},         {MOTET_UINT16, 0, UINT16_MAX},
        {MOTET_UINT32, 0, UINT32_MAX},       {MOTET_UINT64, 0, UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        driver *d = drive("Cast", 13);
        drive_input(d, MOTET_DOUBLE, 1, LIST(7), x);
        drive_int(d, "to", targets[i].type);
        assert_int_equal(drive_run(d, 1), MOTET_OK);
        uint64_t wanted[] = {
            0, targets[i].most, (uint64_t)targets[i].least, targets[i].most, (uint64_t)targets[i].least, 0, 2};
        for (int k = 0; k < 7; k++)
            assert_memory_equal((char *)d->out[0]->data + (size_t)k * motet_type_size(targets[i].type), &wanted[k],
                                motet_type_size(targets[i].type));
        drive_end(d);
    }
}

static void casts_between_text_and_numbers(void **state)
{
    (void)state;
    const float x[] = {0.1f, 1, -2.5f, 1e20f, INFINITY, -INFINITY, NAN};
    const char *const wanted[] = {"0.1", "1", "-2.5", "1e+20", "INF", "-INF", "NaN"};
    driver *d = drive("Cast", 13), *back = drive("Cast", 13);
    drive_input(d, MOTET_FLOAT, 1, LIST(7), x);
    drive_int(d, "to", MOTET_STRING);
    assert_int_equal(drive_run(d, 1), MOTET_OK);
    for (int i = 0; i < 7; i++) assert_string_equal(motet_tensor_string(d->out[0], i, NULL), wanted[i]);
    drive_input(back, MOTET_STRING, 1, LIST(7), d->out[0]->data);
    drive_int(back, "to", MOTET_FLOAT);
    assert_int_equal(drive_run(back, 1), MOTET_OK);
    for (int i = 0; i < 6; i++) assert_true(((float *)back->out[0]->data)[i] == x[i]);
    assert_true(isnan(((float *)back->out[0]->data)[6]));
    assert_int_equal(motet_tensor_set_string(d->out[0], 3, "many", 4), MOTET_OK);
    assert_int_equal(drive_run(back, 1), MOTET_ERROR_SHAPE);
    assert_non_null(strstr(motet_error_message(), "many"));
    drive_end(back);
    drive_end(d);
}

/* --- broadcasting --------------------------------------------------------------------------------------------- */

/* The element of a [dims] tensor that output element `at` reads under broadcasting. */
static int64_t broadcast_source(int rank, const int64_t *out, const int64_t *dims, int64_t at)
{
    int64_t source = 0, scale = 1;
    for (int i = rank - 1; i >= 0; i--) {
        if (dims[i] != 1) source += at % out[i] * scale;
        scale *= dims[i];
        at /= out[i];
    }
    return source;
}

static void broadcasting_of_random_shapes(void **state)
{
    (void)state;
    mt_pool *pool;
    assert_int_equal(mt_pool_create(2, &pool), MOTET_OK);
    for (int round = 0; round < 300; round++) {
        int rank = (int)random_up_to(5);
        int64_t out[8], a[8], b[8];
        for (int i = 0; i < rank; i++) {
            out[i] = random_up_to(round % 10 ? 5 : 17);
            a[i] = random_bits() % 3 ? out[i] : 1;
            b[i] = a[i] == 1 || random_bits() % 3 ? out[i] : 1;
        }
        float *x = counting(count_of(rank, a)), *y = counting(count_of(rank, b));
        driver *d = drive("Sub", 13);
        d->context.pool = pool;
        drive_input(d, MOTET_FLOAT, rank, a, x);
        drive_input(d, MOTET_FLOAT, rank, b, y);
        assert_int_equal(drive_run(d, 1), MOTET_OK);
        assert_int_equal(d->out[0]->rank, rank);
        assert_int_equal(d->out[0]->count, count_of(rank, out));
        for (int64_t i = 0; i < d->out[0]->count; i++)
            assert_true(((float *)d->out[0]->data)[i] ==
                        x[broadcast_source(rank, out, a, i)] - y[broadcast_source(rank, out, b, i)]);
        drive_end(d);
        mt_free(x);
        mt_free(y);
    }
    mt_pool_destroy(pool);
}

static void shapes_that_do_not_broadcast(void **state)
{
    (void)state;
    float x[6] = {0};
    driver *d = drive("Add", 13);
    drive_input(d, MOTET_FLOAT, 2, LIST(2, 3), x);
    drive_input(d, MOTET_FLOAT, 1, LIST(2), x);
    assert_int_equal(drive_run(d, 1), MOTET_ERROR_SHAPE);
    assert_non_null(strstr(motet_error_message(), "[2,3]"));
    drive_end(d);
}

static void an_empty_operand_gives_an_empty_result(void **state)
{
    (void)state;
    float x = 1;
    driver *d = drive("Mul", 13);
    drive_input(d, MOTET_FLOAT, 2, LIST(0, 3), NULL);
    drive_input(d, MOTET_FLOAT, 0, NULL, &x);
    assert_int_equal(drive_run(d, 1), MOTET_OK);
    assert_int_equal(d->out[0]->count, 0);
    assert_int_equal(d->out[0]->dims[1], 3);
    drive_end(d);
}

/* --- moving --------------------------------------------------------------------------------------------------- */

static void transposes_of_every_element_size(void **state)
{
    (void)state;
    static const motet_type types[] = {MOTET_UINT8, MOTET_FLOAT16, MOTET_FLOAT, MOTET_INT64, MOTET_COMPLEX128};
    mt_pool *pool;
    assert_int_equal(mt_pool_create(2, &pool), MOTET_OK);
    for (int round = 0; round < 300; round++) {
        motet_type type = types[round % 5];
        size_t size = motet_type_size(type);
        int rank = (int)random_up_to(5);
        int64_t dims[8], order[8];
        for (int i = 0; i < rank; i++) {
            dims[i] = random_up_to(round % 9 ? 6 : 40 / rank + 1);
            order[i] = i;
        }
        for (int i = rank - 1; i > 0; i--) {
            int64_t other = random_bits() % (uint32_t)(i + 1), kept = order[i];
            order[i] = order[other];
            order[other] = kept;
        }
        int64_t count = count_of(rank, dims);
        uint8_t *x = mt_alloc((size_t)count * size);
        assert_non_null(x);
        for (size_t i = 0; i < (size_t)count * size; i++) x[i] = (uint8_t)random_bits();
        driver *d = drive("Transpose", 13);
        d->context.pool = pool;
        drive_input(d, type, rank, dims, x);
        drive_ints(d, "perm", (size_t)rank, order);
        assert_int_equal(drive_run(d, 1), MOTET_OK);
        for (int64_t i = 0; i < count; i++) {
            int64_t rest = i, index[8], from = 0;
            for (int k = rank - 1; k >= 0; k--) {
                index[order[k]] = rest % dims[order[k]];
                rest /= dims[order[k]];
            }
            for (int k = 0; k < rank; k++) from = from * dims[k] + index[k];
            assert_memory_equal((uint8_t *)d->out[0]->data + (size_t)i * size, x + (size_t)from * size, size);
        }
        drive_end(d);
        mt_free(x);
    }
    mt_pool_destroy(pool);
}

static driver *slice_of_five(int64_t start, int64_t end, int64_t step)
{
    static const float x[] = {0, 1, 2, 3, 4};
    static int64_t lists[3];
    lists[0] = start;
    lists[1] = end;
    lists[2] = step;
    driver *d = drive("Slice", 13);
    drive_input(d, MOTET_FLOAT, 1, LIST(5), x);
    drive_input_ints(d, 1, &lists[0]);
    drive_input_ints(d, 1, &lists[1]);
    drive_no_input(d);
    drive_input_ints(d, 1, &lists[2]);
    return d;
}

static void slices_to_the_ends_of_the_world(void **state)
{
    (void)state;
    const struct {
        int64_t start, end, step, count;
        float first, last;
    } cases[] = {
        {INT64_MIN, INT64_MAX, 1, 5, 0, 4},
        {INT64_MAX, INT64_MIN, -1, 5, 4, 0},
        {-2, INT64_MAX, 1, 2, 3, 4},
        {0, INT64_MAX, INT64_MAX, 1, 0, 0},
        {4, INT64_MIN, INT64_MIN, 1, 4, 4},
        {-1, -6, -2, 3, 4, 0},
        {INT64_MAX, INT64_MAX, 1, 0, 0, 0},
        {3, 3, 1, 0, 0, 0},
        {1, 4, 2, 2, 1, 3},
        {INT64_MIN, INT64_MIN, -1, 1, 0, 0},
        {2, -1, -1, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        driver *d = slice_of_five(cases[i].start, cases[i].end, cases[i].step);
        assert_int_equal(drive_run(d, 1), MOTET_OK);
        int64_t count = d->out[0]->count;
        assert_int_equal(count, cases[i].count);
        const float *y = d->out[0]->data;
        if (count) assert_true(y[0] == cases[i].first && y[count - 1] == cases[i].last);
        drive_end(d);
    }
    driver *d = slice_of_five(0, 5, 0);
    assert_int_equal(drive_run(d, 1), MOTET_ERROR_SHAPE);
    drive_end(d);
}

static void pads_in_every_mode(void **state)
{
    (void)state;
    const float x[] = {1, 2, 3};
    const struct {
        const char *mode;
        float y[9];
    } cases[] = {
        {"constant", {0, 0, 0, 0, 1, 2, 3, 0, 0}},
        {"edge", {1, 1, 1, 1, 1, 2, 3, 3, 3}},
        {"reflect", {1, 2, 3, 2, 1, 2, 3, 2, 1}},
        {"wrap", {3, 1, 2, 3, 1, 2, 3, 1, 2}},
    };
    for (size_t i = 0; i < 4; i++) {
        driver *d = drive("Pad", 19);
        drive_input(d, MOTET_FLOAT, 1, LIST(3), x);
        drive_input_ints(d, 2, LIST(4, 2));
        drive_string(d, "mode", cases[i].mode);
        assert_int_equal(drive_run(d, 1), MOTET_OK);
        assert_int_equal(d->out[0]->count, 9);
        assert_memory_equal(d->out[0]->data, cases[i].y, sizeof cases[i].y);
        drive_end(d);
    }
    driver *d = drive("Pad", 19);
    drive_input(d, MOTET_FLOAT, 1, LIST(3), x);
    drive_input_ints(d, 2, LIST(-1, 1));
    assert_int_equal(drive_run(d, 1), MOTET_OK);
    ASSERT_ELEMENTS(d->out[0], float, 2, 3, 0);
    drive_end(d);
}

static void reshapes(void **state)
{
    (void)state;
    float x[12] = {0};
    const struct {
        int64_t shape[3];
        motet_status status;
        int64_t wanted[3];
    } cases[] = {
        {{0, -1, 2}, MOTET_OK, {3, 2, 2}},     {{-1, 0, 1}, MOTET_OK, {3, 4, 1}},
        {{-1, -1, 1}, MOTET_ERROR_SHAPE, {0}}, {{5, -1, 1}, MOTET_ERROR_SHAPE, {0}},
        {{3, 4, 0}, MOTET_ERROR_SHAPE, {0}},   {{INT64_MAX, INT64_MAX, 2}, MOTET_ERROR_SHAPE, {0}},
        {{-2, 3, 2}, MOTET_ERROR_SHAPE, {0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        driver *d = drive("Reshape", 14);
        drive_input(d, MOTET_FLOAT, 2, LIST(3, 4), x);
        drive_input_ints(d, 3, cases[i].shape);
        assert_int_equal(drive_run(d, 1), cases[i].status);
        if (cases[i].status == MOTET_OK) assert_memory_equal(d->out[0]->dims, cases[i].wanted, sizeof cases[i].wanted);
        drive_end(d);
    }
}

static void indices_are_checked(void **state)
{
    (void)state;
    const float x[] = {10, 20, 30};
    const int64_t bad[] = {3, -4, INT64_MIN, INT64_MAX};
    for (int i = 0; i < 4; i++) {
        driver *d = drive("Gather", 13);
        drive_input(d, MOTET_FLOAT, 1, LIST(3), x);
        drive_input_ints(d, 1, &bad[i]);
        assert_int_equal(drive_run(d, 1), MOTET_ERROR_SHAPE);
        drive_end(d);
        d = drive("ScatterND", 18);
        drive_input(d, MOTET_FLOAT, 1, LIST(3), x);
        drive_input(d, MOTET_INT64, 2, LIST(1, 1), &bad[i]);
        drive_input(d, MOTET_FLOAT, 1, LIST(1), x);
        assert_int_equal(drive_run(d, 1), MOTET_ERROR_SHAPE);
        drive_end(d);
    }
    driver *d = drive("Gather", 13);
    drive_input(d, MOTET_FLOAT, 1, LIST(3), x);
    drive_input_ints(d, 2, LIST(-1, 0));
    assert_int_equal(drive_run(d, 1), MOTET_OK);
    ASSERT_ELEMENTS(d->out[0], float, 30, 10);
    drive_end(d);
}

static void strings_move_as_copies(void **state)
{
    (void)state;
    motet_tensor words = {0};
    assert_int_equal(mt_tensor_alloc(&words, MOTET_STRING, 2, LIST(2, 2)), MOTET_OK);
    const char *const text[] = {"a", "bb", "", "dddd"};
    for (int i = 0; i < 4; i++)
        assert_int_equal(motet_tensor_set_string(&words, i, text[i], strlen(text[i])), MOTET_OK);
    driver *d = drive("Transpose", 13);
    drive_input(d, MOTET_STRING, 2, LIST(2, 2), words.data);
    assert_int_equal(drive_run(d, 1), MOTET_OK);
    mt_tensor_clear(&words);
    const char *const wanted[] = {"a", "", "bb", "dddd"};
    for (int i = 0; i < 4; i++) assert_string_equal(motet_tensor_string(d->out[0], i, NULL), wanted[i]);
    drive_end(d);
}

/* --- sizes from a hostile file -------------------------------------------------------------------------------- */

static void sizes_that_cannot_be(void **state)
{
    (void)state;
    const float x[] = {0, 1};
    driver *d = drive("Tile", 13);
    drive_input(d, MOTET_FLOAT, 1, LIST(2), x);
    drive_input_ints(d, 1, LIST(INT64_MAX));
    assert_int_equal(drive_run(d, 1), MOTET_ERROR_LIMIT);
    drive_end(d);
    d = drive("Expand", 13);
    drive_input(d, MOTET_FLOAT, 2, LIST(2, 1), x);
    drive_input_ints(d, 2, LIST(2, INT64_MAX));
    assert_int_equal(drive_run(d, 1), MOTET_ERROR_LIMIT);
    drive_end(d);
    d = drive("ConstantOfShape", 9);
    drive_input_ints(d, 2, LIST(INT64_MAX, 4));
    assert_int_equal(drive_run(d, 1), MOTET_ERROR_LIMIT);
    drive_end(d);
    d = drive("Range", 11);
    const int64_t ends[] = {INT64_MIN, INT64_MAX, 1};
    for (int i = 0; i < 3; i++) drive_input(d, MOTET_INT64, 0, NULL, &ends[i]);
    assert_int_equal(drive_run(d, 1), MOTET_ERROR_LIMIT);
    drive_end(d);
    d = drive("Pad", 13);
    drive_input(d, MOTET_FLOAT, 1, LIST(2), x);
    drive_input_ints(d, 2, LIST(INT64_MAX, INT64_MAX));
    assert_int_equal(drive_run(d, 1), MOTET_ERROR_SHAPE);
    drive_end(d);
    d = drive("DepthToSpace", 13);
    drive_input(d, MOTET_FLOAT, 4, LIST(1, 0, INT32_MAX, INT32_MAX), x);
    drive_int(d, "blocksize", INT32_MAX);
    assert_int_not_equal(drive_run(d, 1), MOTET_OK);
    drive_end(d);
}

/* With ceil_mode a first window may reach beyond the end, by less than its stride, and is cut there: so does ONNX
 * Runtime. */
static void windows_longer_than_the_input(void **state)
{
    (void)state;
    const float x[] = {1, 2, 3, 4, 5, 6, 7};
    const struct {
        const char *type;
        int64_t kernel, stride, pads[2], count_padding;
        float wanted; /* 0: refused */
    } cases[] = {
        {"AveragePool", 10, 10, {0, 0}, 0, 4}, {"AveragePool", 10, 10, {0, 0}, 1, 4},
        {"AveragePool", 8, 2, {0, 0}, 0, 4},   {"AveragePool", 10, 3, {1, 0}, 1, 3.5f},
        {"AveragePool", 12, 5, {3, 0}, 0, 4},  {"AveragePool", 12, 6, {3, 0}, 1, 2.8f},
        {"AveragePool", 10, 3, {0, 0}, 0, 0},  {"AveragePool", 8, 1, {0, 0}, 0, 0},
        {"AveragePool", 17, 10, {0, 0}, 0, 0}, {"MaxPool", 16, 10, {0, 0}, 0, 7},
        {"MaxPool", 17, 10, {0, 0}, 0, 0},     {"LpPool", 10, 10, {0, 0}, 0, 11.8321596f},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        driver *d = drive(cases[i].type, 13);
        drive_input(d, MOTET_FLOAT, 3, LIST(1, 1, 7), x);
        drive_ints(d, "kernel_shape", 1, &cases[i].kernel);
        drive_ints(d, "strides", 1, &cases[i].stride);
        drive_ints(d, "pads", 2, cases[i].pads);
        drive_int(d, "ceil_mode", 1);
        drive_int(d, "count_include_pad", cases[i].count_padding);
        assert_int_equal(drive_run(d, 1), cases[i].wanted > 0 ? MOTET_OK : MOTET_ERROR_SHAPE);
        if (cases[i].wanted > 0) {
            assert_int_equal(d->out[0]->count, 1);
            assert_true(fabsf(*(float *)d->out[0]->data - cases[i].wanted) < 1e-5f);
        }
        drive_end(d);
    }
}

/* MaxPool has one loop for those who ask where the largest was found and one for all others. */
static void places_do_not_change_the_largest(void **state)
{
    (void)state;
    for (int round = 0; round < 300; round++) {
        int64_t dims[5] = {1 + round % 2, 2}, shape[4][6]; /* kernel, stride, dilation, pads */
        int axes = 1 + round % 3;
        for (int i = 0; i < axes; i++) {
            shape[0][i] = 1 + rand() % 4;
            shape[1][i] = 1 + rand() % 4;
            shape[2][i] = 1 + rand() % 3;
            shape[3][i] = rand() % shape[0][i];
            shape[3][i + axes] = rand() % shape[0][i];
            dims[2 + i] = (shape[0][i] - 1) * shape[2][i] + 1 + rand() % 9;
        }
        int64_t count = count_of(2 + axes, dims);
        float *x = mt_alloc_array((size_t)count, sizeof *x);
        for (int64_t i = 0; i < count; i++) x[i] = rand() % 50 ? (float)(rand() % 100 - 50) : NAN;
        driver *d[2];
        for (int i = 0; i < 2; i++) {
            d[i] = drive("MaxPool", 12);
            drive_input(d[i], MOTET_FLOAT, 2 + axes, dims, x);
            drive_ints(d[i], "kernel_shape", (size_t)axes, shape[0]);
            drive_ints(d[i], "strides", (size_t)axes, shape[1]);
            drive_ints(d[i], "dilations", (size_t)axes, shape[2]);
            drive_ints(d[i], "pads", 2 * (size_t)axes, shape[3]);
            drive_int(d[i], "ceil_mode", round / 3 % 2);
            assert_int_equal(drive_run(d[i], 1 + i), MOTET_OK);
        }
        assert_int_equal(d[0]->out[0]->count, d[1]->out[0]->count);
        assert_memory_equal(d[0]->out[0]->data, d[1]->out[0]->data, (size_t)d[0]->out[0]->count * sizeof *x);
        for (int i = 0; i < 2; i++) drive_end(d[i]);
        mt_free(x);
    }
}

static void windows_that_cannot_be(void **state)
{
    (void)state;
    const float x[8] = {0};
    const struct {
        const char *name;
        int64_t value;
    } cases[] = {{"strides", 0}, {"strides", -1}, {"dilations", 0}, {"dilations", INT64_MAX}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        driver *d = drive("Conv", 11);
        drive_input(d, MOTET_FLOAT, 3, LIST(1, 2, 4), x);
        drive_input(d, MOTET_FLOAT, 3, LIST(1, 2, 3), x);
        drive_ints(d, cases[i].name, 1, &cases[i].value);
        assert_int_equal(drive_run(d, 1), MOTET_ERROR_SHAPE);
        drive_end(d);
    }
    driver *d = drive("Conv", 11);
    drive_input(d, MOTET_FLOAT, 3, LIST(1, 2, 4), x);
    drive_input(d, MOTET_FLOAT, 3, LIST(1, 2, 3), x);
    drive_int(d, "group", 0);
    assert_int_equal(drive_run(d, 1), MOTET_ERROR_SHAPE);
    drive_end(d);
}

/* --- reductions ----------------------------------------------------------------------------------------------- */

static void sums_along_every_set_of_axes(void **state)
{
    (void)state;
    const int64_t dims[] = {3, 4, 5, 18};
    float *x = counting(count_of(4, dims));
    for (unsigned set = 1; set < 16; set++) {
        int64_t axes[4], kept[4];
        int count = 0;
        for (int i = 0; i < 4; i++) {
            kept[i] = set >> i & 1 ? 1 : dims[i];
            if (set >> i & 1) axes[count++] = i - (i & 1 ? 4 : 0);
        }
        double wanted[1080] = {0};
        for (int64_t i = 0; i < count_of(4, dims); i++) wanted[broadcast_source(4, dims, kept, i)] += (double)x[i];
        driver *d = drive("ReduceSum", 13);
        drive_input(d, MOTET_FLOAT, 4, dims, x);
        drive_input_ints(d, count, axes);
        assert_int_equal(drive_run(d, 1), MOTET_OK);
        assert_memory_equal(d->out[0]->dims, kept, sizeof kept);
        for (int64_t i = 0; i < d->out[0]->count; i++) assert_true(((float *)d->out[0]->data)[i] == (float)wanted[i]);
        drive_end(d);
    }
    mt_free(x);
}

static void reductions_of_nothing(void **state)
{
    (void)state;
    const struct {
        const char *type;
        float wanted;
    } cases[] = {{"ReduceSum", 0}, {"ReduceProd", 1}, {"ReduceMax", -INFINITY}, {"ReduceMin", INFINITY}};
    for (size_t i = 0; i < 4; i++) {
        driver *d = drive(cases[i].type, 18);
        drive_input(d, MOTET_FLOAT, 2, LIST(2, 0), NULL);
        drive_input_ints(d, 1, LIST(1));
        assert_int_equal(drive_run(d, 1), MOTET_OK);
        ASSERT_ELEMENTS(d->out[0], float, cases[i].wanted, cases[i].wanted);
        drive_end(d);
    }
}

/* The least of no booleans is true, a byte of 1. */
static void booleans_stay_booleans(void **state)
{
    (void)state;
    driver *d = drive("ReduceMin", 20);
    drive_input(d, MOTET_BOOL, 2, LIST(2, 0), NULL);
    drive_input_ints(d, 1, LIST(1));
    assert_int_equal(drive_run(d, 1), MOTET_OK);
    ASSERT_ELEMENTS(d->out[0], uint8_t, 1, 1);
    drive_end(d);
}

/* --- types of outputs ----------------------------------------------------------------------------------------- */

static void norms_have_the_types_of_the_standard(void **state)
{
    (void)state;
    const double x[] = {3, -3}, wide_scale[] = {1, 1};
    const float scale[] = {1, 1};
    driver *d = drive("LayerNormalization", 17);
    drive_input(d, MOTET_DOUBLE, 2, LIST(1, 2), x);
    drive_input(d, MOTET_DOUBLE, 1, LIST(2), wide_scale);
    assert_int_equal(drive_run(d, 3), MOTET_OK);
    assert_int_equal(d->out[0]->type, MOTET_DOUBLE);
    assert_int_equal(d->out[1]->type, MOTET_FLOAT); /* the mean */
    ASSERT_ELEMENTS(d->out[1], float, 0);
    assert_int_equal(d->out[2]->type, MOTET_FLOAT);
    drive_end(d);
    d = drive("RMSNormalization", 23);
    drive_input(d, MOTET_DOUBLE, 2, LIST(1, 2), x);
    drive_input(d, MOTET_FLOAT, 1, LIST(2), scale);
    assert_int_equal(drive_run(d, 1), MOTET_OK);
    assert_int_equal(d->out[0]->type, MOTET_FLOAT); /* that of the scale */
    drive_end(d);
}

static void small_floats_are_asked_and_heeded(void **state)
{
    (void)state;
    const uint8_t codes[] = {0x7f, 0x38, 0xff}; /* NaN, 1, NaN */
    driver *d = drive("IsNaN", 20);
    drive_input(d, MOTET_FLOAT8E4M3FN, 1, LIST(3), codes);
    assert_int_equal(drive_run(d, 1), MOTET_OK);
    ASSERT_ELEMENTS(d->out[0], uint8_t, 1, 0, 1);
    drive_end(d);
    const uint8_t infinities[] = {0x7c, 0xfc, 0x3c};
    d = drive("IsInf", 20);
    drive_input(d, MOTET_FLOAT8E5M2, 1, LIST(3), infinities);
    drive_int(d, "detect_negative", 0);
    assert_int_equal(drive_run(d, 1), MOTET_OK);
    ASSERT_ELEMENTS(d->out[0], uint8_t, 1, 0, 0);
    drive_end(d);
    const float x[] = {1};
    const uint8_t nothing[] = {0}, yes[] = {1};
    d = drive("Dropout", 22);
    drive_input(d, MOTET_FLOAT, 1, LIST(1), x);
    drive_input(d, MOTET_FLOAT8E4M3FN, 0, NULL, nothing); /* a ratio of 0, not the default */
    drive_input(d, MOTET_BOOL, 0, NULL, yes);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(drive_run(d, 1), MOTET_OK);
        ASSERT_ELEMENTS(d->out[0], float, 1);
    }
    drive_end(d);
}

static void texts_are_true_when_there_are_any(void **state)
{
    (void)state;
    const mt_string x[] = {{(char[]){"a"}, 1}, {NULL, 0}, {(char[]){"b"}, 1}, {(char[]){"c"}, 1}};
    driver *d = drive("NonZero", 13);
    drive_input(d, MOTET_STRING, 1, LIST(4), x);
    assert_int_equal(drive_run(d, 1), MOTET_OK);
    ASSERT_ELEMENTS(d->out[0], int64_t, 0, 2, 3);
    drive_end(d);
    d = drive("Trilu", 14);
    drive_input(d, MOTET_STRING, 2, LIST(2, 2), x);
    assert_int_equal(drive_run(d, 1), MOTET_OK);
    assert_string_equal(motet_tensor_string(d->out[0], 0, NULL), "a");
    assert_string_equal(motet_tensor_string(d->out[0], 2, NULL), "");
    assert_string_equal(motet_tensor_string(d->out[0], 3, NULL), "c");
    drive_end(d);
}

/* float64 through the recurrent cells: a hidden state of one, all weights 1, from 0. */
static void recurrent_nets_take_doubles(void **state)
{
    (void)state;
    const double x[] = {0.5}, ones[] = {1, 1, 1, 1};
    const struct {
        const char *type;
        int64_t gates;
        double wanted;
    } cells[] = {{"RNN", 1, 0.46211716}, {"GRU", 3, 0.17446802}, {"LSTM", 4, 0.17426972}};
    for (int i = 0; i < 3; i++) {
        driver *d = drive(cells[i].type, 14);
        drive_int(d, "hidden_size", 1);
        drive_input(d, MOTET_DOUBLE, 3, LIST(1, 1, 1), x);
        drive_input(d, MOTET_DOUBLE, 3, LIST(1, cells[i].gates, 1), ones);
        drive_input(d, MOTET_DOUBLE, 3, LIST(1, cells[i].gates, 1), ones);
        assert_int_equal(drive_run(d, 2), MOTET_OK);
        assert_int_equal(d->out[0]->type, MOTET_DOUBLE);
        assert_int_equal(d->out[1]->type, MOTET_DOUBLE);
        assert_true(fabs(*(const double *)d->out[0]->data - cells[i].wanted) < 1e-6);
        drive_end(d);
    }
}

/* What no integer can hold: a root of much, the logarithm of 0, and of what is below. */
static void reductions_of_integers_stay_in_range(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    static int8_t small[COUNT];
    memset(small, -128, sizeof small);
    driver *d = drive("ReduceL2", 13);
    drive_input(d, MOTET_INT8, 1, LIST(COUNT), small);
    assert_int_equal(drive_run(d, 1), MOTET_OK);
    ASSERT_ELEMENTS(d->out[0], int8_t, 127);
    drive_end(d);
    const uint8_t none[] = {0, 0};
    d = drive("ReduceLogSum", 13);
    drive_input(d, MOTET_UINT8, 1, LIST(2), none);
    assert_int_equal(drive_run(d, 1), MOTET_OK);
    ASSERT_ELEMENTS(d->out[0], uint8_t, 0);
    drive_end(d);
    d = drive("ReduceLogSumExp", 13);
    drive_input(d, MOTET_INT32, 1, LIST(0), NULL);
    assert_int_equal(drive_run(d, 1), MOTET_OK);
    ASSERT_ELEMENTS(d->out[0], int32_t, INT32_MIN);
    drive_end(d);
    d = drive("ReduceMean", 13);
    drive_input(d, MOTET_UINT64, 1, LIST(1), (const uint64_t[]){UINT64_MAX - 1});
    assert_int_equal(drive_run(d, 1), MOTET_OK);
    ASSERT_ELEMENTS(d->out[0], uint64_t, UINT64_MAX - 1);
    drive_end(d);
}

/* Threshold and bias are floats, and any. */
static void integers_shrink_by_floats(void **state)
{
    (void)state;
    driver *d = drive("Shrink", 9);
    drive_input(d, MOTET_UINT8, 1, LIST(4), (const uint8_t[]){0, 1, 4, 255});
    drive_float(d, "bias", -1.4375f);
    assert_int_equal(drive_run(d, 1), MOTET_OK);
    ASSERT_ELEMENTS(d->out[0], uint8_t, 0, 2, 5, 255);
    drive_end(d);
    d = drive("Shrink", 9);
    drive_input(d, MOTET_INT8, 1, LIST(5), (const int8_t[]){-128, -4, -1, 2, 4});
    drive_float(d, "lambd", 1.5f);
    drive_float(d, "bias", 1e30f);
    assert_int_equal(drive_run(d, 1), MOTET_OK);
    ASSERT_ELEMENTS(d->out[0], int8_t, 127, 127, 0, -128, -128);
    drive_end(d);
    d = drive("Shrink", 9);
    drive_input(d, MOTET_UINT64, 1, LIST(1), (const uint64_t[]){UINT64_MAX - 1});
    assert_int_equal(drive_run(d, 1), MOTET_OK);
    ASSERT_ELEMENTS(d->out[0], uint64_t, UINT64_MAX - 1);
    drive_end(d);
}

/* --- one thread and two --------------------------------------------------------------------------------------- */

static void the_same_bytes_from_two_threads(void **state)
{
    (void)state;
    static const char *const types[] = {"Softmax", "ReduceMean", "Erf", "MatMul", "LayerNormalization"};
    enum { ROWS = 300, WIDTH = 300 };
    float *x = counting(ROWS * WIDTH);
    for (int i = 0; i < ROWS * WIDTH; i++) x[i] = sinf(x[i]);
    mt_pool *pool;
    assert_int_equal(mt_pool_create(2, &pool), MOTET_OK);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        driver *one = drive(types[i], 17), *two = drive(types[i], 17);
        driver *const both[] = {one, two};
        for (int k = 0; k < 2; k++) {
            drive_input(both[k], MOTET_FLOAT, 2, LIST(ROWS, WIDTH), x);
            if (i == 3) drive_input(both[k], MOTET_FLOAT, 2, LIST(ROWS, WIDTH), x);
            if (i == 4) drive_input(both[k], MOTET_FLOAT, 1, LIST(WIDTH), x);
            if (k) both[k]->context.pool = pool;
            assert_int_equal(drive_run(both[k], 1), MOTET_OK);
        }
        assert_memory_equal(one->out[0]->data, two->out[0]->data, (size_t)one->out[0]->count * sizeof(float));
        drive_end(one);
        drive_end(two);
    }
    mt_pool_destroy(pool);
    mt_free(x);
}

/* --- 16-bit floats -------------------------------------------------------------------------------------------- */

static void halves_compute_in_float(void **state)
{
    (void)state;
    const uint16_t x[] = {0x3c00, 0x4000, 0x7bff}; /* 1, 2, 65504 */
    driver *d = drive("Add", 13);
    drive_input(d, MOTET_FLOAT16, 1, LIST(3), x);
    drive_input(d, MOTET_FLOAT16, 1, LIST(3), x);
    assert_int_equal(drive_run(d, 1), MOTET_OK);
    ASSERT_ELEMENTS(d->out[0], uint16_t, 0x4000, 0x4400, 0x7c00);
    drive_end(d);
    d = drive("MatMul", 13);
    drive_input(d, MOTET_FLOAT16, 2, LIST(1, 2), x);
    drive_input(d, MOTET_FLOAT16, 2, LIST(2, 1), x);
    assert_int_equal(drive_run(d, 1), MOTET_OK);
    ASSERT_ELEMENTS(d->out[0], uint16_t, 0x4500); /* 5 */
    drive_end(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_of_another_kind_are_refused),
        cmocka_unit_test(integers_wrap_and_never_trap),
        cmocka_unit_test(nan_wins_min_and_max),
        cmocka_unit_test(casts_from_float_stay_in_range),
        cmocka_unit_test(casts_between_text_and_numbers),
        cmocka_unit_test(broadcasting_of_random_shapes),
        cmocka_unit_test(shapes_that_do_not_broadcast),
        cmocka_unit_test(an_empty_operand_gives_an_empty_result),
        cmocka_unit_test(transposes_of_every_element_size),
        cmocka_unit_test(slices_to_the_ends_of_the_world),
        cmocka_unit_test(pads_in_every_mode),
        cmocka_unit_test(reshapes),
        cmocka_unit_test(indices_are_checked),
        cmocka_unit_test(strings_move_as_copies),
        cmocka_unit_test(sizes_that_cannot_be),
        cmocka_unit_test(windows_longer_than_the_input),
        cmocka_unit_test(places_do_not_change_the_largest),
        cmocka_unit_test(windows_that_cannot_be),
        cmocka_unit_test(sums_along_every_set_of_axes),
        cmocka_unit_test(reductions_of_nothing),
        cmocka_unit_test(reductions_of_integers_stay_in_range),
        cmocka_unit_test(integers_shrink_by_floats),
        cmocka_unit_test(booleans_stay_booleans),
        cmocka_unit_test(norms_have_the_types_of_the_standard),
        cmocka_unit_test(small_floats_are_asked_and_heeded),
        cmocka_unit_test(texts_are_true_when_there_are_any),
        cmocka_unit_test(recurrent_nets_take_doubles),
        cmocka_unit_test(the_same_bytes_from_two_threads),
        cmocka_unit_test(halves_compute_in_float),
    };
    return cmocka_run_group_tests_name("ops", tests, NULL, NULL);
}
