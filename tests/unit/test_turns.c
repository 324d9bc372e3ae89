/* diarize: votes become turns, and turns become text. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/memory.h"
#include "diarize/turns.h"

enum { FRAMES = 50 }; /* a window: 1 s in frames of 20 ms */

/* Windows every half second over `total` frames; who(speaker, frame) says who speaks. */
static motet_status make_record(mt_record *record, int total, int speakers, float (*who)(int speaker, int frame))
{
    float vector[1] = {1};
    mt_record_init(record, FRAMES, 1);
    for (int start = 0; start + FRAMES <= total; start += FRAMES / 2) {
        motet_status status = mt_record_window_begin(record, start);
        for (int k = 0; k < speakers && status == MOTET_OK; k++) {
            float active[FRAMES];
            for (int t = 0; t < FRAMES; t++) active[t] = who(k, start + t);
            status = mt_record_voice(record, vector, active, 1, 1);
            if (status == MOTET_OK) record->voices[record->voice_count - 1].speaker = k;
        }
        if (status != MOTET_OK) return status;
    }
    return MOTET_OK;
}

static const mt_turn_rules plain = {.frame = 0.02, .duration = 6, .min_turn = 0.1, .min_gap = 0.2, .onset = 0.5f};

/* Speaker 1: 1.0 to 3.0 s with a pause of 0.1 s at 2.0; speaker 0: 2.5 to 4.5 s, and a click of 0.04 s at 5.0. */
static float dialogue(int speaker, int frame)
{
    double t = frame * 0.02 + 0.01;
    if (speaker == 1) return (t > 1 && t < 2) || (t > 2.1 && t < 3) ? 1 : 0;
    return (t > 2.5 && t < 4.5) || (t > 5 && t < 5.04) ? 1 : 0;
}

static void check_turn(const motet_turn *turn, double start, double end, int speaker, double overlap)
{
    assert_true(fabs(turn->start - start) < 1e-9);
    assert_true(fabs(turn->end - end) < 1e-9);
    assert_int_equal(turn->speaker, speaker);
    assert_true(fabs(turn->overlap - overlap) < 1e-9);
    assert_true(turn->confidence > 0.9 && turn->confidence <= 1);
}

static void votes_become_turns(void **state)
{
    (void)state;
    mt_record record;
    motet_diarization *d;
    assert_int_equal(make_record(&record, 300, 2, dialogue), MOTET_OK);
    assert_int_equal(mt_turns_make(&record, 2, &plain, &d), MOTET_OK);
    assert_int_equal(d->turn_count, 2);
    assert_int_equal(d->speaker_count, 2);
    check_turn(&d->turns[0], 1, 3, 0, 0.5);     /* the pause filled; the first to speak is speaker 0 */
    check_turn(&d->turns[1], 2.5, 4.5, 1, 0.5); /* the click dropped */
    assert_string_equal(d->speakers[1].label, "SPEAKER_01");
    assert_true(fabs(d->speakers[0].speech - 2) < 1e-9);
    motet_diarization_destroy(d);

    mt_turn_rules exclusive = plain;
    exclusive.exclusive = true;
    assert_int_equal(mt_turns_make(&record, 2, &exclusive, &d), MOTET_OK);
    for (size_t i = 0; i < d->turn_count; i++) {
        assert_true(d->turns[i].overlap == 0);
        if (i) assert_true(d->turns[i].start >= d->turns[i - 1].end);
    }
    motet_diarization_destroy(d);
    mt_record_free(&record);
}

static float always(int speaker, int frame)
{
    (void)speaker;
    (void)frame;
    return 1;
}

static void no_turn_ends_after_the_audio(void **state)
{
    (void)state;
    mt_record record;
    motet_diarization *d;
    mt_turn_rules rules = plain;
    rules.duration = 1.995;
    assert_int_equal(make_record(&record, 100, 1, always), MOTET_OK);
    assert_int_equal(mt_turns_make(&record, 1, &rules, &d), MOTET_OK);
    assert_int_equal(d->turn_count, 1);
    check_turn(&d->turns[0], 0, 1.995, 0, 0);
    motet_diarization_destroy(d);
    assert_int_equal(mt_turns_make(&record, 0, &rules, &d), MOTET_OK); /* nobody */
    assert_int_equal(d->turn_count, 0);
    motet_diarization_destroy(d);
    mt_record_free(&record);
}

static void rttm_has_ten_fields(void **state)
{
    (void)state;
    motet_turn turns[] = {{.start = 1.0004, .end = 2.5006, .confidence = 0.9},
                          {.start = 2, .end = 2.0001, .confidence = 0.9}};
    motet_speaker speakers[] = {{.label = "SPEAKER_00"}};
    motet_diarization d = {.duration = 3, .turn_count = 2, .turns = turns, .speaker_count = 1, .speakers = speakers};
    motet_document document = {.file_id = "my talk"};
    char *text;
    size_t length;
    assert_int_equal(motet_diarization_write(&d, MOTET_FORMAT_RTTM, &document, &text, &length), MOTET_OK);
    assert_string_equal(text, "SPEAKER my_talk 1 1.000 1.501 <NA> <NA> SPEAKER_00 <NA> <NA>\n");
    motet_string_free(text);
    assert_int_equal(motet_diarization_write(&d, MOTET_FORMAT_JSON, &document, &text, &length), MOTET_OK);
    assert_non_null(strstr(text, "\"file\": \"my talk\""));
    motet_string_free(text);
}

static void every_failing_allocation_is_an_error(void **state)
{
    (void)state;
    for (long k = 0;; k++) {
        mt_record record;
        motet_diarization *d = NULL;
        mt_memory_fail_at(k);
        motet_status status = make_record(&record, 300, 2, dialogue);
        if (status == MOTET_OK) status = mt_turns_make(&record, 2, &plain, &d);
        mt_memory_fail_at(-1);
        mt_record_free(&record);
        motet_diarization_destroy(d);
        if (status == MOTET_OK) {
            assert_true(k > 5);
            return;
        }
        assert_int_equal(status, MOTET_ERROR_MEMORY);
        assert_null(d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(votes_become_turns),
        cmocka_unit_test(no_turn_ends_after_the_audio),
        cmocka_unit_test(rttm_has_ten_fields),
        cmocka_unit_test(every_failing_allocation_is_an_error),
    };
    return cmocka_run_group_tests_name("turns", tests, NULL, NULL);
}
