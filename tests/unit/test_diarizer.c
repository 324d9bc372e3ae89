/* The whole chain on the shipped conversation and the shipped model, through the public API: the same bytes whatever
 * the number of threads, the cutting of the samples and the repeat; cancelling; what it leaves behind when memory runs
 * out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conversation.h"
#include "core/memory.h"
#include "motet/motet.h"

static motet_diarizer *make_diarizer(int threads, int speakers)
{
    motet_diarize_options options;
    motet_diarizer *diarizer;
    motet_diarize_options_init(&options);
    options.model = model;
    options.threads = threads;
    options.speakers = speakers;
    motet_status status = motet_diarizer_create(&options, &diarizer);
    assert_string_equal(status == MOTET_OK ? "" : motet_error_message(), "");
    return diarizer;
}

/* The first `seconds` of the conversation, pushed `block` samples at a time, as RTTM. */
static char *diarize(motet_diarizer *diarizer, double seconds, size_t block)
{
    motet_diarization *result;
    size_t count = (size_t)(seconds * 16000);
    if (count > sample_count) count = sample_count;
    for (size_t at = 0; at < count; at += block)
        assert_int_equal(motet_diarizer_push(diarizer, samples + at, count - at < block ? count - at : block),
                         MOTET_OK);
    assert_int_equal(motet_diarizer_finish(diarizer, &result), MOTET_OK);
    char *text;
    assert_int_equal(motet_diarization_write(result, MOTET_FORMAT_RTTM, NULL, &text, NULL), MOTET_OK);
    motet_diarization_destroy(result);
    return text;
}

static void the_same_bytes_every_time(void **state)
{
    (void)state;
    motet_diarizer *diarizer = make_diarizer(1, 0);
    char *expected = diarize(diarizer, 40, 4096);
    assert_true(strlen(expected) > 200);
    motet_diarizer_destroy(diarizer);
    for (int threads = 1; threads <= 3; threads++) {
        diarizer = make_diarizer(threads, 0);
        for (int repeat = 0; repeat < 4; repeat++) {
            static const size_t blocks[] = {16000, 999, 160, 48000 * 5};
            char *text = diarize(diarizer, 40, blocks[repeat]);
            assert_string_equal(text, expected);
            motet_string_free(text);
        }
        motet_diarizer_destroy(diarizer);
    }
    motet_string_free(expected);
}

static void recordings_of_any_length(void **state)
{
    (void)state;
    motet_diarizer *diarizer = make_diarizer(2, 2);
    static const double seconds[] = {0, 1.0 / 16000, 0.01, 0.5, 2.99, 3, 3.01, 4, 7.123};
    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++)
        motet_string_free(diarize(diarizer, seconds[i], 4096));
    motet_diarizer_destroy(diarizer);
}

static int stop_at_third(void *user, motet_chunk *chunk)
{
    *(int64_t *)user = chunk->index;
    return chunk->index == 2;
}

static void an_observer_can_cancel(void **state)
{
    (void)state;
    motet_diarizer *diarizer = make_diarizer(2, 0);
    int64_t last = -1;
    motet_diarizer_observe(diarizer, stop_at_third, &last);
    assert_int_equal(motet_diarizer_push(diarizer, samples, 16000 * 20), MOTET_ERROR_CANCELLED);
    assert_int_equal(last, 2);
    motet_diarizer_reset(diarizer);
    motet_diarizer_observe(diarizer, NULL, NULL);
    char *text = diarize(diarizer, 10, 4096);
    assert_true(strlen(text) > 0);
    motet_string_free(text);
    motet_diarizer_destroy(diarizer);
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    motet_diarizer *diarizer = make_diarizer(1, 0);
    char *expected = diarize(diarizer, 8, 4096);
    for (long k = 0, step = 1;; k += step, step += k > 300) {
        motet_diarization *result = NULL;
        mt_memory_fail_at(k);
        motet_status status = motet_diarizer_push(diarizer, samples, 16000 * 8);
        if (status == MOTET_OK) status = motet_diarizer_finish(diarizer, &result);
        mt_memory_fail_at(-1);
        motet_diarizer_reset(diarizer);
        motet_diarization_destroy(result);
        if (status == MOTET_OK) break;
        assert_int_equal(status, MOTET_ERROR_MEMORY);
    }
    char *text = diarize(diarizer, 8, 4096); /* and the next recording is as if nothing had been */
    assert_string_equal(text, expected);
    motet_string_free(text);
    motet_string_free(expected);
    motet_diarizer_destroy(diarizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_bytes_every_time),
        cmocka_unit_test(recordings_of_any_length),
        cmocka_unit_test(an_observer_can_cancel),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests_name("diarizer", tests, read_conversation, free_conversation);
}
