/* dsp/fbank: the frames of kaldi-native-fbank and of NeMo's formulas (data/fbank_reference.py), and nothing infinite
 * whatever comes in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/memory.h"
#include "dsp/fbank.h"
#include "reference_signal.h"

enum { BINS = 80, EVERY = 4 };

static const mt_fbank_options wespeaker = {.kind = MT_FBANK_KALDI,
                                           .window = MT_WINDOW_HAMMING,
                                           .sample_rate = RATE,
                                           .bins = BINS,
                                           .frame_length = 400,
                                           .frame_step = 160,
                                           .low_hz = 20,
                                           .high_hz = 8000,
                                           .scale = 32768};

static mt_fbank_options speaker_3d(void)
{
    mt_fbank_options options = wespeaker;
    options.window = MT_WINDOW_POVEY;
    options.scale = 1;
    return options;
}

static mt_fbank_options titanet(void)
{
    mt_fbank_options options = wespeaker;
    options.kind = MT_FBANK_NEMO;
    options.window = MT_WINDOW_HANN;
    options.low_hz = 0;
    options.scale = 1;
    return options;
}

/* Compares every fourth frame with the reference's rows from `row` on; returns the rows compared. */
static size_t compare(const mt_fbank_options *options, const float *samples, const float *reference, size_t row)
{
    mt_fbank *fbank;
    assert_int_equal(mt_fbank_create(options, &fbank), MOTET_OK);
    size_t frames = mt_fbank_frames(fbank, SAMPLES), rows = (frames + EVERY - 1) / EVERY;
    float *got = malloc(frames * BINS * sizeof *got), worst = 0;
    mt_fbank_compute(fbank, samples, SAMPLES, got);
    for (size_t r = 0; r < rows; r++)
        for (size_t b = 0; b < BINS; b++)
            worst = fmaxf(worst, fabsf(got[r * EVERY * BINS + b] - reference[(row + r) * BINS + b]));
    print_message("filter bank %d/%d: largest difference %.2g\n", options->kind, options->window, (double)worst);
    assert_true(worst < 2e-3f);
    free(got);
    mt_fbank_destroy(fbank);
    return rows;
}

static void frames_equal_the_references(void **state)
{
    (void)state;
    mt_fbank_options povey = speaker_3d(), nemo = titanet();
    float *samples = make_signal(), *reference = read_reference("fbank_reference", 90, BINS);
    size_t row = compare(&wespeaker, samples, reference, 0);
    row += compare(&povey, samples, reference, row);
    row += compare(&nemo, samples, reference, row);
    assert_int_equal(row, 90);
    free(reference);
    free(samples);
}

static void a_piece_has_the_frames_that_fit(void **state)
{
    (void)state;
    mt_fbank_options nemo = titanet();
    static const size_t samples[] = {0, 1, 159, 160, 399, 400, 559, 560, 16000};
    static const size_t kaldi_frames[] = {0, 0, 0, 0, 0, 1, 1, 2, 98}, nemo_frames[] = {0, 0, 0, 1, 2, 2, 3, 3, 100};
    mt_fbank *k, *n;
    assert_int_equal(mt_fbank_create(&wespeaker, &k), MOTET_OK);
    assert_int_equal(mt_fbank_create(&nemo, &n), MOTET_OK);
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        assert_int_equal(mt_fbank_frames(k, samples[i]), kaldi_frames[i]);
        assert_int_equal(mt_fbank_frames(n, samples[i]), nemo_frames[i]);
    }
    mt_fbank_destroy(k);
    mt_fbank_destroy(n);
}

static void nothing_infinite_comes_out(void **state)
{
    (void)state;
    static const float levels[] = {0, 1e30f, INFINITY, NAN};
    static float samples[800], out[5 * BINS];
    const mt_fbank_options all[] = {wespeaker, speaker_3d(), titanet()};
    for (size_t o = 0; o < 3; o++)
        for (size_t l = 0; l < 4; l++) {
            mt_fbank *fbank;
            for (size_t i = 0; i < 800; i++) samples[i] = i % 2 ? levels[l] : -levels[l];
            assert_int_equal(mt_fbank_create(&all[o], &fbank), MOTET_OK);
            mt_fbank_compute(fbank, samples, 800, out);
            for (size_t i = 0; i < mt_fbank_frames(fbank, 800) * BINS; i++) assert_true(isfinite(out[i]));
            mt_fbank_destroy(fbank);
        }
}

static void refuse(mt_fbank_options options)
{
    mt_fbank *fbank;
    assert_int_equal(mt_fbank_create(&options, &fbank), MOTET_ERROR_FORMAT);
    assert_null(fbank);
}

static void options_that_cannot_be(void **state)
{
    (void)state;
    mt_fbank_options o = wespeaker;
    o.bins = 0, refuse(o), o = wespeaker;
    o.frame_length = 1, refuse(o), o = wespeaker;
    o.frame_step = 401, refuse(o), o = wespeaker;
    o.high_hz = 8001, refuse(o), o = wespeaker;
    o.low_hz = -1, refuse(o), o = wespeaker;
    o.scale = 0, refuse(o);
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    motet_status status = MOTET_ERROR_MEMORY;
    for (long k = 0; status != MOTET_OK; k++) {
        mt_fbank *fbank;
        mt_memory_fail_at(k);
        status = mt_fbank_create(&wespeaker, &fbank);
        mt_memory_fail_at(-1);
        mt_fbank_destroy(fbank);
        assert_true(k < 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_equal_the_references), cmocka_unit_test(a_piece_has_the_frames_that_fit),
        cmocka_unit_test(nothing_infinite_comes_out),  cmocka_unit_test(options_that_cannot_be),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests_name("fbank", tests, NULL, NULL);
}
