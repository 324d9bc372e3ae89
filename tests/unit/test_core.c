/* core: messages, overflow-checked allocation, tensors, the pool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"
#include "core/memory.h"
#include "core/narrow.h"
#include "core/pool.h"
#include "core/status.h"
#include "core/tensor.h"

static void messages_name_the_place(void **state)
{
    (void)state;
    motet_status status = mt_fail(MOTET_ERROR_FORMAT, "line %d", 3);
    status = mt_fail_in(status, "file %s", "x.rttm");
    assert_int_equal(status, MOTET_ERROR_FORMAT);
    assert_string_equal(motet_error_message(), "file x.rttm: line 3");
    mt_fail_in(status, "%s", motet_error_message()); /* the old message as an argument */
    assert_string_equal(motet_error_message(), "file x.rttm: line 3: file x.rttm: line 3");
}

static void sizes_that_overflow_are_refused(void **state)
{
    (void)state;
    assert_null(mt_alloc_array(SIZE_MAX / 2, 3));
    int64_t huge[] = {INT64_MAX, 2}, zero[] = {0, INT64_MAX, INT64_MAX}, negative[] = {2, -1};
    assert_int_equal(mt_shape_count(2, huge), -1);
    assert_int_equal(mt_shape_count(3, zero), -1);
    assert_int_equal(mt_shape_count(2, negative), -1);
    motet_tensor *tensor;
    assert_int_equal(motet_tensor_create(MOTET_FLOAT, 2, huge, &tensor), MOTET_ERROR_LIMIT);
    assert_null(tensor);
}

static void failing_allocations_count_down(void **state)
{
    (void)state;
    mt_memory_fail_at(1);
    void *first = mt_alloc(8);
    assert_non_null(first);
    assert_null(mt_alloc(8));
    assert_null(mt_alloc(8));
    mt_memory_fail_at(-1);
    mt_free(first);
}

static void shared_tensors_live_as_long_as_the_last(void **state)
{
    (void)state;
    int64_t dims[] = {2, 3}, flat[] = {6};
    motet_tensor a = {0}, b = {0};
    assert_int_equal(mt_tensor_alloc(&a, MOTET_FLOAT, 2, dims), MOTET_OK);
    ((float *)a.data)[5] = 7;
    mt_tensor_share(&b, &a, 1, flat);
    mt_tensor_clear(&a);
    assert_true(((float *)b.data)[5] == 7);
    char text[MT_SHAPE_TEXT];
    assert_string_equal(mt_tensor_describe(&b, text, sizeof text), "float32[6]");
    mt_tensor_clear(&b);
}

static void strings_are_owned(void **state)
{
    (void)state;
    int64_t dims[] = {2};
    motet_tensor *tensor;
    assert_int_equal(motet_tensor_create(MOTET_STRING, 1, dims, &tensor), MOTET_OK);
    assert_int_equal(motet_tensor_set_string(tensor, 1, "a\0b", 3), MOTET_OK);
    size_t length;
    assert_memory_equal(motet_tensor_string(tensor, 1, &length), "a\0b", 4);
    assert_int_equal(length, 3);
    assert_string_equal(motet_tensor_string(tensor, 0, NULL), "");
    assert_int_equal(motet_tensor_set_string(tensor, 2, "", 0), MOTET_ERROR_ARGUMENT);
    motet_tensor_destroy(tensor);
}

/* An element of no size of its own lies well wherever it is. */
static void addresses_suit_types_or_do_not(void **state)
{
    (void)state;
    static const uint64_t place[2];
    const char *odd = (const char *)place + 1;
    assert_true(mt_is_aligned(MOTET_UINT8, odd));
    assert_false(mt_is_aligned(MOTET_FLOAT, odd));
    assert_true(mt_is_aligned(MOTET_FLOAT, odd + 3));
    assert_false(mt_is_aligned(MOTET_COMPLEX128, odd + 3));
    assert_true(mt_is_aligned(MOTET_STRING, odd));
}

static void lists_share_their_items(void **state)
{
    (void)state;
    motet_tensor *a, *b, *text, *sequence, *other;
    assert_int_equal(motet_tensor_create(MOTET_FLOAT, 1, (int64_t[]){2}, &a), MOTET_OK);
    assert_int_equal(motet_tensor_create(MOTET_FLOAT, 2, (int64_t[]){1, 3}, &b), MOTET_OK);
    assert_int_equal(motet_tensor_create(MOTET_STRING, 1, (int64_t[]){2}, &text), MOTET_OK);
    const void *elements = motet_tensor_const_data(a);
    assert_int_equal(motet_tensor_list(MOTET_SEQUENCE, (const motet_tensor *[]){a, b, a}, 3, &sequence), MOTET_OK);
    motet_tensor_destroy(a);
    assert_int_equal(motet_tensor_kind(sequence), MOTET_SEQUENCE);
    assert_int_equal(motet_tensor_type(sequence), MOTET_UNDEFINED);
    assert_int_equal(motet_tensor_count(sequence), 3);
    assert_ptr_equal(motet_tensor_const_data(motet_tensor_item(sequence, 2)), elements);
    assert_null(motet_tensor_item(sequence, 3));
    assert_null(motet_tensor_item(b, 0));
    assert_int_equal(motet_tensor_list(MOTET_OPTIONAL, (const motet_tensor *[]){sequence}, 1, &other), MOTET_OK);
    motet_tensor_destroy(other);
    assert_int_equal(motet_tensor_list(MOTET_OPTIONAL, NULL, 0, &other), MOTET_OK);
    motet_tensor_destroy(other);
    a = (motet_tensor *)(uintptr_t)motet_tensor_item(sequence, 0);
    assert_int_equal(motet_tensor_list(MOTET_MAP, (const motet_tensor *[]){text, a}, 2, &other), MOTET_OK);
    motet_tensor_destroy(other);
    /* what the kinds do not allow */
    assert_int_equal(motet_tensor_list(MOTET_SEQUENCE, (const motet_tensor *[]){a, text}, 2, &other),
                     MOTET_ERROR_ARGUMENT);
    assert_int_equal(motet_tensor_list(MOTET_SEQUENCE, (const motet_tensor *[]){sequence}, 1, &other),
                     MOTET_ERROR_ARGUMENT);
    assert_int_equal(motet_tensor_list(MOTET_OPTIONAL, (const motet_tensor *[]){a, b}, 2, &other),
                     MOTET_ERROR_ARGUMENT);
    assert_int_equal(motet_tensor_list(MOTET_MAP, (const motet_tensor *[]){a, text}, 2, &other), MOTET_ERROR_ARGUMENT);
    assert_int_equal(motet_tensor_list(MOTET_TENSOR, NULL, 0, &other), MOTET_ERROR_ARGUMENT);
    assert_null(other);
    motet_tensor_destroy(sequence);
    motet_tensor_destroy(b);
    motet_tensor_destroy(text);
}

static const motet_type small_floats[] = {MOTET_FLOAT8E4M3FN,   MOTET_FLOAT8E4M3FNUZ, MOTET_FLOAT8E5M2,
                                          MOTET_FLOAT8E5M2FNUZ, MOTET_FLOAT4E2M1,     MOTET_FLOAT8E8M0,
                                          MOTET_FLOAT6E2M3,     MOTET_FLOAT6E3M2};

/* Every code that is a number comes back from its value, and what lies between two goes to the nearer one. */
static void small_floats_round_to_the_nearest(void **state)
{
    (void)state;
    const mt_small_rules rules = {.scale_rounding = MT_ROUND_NEAREST};
    for (size_t i = 0; i < sizeof small_floats / sizeof *small_floats; i++) {
        motet_type type = small_floats[i];
        int bits = mt_packed_bits(type) ? mt_packed_bits(type) : 8;
        assert_true(mt_is_small_float(type));
        for (int code = 0; code < 1 << bits; code++) {
            double value = mt_small_float_decode(type, (uint8_t)code);
            if (value != value || value - value != 0) continue;
            assert_int_equal(mt_small_float_encode(type, value, &rules), code);
            if (code + 1 == 1 << bits) continue;
            double next = mt_small_float_decode(type, (uint8_t)(code + 1));
            if (type == MOTET_FLOAT8E8M0 || next != next || next - next != 0 || next * value <= 0) continue;
            assert_int_equal(mt_small_float_encode(type, value + 0.25 * (next - value), &rules), code);
            assert_int_equal(mt_small_float_encode(type, value + 0.75 * (next - value), &rules), code + 1);
            assert_int_equal(mt_small_float_encode(type, value + 0.5 * (next - value), &rules) & 1, 0);
        }
    }
    const mt_small_rules spill = {.overflow = true};
    assert_int_equal(mt_small_float_encode(MOTET_FLOAT8E4M3FN, 1e30, &rules), 0x7e);
    assert_int_equal(mt_small_float_encode(MOTET_FLOAT8E4M3FN, 1e30, &spill), 0x7f);
    assert_int_equal(mt_small_float_encode(MOTET_FLOAT8E5M2, -1e30, &rules), 0xfb);
    assert_int_equal(mt_small_float_encode(MOTET_FLOAT8E5M2, -1e30, &spill), 0xfc);
    assert_int_equal(mt_small_float_encode(MOTET_FLOAT8E5M2FNUZ, -0.0, &rules), 0);
    assert_int_equal(mt_small_float_encode(MOTET_FLOAT4E2M1, -100, &rules), 0xf);
}

static void packed_elements_come_back(void **state)
{
    (void)state;
    static const motet_type types[] = {MOTET_INT2,       MOTET_UINT2,      MOTET_INT4,      MOTET_UINT4,
                                       MOTET_FLOAT4E2M1, MOTET_FLOAT6E2M3, MOTET_FLOAT6E3M2};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        for (size_t count = 0; count < 20; count++) {
            uint8_t packed[32], elements[20], again[32];
            for (size_t k = 0; k < sizeof packed; k++) packed[k] = (uint8_t)(k * 89 + 41);
            mt_unpack(types[i], packed, count, elements);
            mt_pack(types[i], elements, count, again);
            size_t bits = count * (size_t)mt_packed_bits(types[i]);
            assert_int_equal(mt_packed_bytes(types[i], count), (bits + 7) / 8);
            assert_memory_equal(packed, again, bits / 8);
        }
    }
    uint8_t elements[3];
    mt_unpack(MOTET_INT4, (const uint8_t[]){0x87, 0x0f}, 3, elements);
    assert_memory_equal(elements, ((const int8_t[]){7, -8, -1}), 3);
}

static void mark(void *context, size_t block)
{
    ((unsigned char *)context)[block]++;
}

static void every_block_runs_once(void **state)
{
    (void)state;
    unsigned char hits[1000];
    for (int threads = 1; threads <= 4; threads++) {
        mt_pool *pool;
        assert_int_equal(mt_pool_create(threads, &pool), MOTET_OK);
        for (int repeat = 0; repeat < 200; repeat++) {
            memset(hits, 0, sizeof hits);
            size_t blocks = (size_t)(repeat * 7 % 1000);
            mt_parallel(pool, blocks, mark, hits);
            for (size_t i = 0; i < sizeof hits; i++) assert_int_equal(hits[i], i < blocks);
        }
        mt_pool_destroy(pool);
    }
    mt_pool *pool;
    assert_int_equal(mt_pool_create(0, &pool), MOTET_ERROR_ARGUMENT);
}

enum { SHARED = 40 };

typedef struct shares {
    pthread_t caller;
    size_t taken[2][SHARED]; /* by the caller, by the worker, in their order */
    int counts[2];
} shares;

static void note_who(void *context, size_t block)
{
    shares *s = context;
    int who = !pthread_equal(pthread_self(), s->caller);
    s->taken[who][s->counts[who]++] = block;
    for (volatile int i = 0; i < 20000; i++) {
    }
}

/* Once it helps with the other's, a thread comes back to none of its own. */
static void assert_own_first(const shares *s, int who)
{
    bool helping = false;
    for (int i = 0; i < s->counts[who]; i++) {
        bool own = s->taken[who][i] / (SHARED / 2) == (size_t)who;
        assert_false(own && helping);
        helping = !own;
    }
}

/* So that what a thread worked on in one loop it mostly works on in the next. */
static void threads_begin_with_their_own_blocks(void **state)
{
    (void)state;
    mt_pool *pool;
    assert_int_equal(mt_pool_create(2, &pool), MOTET_OK);
    for (int i = 0; i < 100; i++) {
        shares s = {.caller = pthread_self()};
        mt_parallel(pool, SHARED, note_who, &s);
        assert_int_equal(s.counts[0] + s.counts[1], SHARED);
        assert_own_first(&s, 0);
        assert_own_first(&s, 1);
    }
    mt_pool_destroy(pool);
}

typedef struct slow_worker {
    pthread_t caller;
    _Atomic int blocks, by_worker;
} slow_worker;

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* As if another process had the worker's processor for most of the time. */
static void work_slowly(void *context, size_t block)
{
    slow_worker *w = context;
    bool worker = !pthread_equal(pthread_self(), w->caller);
    (void)block;
    w->blocks++;
    w->by_worker += worker;
    sleep_ms(worker ? 50 : 1);
}

static void a_worker_that_is_held_up_is_left_alone(void **state)
{
    (void)state;
    enum { LOOPS = 100, BLOCKS = 4 };
    slow_worker w = {.caller = pthread_self()};
    mt_pool *pool;
    assert_int_equal(mt_pool_create(2, &pool), MOTET_OK);
    for (int i = 0; i < LOOPS; i++) mt_parallel(pool, BLOCKS, work_slowly, &w);
    mt_pool_destroy(pool);
    assert_int_equal(w.blocks, LOOPS * BLOCKS);
    assert_true(w.by_worker < LOOPS / 2);
}

/* What voiceprints hold may never change. */
static void files_are_told_apart(void **state)
{
    (void)state;
    enum { SIZE = 200000 };
    static char bytes[SIZE];
    char path[] = "/tmp/motet-identity-XXXXXX", first[17], other[17];
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    for (int i = 0; i < SIZE; i++) bytes[i] = (char)(i * 31 >> 3);
    assert_int_equal(motet_file_write(path, bytes, SIZE), MOTET_OK);
    assert_int_equal(mt_file_identity(path, first), MOTET_OK);
    assert_string_equal(first, "3a1b2421f93c7c00");
    for (int i = 0; i < SIZE; i += SIZE / 7) {
        bytes[i] ^= 1;
        assert_int_equal(motet_file_write(path, bytes, SIZE), MOTET_OK);
        assert_int_equal(mt_file_identity(path, other), MOTET_OK);
        assert_string_not_equal(first, other);
        bytes[i] ^= 1;
    }
    assert_int_equal(motet_file_write(path, bytes, SIZE - 1), MOTET_OK);
    assert_int_equal(mt_file_identity(path, other), MOTET_OK);
    assert_string_not_equal(first, other);
    unlink(path);
    assert_int_equal(mt_file_identity(path, other), MOTET_ERROR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_name_the_place),
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(failing_allocations_count_down),
        cmocka_unit_test(shared_tensors_live_as_long_as_the_last),
        cmocka_unit_test(strings_are_owned),
        cmocka_unit_test(addresses_suit_types_or_do_not),
        cmocka_unit_test(lists_share_their_items),
        cmocka_unit_test(small_floats_round_to_the_nearest),
        cmocka_unit_test(packed_elements_come_back),
        cmocka_unit_test(files_are_told_apart),
        cmocka_unit_test(every_block_runs_once),
        cmocka_unit_test(threads_begin_with_their_own_blocks),
        cmocka_unit_test(a_worker_that_is_held_up_is_left_alone),
    };
    return cmocka_run_group_tests_name("core", tests, NULL, NULL);
}
