/* dsp/mel: the frames of models/train/features.py, at once or in any pieces, and nothing infinite whatever comes in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/memory.h"
#include "dsp/mel.h"
#include "reference_signal.h"

enum { BINS = 80, STEP = 160 };

static const mt_mel_options options = {.sample_rate = RATE,
                                       .bins = BINS,
                                       .frame_length = 400,
                                       .frame_step = STEP,
                                       .fft = 512,
                                       .low_hz = 20,
                                       .high_hz = 7600,
                                       .floor = 1e-7};

/* All frames of `count` samples pushed in pieces of `piece` (0: of changing sizes up to 9,999); freed by the caller. */
static float *frames_of(mt_mel *mel, const float *samples, size_t count, size_t piece, size_t *frame_count)
{
    size_t capacity = count / STEP + 2, done = 0, seed = 1;
    float *all = malloc(capacity * BINS * sizeof *all);
    assert_non_null(all);
    const float *frames;
    size_t got;
    for (size_t at = 0; at < count;) {
        seed = (seed * 75 + 74) % 65537;
        size_t take = piece ? piece : seed % 9999 + 1;
        if (take > count - at) take = count - at;
        assert_int_equal(mt_mel_push(mel, samples + at, take, &frames, &got), MOTET_OK);
        at += take;
        assert_true(done + got <= capacity);
        if (got) memcpy(all + done * BINS, frames, got * BINS * sizeof *all);
        done += got;
    }
    assert_int_equal(mt_mel_finish(mel, &frames, &got), MOTET_OK);
    assert_true(done + got <= capacity);
    if (got) memcpy(all + done * BINS, frames, got * BINS * sizeof *all);
    *frame_count = done + got;
    return all;
}

static mt_mel *make_mel(void)
{
    mt_mel *mel;
    assert_int_equal(mt_mel_create(&options, &mel), MOTET_OK);
    return mel;
}

static void frames_equal_the_training_code(void **state)
{
    (void)state;
    float *samples = make_signal(), *wanted = read_reference("mel_reference", 120, BINS);
    mt_mel *mel = make_mel();
    size_t count;
    float *got = frames_of(mel, samples, SAMPLES, SAMPLES, &count);
    assert_int_equal(count, SAMPLES / STEP);
    float worst = 0;
    for (size_t i = 0; i < count * BINS; i++) worst = fmaxf(worst, fabsf(got[i] - wanted[i]));
    print_message("log-mel against numpy: largest difference %.2g\n", (double)worst);
    assert_true(worst < 1e-3f);
    assert_true(got[count * BINS - 1] == logf(1e-7f));
    mt_mel_destroy(mel);
    free(got);
    free(wanted);
    free(samples);
}

static void cutting_changes_nothing(void **state)
{
    (void)state;
    static const size_t pieces[] = {0, 1, 2, 3, 119, 159, 160, 161, 279, 280, 281, 399, 400, 401, 4096, 9999};
    float *samples = make_signal();
    mt_mel *mel = make_mel(); /* one for all: finish makes it ready for the next stream */
    size_t wanted_count, count;
    float *wanted = frames_of(mel, samples, SAMPLES - 7, SAMPLES, &wanted_count);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        float *got = frames_of(mel, samples, SAMPLES - 7, pieces[i], &count);
        assert_int_equal(count, wanted_count);
        assert_memory_equal(got, wanted, count * BINS * sizeof *got);
        free(got);
    }
    mt_mel_destroy(mel);
    free(wanted);
    free(samples);
}

static void a_stream_has_as_many_frames_as_steps_begun(void **state)
{
    (void)state;
    float *samples = make_signal();
    mt_mel *mel = make_mel();
    for (size_t n = 0; n < 1000; n++) {
        size_t count;
        free(frames_of(mel, samples, n, 0, &count));
        assert_int_equal(count, (n + STEP - 1) / STEP);
    }
    mt_mel_destroy(mel);
    free(samples);
}

static void frames_come_as_soon_as_they_can(void **state)
{
    (void)state;
    float *samples = make_signal();
    mt_mel *mel = make_mel();
    const float *frames;
    size_t count;
    assert_int_equal(mt_mel_push(mel, samples, 279, &frames, &count), MOTET_OK);
    assert_int_equal(count, 0);
    assert_int_equal(mt_mel_push(mel, samples + 279, 1, &frames, &count), MOTET_OK);
    assert_int_equal(count, 1);
    assert_int_equal(mt_mel_push(mel, samples + 280, STEP, &frames, &count), MOTET_OK);
    assert_int_equal(count, 1);
    mt_mel_destroy(mel);
    free(samples);
}

static void other_sizes_work_too(void **state)
{
    (void)state;
    static const mt_mel_options others[] = {
        {.sample_rate = 8000, .bins = 1, .frame_length = 1, .frame_step = 1, .fft = 2, .high_hz = 4000, .floor = 1e-10},
        {.sample_rate = 16000,
         .bins = 23,
         .frame_length = 1000,
         .frame_step = 1,
         .fft = 1001,
         .high_hz = 8000,
         .floor = 1},
        {.sample_rate = 48000,
         .bins = 300,
         .frame_length = 401,
         .frame_step = 160,
         .fft = 512,
         .high_hz = 300,
         .floor = 1e-7},
    };
    float *samples = make_signal();
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        mt_mel *mel;
        const float *frames;
        size_t first, rest;
        assert_int_equal(mt_mel_create(&others[i], &mel), MOTET_OK);
        assert_int_equal(mt_mel_push(mel, samples, 1234, &frames, &first), MOTET_OK);
        for (size_t k = 0; k < first * (size_t)others[i].bins; k++) assert_true(isfinite(frames[k]));
        assert_int_equal(mt_mel_finish(mel, &frames, &rest), MOTET_OK);
        assert_int_equal(first + rest, (1234 + others[i].frame_step - 1) / others[i].frame_step);
        mt_mel_destroy(mel);
    }
    free(samples);
}

static void nothing_infinite_comes_out(void **state)
{
    (void)state;
    static const float loud[] = {FLT_MAX, -FLT_MAX, 1e20f, INFINITY, NAN};
    float *samples = make_signal();
    mt_mel *mel = make_mel();
    for (size_t i = 0; i < sizeof loud / sizeof *loud; i++) {
        samples[1000 + i * 1000] = loud[i];
        samples[1001 + i * 1000] = -loud[i];
    }
    size_t count;
    float *got = frames_of(mel, samples, SAMPLES, 0, &count);
    for (size_t i = 0; i < count * BINS; i++) assert_true(isfinite(got[i]) && got[i] >= logf(1e-7f));
    mt_mel_destroy(mel);
    free(got);
    free(samples);
}

static void refuse(mt_mel_options wrong)
{
    mt_mel *mel;
    assert_int_equal(mt_mel_create(&wrong, &mel), MOTET_ERROR_FORMAT);
    assert_null(mel);
}

static void options_that_cannot_be_are_refused(void **state)
{
    (void)state;
    mt_mel_options wrong;
    refuse((wrong = options, wrong.sample_rate = 0, wrong));
    refuse((wrong = options, wrong.bins = 0, wrong));
    refuse((wrong = options, wrong.bins = INT32_MAX, wrong));
    refuse((wrong = options, wrong.fft = 399, wrong));
    refuse((wrong = options, wrong.fft = INT32_MAX, wrong));
    refuse((wrong = options, wrong.frame_length = -1, wrong));
    refuse((wrong = options, wrong.frame_step = 0, wrong));
    refuse((wrong = options, wrong.frame_step = 401, wrong));
    refuse((wrong = options, wrong.low_hz = 7600, wrong));
    refuse((wrong = options, wrong.low_hz = NAN, wrong));
    refuse((wrong = options, wrong.high_hz = 8001, wrong));
    refuse((wrong = options, wrong.high_hz = NAN, wrong));
    refuse((wrong = options, wrong.floor = 0, wrong));
    refuse((wrong = options, wrong.floor = NAN, wrong));
}

static motet_status whole_stream(const float *samples)
{
    mt_mel *mel;
    const float *frames;
    size_t count;
    motet_status status = mt_mel_create(&options, &mel);
    if (status == MOTET_OK) status = mt_mel_push(mel, samples, 1000, &frames, &count);
    if (status == MOTET_OK) status = mt_mel_push(mel, samples, SAMPLES, &frames, &count);
    if (status == MOTET_OK) status = mt_mel_finish(mel, &frames, &count);
    mt_mel_destroy(mel);
    return status;
}

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    float *samples = make_signal();
    long n = 0;
    for (motet_status status = MOTET_ERROR_MEMORY; status != MOTET_OK; n++) {
        mt_memory_fail_at(n);
        status = whole_stream(samples);
        mt_memory_fail_at(-1);
        assert_true(status == MOTET_OK || status == MOTET_ERROR_MEMORY);
    }
    assert_true(n > 8);
    free(samples);
}

static void *many_streams(void *samples)
{
    for (int i = 0; i < 20; i++) {
        if (whole_stream(samples) != MOTET_OK) return samples;
    }
    return NULL;
}

static void threads_may_have_one_each(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    float *samples = make_signal();
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, many_streams, samples), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    free(samples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_equal_the_training_code),
        cmocka_unit_test(cutting_changes_nothing),
        cmocka_unit_test(a_stream_has_as_many_frames_as_steps_begun),
        cmocka_unit_test(frames_come_as_soon_as_they_can),
        cmocka_unit_test(other_sizes_work_too),
        cmocka_unit_test(nothing_infinite_comes_out),
        cmocka_unit_test(options_that_cannot_be_are_refused),
        cmocka_unit_test(every_failing_allocation_is_reported),
        cmocka_unit_test(threads_may_have_one_each),
    };
    return cmocka_run_group_tests_name("mel", tests, NULL, NULL);
}
