/* Detectors with state, heard from end to end against ONNX Runtime's stored outputs (make_golden.py made them).
 *
 * The engine must not merely run one step: it carries its own state on, as users do, so a small error of one step would
 * grow. The bar is 1e-4 on every probability and every state that was stored.
 *
 * The cells of an LSTM know no bound: silero_vad_half's reach 411, where float32 itself is coarse: ONNX Runtime with
 * and without its rewriting of the graph is 4.6e-4 from itself, and up to 1.1e-3 from a run in double precision. Cells
 * therefore have 1e-6 of the largest of them where that is more. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sndfile.h>

#include "motet/session.h"
#include "motet/tensor_file.h"

#define BAR      1e-4
#define CELL_BAR 1e-6 /* of the largest cell */
#define GOLDEN   MOTET_SOURCE_DIR "/tests/conformance/golden/"

enum { UNITS = 128, STATE = 2 * UNITS, STATE_EVERY = 125 };

static void succeed(motet_status status)
{
    if (status != MOTET_OK) fail_msg("%s: %s", motet_status_name(status), motet_error_message());
}

/* The path of a real model or recording, for the caller to free; skips the test when there is none. */
static char *material(const char *name)
{
    const char *data = getenv("MOTET_DATA");
    char *path;
    if (asprintf(&path, "%s/../models/%s", data ? data : MOTET_SOURCE_DIR "/../shared/data", name) < 0) abort();
    if (access(path, R_OK) != 0) {
        print_message("skipped: no %s (MOTET_DATA names the folder that ../models lies beside)\n", path);
        free(path);
        skip();
    }
    return path;
}

static motet_session *open_model(const char *name)
{
    char *path = material(name);
    motet_session *session;
    succeed(motet_session_open(path, NULL, &session));
    free(path);
    return session;
}

static motet_tensor *golden(const char *name)
{
    char path[512];
    motet_tensor *tensor;
    snprintf(path, sizeof path, GOLDEN "%s.pb", name);
    succeed(motet_tensor_read(path, &tensor));
    return tensor;
}

static const float *floats(const motet_tensor *tensor)
{
    assert_int_equal(motet_tensor_type(tensor), MOTET_FLOAT);
    return motet_tensor_const_data(tensor);
}

static double largest_difference(const float *a, const float *b, int64_t count)
{
    double largest = 0;
    for (int64_t i = 0; i < count; i++) {
        double apart = fabs((double)a[i] - b[i]);
        if (!(apart <= largest)) largest = isnan(apart) ? INFINITY : apart;
    }
    return largest;
}

static void within(double bar, const char *model, const char *what, double apart)
{
    print_message("%s: %s within %.2g of ONNX Runtime\n", model, what, apart);
    if (!(apart <= bar)) fail_msg("%s: %s is %.3g away, allowed %.3g", model, what, apart, bar);
}

static void within_bar(const char *model, const char *what, double apart)
{
    within(BAR, model, what, apart);
}

/* --- Silero ------------------------------------------------------------------------------------------------------ */

typedef struct silero {
    const char *name;
    bool eight;    /* 8 kHz: every second sample, and the other branch of the model */
    bool takes_sr; /* has an input for the rate */
} silero;

/* test.wav as the model hears it. */
static float *read_samples(bool eight, int64_t *count)
{
    char *path = material("silero_vad/test.wav");
    SF_INFO info = {0};
    SNDFILE *file = sf_open(path, SFM_READ, &info);
    free(path);
    assert_non_null(file);
    float *samples = malloc((size_t)info.frames * sizeof *samples);
    assert_non_null(samples);
    assert_int_equal(sf_readf_float(file, samples, info.frames), info.frames);
    sf_close(file);
    *count = info.frames;
    if (eight)
        for (*count = 0; *count < info.frames / 2; ++*count) samples[*count] = samples[2 * *count];
    return samples;
}

/* One step: `wave` in, state carried on in `state`, the probability out. */
static float step_silero(motet_session *session, const silero *model, const motet_tensor *wave,
                         const motet_tensor *rate, motet_tensor **state)
{
    const char *input_names[] = {"input", "state", "sr"}, *output_names[] = {"output", "stateN"};
    const motet_tensor *inputs[] = {wave, *state, rate};
    motet_tensor *outputs[2];
    succeed(motet_session_run(session, input_names, inputs, model->takes_sr ? 3 : 2, output_names, outputs, 2));
    assert_int_equal(motet_tensor_count(outputs[0]), 1);
    assert_int_equal(motet_tensor_count(outputs[1]), STATE);
    float probability = *floats(outputs[0]);
    motet_tensor_destroy(outputs[0]);
    motet_tensor_destroy(*state);
    *state = outputs[1];
    return probability;
}

static void hears_as_onnx_runtime(void **argument)
{
    const silero *model = *argument;
    const int64_t step = model->eight ? 256 : 512, context = step / 8;
    char name[128];
    snprintf(name, sizeof name, "silero_vad/%s.onnx", model->name);
    motet_session *session = open_model(name);
    int64_t count;
    float *samples = read_samples(model->eight, &count);
    snprintf(name, sizeof name, "%s%s.output", model->name, model->eight ? ".8k" : "");
    motet_tensor *output = golden(name);
    snprintf(name, sizeof name, "%s%s.state", model->name, model->eight ? ".8k" : "");
    motet_tensor *states = golden(name);
    int64_t steps = motet_tensor_count(output);
    assert_int_equal(count / step, steps);

    motet_tensor *wave, *rate, *state;
    succeed(motet_tensor_create(MOTET_FLOAT, 2, (int64_t[]){1, context + step}, &wave));
    succeed(motet_tensor_create(MOTET_INT64, 0, NULL, &rate));
    succeed(motet_tensor_create(MOTET_FLOAT, 3, (int64_t[]){2, 1, 128}, &state));
    *(int64_t *)motet_tensor_data(rate) = model->eight ? 8000 : 16000;
    float *heard = motet_tensor_data(wave); /* the end of the step before, then this step; silence before the first */
    double apart = 0, hidden_apart = 0, cell_apart = 0, largest_cell = 0;
    for (int64_t i = 0; i < steps; i++) {
        memcpy(heard, heard + step, (size_t)context * sizeof *heard);
        memcpy(heard + context, samples + i * step, (size_t)step * sizeof *heard);
        float probability = step_silero(session, model, wave, rate, &state);
        apart = fmax(apart, largest_difference(&probability, floats(output) + i, 1));
        if ((i + 1) % STATE_EVERY) continue;
        const float *now = floats(state), *then = floats(states) + (i / STATE_EVERY) * STATE;
        hidden_apart = fmax(hidden_apart, largest_difference(now, then, UNITS));
        cell_apart = fmax(cell_apart, largest_difference(now + UNITS, then + UNITS, UNITS));
        for (int64_t k = UNITS; k < STATE; k++) largest_cell = fmax(largest_cell, fabsf(then[k]));
    }
    snprintf(name, sizeof name, "%s at %d kHz", model->name, model->eight ? 8 : 16);
    within_bar(name, "output", apart);
    within_bar(name, "hidden state", hidden_apart);
    within(fmax(BAR, CELL_BAR * largest_cell), name, "cells", cell_apart);

    motet_tensor_destroy(wave);
    motet_tensor_destroy(rate);
    motet_tensor_destroy(state);
    motet_tensor_destroy(output);
    motet_tensor_destroy(states);
    free(samples);
    motet_session_close(session);
}

/* --- FireRed ----------------------------------------------------------------------------------------------------- */

/* Runs a detector on all features at once; its outputs after the first are caches, stored stacked. */
static void detects_as_onnx_runtime(void **argument)
{
    const char *model = *argument;
    char name[128];
    snprintf(name, sizeof name, "firered_vad/fireredvad_%s.onnx", model);
    motet_session *session = open_model(name);
    size_t outputs = motet_session_output_count(session);
    const char *names[16], *feat = "feat";
    motet_tensor *got[16], *features = golden("firered.features");
    assert_in_range(outputs, 1, 16);
    for (size_t i = 0; i < outputs; i++) names[i] = motet_session_output(session, i)->name;
    succeed(motet_session_run(session, &feat, (const motet_tensor *const *)&features, 1, names, got, outputs));

    snprintf(name, sizeof name, "firered.%s.probs", model);
    motet_tensor *expected = golden(name);
    assert_int_equal(motet_tensor_count(got[0]), motet_tensor_count(expected));
    within_bar(model, "probs", largest_difference(floats(got[0]), floats(expected), motet_tensor_count(expected)));
    motet_tensor_destroy(expected);
    if (outputs > 1) {
        snprintf(name, sizeof name, "firered.%s.caches", model);
        expected = golden(name);
        int64_t each = motet_tensor_count(expected) / (int64_t)(outputs - 1);
        double apart = 0;
        for (size_t i = 1; i < outputs; i++) {
            assert_int_equal(motet_tensor_count(got[i]), each);
            apart = fmax(apart, largest_difference(floats(got[i]), floats(expected) + (int64_t)(i - 1) * each, each));
        }
        within_bar(model, "caches", apart);
        motet_tensor_destroy(expected);
    }
    for (size_t i = 0; i < outputs; i++) motet_tensor_destroy(got[i]);
    motet_tensor_destroy(features);
    motet_session_close(session);
}

/* The streaming detector in steps of several lengths, the caches of each step fed to the next. */
static void streams_as_onnx_runtime(void **argument)
{
    (void)argument;
    static const int64_t lengths[] = {1, 2, 5, 16, 3, 40};
    motet_session *session = open_model("firered_vad/fireredvad_stream_vad_with_cache.onnx");
    motet_tensor *features = golden("firered.features"), *caches;
    motet_tensor *probs = golden("firered.stream_vad_with_cache.probs");
    motet_tensor *last = golden("firered.stream_vad_with_cache.caches");
    succeed(motet_tensor_create(MOTET_FLOAT, 4, (int64_t[]){8, 1, 128, 19}, &caches));
    int64_t frames = motet_tensor_dims(features)[1], bins = motet_tensor_dims(features)[2];
    double apart = 0;
    for (int64_t at = 0, turn = 0; at < frames; turn++) {
        int64_t length = lengths[turn % 6] < frames - at ? lengths[turn % 6] : frames - at;
        const char *input_names[] = {"feat", "caches_in"}, *output_names[] = {"probs", "caches_out"};
        motet_tensor *feat, *outputs[2];
        succeed(motet_tensor_borrow(MOTET_FLOAT, 3, (int64_t[]){1, length, bins},
                                    (float *)motet_tensor_data(features) + at * bins,
                                    (size_t)(length * bins) * sizeof(float), &feat));
        const motet_tensor *inputs[] = {feat, caches};
        succeed(motet_session_run(session, input_names, inputs, 2, output_names, outputs, 2));
        assert_int_equal(motet_tensor_count(outputs[0]), length);
        assert_int_equal(motet_tensor_count(outputs[1]), motet_tensor_count(last));
        apart = fmax(apart, largest_difference(floats(outputs[0]), floats(probs) + at, length));
        motet_tensor_destroy(feat);
        motet_tensor_destroy(outputs[0]);
        motet_tensor_destroy(caches);
        caches = outputs[1];
        at += length;
    }
    within_bar("stream_vad_with_cache", "probs", apart);
    within_bar("stream_vad_with_cache", "caches",
               largest_difference(floats(caches), floats(last), motet_tensor_count(last)));
    motet_tensor_destroy(features);
    motet_tensor_destroy(caches);
    motet_tensor_destroy(probs);
    motet_tensor_destroy(last);
    motet_session_close(session);
}

#define SILERO(name, takes_sr)                                                                                         \
    {                                                                                                                  \
        name, hears_as_onnx_runtime, NULL, NULL, &(silero)                                                             \
        {                                                                                                              \
            name, false, takes_sr                                                                                      \
        }                                                                                                              \
    }
#define SILERO8(name, takes_sr)                                                                                        \
    {                                                                                                                  \
        name " at 8 kHz", hears_as_onnx_runtime, NULL, NULL, &(silero)                                                 \
        {                                                                                                              \
            name, true, takes_sr                                                                                       \
        }                                                                                                              \
    }
#define FIRERED(name)                                                                                                  \
    {                                                                                                                  \
        "firered " name, detects_as_onnx_runtime, NULL, NULL, name                                                     \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        SILERO("silero_vad", true),
        SILERO8("silero_vad", true),
        SILERO("silero_vad_16k_op15", true),
        SILERO("silero_vad_half", false),
        SILERO("silero_vad_op18_ifless", true),
        SILERO8("silero_vad_op18_ifless", true),
        SILERO("silero_vad_openvino_16k", false),
        FIRERED("vad"),
        FIRERED("aed"),
        FIRERED("stream_vad"),
        cmocka_unit_test(streams_as_onnx_runtime),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
