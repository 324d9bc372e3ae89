/* compare, tensor_file: what the comparison lets pass and what it stops, and that tensor files are read as they were
 * written. Nothing here needs an engine. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "motet/compare.h"
#include "motet/tensor_file.h"

static motet_tensor *tensor(motet_type type, int64_t count, const void *values)
{
    motet_tensor *made;
    assert_int_equal(motet_tensor_create(type, 1, &count, &made), MOTET_OK);
    memcpy(motet_tensor_data(made), values, (size_t)count * motet_type_size(type));
    return made;
}

static bool same(motet_type type, int64_t count, const void *expected, const void *got, motet_tolerance within,
                 motet_distance *apart)
{
    motet_tensor *a = tensor(type, count, expected), *b = tensor(type, count, got);
    bool equal = motet_tensor_compare(a, b, &within, apart) == MOTET_OK;
    motet_tensor_destroy(a);
    motet_tensor_destroy(b);
    return equal;
}

#define SAME(type, expected, got, within) same(type, sizeof(expected) / sizeof *(expected), expected, got, within, NULL)

static motet_tolerance tolerance_default(void)
{
    motet_tolerance tolerance;
    motet_tolerance_init(&tolerance);
    return tolerance;
}

static void elements_stay_within_rtol_and_atol(void **state)
{
    (void)state;
    const float expected[] = {1000, -2, 0};
    assert_true(SAME(MOTET_FLOAT, expected, ((float[]){1000.9f, -2.001f, 9e-8f}), tolerance_default()));
    assert_false(SAME(MOTET_FLOAT, expected, ((float[]){1001.1f, -2, 0}), tolerance_default()));
    assert_false(SAME(MOTET_FLOAT, expected, ((float[]){1000, -2, 2e-7f}), tolerance_default()));
    const double pair[] = {1, 2};
    assert_false(SAME(MOTET_DOUBLE, pair, ((double[]){2, 1}), tolerance_default()));
    const uint16_t halves[] = {0x3c00, 0x0001, 0x7c00}; /* 1, the smallest, infinity */
    assert_true(SAME(MOTET_FLOAT16, halves, ((uint16_t[]){0x3c01, 0x0002, 0x7c00}), tolerance_default()));
    assert_false(SAME(MOTET_FLOAT16, halves, ((uint16_t[]){0x3c00, 0x0001, 0xfc00}), tolerance_default()));
    const uint16_t brains[] = {0x3f80, 0x7fc0}; /* 1, NaN */
    assert_true(SAME(MOTET_BFLOAT16, brains, ((uint16_t[]){0x3f80, 0xffff}), tolerance_default()));
    assert_false(SAME(MOTET_BFLOAT16, brains, ((uint16_t[]){0x3f82, 0x7fc0}), tolerance_default()));
}

static void what_is_not_finite_stays_in_its_place(void **state)
{
    (void)state;
    const float expected[] = {NAN, INFINITY, -INFINITY, 1};
    assert_true(SAME(MOTET_FLOAT, expected, ((float[]){-NAN, INFINITY, -INFINITY, 1}), tolerance_default()));
    assert_false(SAME(MOTET_FLOAT, expected, ((float[]){0, INFINITY, -INFINITY, 1}), tolerance_default()));
    assert_false(SAME(MOTET_FLOAT, expected, ((float[]){NAN, -INFINITY, -INFINITY, 1}), tolerance_default()));
    assert_false(SAME(MOTET_FLOAT, expected, ((float[]){NAN, INFINITY, -INFINITY, NAN}), tolerance_default()));
    motet_tolerance loose = {-1, -1, .max_abs = 1e9, .max_abs_over_std = 1e9, .cosine = 0};
    assert_false(SAME(MOTET_FLOAT, expected, ((float[]){NAN, INFINITY, -INFINITY, NAN}), loose));
}

static void everything_else_is_exact(void **state)
{
    (void)state;
    const int64_t longs[] = {INT64_MAX, -1};
    assert_true(SAME(MOTET_INT64, longs, longs, tolerance_default()));
    assert_false(SAME(MOTET_INT64, longs, ((int64_t[]){INT64_MAX - 1, -1}), tolerance_default()));
    const uint8_t bytes[] = {0, 255};
    assert_false(SAME(MOTET_UINT8, bytes, ((uint8_t[]){0, 254}), tolerance_default()));

    int64_t two = 2;
    motet_tensor *a, *b;
    assert_int_equal(motet_tensor_create(MOTET_STRING, 1, &two, &a), MOTET_OK);
    assert_int_equal(motet_tensor_create(MOTET_STRING, 1, &two, &b), MOTET_OK);
    motet_tolerance within = tolerance_default();
    assert_true(motet_tensor_compare(a, b, &within, NULL) == MOTET_OK);
    assert_int_equal(motet_tensor_set_string(a, 1, "a\0b", 3), MOTET_OK);
    assert_int_equal(motet_tensor_set_string(b, 1, "a\0c", 3), MOTET_OK);
    assert_false(motet_tensor_compare(a, b, &within, NULL) == MOTET_OK);
    motet_tensor_destroy(a);
    motet_tensor_destroy(b);
}

static void types_and_shapes_are_compared(void **state)
{
    (void)state;
    motet_tensor *a, *b, *c;
    assert_int_equal(motet_tensor_create(MOTET_FLOAT, 2, (int64_t[]){2, 3}, &a), MOTET_OK);
    assert_int_equal(motet_tensor_create(MOTET_FLOAT, 2, (int64_t[]){3, 2}, &b), MOTET_OK);
    assert_int_equal(motet_tensor_create(MOTET_INT32, 2, (int64_t[]){2, 3}, &c), MOTET_OK);
    motet_tolerance within = tolerance_default();
    assert_true(motet_tensor_compare(a, a, &within, NULL) == MOTET_OK);
    assert_false(motet_tensor_compare(a, b, &within, NULL) == MOTET_OK);
    assert_string_equal(motet_error_message(), "expected float32[2,3], got float32[3,2]");
    assert_false(motet_tensor_compare(a, c, &within, NULL) == MOTET_OK);
    motet_tensor_destroy(a);
    motet_tensor_destroy(b);
    motet_tensor_destroy(c);
}

static void whole_tensors_stay_within_their_bounds(void **state)
{
    (void)state;
    const float expected[] = {3, -3, 3, -3}, got[] = {3, -3, 3, -3.3f}; /* standard deviation 3 */
    motet_distance apart;
    motet_distance_init(&apart);
    assert_true(same(MOTET_FLOAT, 4, expected, got, (motet_tolerance){-1, -1, .max_abs = 0.31, -1, -1}, &apart));
    assert_true(fabs(apart.max_abs - 0.3) < 1e-6);
    assert_true(fabs(apart.max_abs_over_std - 0.1) < 1e-6);
    assert_true(fabs(apart.cosine - (36 + 0.9) / (6 * sqrt(27 + 3.3 * 3.3))) < 1e-6);
    assert_false(SAME(MOTET_FLOAT, expected, got, ((motet_tolerance){-1, -1, .max_abs = 0.29, -1, -1})));
    assert_true(SAME(MOTET_FLOAT, expected, got, ((motet_tolerance){-1, -1, -1, .max_abs_over_std = 0.11, -1})));
    assert_false(SAME(MOTET_FLOAT, expected, got, ((motet_tolerance){-1, -1, -1, .max_abs_over_std = 0.09, -1})));
    assert_true(SAME(MOTET_FLOAT, expected, got, ((motet_tolerance){-1, -1, -1, -1, .cosine = 0.998})));
    assert_false(SAME(MOTET_FLOAT, expected, got, ((motet_tolerance){-1, -1, -1, -1, .cosine = 0.9999})));
}

/* Writes the bytes of a TensorProto and reads it back; NULL when the reader refuses. */
static motet_tensor *read_back(const char *bytes, size_t length)
{
    char path[] = "/tmp/motet-tensor-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, bytes, length), length);
    close(file);
    motet_tensor *read = NULL;
    (void)!motet_tensor_read(path, &read);
    unlink(path);
    return read;
}

#define READ_BACK(text) read_back(text, sizeof(text) - 1)

static void tensor_files_are_read(void **state)
{
    (void)state;
    /* dims 1: field 1; data_type: field 2; float_data 4, int32_data 5, string_data 6, raw_data 9 */
    motet_tensor *raw = READ_BACK("\x08\x02\x10\x01\x4a\x08\0\0\x80\x3f\0\0\0\x40");
    assert_non_null(raw);
    assert_int_equal(motet_tensor_type(raw), MOTET_FLOAT);
    assert_int_equal(motet_tensor_count(raw), 2);
    assert_true(((const float *)motet_tensor_const_data(raw))[1] == 2);
    motet_tensor_destroy(raw);

    motet_tensor *half = READ_BACK("\x08\x02\x10\x0a\x2a\x04\x80\x78\x80\x02"); /* 0x3c00, 0x0100 as varints */
    assert_non_null(half);
    assert_int_equal(((const uint16_t *)motet_tensor_const_data(half))[0], 0x3c00);
    motet_tensor_destroy(half);

    motet_tensor *text = READ_BACK("\x08\x01\x10\x08\x32\x02hi");
    assert_non_null(text);
    assert_string_equal(motet_tensor_string(text, 0, NULL), "hi");
    motet_tensor_destroy(text);

    assert_null(READ_BACK("\x08\x03\x10\x01\x4a\x08\0\0\x80\x3f\0\0\0\x40"));       /* three elements, two there */
    assert_null(READ_BACK("\x08\x02\x10\x01\x22\x04\0\0\x80\x3f"));                 /* the same in float_data */
    assert_null(READ_BACK("\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x10\x01"));     /* more than memory has */
    assert_null(READ_BACK("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\x01")); /* -1 elements */
    assert_null(READ_BACK("\x08\x02\x10\x63\x4a\x02\0\0"));                         /* no such type */
    assert_null(READ_BACK("\x08\x02\x10\x01\x4a\x7f"));                             /* cut short */
}

/* Writes `tensor` under a name that ends in `end`, and reads it back. */
static motet_tensor *there_and_back(const motet_tensor *made, const char *end)
{
    char folder[] = "/tmp/motet-tensor-XXXXXX", path[64];
    motet_tensor *read = NULL;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/tensor%s", folder, end);
    if (motet_tensor_write(path, made) == MOTET_OK && motet_tensor_read(path, &read) != MOTET_OK)
        fail_msg("%s", motet_error_message());
    unlink(path);
    rmdir(folder);
    return read;
}

static void comes_back(const motet_tensor *made, const char *end)
{
    const motet_tolerance exactly = {0, 0, -1, -1, -1};
    motet_tensor *read = there_and_back(made, end);
    assert_non_null(read);
    if (motet_tensor_compare(made, read, &exactly, NULL) != MOTET_OK) fail_msg("%s: %s", end, motet_error_message());
    motet_tensor_destroy(read);
}

static void tensors_come_back_from_files(void **state)
{
    (void)state;
    static const motet_type types[] = {MOTET_FLOAT,  MOTET_DOUBLE, MOTET_FLOAT16,   MOTET_INT8,      MOTET_INT16,
                                       MOTET_INT32,  MOTET_INT64,  MOTET_UINT8,     MOTET_UINT16,    MOTET_UINT32,
                                       MOTET_UINT64, MOTET_BOOL,   MOTET_COMPLEX64, MOTET_COMPLEX128};
    static const int64_t shapes[][3] = {{2, 3, 5}, {7, 0, 0}, {0, 4, 0}};
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        for (int rank = 0; rank <= 3; rank++) {
            motet_tensor *made;
            assert_int_equal(motet_tensor_create(types[t], rank, shapes[rank == 3 ? 0 : rank], &made), MOTET_OK);
            uint8_t *bytes = motet_tensor_data(made);
            size_t size = (size_t)motet_tensor_count(made) * motet_type_size(types[t]);
            for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)(types[t] == MOTET_BOOL ? i % 2 : i * 37 % 64);
            comes_back(made, ".npy");
            comes_back(made, ".pb");
            motet_tensor_destroy(made);
        }
    }
    motet_tensor *text, *brain;
    assert_int_equal(motet_tensor_create(MOTET_STRING, 1, (int64_t[]){3}, &text), MOTET_OK);
    assert_int_equal(motet_tensor_set_string(text, 1, "motet", 5), MOTET_OK);
    assert_int_equal(motet_tensor_set_string(text, 2, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x8e\xb5", 9), MOTET_OK);
    comes_back(text, ".npy");
    comes_back(text, ".pb");
    motet_tensor_destroy(text);
    assert_int_equal(motet_tensor_create(MOTET_BFLOAT16, 1, (int64_t[]){3}, &brain), MOTET_OK);
    comes_back(brain, ".pb");
    assert_null(there_and_back(brain, ".npy")); /* NumPy has no such type */
    assert_null(there_and_back(brain, ".txt"));
    motet_tensor_destroy(brain);
}

#define NPY(header, elements) "\x93NUMPY\x01\x00\x40\x00" header elements

static void numpy_files_are_read(void **state)
{
    (void)state;
    /* headers of 64 bytes */
    motet_tensor *columns =
        READ_BACK(NPY("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }     \n", "\x01\x04\x02\x05\x03\x06"));
    assert_non_null(columns);
    for (int i = 0; i < 6; i++) assert_true(motet_tensor_number(columns, i) == i + 1);
    motet_tensor_destroy(columns);

    motet_tensor *bytes =
        READ_BACK(NPY("{'descr': '|S3', 'fortran_order': False, 'shape': (2,), }      \n", "abcd\0\0"));
    assert_non_null(bytes);
    assert_string_equal(motet_tensor_string(bytes, 0, NULL), "abc");
    assert_string_equal(motet_tensor_string(bytes, 1, NULL), "d");
    motet_tensor_destroy(bytes);
}

static void what_is_no_tensor_file_is_refused(void **state)
{
    (void)state;
    assert_null(READ_BACK("\x93NUMPY\x01"));
    assert_null(READ_BACK("\x93NUMPY\x01\x00\xff\xff{"));
    assert_null(READ_BACK(NPY("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }      \n", "\0\0\0\0")));
    assert_null(READ_BACK(NPY("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }      \n", "\0\0\0\0")));
    assert_null(READ_BACK(NPY("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }     \n", "\0\0\0\0")));
    assert_null(
        READ_BACK(NPY("{'descr': '|O8', 'fortran_order': False, 'shape': (1,), }      \n", "\0\0\0\0\0\0\0\0")));
    assert_null(READ_BACK(NPY("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,16,), }", "")));
    assert_null(READ_BACK(NPY("{'descr': '|S0', 'fortran_order': False, 'shape': (99999999999,), }           ", "")));
    assert_null(READ_BACK(NPY("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}\n", "\0\0\0\0")));
    assert_null(READ_BACK(NPY("{'shape': (1,), 'fortran_order': False                         }\n", "\0\0\0\0")));
    assert_null(READ_BACK("no tensor at all"));
    assert_null(READ_BACK("\x08\x02\x10\x01\x72\x05outer"));
    motet_tensor *none;
    assert_int_equal(motet_tensor_read("/nowhere/at/all.npy", &none), MOTET_ERROR_IO);
    assert_null(none);
    assert_int_equal(motet_tensor_read("/tmp", &none), MOTET_ERROR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_stay_within_rtol_and_atol),
        cmocka_unit_test(what_is_not_finite_stays_in_its_place),
        cmocka_unit_test(everything_else_is_exact),
        cmocka_unit_test(types_and_shapes_are_compared),
        cmocka_unit_test(whole_tensors_stay_within_their_bounds),
        cmocka_unit_test(tensors_come_back_from_files),
        cmocka_unit_test(numpy_files_are_read),
        cmocka_unit_test(what_is_no_tensor_file_is_refused),
        cmocka_unit_test(tensor_files_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
