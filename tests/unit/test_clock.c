/* audio/clock: the time line against devices that are too fast, too slow, late, gone for a while. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "audio/clock.h"

enum { RATE = 48000, BLOCK = 480 };

static double scatter(unsigned n) /* 0 to 8 ms of delay */
{
    return (double)(n * 2654435761u >> 20 & 1023) / 1023 * 0.008;
}

/* A device whose clock is off by `ppm`, for `seconds`; the largest error of the time line. */
static double run_device(double ppm, double seconds, double *drift)
{
    mt_clock clock;
    double worst = 0, block = (double)BLOCK / RATE / (1 + ppm / 1e6);
    mt_clock_init(&clock, RATE);
    for (unsigned n = 0; (double)n * block < seconds; n++) {
        double truth = (double)n * block;
        int64_t start = mt_clock_take(&clock, BLOCK, 100 + truth + block + scatter(n));
        double error = fabs((double)start / RATE - truth);
        if (error > worst) worst = error;
    }
    *drift = clock.drift_ppm;
    return worst;
}

static void the_time_line_stays_right(void **state)
{
    (void)state;
    double drift;
    assert_true(run_device(0, 600, &drift) < 0.030);
    assert_true(fabs(drift) < 20);
    assert_true(run_device(300, 600, &drift) < 0.050);
    assert_true(fabs(drift - 300) < 20);
    assert_true(run_device(-300, 600, &drift) < 0.050);
    assert_true(fabs(drift + 300) < 20);
}

/* Three seconds of blocks at once, after the program stood still: none is missing, so none moves. */
static void a_burst_moves_nothing(void **state)
{
    (void)state;
    mt_clock clock;
    mt_clock_init(&clock, RATE);
    int64_t n = 0;
    for (; n < 1000; n++) assert_int_equal(mt_clock_take(&clock, BLOCK, 50.01 + (double)n * 0.01), n * BLOCK);
    for (; n < 1300; n++) assert_int_equal(mt_clock_take(&clock, BLOCK, 50 + 13.01 + (double)n * 1e-6), n * BLOCK);
    for (; n < 3000; n++) assert_int_equal(mt_clock_take(&clock, BLOCK, 50.01 + (double)n * 0.01), n * BLOCK);
}

/* The first blocks come half a second late: the time line is right as soon as one comes in time, and nothing is lost.
 */
static void a_late_beginning(void **state)
{
    (void)state;
    mt_clock clock;
    int64_t n = 0;
    mt_clock_init(&clock, RATE);
    for (; n < 3; n++) assert_int_equal(mt_clock_take(&clock, BLOCK, 9.51), n * BLOCK);
    for (; n < 1000; n++) assert_int_equal(mt_clock_take(&clock, BLOCK, 9.01 + (double)n * 0.01), n * BLOCK);
    assert_true(fabs(mt_clock_when(&clock, n * BLOCK) - (9 + (double)n * 0.01)) < 0.021);
}

/* Half a second of samples is lost on the way without a word: after a while they are missed. */
static void lost_samples_are_missed(void **state)
{
    (void)state;
    mt_clock clock;
    int64_t n = 0, start = 0;
    mt_clock_init(&clock, RATE);
    for (; n < 1000; n++) mt_clock_take(&clock, BLOCK, 9.01 + (double)n * 0.01);
    for (; n < 3000; n++) start = mt_clock_take(&clock, BLOCK, 9.51 + (double)n * 0.01);
    assert_true(fabs((double)(start - (n - 1) * BLOCK) / RATE - 0.5) < 0.021);
}

static void a_gap_is_where_nothing_came(void **state)
{
    (void)state;
    mt_clock clock;
    int64_t start;
    mt_clock_init(&clock, RATE);
    assert_int_equal(mt_clock_take(&clock, BLOCK, 7.01), 0);
    assert_int_equal(mt_clock_take(&clock, BLOCK, 7.02), BLOCK);
    assert_true(mt_clock_pass(&clock, 8, &start));
    assert_int_equal(start, RATE);
    assert_false(mt_clock_pass(&clock, 8, &start));
    assert_int_equal(mt_clock_take(&clock, BLOCK, 12.01), 5 * RATE);
    mt_clock_unmoor(&clock);
    assert_int_equal(mt_clock_take(&clock, BLOCK, 12.51), 5 * RATE + RATE / 2);
}

static void it_begins_with_whatever_comes_first(void **state)
{
    (void)state;
    mt_clock clock;
    int64_t start;
    mt_clock_init(&clock, RATE);
    assert_false(mt_clock_pass(&clock, 1000, &start));
    assert_int_equal(mt_clock_take(&clock, BLOCK, 1002.01), 2 * RATE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_time_line_stays_right),
        cmocka_unit_test(a_burst_moves_nothing),
        cmocka_unit_test(a_late_beginning),
        cmocka_unit_test(lost_samples_are_missed),
        cmocka_unit_test(a_gap_is_where_nothing_came),
        cmocka_unit_test(it_begins_with_whatever_comes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
