/* audio/ring: order, what happens when it is full, and a writer and a reader at once. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <poll.h>
#include <string.h>

#include <cmocka.h>

#include "audio/ring.h"

enum { SLOTS = 8 };

static void fill(motet_block *block, int64_t n)
{
    block->start = n;
    block->count = 1 + (int)(n % 7) * 13;
    block->captured = (double)n;
    block->why = NULL;
    block->end = false;
    for (int i = 0; i < block->count; i++) block->samples[i] = (float)(n % 4096) + (float)i / 128;
}

static void check(const motet_block *block)
{
    motet_block expected;
    fill(&expected, block->start);
    assert_int_equal(block->count, expected.count);
    assert_true(block->captured == expected.captured);
    assert_memory_equal(block->samples, expected.samples, (size_t)expected.count * sizeof(float));
}

static void blocks_come_out_as_they_went_in(void **state)
{
    (void)state;
    mt_ring *ring;
    motet_block block;
    assert_int_equal(mt_ring_create(SLOTS, &ring), MOTET_OK);
    assert_false(mt_ring_read(ring, &block));
    for (int64_t n = 0; n < 50; n++) {
        struct pollfd ready = {.fd = mt_ring_descriptor(ring), .events = POLLIN};
        fill(&block, n);
        mt_ring_write(ring, &block);
        assert_int_equal(poll(&ready, 1, 0), 1);
        memset(&block, 0, sizeof block);
        assert_true(mt_ring_read(ring, &block));
        assert_int_equal(block.start, n);
        check(&block);
        assert_false(mt_ring_read(ring, &block));
        assert_int_equal(poll(&ready, 1, 0), 0);
    }
    mt_ring_destroy(ring);
}

static void the_oldest_are_written_over(void **state)
{
    (void)state;
    mt_ring *ring;
    motet_block block;
    assert_int_equal(mt_ring_create(SLOTS, &ring), MOTET_OK);
    for (int64_t n = 0; n < 21; n++) {
        assert_int_equal(mt_ring_full(ring), n >= SLOTS);
        fill(&block, n);
        mt_ring_write(ring, &block);
    }
    for (int64_t n = 21 - SLOTS; n < 21; n++) {
        assert_true(mt_ring_read(ring, &block));
        assert_int_equal(block.start, n);
        check(&block);
    }
    assert_false(mt_ring_read(ring, &block));
    assert_int_equal(mt_ring_overwritten(ring), 21 - SLOTS);
    mt_ring_destroy(ring);
}

/* However long blocks are, and with those that only tell how far time has come; also when some were written over. */
static void what_waits_is_told_in_samples(void **state)
{
    (void)state;
    mt_ring *ring;
    motet_block block = {.start = 7000};
    assert_int_equal(mt_ring_create(SLOTS, &ring), MOTET_OK);
    assert_int_equal(mt_ring_waiting(ring), 0);
    static const int counts[] = {480, 31, 1024, 0, 449};
    for (int n = 0; n < 5; n++) {
        block.count = counts[n];
        if (!block.count) block.start += 4800;
        mt_ring_write(ring, &block);
        block.start += block.count;
    }
    assert_int_equal(mt_ring_waiting(ring), 480 + 31 + 1024 + 4800 + 449);
    motet_block read;
    assert_true(mt_ring_read(ring, &read) && mt_ring_read(ring, &read));
    assert_int_equal(mt_ring_waiting(ring), 1024 + 4800 + 449);
    block.count = 100;
    for (int n = 0; n < 2 * SLOTS; n++, block.start += 100) mt_ring_write(ring, &block);
    assert_true(mt_ring_read(ring, &read));
    assert_int_equal(mt_ring_waiting(ring), 100 * (SLOTS - 1));
    while (mt_ring_read(ring, &read)) continue;
    assert_int_equal(mt_ring_waiting(ring), 0);
    mt_ring_destroy(ring);
}

enum { MANY = 20000 };

static void *write_many(void *user)
{
    motet_block block;
    for (int64_t n = 0; n < MANY; n++) {
        fill(&block, n);
        mt_ring_write(user, &block);
    }
    return NULL;
}

/* The writer never waits, so blocks are lost; those that come out are whole, in order, and every other one is counted.
 */
static void a_writer_and_a_reader(void **state)
{
    (void)state;
    mt_ring *ring;
    motet_block block;
    pthread_t writer;
    int64_t last = -1, read = 0;
    assert_int_equal(mt_ring_create(SLOTS, &ring), MOTET_OK);
    assert_int_equal(pthread_create(&writer, NULL, write_many, ring), 0);
    while (last < MANY - 1) {
        struct pollfd ready = {.fd = mt_ring_descriptor(ring), .events = POLLIN};
        assert_int_equal(poll(&ready, 1, 10000), 1);
        while (mt_ring_read(ring, &block)) {
            assert_true(block.start > last);
            check(&block);
            last = block.start;
            read++;
        }
    }
    pthread_join(writer, NULL);
    assert_int_equal(read + mt_ring_overwritten(ring), MANY);
    mt_ring_destroy(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_come_out_as_they_went_in),
        cmocka_unit_test(the_oldest_are_written_over),
        cmocka_unit_test(what_waits_is_told_in_samples),
        cmocka_unit_test(a_writer_and_a_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
