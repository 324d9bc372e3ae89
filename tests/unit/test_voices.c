/* diarize: voice prints, matching, and names in place of labels. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/memory.h"
#include "motet/file.h"
#include "motet/voices.h"

enum { DIMS = 4 };

static const motet_diarizer_info model = {.model_name = "test",
                                          .model_version = "1",
                                          .voice_identity = "0123456789abcdef",
                                          .voice_dims = DIMS,
                                          .threshold = 0.4};

static char folder[] = "/tmp/motet-voices-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static const char *in_folder(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* A diarization of speakers that are each heard alone for 10 s, one after the other. */
typedef struct scene {
    motet_diarization d;
    motet_speaker speakers[4];
    motet_turn turns[4];
    float voices[4 * DIMS];
} scene;

static void make_scene(scene *s, int speakers, const float *voices)
{
    *s = (scene){.d = {.turn_count = (size_t)speakers, .speaker_count = (size_t)speakers, .voice_dims = DIMS}};
    s->d.turns = s->turns;
    s->d.speakers = s->speakers;
    s->d.voices = s->voices;
    memcpy(s->voices, voices, sizeof(float) * DIMS * (size_t)speakers);
    for (int k = 0; k < speakers; k++) {
        s->speakers[k] = (motet_speaker){.speech = 10, .alone = 10, .turns = 1, .voice = s->voices + k * DIMS};
        snprintf(s->speakers[k].label, sizeof s->speakers[k].label, "SPEAKER_%02d", k);
        s->turns[k] = (motet_turn){.start = 10 * k, .end = 10 * k + 10, .speaker = k, .confidence = 1};
    }
}

static motet_status write_print(const char *file, const char *name, const motet_diarizer_info *of, const float *voice)
{
    scene s;
    motet_voiceprint *print;
    char *text = NULL;
    size_t length;
    make_scene(&s, 1, voice);
    motet_status status = motet_voiceprint_create(name, of, &print);
    if (status != MOTET_OK) return status;
    status = motet_voiceprint_add(print, &s.d, 0);
    if (status == MOTET_OK) status = motet_voiceprint_write(print, &text, &length);
    if (status == MOTET_OK) status = motet_file_write(in_folder(file), text, length);
    motet_string_free(text);
    motet_voiceprint_destroy(print);
    return status;
}

static const float anna[DIMS] = {1, 0, 0, 0}, ben[DIMS] = {0, 1, 0, 0}, between[DIMS] = {0.72f, 0.694f, 0, 0},
                   stranger[DIMS] = {0, 0, 1, 0}, like_anna[DIMS] = {0.8f, 0, 0.6f, 0};

static void write_people(void)
{
    assert_int_equal(write_print("a.json", "Anna \"A\" Müller", &model, anna), MOTET_OK);
    assert_int_equal(write_print("b.json", "Ben", &model, ben), MOTET_OK);
}

static void voices_are_matched_by_a_margin(void **state)
{
    (void)state;
    motet_known *known;
    motet_match match;
    write_people();
    assert_int_equal(motet_known_open(folder, &model, &known), MOTET_OK);
    motet_known_match(known, like_anna, NULL, &match);
    assert_true(match.known && fabs(match.similarity - 0.8) < 1e-6);
    assert_string_equal(match.name, "Anna \"A\" Müller");
    assert_string_equal(match.runner_up, "Ben");
    motet_known_match(known, between, NULL, &match);
    assert_false(match.known);
    motet_known_options loose = {.similarity = 0.6, .margin = 0};
    motet_known_match(known, between, &loose, &match);
    assert_true(match.known);
    motet_known_match(known, stranger, NULL, &match);
    assert_false(match.known);
    motet_known_destroy(known);
    assert_int_equal(motet_known_open(in_folder("b.json"), &model, &known), MOTET_OK);
    motet_known_match(known, between, NULL, &match);
    assert_true(match.known && !match.runner_up);
    motet_known_destroy(known);
}

/* Two clusters of one known person become one speaker, and their overlapping turns one turn. */
static void one_person_is_one_speaker(void **state)
{
    (void)state;
    motet_known *known;
    scene s;
    float voices[4 * DIMS];
    write_people();
    assert_int_equal(motet_known_open(folder, &model, &known), MOTET_OK);
    memcpy(voices, anna, sizeof anna);
    memcpy(voices + DIMS, stranger, sizeof stranger);
    memcpy(voices + 2 * DIMS, like_anna, sizeof like_anna);
    memcpy(voices + 3 * DIMS, ben, sizeof ben);
    make_scene(&s, 4, voices);
    s.turns[2].start = 8; /* 8 to 30 s: both of Anna's, and all of the stranger's */
    motet_turn third = s.turns[2];
    s.turns[2] = s.turns[1];
    s.turns[1] = third;
    assert_int_equal(motet_known_name(known, NULL, &s.d), MOTET_OK);
    assert_int_equal(s.d.speaker_count, 3);
    assert_string_equal(s.speakers[0].label, "Anna \"A\" Müller");
    assert_string_equal(s.speakers[1].label, "SPEAKER_01");
    assert_string_equal(s.speakers[2].label, "Ben");
    assert_int_equal(s.d.turn_count, 3);
    assert_true(s.turns[0].speaker == 0 && s.turns[0].start == 0 && s.turns[0].end == 30);
    assert_true(s.turns[0].overlap == 10 && s.turns[1].overlap == 10);
    assert_true(s.speakers[0].speech == 30 && s.speakers[0].alone == 20 && s.speakers[0].turns == 1);
    assert_true(s.turns[2].speaker == 2 && s.speakers[2].speech == 10);
    assert_true(s.speakers[2].voice == s.voices + 2 * DIMS && s.speakers[2].voice[1] == 1);
    assert_true(fabsf(s.speakers[0].voice[0] - 1.8f / sqrtf(1.8f * 1.8f + 0.36f)) < 1e-6f);
    motet_known_destroy(known);
}

static void check_refused(const char *text, motet_status expected, const char *message)
{
    motet_known *known;
    assert_int_equal(motet_file_write(in_folder("bad"), text, strlen(text)), MOTET_OK);
    assert_int_equal(motet_known_open(in_folder("bad"), &model, &known), expected);
    assert_null(known);
    assert_non_null(strstr(motet_error_message(), message));
    assert_non_null(strstr(motet_error_message(), in_folder("bad")));
}

#define HEAD(name)  "{\"voiceprint\": 1, \"name\": \"" name "\", "
#define MODEL(hash) "\"model\": {\"name\": \"test\", \"version\": \"1\", \"identity\": \"" hash "\"}, \"seconds\": 3, "

static void bad_files_are_refused(void **state)
{
    (void)state;
    check_refused("", MOTET_ERROR_FORMAT, "bad:1");
    check_refused("[1, 2]", MOTET_ERROR_FORMAT, "not a voice print");
    check_refused("{\"voiceprint\": 2}", MOTET_ERROR_FORMAT, "not a voice print");
    check_refused("{\"voiceprint\": 1}", MOTET_ERROR_FORMAT, "name");
    check_refused(HEAD("A") MODEL("0123456789abcdef") "\"vector\": 1}", MOTET_ERROR_FORMAT, "not an array");
    check_refused(HEAD("A") MODEL("0123456789abcdef") "\"vector\": []}", MOTET_ERROR_FORMAT, "0 values");
    check_refused(HEAD("A") MODEL("0123456789abcdef") "\"vector\": [1, 0, null, 0]}", MOTET_ERROR_FORMAT, "value 2");
    check_refused(HEAD("A") MODEL("0123456789abcdef") "\"vector\": [1e300, 0, 0, 0]}", MOTET_ERROR_FORMAT, "value 0");
    check_refused(HEAD("A") MODEL("0123456789abcdef") "\"vector\": [0, 0, 0, 0]}", MOTET_ERROR_FORMAT, "length 0");
    check_refused(HEAD("A") MODEL("0123456789abcdef") "\"vector\": [1, 0, 0]}", MOTET_ERROR_FORMAT, "3 values");
    check_refused(HEAD("") MODEL("0123456789abcdef") "\"vector\": [1, 0, 0, 0]}", MOTET_ERROR_FORMAT, "empty");
    check_refused(HEAD("a\\nb") MODEL("0123456789abcdef") "\"vector\": [1, 0, 0, 0]}", MOTET_ERROR_FORMAT, "control");
    check_refused(HEAD("A") MODEL("fedcba9876543210") "\"vector\": [1, 0, 0, 0]}", MOTET_ERROR_UNSUPPORTED,
                  "enrol again");
    remove(in_folder("bad"));
}

static void bad_names_are_refused(void **state)
{
    (void)state;
    char longest[MOTET_MAX_NAME + 2];
    motet_voiceprint *print;
    memset(longest, 'x', sizeof longest);
    longest[MOTET_MAX_NAME + 1] = '\0';
    const char *names[] = {"", "a\tb", "\xff", "SPEAKER_03", longest};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(motet_voiceprint_create(names[i], &model, &print), MOTET_ERROR_ARGUMENT);
        assert_null(print);
    }
    longest[MOTET_MAX_NAME] = '\0';
    assert_int_equal(motet_voiceprint_create(longest, &model, &print), MOTET_OK);
    char *text;
    size_t length;
    assert_int_equal(motet_voiceprint_write(print, &text, &length), MOTET_ERROR_ARGUMENT); /* nothing added */
    motet_voiceprint_destroy(print);
}

static void every_failing_allocation_is_an_error(void **state)
{
    (void)state;
    write_people();
    for (long k = 0;; k++) {
        scene s;
        float voices[2 * DIMS];
        memcpy(voices, anna, sizeof anna);
        memcpy(voices + DIMS, ben, sizeof ben);
        make_scene(&s, 2, voices);
        motet_known *known = NULL;
        mt_memory_fail_at(k);
        motet_status status = write_print("c.json", "Cleo", &model, stranger);
        if (status == MOTET_OK) status = motet_known_open(folder, &model, &known);
        if (status == MOTET_OK) status = motet_known_name(known, NULL, &s.d);
        mt_memory_fail_at(-1);
        motet_known_destroy(known);
        if (status == MOTET_OK) {
            assert_true(k > 10);
            return;
        }
        assert_int_equal(status, MOTET_ERROR_MEMORY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(voices_are_matched_by_a_margin),
        cmocka_unit_test(one_person_is_one_speaker),
        cmocka_unit_test(bad_files_are_refused),
        cmocka_unit_test(bad_names_are_refused),
        cmocka_unit_test(every_failing_allocation_is_an_error),
    };
    return cmocka_run_group_tests_name("voices", tests, make_folder, remove_folder);
}
