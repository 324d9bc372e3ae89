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

static char *as_text(motet_diarization *d)
{
    char *text;
    assert_int_equal(motet_diarization_write(d, MOTET_FORMAT_RTTM, NULL, &text, NULL), MOTET_OK);
    motet_diarization_destroy(d);
    return text;
}

/* What is kept of a recording concludes as finishing it does, and again, and otherwise under other settings. */
static void settings_can_be_tried(void **state)
{
    (void)state;
    motet_diarizer *diarizer = make_diarizer(1, 0);
    motet_diarize_options options;
    motet_diarization *result;
    motet_heard *heard;
    char *expected = diarize(diarizer, 30, 4096), *text;
    motet_diarize_options_init(&options);
    assert_int_equal(motet_diarizer_push(diarizer, samples, 16000 * 30), MOTET_OK);
    assert_int_equal(motet_diarizer_keep(diarizer, &heard), MOTET_OK);
    motet_diarizer_destroy(diarizer);
    for (int repeat = 0; repeat < 2; repeat++) {
        options.speakers = 0;
        assert_int_equal(motet_heard_conclude(heard, &options, &result), MOTET_OK);
        assert_true(result->speaker_count > 1);
        text = as_text(result);
        assert_string_equal(text, expected);
        motet_string_free(text);
        options.speakers = 1;
        assert_int_equal(motet_heard_conclude(heard, &options, &result), MOTET_OK);
        assert_int_equal(result->speaker_count, 1);
        assert_int_equal(result->turns[0].rival, -1);
        motet_diarization_destroy(result);
    }
    options.onset = 0;
    assert_int_equal(motet_heard_conclude(heard, &options, &result), MOTET_ERROR_ARGUMENT);
    options.onset = -1;
    motet_status status = MOTET_ERROR_MEMORY;
    for (long k = 0; status != MOTET_OK; k++) {
        mt_memory_fail_at(k);
        status = motet_heard_conclude(heard, &options, &result);
        mt_memory_fail_at(-1);
        assert_true(status == MOTET_OK || status == MOTET_ERROR_MEMORY);
    }
    motet_diarization_destroy(result);
    motet_heard_destroy(heard);
    motet_string_free(expected);
}

/* Of a clear conversation every long turn is nearest to its own speaker, and says so. */
static void turns_say_what_speaks_for_them(void **state)
{
    (void)state;
    motet_diarizer *diarizer = make_diarizer(1, 0);
    motet_diarization *d;
    assert_int_equal(motet_diarizer_push(diarizer, samples, 16000 * 30), MOTET_OK);
    assert_int_equal(motet_diarizer_finish(diarizer, &d), MOTET_OK);
    for (size_t i = 0; i < d->turn_count; i++) {
        const motet_turn *turn = &d->turns[i];
        if (turn->end - turn->start < 1.5) continue;
        assert_true(turn->windows >= 2 && turn->clean > 1);
        assert_true(turn->similarity > turn->rival_similarity + 0.2);
        assert_true(turn->rival >= 0 && turn->rival != turn->speaker && (size_t)turn->rival < d->speaker_count);
    }
    motet_diarization_destroy(d);
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
        cmocka_unit_test(the_same_bytes_every_time),      cmocka_unit_test(recordings_of_any_length),
        cmocka_unit_test(an_observer_can_cancel),         cmocka_unit_test(settings_can_be_tried),
        cmocka_unit_test(turns_say_what_speaks_for_them), cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests_name("diarizer", tests, read_conversation, free_conversation);
}
