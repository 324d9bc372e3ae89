/* crew: how many workers may join, on a clock that the tests turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/crew.h"

enum { BLOCKS = 10 };
static const double ms = 1e-3, block = 0.02e-3;

/* A loop that begins at *time: the caller does BLOCKS blocks, then waits. */
static void loop(mt_crew *crew, double *time, double waited, bool crowded)
{
    double end = *time + BLOCKS * block;
    mt_crew_account(crew, &(mt_loop_account){*time, end, end + waited, BLOCKS, crowded});
    *time = end + waited;
}

/* Loops without loss for so long. */
static void calm(mt_crew *crew, double *time, double length)
{
    for (double until = *time + length; *time < until;) loop(crew, time, block, false);
}

/* Seconds from now until a trial is wanted. */
static double pause(const mt_crew *crew, double time)
{
    double after = 0;
    while (!mt_crew_wants_trial(crew, time + after)) after += 0.1 * ms;
    return after;
}

static void everybody_joins_while_nobody_is_late(void **state)
{
    (void)state;
    mt_crew crew;
    double time = 5;
    mt_crew_init(&crew, 3);
    calm(&crew, &time, 1);
    assert_int_equal(crew.joining, 3);
    assert_false(mt_crew_wants_trial(&crew, time + 1000));
    for (int i = 0; i < 1000; i++) loop(&crew, &time, i % 20 ? 0 : 0.5 * ms, false); /* a tenth of all time */
    assert_int_equal(crew.joining, 3);
}

static void a_wait_of_two_slices_leaves_one_out_at_once(void **state)
{
    (void)state;
    mt_crew crew;
    double time = 0;
    mt_crew_init(&crew, 2);
    for (int i = 0; i < 10; i++, calm(&crew, &time, 0.1)) loop(&crew, &time, 3 * ms, false); /* one, now and then */
    assert_int_equal(crew.joining, 2);
    loop(&crew, &time, 5 * ms, false);
    assert_int_equal(crew.joining, 1);
    loop(&crew, &time, 5 * ms, false);
    assert_int_equal(crew.joining, 0);
    loop(&crew, &time, 5 * ms, false); /* nobody is left to be left out */
    assert_int_equal(crew.joining, 0);
}

static void so_do_many_short_ones(void **state)
{
    (void)state;
    mt_crew crew;
    double time = 0;
    mt_crew_init(&crew, 1);
    for (int i = 0; i < 100 && crew.joining; i++) loop(&crew, &time, 0.15 * ms, false);
    assert_int_equal(crew.joining, 0);
    assert_true(time < 30 * ms);
}

/* Blocks that take longer than the caller's own are no reason: nobody can do better. */
static void waiting_for_a_block_is_no_loss(void **state)
{
    (void)state;
    mt_crew crew;
    double time = 0;
    mt_crew_init(&crew, 1);
    for (int i = 0; i < 1000; i++, time += 10 * ms)
        mt_crew_account(&crew, &(mt_loop_account){time, time + 5 * ms, time + 10 * ms, 1, false});
    assert_int_equal(crew.joining, 1);
}

static void workers_without_a_processor_are_left_out(void **state)
{
    (void)state;
    mt_crew crew;
    double time = 0;
    mt_crew_init(&crew, 1);
    loop(&crew, &time, 0, true); /* once is nothing */
    assert_int_equal(crew.joining, 1);
    for (int i = 0; i < 100 && crew.joining; i++) loop(&crew, &time, 0, true);
    assert_int_equal(crew.joining, 0);
    assert_true(time < 10 * ms);
}

static void trials_that_fail_grow_rare(void **state)
{
    (void)state;
    mt_crew crew;
    double time = 0;
    mt_crew_init(&crew, 1);
    loop(&crew, &time, 5 * ms, false);
    double last = pause(&crew, time);
    assert_true(last > 1 * ms && last < 50 * ms);
    for (int i = 0; i < 20; i++) {
        time += last;
        mt_crew_judge(&crew, false, time);
        assert_int_equal(crew.joining, 0);
        double next = pause(&crew, time);
        assert_true(next > 1.5 * last || next > 0.1);
        assert_true(next < 1); /* so that nobody is left out for long when the neighbour has gone */
        last = next;
    }
    mt_crew_judge(&crew, true, time + last);
    assert_int_equal(crew.joining, 1);
}

static void workers_come_back_one_by_one(void **state)
{
    (void)state;
    mt_crew crew;
    double time = 0;
    mt_crew_init(&crew, 2);
    loop(&crew, &time, 5 * ms, false);
    loop(&crew, &time, 5 * ms, false);
    time += pause(&crew, time);
    mt_crew_judge(&crew, true, time);
    assert_int_equal(crew.joining, 1);
    assert_true(mt_crew_wants_trial(&crew, time)); /* of the other */
    mt_crew_judge(&crew, true, time);
    assert_int_equal(crew.joining, 2);
    assert_false(mt_crew_wants_trial(&crew, time + 1000));
}

static void calm_makes_up_for_what_was(void **state)
{
    (void)state;
    mt_crew crew;
    double time = 0;
    mt_crew_init(&crew, 1);
    loop(&crew, &time, 5 * ms, false);
    double first = pause(&crew, time);
    for (int i = 0; i < 20; i++) mt_crew_judge(&crew, false, time);
    mt_crew_judge(&crew, true, time);
    loop(&crew, &time, 5 * ms, false); /* again at once: the pause is a long one */
    assert_true(pause(&crew, time) > 10 * first);
    mt_crew_judge(&crew, true, time);
    calm(&crew, &time, 1);
    loop(&crew, &time, 5 * ms, false);
    assert_true(pause(&crew, time) < 1.01 * first);
}

/* Looks at the clock every microsecond, but for `gap` after half of the trial, until it is over. */
static mt_trial_state try_worker(double late, double gap)
{
    mt_trial trial;
    mt_trial_init(&trial, 7);
    mt_trial_state state = MT_TRIAL_GOES_ON;
    double time = 7 + late;
    for (bool held = false; state == MT_TRIAL_GOES_ON; time += 1e-6) {
        if (!held && time > 7 + 5 * ms) {
            time += gap;
            held = true;
        }
        state = mt_trial_look(&trial, time);
        assert_true(time < 8);
    }
    assert_true(state == MT_TRIAL_FAILED || time > 7 + 8 * ms); /* a scheduler's slice is no longer */
    return state;
}

static void trials_pass_where_a_worker_always_runs(void **state)
{
    (void)state;
    assert_int_equal(try_worker(0.08 * ms, 0), MT_TRIAL_PASSED);
    assert_int_equal(try_worker(0.08 * ms, 0.3 * ms), MT_TRIAL_PASSED); /* an interrupt, a daemon */
    assert_int_equal(try_worker(0.08 * ms, 2.8 * ms), MT_TRIAL_FAILED);
    assert_int_equal(try_worker(4 * ms, 0), MT_TRIAL_FAILED);
    assert_int_equal(try_worker(50 * ms, 0), MT_TRIAL_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_joins_while_nobody_is_late),
        cmocka_unit_test(a_wait_of_two_slices_leaves_one_out_at_once),
        cmocka_unit_test(so_do_many_short_ones),
        cmocka_unit_test(waiting_for_a_block_is_no_loss),
        cmocka_unit_test(workers_without_a_processor_are_left_out),
        cmocka_unit_test(trials_that_fail_grow_rare),
        cmocka_unit_test(workers_come_back_one_by_one),
        cmocka_unit_test(calm_makes_up_for_what_was),
        cmocka_unit_test(trials_pass_where_a_worker_always_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
