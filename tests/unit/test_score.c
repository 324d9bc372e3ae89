/* DER and JER: small cases that can be followed by hand, the golden set of 200 pairs (tests/conformance/score, made
 * from pyannote.metrics and from md-eval's definition), dscore's fixture, and what the report says. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/memory.h"
#include "motet/score.h"

/* --- helpers --------------------------------------------------------------------------------------------------- */

typedef struct turn {
    const char *speaker;
    double begin, end;
} turn;

static motet_rttm *turns_of(const char *file, const turn *turns, size_t count)
{
    motet_rttm *rttm;
    assert_int_equal(motet_rttm_create(&rttm), MOTET_OK);
    for (size_t i = 0; i < count; i++) {
        motet_rttm_turn added = {file, turns[i].speaker, turns[i].begin, turns[i].end - turns[i].begin};
        assert_int_equal(motet_rttm_add(rttm, &added), MOTET_OK);
    }
    return rttm;
}

#define TURNS(file, ...) turns_of(file, (const turn[]){__VA_ARGS__}, sizeof((const turn[]){__VA_ARGS__}) / sizeof(turn))

static motet_score_report *run(const motet_rttm *reference, const motet_rttm *hypothesis, const motet_uem *uem,
                               motet_score_options options)
{
    motet_score_report *report;
    assert_int_equal(motet_score_run(reference, hypothesis, uem, &options, &report), MOTET_OK);
    return report;
}

/* Scores one pair, takes the sets away, returns the pooled score. */
static motet_score score(motet_rttm *reference, motet_rttm *hypothesis, motet_score_options options)
{
    motet_score_report *report = run(reference, hypothesis, NULL, options);
    motet_score pooled = *motet_score_pooled(report);
    motet_score_report_destroy(report);
    motet_rttm_destroy(reference);
    motet_rttm_destroy(hypothesis);
    return pooled;
}

static void assert_near(double value, double expected)
{
    if (fabs(value - expected) > 1e-9) fail_msg("%.9f, expected %.9f", value, expected);
}

static const motet_score_options plain = {.convention = MOTET_SCORE_MD_EVAL};

/* --- by hand --------------------------------------------------------------------------------------------------- */

static void counts_every_kind_of_error(void **state)
{
    (void)state;
    motet_score s = score(TURNS("f", {"a", 0, 10}, {"b", 8, 12}), TURNS("f", {"x", 0, 7}, {"y", 9, 14}), plain);
    assert_near(s.scored, 14);
    assert_near(s.missed, 1 + 2 + 1); /* 7-8: a; 8-9: a and b; 9-10: one of the two */
    assert_near(s.false_alarm, 2);    /* 12-14 */
    assert_near(s.confusion, 0);
    assert_near(s.missed_speech, 2); /* 7-9 */
    assert_near(s.false_alarm_speech, 2);
    assert_near(s.speech, 12);
    assert_near(s.region, 14);
}

static void speakers_are_mapped_for_the_best(void **state)
{
    (void)state;
    motet_score s = score(TURNS("f", {"a", 0, 6}, {"b", 6, 10}), TURNS("f", {"x", 0, 4}, {"y", 4, 10}), plain);
    assert_near(s.confusion, 2);
    assert_near(s.der, 0.2);
    assert_near(s.jer, (1 - 4.0 / 6 + 1 - 4.0 / 6) / 2);
}

static void overlapping_turns_of_a_speaker_are_one(void **state)
{
    (void)state;
    motet_score s =
        score(TURNS("f", {"a", 0, 4}, {"a", 3, 6}, {"a", 1, 2}), TURNS("f", {"x", 0, 6}, {"x", 0, 5}), plain);
    assert_near(s.scored, 6);
    assert_near(s.der, 0);
    assert_near(s.jer, 0);
}

static void collars_differ_by_convention(void **state)
{
    (void)state;
    motet_score_options collar = {.convention = MOTET_SCORE_MD_EVAL, .collar = 1};
    motet_score s = score(TURNS("f", {"a", 2, 8}, {"a", 8, 12}), TURNS("f", {"x", 1, 13}), collar);
    assert_near(s.scored, 4 + 2); /* 3-7 and 9-11: the turns touch, and their boundary has a collar */
    assert_near(s.region, 6);
    collar.convention = MOTET_SCORE_PYANNOTE;
    s = score(TURNS("f", {"a", 2, 8}, {"a", 8, 12}), TURNS("f", {"x", 1, 13}), collar);
    assert_near(s.scored, 5 + 3);
    assert_near(s.false_alarm, 1); /* 1-1.5 and 12.5-13 */
}

static void mapping_comes_before_or_after_the_collar(void **state)
{
    (void)state;
    /* x meets a for 2.1 s of the recording, but for none of them outside of the collar; b for 1.9 s, all outside. */
    motet_score_options collar = {.convention = MOTET_SCORE_MD_EVAL, .collar = 1};
    motet_score s = score(TURNS("f", {"a", 0, 1}, {"a", 5, 6}, {"a", 8, 8.1}, {"b", 10, 30}),
                          TURNS("f", {"x", 0, 1}, {"x", 5, 6}, {"x", 8, 8.1}, {"x", 20, 21.9}), collar);
    assert_near(s.confusion, 1.9);
    collar.convention = MOTET_SCORE_PYANNOTE;
    collar.collar = 2;
    s = score(TURNS("f", {"a", 0, 1}, {"a", 5, 6}, {"a", 8, 8.1}, {"b", 10, 30}),
              TURNS("f", {"x", 0, 1}, {"x", 5, 6}, {"x", 8, 8.1}, {"x", 20, 21.9}), collar);
    assert_near(s.confusion, 0);
}

static void overlap_can_be_left_out(void **state)
{
    (void)state;
    motet_score_options skip = {.convention = MOTET_SCORE_MD_EVAL, .skip_overlap = true};
    motet_score s = score(TURNS("f", {"a", 0, 6}, {"b", 4, 10}), TURNS("f", {"x", 0, 6}, {"y", 6, 9}), skip);
    assert_near(s.scored, 8);
    assert_near(s.missed, 1);
    assert_near(s.der, 1.0 / 8);
}

static void nothing_to_score_is_zero_or_one(void **state)
{
    (void)state;
    motet_score_options all = {.convention = MOTET_SCORE_PYANNOTE, .collar = 100};
    motet_score s = score(TURNS("f", {"a", 0, 6}), TURNS("f", {"x", 0, 6}), all);
    assert_near(s.scored, 0);
    assert_near(s.der, 0);
    motet_rttm *reference = TURNS("f", {"a", 0, 6}), *hypothesis = TURNS("f", {"x", 7, 9});
    motet_uem *uem;
    assert_int_equal(motet_uem_create(&uem), MOTET_OK);
    assert_int_equal(motet_uem_add(uem, "f", 7, 10), MOTET_OK);
    motet_score_report *report = run(reference, hypothesis, uem, plain);
    assert_near(motet_score_pooled(report)->der, 1);
    assert_near(motet_score_pooled(report)->jer, 1);
    assert_int_equal(motet_score_pooled(report)->reference_speakers, 0);
    motet_score_report_destroy(report);
    motet_uem_destroy(uem);
    motet_rttm_destroy(reference);
    motet_rttm_destroy(hypothesis);
}

static void an_empty_hypothesis_misses_all(void **state)
{
    (void)state;
    motet_score s = score(TURNS("f", {"a", 0, 6}, {"b", 2, 3}), TURNS("g", {"x", 0, 6}), plain);
    assert_near(s.der, 1);
    assert_near(s.jer, 1);
    assert_near(s.missed, 7);
    assert_int_equal(s.hypothesis_speakers, 0);
}

/* --- sets of files --------------------------------------------------------------------------------------------- */

static void add(motet_rttm *rttm, const char *file, const char *speaker, double begin, double end)
{
    assert_int_equal(motet_rttm_add(rttm, &(motet_rttm_turn){file, speaker, begin, end - begin}), MOTET_OK);
}

static void files_are_matched_by_id(void **state)
{
    (void)state;
    motet_rttm *reference = TURNS("b", {"x", 0, 10}), *hypothesis = TURNS("b", {"s", 0, 8});
    add(reference, "a.sph", "y", 0, 2);
    add(reference, "c", "y", 0, 2);
    add(reference, "d", "y", 0, 2);
    add(hypothesis, "e", "s", 0, 1);
    add(hypothesis, "a.sph", "s", 0, 2);
    motet_uem *uem;
    assert_int_equal(motet_uem_create(&uem), MOTET_OK);
    assert_int_equal(motet_uem_add(uem, "b.wav", 0, 5), MOTET_OK); /* the extension is dropped, */
    assert_int_equal(motet_uem_add(uem, "b.wav", 4, 9), MOTET_OK); /* overlaps are merged, */
    assert_int_equal(motet_uem_add(uem, "a.sph", 0, 9), MOTET_OK); /* a file id with a point is found as it is */
    assert_int_equal(motet_uem_add(uem, "d", 0, 9), MOTET_OK);
    assert_int_equal(motet_uem_add(uem, "z", 0, 9), MOTET_OK);
    assert_int_equal(motet_uem_add(uem, "z", 10, 19), MOTET_OK);

    motet_score_report *report = run(reference, hypothesis, uem, plain);
    assert_int_equal(motet_score_file_count(report), 3);
    assert_string_equal(motet_score_file(report, 0)->file, "a.sph");
    assert_near(motet_score_file(report, 0)->der, 0);
    assert_string_equal(motet_score_file(report, 1)->file, "b");
    assert_near(motet_score_file(report, 1)->der, 1.0 / 9);
    assert_string_equal(motet_score_file(report, 2)->file, "d");
    assert_true(motet_score_file(report, 2)->no_hypothesis);
    assert_null(motet_score_file(report, 3));
    assert_near(motet_score_pooled(report)->der, 3.0 / 13);
    assert_near(motet_score_pooled(report)->jer, (0 + 1.0 / 9 + 1) / 3);
    assert_null(motet_score_pooled(report)->file);

    static const motet_score_omission omitted[] = {
        {"c", MOTET_SCORE_NOT_IN_UEM}, {"e", MOTET_SCORE_NO_REFERENCE}, {"z", MOTET_SCORE_NO_REFERENCE}};
    assert_int_equal(motet_score_omission_count(report), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(motet_score_omission_at(report, i)->file, omitted[i].file);
        assert_int_equal(motet_score_omission_at(report, i)->reason, omitted[i].reason);
    }
    assert_null(motet_score_omission_at(report, 3));
    motet_score_report_destroy(report);
    motet_uem_destroy(uem);
    motet_rttm_destroy(reference);
    motet_rttm_destroy(hypothesis);
}

static void too_many_speakers_are_refused(void **state)
{
    (void)state;
    motet_rttm *crowd, *one = TURNS("f", {"x", 0, 1});
    assert_int_equal(motet_rttm_create(&crowd), MOTET_OK);
    for (int i = 0; i < 1025; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%d", i);
        add(crowd, "f", name, i, i + 1);
    }
    motet_score_report *report;
    assert_int_equal(motet_score_run(one, crowd, NULL, NULL, &report), MOTET_ERROR_LIMIT);
    assert_null(report);
    assert_non_null(strstr(motet_error_message(), "1025 speakers"));
    motet_score_options negative = {.collar = -1}, endless = {.collar = INFINITY};
    assert_int_equal(motet_score_run(one, one, NULL, &negative, &report), MOTET_ERROR_ARGUMENT);
    assert_int_equal(motet_score_run(one, one, NULL, &endless, &report), MOTET_ERROR_ARGUMENT);
    motet_rttm_destroy(crowd);
    motet_rttm_destroy(one);
}

/* --- against others -------------------------------------------------------------------------------------------- */

typedef struct golden {
    motet_rttm *reference, *hypothesis;
    motet_uem *uem;
} golden;

#define GOLDEN MOTET_SOURCE_DIR "/tests/conformance/score/"

static int open_golden(void **state)
{
    static golden set;
    *state = &set;
    return motet_rttm_create(&set.reference) || motet_rttm_create(&set.hypothesis) || motet_uem_create(&set.uem) ||
           motet_rttm_read(set.reference, GOLDEN "reference.rttm") ||
           motet_rttm_read(set.hypothesis, GOLDEN "hypothesis.rttm") || motet_uem_read(set.uem, GOLDEN "regions.uem");
}

static int close_golden(void **state)
{
    golden *set = *state;
    motet_rttm_destroy(set->reference);
    motet_rttm_destroy(set->hypothesis);
    motet_uem_destroy(set->uem);
    return 0;
}

/* "# md-eval 0.25 scored uem": the settings of the lines that follow. */
static motet_score_report *run_setting(const golden *set, const char *line)
{
    char convention[16], overlap[16], regions[16];
    motet_score_options options;
    motet_score_options_init(&options);
    assert_int_equal(sscanf(line, "# %15s %lf %15s %15s", convention, &options.collar, overlap, regions), 4);
    if (strcmp(convention, "pyannote") == 0) options.convention = MOTET_SCORE_PYANNOTE;
    options.skip_overlap = strcmp(overlap, "skipped") == 0;
    return run(set->reference, set->hypothesis, strcmp(regions, "uem") == 0 ? set->uem : NULL, options);
}

static const motet_score *find(const motet_score_report *report, const char *file)
{
    if (strcmp(file, "*") == 0) return motet_score_pooled(report);
    for (size_t i = 0; i < motet_score_file_count(report); i++)
        if (strcmp(motet_score_file(report, i)->file, file) == 0) return motet_score_file(report, i);
    fail_msg("%s is not scored", file);
    return NULL;
}

/* "file scored missed false_alarm confusion missed_speech false_alarm_speech der jer"; "-" where a tie leaves it open.
 */
static void check_line(const motet_score_report *report, char *line, const char *setting)
{
    char *file = strtok(line, "\t\n");
    const motet_score *s = find(report, file);
    const double found[] = {s->scored,    s->missed,        s->false_alarm,
                            s->confusion, s->missed_speech, s->false_alarm_speech,
                            100 * s->der, 100 * s->jer};
    for (size_t i = 0; i < sizeof found / sizeof *found; i++) {
        const char *expected = strtok(NULL, "\t\n");
        assert_non_null(expected);
        if (strcmp(expected, "-") == 0) continue;
        if (fabs(found[i] - strtod(expected, NULL)) > 1e-6)
            fail_msg("%s, column %zu of %s: %.7f, expected %s", setting, i + 2, file, found[i], expected);
    }
}

static void equals_the_golden_set(void **state)
{
    const golden *set = *state;
    FILE *expected = fopen(GOLDEN "expected.tsv", "r");
    assert_non_null(expected);
    motet_score_report *report = NULL;
    char line[512], setting[512] = "";
    size_t lines = 0;
    while (fgets(line, sizeof line, expected)) {
        if (line[0] == '#') {
            motet_score_report_destroy(report);
            report = run_setting(set, line);
            line[strcspn(line, "\n")] = '\0';
            strcpy(setting, line + 2);
            continue;
        }
        check_line(report, line, setting);
        lines++;
    }
    motet_score_report_destroy(report);
    fclose(expected);
    assert_int_equal(lines, 8 * 201);
}

static bool read_fixture(const char *name, motet_rttm *rttm)
{
    const char *data = getenv("MOTET_DATA");
    char path[1024];
    snprintf(path, sizeof path, "%s/scoring/dscore/%s", data ? data : MOTET_SOURCE_DIR "/../shared/data", name);
    FILE *there = fopen(path, "r");
    if (!there) {
        print_message("skipped: %s is not there (set MOTET_DATA)\n", path);
        return false;
    }
    fclose(there);
    assert_int_equal(motet_rttm_read(rttm, path), MOTET_OK);
    return true;
}

static void equals_dscore_on_its_fixture(void **state)
{
    (void)state;
    motet_rttm *reference, *hypothesis;
    assert_int_equal(motet_rttm_create(&reference), MOTET_OK);
    assert_int_equal(motet_rttm_create(&hypothesis), MOTET_OK);
    if (read_fixture("ref.rttm", reference) && read_fixture("sys.rttm", hypothesis)) {
        motet_score_report *report = run(reference, hypothesis, NULL, plain);
        assert_true(fabs(100 * find(report, "FILE1")->der - 26.3931) < 0.00005);
        motet_score_report_destroy(report);
    }
    motet_rttm_destroy(reference);
    motet_rttm_destroy(hypothesis);
}

static void a_set_equals_itself(void **state)
{
    const golden *set = *state;
    motet_score_report *report = run(set->reference, set->reference, NULL, plain);
    assert_near(motet_score_pooled(report)->der, 0);
    assert_near(motet_score_pooled(report)->jer, 0);
    assert_int_equal(motet_score_file_count(report), 200);
    assert_int_equal(motet_score_omission_count(report), 0);
    motet_score_report_destroy(report);
}

/* --- the report as text ---------------------------------------------------------------------------------------- */

static void assert_written(const motet_score_report *report, motet_score_format format, const char *expected)
{
    char *text;
    size_t length;
    assert_int_equal(motet_score_report_write(report, format, &text, &length), MOTET_OK);
    assert_int_equal(strlen(text), length);
    if (!strstr(text, expected)) fail_msg("'%s' is not in:\n%s", expected, text);
    motet_string_free(text);
}

static void reports_always_name_collar_and_convention(void **state)
{
    (void)state;
    motet_rttm *reference = TURNS("a,\"b\"", {"x", 0, 10}), *hypothesis = TURNS("a,\"b\"", {"s", 0, 8});
    motet_score_report *report = run(reference, hypothesis, NULL, plain);
    assert_written(report, MOTET_SCORE_TABLE, "collar 0 s, md-eval convention");
    assert_written(report, MOTET_SCORE_TABLE, "overlap scored");
    assert_written(report, MOTET_SCORE_TABLE, "all files");
    assert_written(report, MOTET_SCORE_CSV,
                   "\"a,\"\"b\"\"\",md-eval,0,scored,10.000000,2.000000,0.000000,0.000000,20.000000");
    assert_written(report, MOTET_SCORE_CSV, "\n,md-eval,0,scored,10.000000");
    assert_written(report, MOTET_SCORE_JSON,
                   "{\"convention\": \"md-eval\", \"collar_s\": 0.000000, \"overlap\": \"scored\"}");
    assert_written(report, MOTET_SCORE_JSON, "{\"file\": \"a,\\\"b\\\"\", \"der_percent\": 20.000000");
    motet_score_report_destroy(report);
    motet_score_options other = {.convention = MOTET_SCORE_PYANNOTE, .collar = 0.5, .skip_overlap = true};
    report = run(reference, hypothesis, NULL, other);
    assert_written(report, MOTET_SCORE_TABLE, "collar 0.5 s, pyannote convention (0.25 s on each side");
    assert_written(report, MOTET_SCORE_TABLE, "overlap skipped");
    motet_score_report_destroy(report);
    motet_rttm_destroy(reference);
    motet_rttm_destroy(hypothesis);
}

static motet_status score_and_write(const motet_rttm *reference, const motet_rttm *hypothesis, const motet_uem *uem,
                                    const motet_score_options *options)
{
    motet_score_report *report;
    char *text = NULL;
    motet_status status = motet_score_run(reference, hypothesis, uem, options, &report);
    if (status == MOTET_OK) status = motet_score_report_write(report, MOTET_SCORE_JSON, &text, NULL);
    motet_string_free(text);
    motet_score_report_destroy(report);
    return status;
}

static void survives_failing_allocations(void **state)
{
    (void)state;
    motet_rttm *reference = TURNS("f", {"a", 0, 6}, {"b", 4, 10}), *hypothesis = TURNS("f", {"x", 0, 6}, {"y", 6, 9});
    add(reference, "g", "a", 0, 1);
    add(hypothesis, "h", "a", 0, 1);
    motet_uem *uem;
    assert_int_equal(motet_uem_create(&uem), MOTET_OK);
    assert_int_equal(motet_uem_add(uem, "f", 0, 9), MOTET_OK);
    for (int convention = 0; convention < 2; convention++) {
        motet_score_options options = {.convention = convention, .collar = 0.1, .skip_overlap = true};
        motet_status status = MOTET_ERROR_MEMORY;
        for (long n = 0; status != MOTET_OK; n++) {
            mt_memory_fail_at(n);
            status = score_and_write(reference, hypothesis, uem, &options);
            mt_memory_fail_at(-1);
            assert_true(status == MOTET_OK || status == MOTET_ERROR_MEMORY);
        }
    }
    motet_uem_destroy(uem);
    motet_rttm_destroy(reference);
    motet_rttm_destroy(hypothesis);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_every_kind_of_error),
        cmocka_unit_test(speakers_are_mapped_for_the_best),
        cmocka_unit_test(overlapping_turns_of_a_speaker_are_one),
        cmocka_unit_test(collars_differ_by_convention),
        cmocka_unit_test(mapping_comes_before_or_after_the_collar),
        cmocka_unit_test(overlap_can_be_left_out),
        cmocka_unit_test(nothing_to_score_is_zero_or_one),
        cmocka_unit_test(an_empty_hypothesis_misses_all),
        cmocka_unit_test(files_are_matched_by_id),
        cmocka_unit_test(too_many_speakers_are_refused),
        cmocka_unit_test_setup_teardown(equals_the_golden_set, open_golden, close_golden),
        cmocka_unit_test_setup_teardown(a_set_equals_itself, open_golden, close_golden),
        cmocka_unit_test(equals_dscore_on_its_fixture),
        cmocka_unit_test(reports_always_name_collar_and_convention),
        cmocka_unit_test(survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
