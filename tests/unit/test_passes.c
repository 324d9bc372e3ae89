/* What the passes make of encoders as both of PyTorch's exporters write them: that each fires, how many nodes of which
 * kind a run has then, that leaving any of them out changes no number by more than rounding, and that none depends on
 * the number of threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "encoder_model.h"
#include "motet/motet.h"

enum { LAYERS = 2, SAMPLES = 800, BATCH = 2, STYLES = 4 };

static const encoder_style styles[STYLES] = {LEGACY, OLDEST, DYNAMO, NEWEST};

static int teardown(void **state)
{
    (void)state;
    forget_pieces();
    return 0;
}

static motet_session *open_model(piece bytes, const char *without, bool reference, int threads)
{
    motet_session *session;
    motet_session_options options;
    motet_session_options_init(&options);
    options.without = without;
    options.reference = reference;
    options.threads = threads;
    if (motet_session_open_memory(bytes.bytes, bytes.size, &options, &session) != MOTET_OK)
        fail_msg("%s", motet_error_message());
    return session;
}

static motet_tensor *waveform(int64_t batch, int64_t samples)
{
    motet_tensor *x;
    assert_int_equal(motet_tensor_create(MOTET_FLOAT, 2, (int64_t[]){batch, samples}, &x), MOTET_OK);
    float *values = motet_tensor_data(x);
    for (int64_t i = 0; i < batch * samples; i++)
        values[i] = (float)(sin(0.05 * (double)i) + 0.5 * sin(0.31 * (double)(i % 977)));
    return x;
}

static motet_tensor *run(motet_session *session, const motet_tensor *x, motet_profile *profile)
{
    static const char *const in[] = {"input_values"}, *const out[] = {"y"};
    motet_tensor *y;
    motet_run_options options;
    motet_run_options_init(&options);
    options.profile = profile;
    if (motet_session_run_with(session, &options, in, &x, 1, out, &y, 1) != MOTET_OK)
        fail_msg("%s", motet_error_message());
    return y;
}

static double largest_difference(const motet_tensor *a, const motet_tensor *b)
{
    double most = 0;
    assert_int_equal(motet_tensor_count(a), motet_tensor_count(b));
    for (int64_t i = 0; i < motet_tensor_count(a); i++)
        most = fmax(most, fabs(motet_tensor_number(a, i) - motet_tensor_number(b, i)));
    return most;
}

/* --- which nodes run -------------------------------------------------------------------------------------------- */

/* How often operators of this domain and type ran. */
static int calls(const motet_profile *profile, const char *domain, const char *type)
{
    int64_t all = 0;
    const motet_profile_node *line;
    for (size_t i = 0; (line = motet_profile_node_at(profile, i)); i++)
        if (strcmp(line->type, type) == 0 && strcmp(line->domain, domain) == 0) all += line->calls;
    return (int)all;
}

/* The profile of a run on shapes that have been seen; closes the session. */
static motet_profile *profile_session(motet_session *session)
{
    motet_profile *profile;
    motet_tensor *x = waveform(BATCH, SAMPLES);
    assert_int_equal(motet_profile_create(&profile), MOTET_OK);
    motet_tensor_destroy(run(session, x, NULL));
    motet_tensor_destroy(run(session, x, profile));
    motet_tensor_destroy(x);
    motet_session_close(session);
    return profile;
}

static motet_profile *profile_of(piece bytes, const char *without)
{
    return profile_session(open_model(bytes, without, false, 1));
}

static void encoders_become_few_nodes(void **state)
{
    (void)state;
    static const char *const gone[] = {
        "Shape", "Gather", "Concat", "Softmax",    "IsNaN", "Where",     "Erf",
        "Div",   "Mul",    "Pow",    "ReduceMean", "Add",   "Attention", "InstanceNormalization",
        "Expand"};
    for (int i = 0; i < STYLES; i++) {
        motet_profile *profile = profile_of(encoder_model(styles[i], LAYERS), NULL);
        for (size_t k = 0; k < sizeof gone / sizeof *gone; k++) assert_int_equal(calls(profile, "", gone[k]), 0);
        assert_int_equal(calls(profile, "motet", "Attention"), LAYERS);
        assert_int_equal(calls(profile, "motet", "Projections"), LAYERS);
        assert_int_equal(calls(profile, "motet", "MatMul"), 1 + 3 * LAYERS);
        assert_int_equal(calls(profile, "", "MatMul"), 0);
        assert_int_equal(calls(profile, "motet", "LayerNormalization"), 1 + 2 * LAYERS); /* with the sum before it */
        assert_int_equal(calls(profile, "", "LayerNormalization"), 1);
        assert_int_equal(calls(profile, "motet", "ConvNormalization"), 1); /* with GELU */
        assert_int_equal(calls(profile, "motet", "Conv"), 2);              /* with GELU */
        assert_int_equal(calls(profile, "", "Gelu"), 1);                   /* after the frame that is cut off */
        assert_int_equal(calls(profile, "", "Transpose"), 3);              /* between convolutions and products */
        motet_profile_destroy(profile);
    }
}

static void so_do_quantised_ones(void **state)
{
    (void)state;
    char path[] = "/tmp/motet-passes-XXXXXX";
    int file = mkstemp(path);
    piece bytes = encoder_model(LEGACY, LAYERS);
    motet_session *session;
    assert_true(file >= 0 && write(file, bytes.bytes, bytes.size) == (ssize_t)bytes.size);
    close(file);
    if (motet_model_quantize(path, path, NULL, NULL) != MOTET_OK) fail_msg("%s", motet_error_message());
    assert_int_equal(motet_session_open(path, NULL, &session), MOTET_OK);
    motet_profile *profile = profile_session(session);
    static const char *const gone[] = {"Shape", "Gather",        "Concat",      "Softmax",
                                       "Erf",   "MatMulInteger", "ConvInteger", "Mul"};
    for (size_t k = 0; k < sizeof gone / sizeof *gone; k++) assert_int_equal(calls(profile, "", gone[k]), 0);
    assert_int_equal(calls(profile, "motet", "Attention"), LAYERS);
    assert_int_equal(calls(profile, "motet", "LayerNormalization"), 1 + 2 * LAYERS);
    assert_int_equal(calls(profile, "motet", "ConvIntegerNormalization"), 1);
    assert_int_equal(calls(profile, "motet", "DynamicQuantizeLinear"), 1); /* after that, by its ranges */
    assert_int_equal(calls(profile, "", "Transpose"), 3);
    motet_profile_destroy(profile);
    unlink(path);
}

static void each_pass_has_a_switch(void **state)
{
    (void)state;
    static const struct {
        const char *pass, *domain, *type; /* without the pass, this runs `calls` times at opset 14 */
        int calls;
    } switches[] = {
        {"attention", "", "Softmax", LAYERS},
        {"norm", "", "ReduceMean", 2 * (2 + 2 * LAYERS)},
        {"skip", "", "LayerNormalization", 2 + 2 * LAYERS},
        {"gelu", "", "Erf", 4 + LAYERS},
        {"stem", "motet", "GroupNormalization", 1},
        {"epilogue", "", "MatMul", 1 + 6 * LAYERS},
        {"identity,transpose", "", "Identity", 1}, /* transposes that cancel are left as such */
        {"projections", "motet", "MatMul", 1 + 6 * LAYERS},
    };
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++) {
        motet_profile *profile = profile_of(encoder_model(OLDEST, LAYERS), switches[i].pass);
        assert_int_equal(calls(profile, switches[i].domain, switches[i].type), switches[i].calls);
        motet_profile_destroy(profile);
    }
    motet_session *session;
    motet_session_options options;
    piece bytes = encoder_model(LEGACY, 1);
    motet_session_options_init(&options);
    options.without = "gelu,magic";
    assert_int_equal(motet_session_open_memory(bytes.bytes, bytes.size, &options, &session), MOTET_ERROR_ARGUMENT);
    assert_non_null(strstr(motet_error_message(), "magic"));
    assert_non_null(strstr(motet_error_message(), "attention"));
}

/* --- what comes out --------------------------------------------------------------------------------------------- */

static void numbers_stay_whatever_is_left_out(void **state)
{
    (void)state;
    static const char *const sets[] = {
        NULL,          "attention", "norm",
        "skip",        "gelu",      "epilogue",
        "common",      "transpose", "identity",
        "fold",        "branch",    "forest",
        "integer",     "stem",      "range",
        "projections", "strassen",  "attention,norm,skip,gelu,stem,epilogue,common,transpose,identity,fold"};
    for (int i = 0; i < STYLES; i++) {
        piece bytes = encoder_model(styles[i], LAYERS);
        motet_session *plain = open_model(bytes, NULL, true, 1);
        motet_tensor *x = waveform(BATCH, SAMPLES), *expected = run(plain, x, NULL);
        for (size_t k = 0; k < sizeof sets / sizeof *sets; k++) {
            motet_session *session = open_model(bytes, sets[k], false, 1);
            for (int round = 0; round < 2; round++) { /* the first finds out about shapes, the second knows */
                motet_tensor *y = run(session, x, NULL);
                assert_true(largest_difference(y, expected) < 2e-5);
                motet_tensor_destroy(y);
            }
            motet_session_close(session);
        }
        motet_tensor_destroy(x);
        motet_tensor_destroy(expected);
        motet_session_close(plain);
    }
}

/* Three projections to 512 columns, combined, through a product without bias. */
static piece wide_model(void)
{
    encoder e = {.style = LEGACY};
    const char *square = "512 512", *parts[3];
    for (int i = 0; i < 3; i++) {
        const char *product = put(&e, "MatMul", NONE, "input_values", weights(&e, square, 0, 0.05), NULL);
        parts[i] = put(&e, "Add", NONE, product, weights(&e, "512", 0, 1), NULL);
    }
    const char *sum = put(&e, "Add", NONE, parts[0], put(&e, "Mul", NONE, parts[1], parts[2], NULL), NULL);
    const char *wide = put(&e, "MatMul", NONE, sum, weights(&e, square, 0, 0.05), NULL);
    e.all = JOIN(e.all, node("Identity", wide, "y", NONE), input("input_values", MOTET_FLOAT, "rows 512"), output("y"));
    return model(17, e.all);
}

static motet_tensor *run_wide(piece bytes, int rows, const char *without, bool reference, int threads)
{
    motet_session *session = open_model(bytes, without, reference, threads);
    motet_tensor *x = waveform(rows, 512), *y = run(session, x, NULL);
    motet_tensor_destroy(x);
    motet_session_close(session);
    return y;
}

static bool same_bytes(const motet_tensor *a, const motet_tensor *b)
{
    return memcmp(motet_tensor_const_data(a), motet_tensor_const_data(b),
                  (size_t)motet_tensor_count(a) * sizeof(float)) == 0;
}

/* Other roundings tell that it is done: for many rows, by any number of threads, unless the pass is left out. */
static void wide_products_go_strassens_way(void **state)
{
    (void)state;
    piece bytes = wide_model();
    for (int rows = 20; rows <= 110; rows += 90) {
        motet_tensor *exact = run_wide(bytes, rows, NULL, true, 1),
                     *plain = run_wide(bytes, rows, "strassen", false, 1);
        motet_tensor *fast = run_wide(bytes, rows, NULL, false, 1);
        assert_int_equal(same_bytes(fast, plain), rows == 20);
        assert_true(largest_difference(fast, exact) < 1e-4 && largest_difference(plain, exact) < 1e-4);
        for (int threads = 2; threads <= 3; threads++) {
            motet_tensor *again = run_wide(bytes, rows, NULL, false, threads);
            assert_true(same_bytes(again, fast));
            motet_tensor_destroy(again);
        }
        motet_tensor_destroy(exact);
        motet_tensor_destroy(plain);
        motet_tensor_destroy(fast);
    }
}

/* More shapes than are remembered, and some of them again. */
static void every_shape_has_its_own_numbers(void **state)
{
    (void)state;
    piece bytes = encoder_model(DYNAMO, 1);
    motet_session *session = open_model(bytes, NULL, false, 1);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 12; i++) {
            motet_session *fresh = open_model(bytes, NULL, false, 1);
            motet_tensor *x = waveform(1 + i % 3, 400 + 37 * i), *y = run(session, x, NULL),
                         *expected = run(fresh, x, NULL);
            assert_true(largest_difference(y, expected) == 0);
            motet_tensor_destroy(x);
            motet_tensor_destroy(y);
            motet_tensor_destroy(expected);
            motet_session_close(fresh);
        }
    motet_session_close(session);
}

static void threads_change_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < STYLES; i++) {
        piece bytes = encoder_model(styles[i], LAYERS);
        motet_tensor *x = waveform(BATCH, SAMPLES), *expected = NULL;
        for (int threads = 1; threads <= 4; threads++) {
            motet_session *session = open_model(bytes, NULL, false, threads);
            motet_tensor *y = run(session, x, NULL);
            if (expected)
                assert_memory_equal(motet_tensor_const_data(y), motet_tensor_const_data(expected),
                                    (size_t)motet_tensor_count(y) * sizeof(float));
            motet_tensor_destroy(expected);
            expected = y;
            motet_session_close(session);
        }
        motet_tensor_destroy(expected);
        motet_tensor_destroy(x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(encoders_become_few_nodes, teardown),
        cmocka_unit_test_teardown(so_do_quantised_ones, teardown),
        cmocka_unit_test_teardown(each_pass_has_a_switch, teardown),
        cmocka_unit_test_teardown(numbers_stay_whatever_is_left_out, teardown),
        cmocka_unit_test_teardown(wide_products_go_strassens_way, teardown),
        cmocka_unit_test_teardown(every_shape_has_its_own_numbers, teardown),
        cmocka_unit_test_teardown(threads_change_nothing, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
