/* diarize: PLDA and VBx against tests/conformance/make_vbx_golden.py. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/memory.h"
#include "diarize/plda.h"
#include "diarize/vbx.h"
#include "unit/data/clustering_golden.h"

static mt_vbx_rules rules = {.fa = 0.4, .fb = 3, .loop = 0.8, .smoothing = 5, .same = 0.02, .epsilon = 1e-9};

static void make_plda(mt_plda *plda)
{
    assert_int_equal(mt_plda_create(GOLDEN_IN, GOLDEN_DIMS, plda), MOTET_OK);
    memcpy(plda->center, golden_center, sizeof golden_center);
    memcpy(plda->reduce, golden_reduce, sizeof golden_reduce);
    memcpy(plda->offset, golden_offset, sizeof golden_offset);
    memcpy(plda->mean, golden_mean, sizeof golden_mean);
    memcpy(plda->transform, golden_transform, sizeof golden_transform);
    memcpy(plda->psi, golden_psi, sizeof golden_psi);
}

static void plda_is_that_of_whole_gaussians(void **state)
{
    (void)state;
    mt_plda plda;
    float unit[GOLDEN_DIMS], place[GOLDEN_DIMS];
    make_plda(&plda);
    mt_plda_reduce(&plda, golden_voice, unit);
    mt_plda_project(&plda, unit, place);
    for (int d = 0; d < GOLDEN_DIMS; d++) {
        assert_true(fabsf(unit[d] - golden_reduced[d]) < 1e-6f);
        assert_true(fabsf(place[d] - golden_place[d]) < 1e-5f);
    }
    assert_true(fabs(mt_plda_ratio(&plda, golden_known, GOLDEN_KNOWN, golden_test) - golden_ratio[0]) < 1e-5);
    mt_plda_free(&plda);
}

static void plda_of_no_dimensions_is_refused(void **state)
{
    (void)state;
    mt_plda plda;
    assert_int_equal(mt_plda_create(4, 5, &plda), MOTET_ERROR_ARGUMENT);
    assert_int_equal(mt_plda_create(0, 0, &plda), MOTET_ERROR_ARGUMENT);
    assert_int_equal(mt_plda_create(1 << 30, 2, &plda), MOTET_ERROR_ARGUMENT);
    mt_plda_free(&plda);
}

/* After each number of rounds the evidence, which every step has a part in; and the labels at the end. */
static void check_vbx(const mt_vbx_voices *voices, const int *first, const double *evidence, const int *labels)
{
    int found[GOLDEN_COUNT];
    for (size_t i = 0; i < sizeof golden_rounds / sizeof *golden_rounds; i++) {
        int speakers = GOLDEN_SPEAKERS;
        double reached;
        memcpy(found, first, sizeof found);
        rules.rounds = golden_rounds[i];
        assert_int_equal(mt_vbx(voices, &rules, found, &speakers, &reached), MOTET_OK);
        assert_true(fabs(reached - evidence[i]) < 1e-5 * fabs(evidence[i]));
    }
    for (int t = 0; t < GOLDEN_COUNT; t++) assert_int_equal(found[t], labels[t]);
}

static void a_sequence_is_that_of_the_paper(void **state)
{
    (void)state;
    mt_vbx_voices voices = {GOLDEN_COUNT, GOLDEN_DIMS, golden_places, golden_psi, golden_weights, NULL};
    check_vbx(&voices, golden_first, golden_sequence_evidence, golden_sequence_labels);
}

static void windows_are_summed_over_every_assignment(void **state)
{
    (void)state;
    float places[GOLDEN_COUNT * GOLDEN_DIMS], weights[GOLDEN_COUNT];
    int first[GOLDEN_COUNT];
    for (int t = 0; t < GOLDEN_COUNT; t++) {
        memcpy(places + t * GOLDEN_DIMS, golden_places + golden_order[t] * GOLDEN_DIMS, GOLDEN_DIMS * sizeof(float));
        weights[t] = golden_weights[golden_order[t]];
        first[t] = golden_first[golden_order[t]];
    }
    mt_vbx_voices voices = {GOLDEN_COUNT, GOLDEN_DIMS, places, golden_psi, weights, golden_window_of};
    check_vbx(&voices, first, golden_windows_evidence, golden_windows_labels);
}

/* Two voices of one place in one window are two people; of two windows, one. */
static void voices_of_one_window_stay_apart(void **state)
{
    (void)state;
    const float places[] = {3, 3.2f, 3.1f, 3.3f, 3, 3.2f}, psi[] = {4};
    const int together[] = {0, 0, 1, 1, 2, 2}, apart[] = {0, 1, 2, 3, 4, 5};
    int labels[] = {0, 1, 0, 1, 0, 1}, speakers = 2;
    rules.rounds = 20;
    mt_vbx_voices voices = {6, 1, places, psi, NULL, together};
    assert_int_equal(mt_vbx(&voices, &rules, labels, &speakers, NULL), MOTET_OK);
    assert_int_equal(speakers, 2);
    for (int w = 0; w < 3; w++) assert_int_not_equal(labels[2 * w], labels[2 * w + 1]);
    voices.windows = apart;
    assert_int_equal(mt_vbx(&voices, &rules, labels, &speakers, NULL), MOTET_OK);
    assert_int_equal(speakers, 1);
}

/* Places so far out that likelihoods underflow, one speaker, one voice, none: labels all the same. */
static void extremes_have_labels(void **state)
{
    (void)state;
    float places[100], psi[] = {50};
    int labels[100], windows[100], speakers = 10;
    for (int t = 0; t < 100; t++) {
        places[t] = t < 50 ? -3000 : 3000;
        labels[t] = t % 10;
        windows[t] = t / 4;
    }
    double evidence;
    rules.rounds = 20;
    mt_vbx_voices voices = {100, 1, places, psi, NULL, NULL};
    assert_int_equal(mt_vbx(&voices, &rules, labels, &speakers, &evidence), MOTET_OK);
    assert_true(isfinite(evidence) && labels[0] == 0 && labels[49] == 0 && labels[50] != 0);
    voices.windows = windows;
    assert_int_equal(mt_vbx(&voices, &rules, labels, &speakers, &evidence), MOTET_OK);
    assert_true(isfinite(evidence));
    voices.windows = NULL;
    voices.count = 1;
    assert_int_equal(mt_vbx(&voices, &rules, labels, &speakers, &evidence), MOTET_OK);
    assert_int_equal(speakers, 1);
    voices.count = 0;
    assert_int_equal(mt_vbx(&voices, &rules, labels, &speakers, &evidence), MOTET_OK);
    assert_int_equal(speakers, 0);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    const float places[8] = {0}, psi[] = {1};
    const int crowded[8] = {0};
    int labels[8] = {0, 0, 0, 0, 0, 0, 0, 2}, speakers = 2;
    mt_vbx_voices voices = {8, 1, places, psi, NULL, NULL};
    assert_int_equal(mt_vbx(&voices, &rules, labels, &speakers, NULL), MOTET_ERROR_ARGUMENT);
    labels[7] = 1;
    voices.windows = crowded;
    assert_int_equal(mt_vbx(&voices, &rules, labels, &speakers, NULL), MOTET_ERROR_ARGUMENT);
    voices.windows = NULL;
    mt_vbx_rules wrong = rules;
    wrong.loop = 1;
    assert_int_equal(mt_vbx(&voices, &wrong, labels, &speakers, NULL), MOTET_ERROR_ARGUMENT);
}

static void every_failing_allocation_is_an_error(void **state)
{
    (void)state;
    for (long k = 0;; k++) {
        int labels[GOLDEN_COUNT], speakers = GOLDEN_SPEAKERS;
        memcpy(labels, golden_first, sizeof labels);
        mt_vbx_voices voices = {GOLDEN_COUNT, GOLDEN_DIMS, golden_places, golden_psi, NULL, golden_window_of};
        mt_plda plda;
        mt_memory_fail_at(k);
        motet_status status = mt_plda_create(GOLDEN_IN, GOLDEN_DIMS, &plda);
        if (status == MOTET_OK) status = mt_vbx(&voices, &rules, labels, &speakers, NULL);
        mt_memory_fail_at(-1);
        mt_plda_free(&plda);
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
        cmocka_unit_test(plda_is_that_of_whole_gaussians), cmocka_unit_test(plda_of_no_dimensions_is_refused),
        cmocka_unit_test(a_sequence_is_that_of_the_paper), cmocka_unit_test(windows_are_summed_over_every_assignment),
        cmocka_unit_test(voices_of_one_window_stay_apart), cmocka_unit_test(extremes_have_labels),
        cmocka_unit_test(what_cannot_be_is_refused),       cmocka_unit_test(every_failing_allocation_is_an_error),
    };
    return cmocka_run_group_tests_name("vbx", tests, NULL, NULL);
}
