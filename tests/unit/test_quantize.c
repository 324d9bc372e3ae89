/* The quantiser: which layers it takes and what becomes of them, how near the numbers stay, which layers a bound on the
 * cosine leaves out, and what it refuses. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/memory.h"
#include "core/status.h"
#include "graph/build.h"
#include "motet/motet.h"
#include "onnx_writer.h"
#include "quantize/range.h"

static char source[] = "/tmp/motet-quantize-XXXXXX", target[sizeof source + 8];

static int setup(void **state)
{
    (void)state;
    int file = mkstemp(source);
    snprintf(target, sizeof target, "%s.int8", source);
    return file < 0 ? -1 : close(file);
}

static int teardown(void **state)
{
    (void)state;
    forget_pieces();
    unlink(source);
    unlink(target);
    memcpy(source + sizeof source - 7, "XXXXXX", 6);
    return 0;
}

/* --- models ---------------------------------------------------------------------------------------------------- */

/* An initializer of numbers between -1 and 1 that differ from channel to channel. */
static piece weights(const char *name, const char *shape, int count)
{
    static float values[8192];
    assert_true(count <= (int)(sizeof values / sizeof *values));
    for (int i = 0; i < count; i++) values[i] = (float)((i * 29) % 97 - 48) / 50;
    return initializer(tensor(name, MOTET_FLOAT, shape, raw_data(values, (size_t)count * sizeof *values)));
}

static piece ends(const char *shape)
{
    return JOIN(input("x", MOTET_FLOAT, shape), output("y"));
}

static void write_model(int opset, piece graph)
{
    piece bytes = model(opset, graph);
    assert_int_equal(motet_file_write(source, (const char *)bytes.bytes, bytes.size), MOTET_OK);
}

static motet_tensor *make_input(int rank, const int64_t *shape)
{
    motet_tensor *x;
    assert_int_equal(motet_tensor_create(MOTET_FLOAT, rank, shape, &x), MOTET_OK);
    float *values = motet_tensor_data(x);
    for (int64_t i = 0; i < motet_tensor_count(x); i++) values[i] = (float)((i * 37) % 101 - 50) / 20;
    return x;
}

static motet_tensor *run(const char *path, const motet_tensor *x)
{
    static const char *const in[] = {"x"}, *const out[] = {"y"};
    motet_session *session;
    motet_tensor *y;
    if (motet_session_open(path, NULL, &session) != MOTET_OK) fail_msg("%s", motet_error_message());
    if (motet_session_run(session, in, &x, 1, out, &y, 1) != MOTET_OK) fail_msg("%s", motet_error_message());
    motet_session_close(session);
    return y;
}

/* The nodes of the main graph of the written file, as "Cast Mul". */
static void expect_nodes(const char *wanted)
{
    char types[512] = "";
    mt_file *file;
    mt_model *built;
    assert_int_equal(mt_file_open(target, &file), MOTET_OK);
    assert_int_equal(mt_model_build(file, &built), MOTET_OK);
    for (int i = 0; i < built->main->node_count; i++)
        snprintf(types + strlen(types), sizeof types - strlen(types), "%s%s", i ? " " : "",
                 built->main->nodes[i]->type);
    assert_string_equal(types, wanted);
    mt_model_destroy(built);
    mt_file_close(file);
}

static double cosine(const motet_tensor *x)
{
    static const motet_tolerance anything = {-1, -1, -1, -1, -1};
    motet_tensor *expected = run(source, x), *got = run(target, x);
    motet_distance distance;
    motet_distance_init(&distance);
    if (motet_tensor_compare(expected, got, &anything, &distance) != MOTET_OK) fail_msg("%s", motet_error_message());
    motet_tensor_destroy(expected);
    motet_tensor_destroy(got);
    return distance.cosine;
}

/* A motet_quantize_sample: the context is the one input. */
static motet_status give(void *context, size_t index, const motet_tensor **inputs)
{
    (void)index;
    inputs[0] = context;
    return MOTET_OK;
}

static motet_quantize_options options_for(motet_tensor *x)
{
    motet_quantize_options options;
    motet_quantize_options_init(&options);
    options.sample = give;
    options.sample_context = x;
    options.sample_count = 1;
    return options;
}

/* Quantises `graph` without a bound: these nodes, and numbers near those of the float model. */
static void expect(piece graph, int rank, const int64_t *shape, const char *nodes)
{
    write_model(17, graph);
    if (motet_model_quantize(source, target, NULL, NULL) != MOTET_OK) fail_msg("%s", motet_error_message());
    expect_nodes(nodes);
    motet_tensor *x = make_input(rank, shape);
    assert_true(cosine(x) > 0.9998);
    motet_tensor_destroy(x);
}

#define CHAIN_OF(product) "DynamicQuantizeLinear " product " Mul Cast Mul"

/* --- layers ---------------------------------------------------------------------------------------------------- */

static void products(void **state)
{
    static const int64_t shape[] = {2, 5, 32};
    (void)state;
    expect(JOIN(ends("2 5 32"), weights("w", "32 24", 32 * 24), weights("b", "24", 24),
                node("MatMul", "x w", "m", NONE), node("Add", "m b", "y", NONE)),
           3, shape, CHAIN_OF("MatMulInteger") " Add");
}

static void one_rounding_for_all_who_read(void **state)
{
    static const int64_t shape[] = {5, 32};
    (void)state;
    expect(JOIN(ends("5 32"), weights("w", "32 24", 32 * 24), weights("v", "32 24", 32 * 24),
                node("MatMul", "x w", "m", NONE), node("MatMul", "x v", "n", NONE), node("Add", "m n", "y", NONE)),
           2, shape, CHAIN_OF("MatMulInteger") " MatMulInteger Mul Cast Mul Add");
}

static void gemms(void **state)
{
    static const int64_t shape[] = {5, 32};
    (void)state;
    expect(JOIN(ends("5 32"), weights("w", "24 32", 32 * 24), weights("c", "24", 24),
                node("Gemm", "x w c", "y", JOIN(attribute_int("transB", 1), attribute_float("alpha", 0.5f)))),
           2, shape, CHAIN_OF("MatMulInteger") " Add");
    expect(JOIN(ends("5 32"), weights("w", "32 24", 32 * 24), node("Gemm", "x w", "y", NONE)), 2, shape,
           CHAIN_OF("MatMulInteger"));
}

static void convolutions(void **state)
{
    static const int64_t line[] = {2, 8, 40}, plane[] = {1, 4, 9, 11};
    (void)state;
    expect(JOIN(ends("2 8 40"), weights("w", "6 4 3", 72), weights("b", "6", 6),
                node("Conv", "x w b", "y", attribute_int("group", 2))),
           3, line, CHAIN_OF("ConvInteger") " Add");
    expect(JOIN(ends("1 4 9 11"), weights("w", "6 4 3 3", 216), node("Conv", "x w", "y", NONE)), 4, plane,
           CHAIN_OF("ConvInteger"));
}

static void channels_of_zeros(void **state)
{
    static const int64_t shape[] = {4, 2};
    (void)state;
    expect(JOIN(ends("4 2"), initializer(tensor("w", MOTET_FLOAT, "2 3", FLOATS(0, 1, 1e-41f, 0, -0.5f, 0))),
                node("MatMul", "x w", "y", NONE)),
           2, shape, CHAIN_OF("MatMulInteger"));
}

static void in_branches(void **state)
{
    static const int64_t shape[] = {5, 32};
    (void)state;
    piece yes = JOIN(text(2, "yes"), node("MatMul", "x w", "a", NONE), output("a"));
    piece no = JOIN(text(2, "no"), node("MatMul", "x v", "b", NONE), output("b"));
    expect(JOIN(ends("5 32"), weights("w", "32 24", 32 * 24), weights("v", "32 24", 32 * 24),
                node("ReduceMax", "x", "largest", attribute_int("keepdims", 0)),
                initializer(tensor("two", MOTET_FLOAT, "", FLOATS(2))), node("Greater", "largest two", "is", NONE),
                node("If", "is", "y", JOIN(attribute_graph("then_branch", yes), attribute_graph("else_branch", no)))),
           2, shape, "ReduceMax Greater If");
    motet_model *model;
    assert_int_equal(motet_model_open(target, &model), MOTET_OK);
    int64_t integer = 0;
    const motet_model_operator *kind;
    for (size_t i = 0; (kind = motet_model_operator_at(model, i)); i++)
        if (!strcmp(kind->type, "MatMulInteger")) integer = kind->count;
    assert_int_equal(integer, 2);
    motet_model_close(model);
}

static void what_stays_float(void **state)
{
    static const int64_t shape[] = {2, 2};
    (void)state;
    expect(JOIN(ends("2 2"), initializer(tensor("w", MOTET_FLOAT, "2 1", FLOATS(INFINITY, 1))),
                initializer(tensor("v", MOTET_FLOAT, "2 2 1", FLOATS(1, 2, 3, 4))),
                initializer(tensor("c", MOTET_FLOAT, "1", FLOATS(1))), node("MatMul", "x w", "a", NONE),
                node("MatMul", "x v", "b", NONE), node("Gemm", "x w c", "d", attribute_float("beta", 2)),
                node("MatMul", "x x", "e", NONE), node("Sum", "b e", "y", NONE)),
           2, shape, "MatMul MatMul Sum");
}

/* 66,311 products of bytes fit int32, one more may not. */
static void sums_that_might_not_fit(void **state)
{
    (void)state;
    enum { MOST = 66311 };
    float *values = calloc(MOST + 1, sizeof *values);
    for (int more = 0; more < 2; more++) {
        char shape[32];
        snprintf(shape, sizeof shape, "%d 1", MOST + more);
        write_model(17, JOIN(ends("1 ?"),
                             initializer(tensor("w", MOTET_FLOAT, shape,
                                                raw_data(values, (size_t)(MOST + more) * sizeof *values))),
                             node("MatMul", "x w", "y", NONE)));
        assert_int_equal(motet_model_quantize(source, target, NULL, NULL), MOTET_OK);
        expect_nodes(more ? "MatMul" : CHAIN_OF("MatMulInteger"));
    }
    free(values);
}

/* --- which layers ---------------------------------------------------------------------------------------------- */

/* The second layer has a weight that nothing meets (its x is 0) and that leaves no steps for the others. */
static piece coarse_model(void)
{
    return JOIN(ends("4 2"), initializer(tensor("w", MOTET_FLOAT, "2 2", FLOATS(0, 1, 0, 0.7f))),
                initializer(tensor("v", MOTET_FLOAT, "2 2", FLOATS(1000, 1000, 0.9f, -0.7f))),
                node("MatMul", "x w", "m", named("fine")), node("MatMul", "m v", "n", named("coarse")),
                node("Relu", "n", "y", NONE));
}

static motet_quantized *quantize_coarse(double min_cosine, const char *exclude)
{
    static const int64_t shape[] = {4, 2};
    motet_tensor *x = make_input(2, shape);
    motet_quantize_options options = options_for(x);
    motet_quantized *report;
    options.min_cosine = min_cosine;
    options.exclude = &exclude;
    options.exclude_count = exclude != NULL;
    write_model(17, coarse_model());
    motet_status status = motet_model_quantize(source, target, &options, &report);
    if (status == MOTET_OK && min_cosine > 0) assert_true(cosine(x) >= min_cosine);
    motet_tensor_destroy(x);
    return status == MOTET_OK ? report : NULL;
}

static void expect_layers(const motet_quantized *report, bool fine, bool coarse)
{
    assert_non_null(report);
    assert_string_equal(motet_quantized_layer_at(report, 0)->name, "fine");
    assert_int_equal(motet_quantized_layer_at(report, 0)->quantized, fine);
    assert_string_equal(motet_quantized_layer_at(report, 1)->name, "coarse");
    assert_string_equal(motet_quantized_layer_at(report, 1)->type, "MatMul");
    assert_int_equal(motet_quantized_layer_at(report, 1)->parameters, 4);
    assert_int_equal(motet_quantized_layer_at(report, 1)->quantized, coarse);
    assert_null(motet_quantized_layer_at(report, 2));
}

static void layers_that_cost_too_much(void **state)
{
    (void)state;
    motet_quantized *report = quantize_coarse(0.99, NULL);
    expect_layers(report, true, false);
    assert_true(motet_quantized_layer_at(report, 0)->cosine >= 0.99);
    assert_true(motet_quantized_layer_at(report, 1)->cosine < 0.99);
    motet_quantized_destroy(report);
    expect_nodes(CHAIN_OF("MatMulInteger") " MatMul Relu");

    report = quantize_coarse(0, NULL);
    expect_layers(report, true, true);
    assert_true(isnan(motet_quantized_layer_at(report, 1)->cosine));
    motet_quantized_destroy(report);

    report = quantize_coarse(1, NULL); /* which no rounding reaches */
    expect_layers(report, false, false);
    motet_quantized_destroy(report);
}

static void exclusion(void **state)
{
    (void)state;
    motet_quantized *report = quantize_coarse(0.99, "fine");
    expect_layers(report, false, false);
    assert_true(motet_quantized_layer_at(report, 0)->excluded);
    assert_false(motet_quantized_layer_at(report, 1)->excluded);
    motet_quantized_destroy(report);
    assert_null(quantize_coarse(0.99, "Relu"));
    assert_non_null(strstr(motet_error_message(), "no layer 'Relu'"));
}

/* --- ranges that are found beforehand -------------------------------------------------------------------------- */

static void expect_scale(const mt_range *range, motet_quantize_method method, double least, double most)
{
    mt_byte_scale s = mt_range_scale(range, method, 99);
    assert_true(fabs((double)s.scale * 255 - (most - least)) < 0.02 * (most - least));
    assert_true(fabs(-(double)s.zero * (double)s.scale - least) <= (double)s.scale);
}

static void ranges(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    static float values[COUNT];
    static int64_t bins[MT_RANGE_BINS];
    mt_range range = {0};
    for (int i = 0; i < COUNT; i++) values[i] = (float)i / COUNT; /* even from 0 to 1, and two far outliers */
    values[7] = NAN;
    values[8] = -INFINITY;
    values[9] = 4;
    values[10] = -4;
    mt_range_widen(&range, values, COUNT);
    assert_true(range.least == -4 && range.most == 4);
    range.bins = bins;
    mt_range_count(&range, values, COUNT);
    expect_scale(&range, MOTET_QUANTIZE_MIN_MAX, -4, 4);
    expect_scale(&range, MOTET_QUANTIZE_PERCENTILE, 0, 0.995);
    mt_byte_scale entropy = mt_range_scale(&range, MOTET_QUANTIZE_ENTROPY, 99);
    assert_true(entropy.scale * 255 > 1.9f && entropy.scale * 255 < 4); /* -1 to 1 at least, but not all */
    assert_true(mt_range_scale(&(mt_range){0}, MOTET_QUANTIZE_ENTROPY, 99).scale == 1);
    assert_true(mt_range_scale(&(mt_range){.most = 1e-44f}, MOTET_QUANTIZE_MIN_MAX, 99).scale == 1);
    expect_scale(&(mt_range){.most = 3}, MOTET_QUANTIZE_MIN_MAX, 0, 3);
}

/* One QuantizeLinear for the two that read x, the scales one constant; a layer that is fed from within a branch is
 * dynamic, one that captures what is outside is not. */
static void static_layers(void **state)
{
    static const int64_t shape[] = {5, 32}, line[] = {2, 8, 40};
    (void)state;
    motet_tensor *x = make_input(2, shape);
    motet_quantize_options options = options_for(x);
    for (int method = MOTET_QUANTIZE_MIN_MAX; method <= MOTET_QUANTIZE_ENTROPY; method++) {
        options.method = (motet_quantize_method)method;
        write_model(17, JOIN(ends("5 32"), weights("w", "32 24", 32 * 24), weights("v", "32 24", 32 * 24),
                             weights("b", "24", 24), node("MatMul", "x w", "m", NONE), node("Gemm", "x v b", "n", NONE),
                             node("Add", "m n", "y", NONE)));
        if (motet_model_quantize(source, target, &options, NULL) != MOTET_OK) fail_msg("%s", motet_error_message());
        expect_nodes("QuantizeLinear MatMulInteger Cast Mul MatMulInteger Cast Mul Add Add");
        assert_true(cosine(x) > 0.999);
    }
    piece yes = JOIN(text(2, "yes"), node("Neg", "x", "z", NONE), node("MatMul", "z w", "a", NONE), output("a"));
    piece no = JOIN(text(2, "no"), node("MatMul", "x v", "b", NONE), output("b"));
    write_model(
        17, JOIN(ends("5 32"), weights("w", "32 24", 32 * 24), weights("v", "32 24", 32 * 24),
                 node("ReduceMax", "x", "largest", attribute_int("keepdims", 0)),
                 initializer(tensor("two", MOTET_FLOAT, "", FLOATS(2))), node("Greater", "largest two", "is", NONE),
                 node("If", "is", "y", JOIN(attribute_graph("then_branch", yes), attribute_graph("else_branch", no)))));
    assert_int_equal(motet_model_quantize(source, target, &options, NULL), MOTET_OK);
    motet_model *model;
    const motet_model_operator *kind;
    int64_t fixed = 0, anew = 0;
    assert_int_equal(motet_model_open(target, &model), MOTET_OK);
    for (size_t i = 0; (kind = motet_model_operator_at(model, i)); i++) {
        if (!strcmp(kind->type, "QuantizeLinear")) fixed = kind->count;
        if (!strcmp(kind->type, "DynamicQuantizeLinear")) anew = kind->count;
    }
    motet_model_close(model);
    assert_true(fixed == 1 && anew == 1);
    motet_tensor_destroy(x);
    x = make_input(3, line);
    options.sample_context = x;
    write_model(17, JOIN(ends("2 8 40"), weights("w", "6 4 3", 72), weights("b", "6", 6),
                         node("Conv", "x w b", "y", attribute_int("group", 2))));
    assert_int_equal(motet_model_quantize(source, target, &options, NULL), MOTET_OK);
    expect_nodes("QuantizeLinear ConvInteger Cast Mul Add");
    assert_true(cosine(x) > 0.999);
    motet_tensor_destroy(x);
}

/* What was not among the samples is cut off: the file says what the samples said. */
static void static_ranges_are_of_the_samples(void **state)
{
    static const int64_t shape[] = {1, 2};
    (void)state;
    motet_tensor *x = make_input(2, shape);
    float *values = motet_tensor_data(x);
    values[0] = 2;
    values[1] = 1;
    motet_quantize_options options = options_for(x);
    options.method = MOTET_QUANTIZE_MIN_MAX;
    write_model(17, JOIN(ends("1 2"), initializer(tensor("w", MOTET_FLOAT, "2 1", FLOATS(1, 1))),
                         node("MatMul", "x w", "y", NONE)));
    assert_int_equal(motet_model_quantize(source, target, &options, NULL), MOTET_OK);
    values[0] = 100;
    values[1] = -100;
    motet_tensor *y = run(target, x);
    assert_true(fabs(motet_tensor_number(y, 0) - 2) < 0.02); /* 2 and 0 */
    motet_tensor_destroy(x);
    motet_tensor_destroy(y);
}

static motet_status refuse(void *context, size_t index, const motet_tensor **inputs)
{
    inputs[0] = context;
    return index ? mt_fail(MOTET_ERROR_IO, "no more") : MOTET_OK;
}

static void cancel_at_once(void *context, size_t done, size_t most)
{
    assert_true(done <= most);
    motet_cancel_request(context);
}

static void stopped(void **state)
{
    static const int64_t shape[] = {4, 2};
    (void)state;
    motet_tensor *x = make_input(2, shape);
    motet_quantize_options options = options_for(x);
    options.min_cosine = 1;
    options.sample = refuse;
    options.sample_count = 2;
    write_model(17, coarse_model());
    unlink(target);
    assert_int_equal(motet_model_quantize(source, target, &options, NULL), MOTET_ERROR_IO);
    options.sample = give;
    options.progress = cancel_at_once;
    assert_int_equal(motet_cancel_create(&options.cancel), MOTET_OK);
    options.progress_context = options.cancel;
    for (int method = MOTET_QUANTIZE_DYNAMIC; method <= MOTET_QUANTIZE_MIN_MAX; method++) {
        options.method = (motet_quantize_method)method;
        motet_cancel_reset(options.cancel);
        assert_int_equal(motet_model_quantize(source, target, &options, NULL), MOTET_ERROR_CANCELLED);
    }
    assert_int_not_equal(access(target, F_OK), 0);
    motet_cancel_destroy(options.cancel);
    motet_tensor_destroy(x);
}

/* --- errors ---------------------------------------------------------------------------------------------------- */

static void errors(void **state)
{
    (void)state;
    motet_quantize_options options;
    motet_quantized *report;
    motet_quantize_options_init(&options);
    unlink(target);
    write_model(10, coarse_model());
    assert_int_equal(motet_model_quantize(source, target, NULL, &report), MOTET_ERROR_UNSUPPORTED);
    assert_non_null(strstr(motet_error_message(), "'fine' (MatMul): opset 10"));
    assert_null(report);
    write_model(17, coarse_model());
    options.min_cosine = 0.5;
    assert_int_equal(motet_model_quantize(source, target, &options, NULL), MOTET_ERROR_ARGUMENT);
    assert_non_null(strstr(motet_error_message(), "no samples are given"));
    options.min_cosine = 0;
    options.method = MOTET_QUANTIZE_MIN_MAX;
    assert_int_equal(motet_model_quantize(source, target, &options, NULL), MOTET_ERROR_ARGUMENT);
    assert_int_equal(motet_model_quantize("/tmp", target, NULL, NULL), MOTET_ERROR_IO);
    assert_int_not_equal(access(target, F_OK), 0);
}

/* Each allocation fails once: an error, nothing lost, no half a file. */
static void fail_everywhere(motet_quantize_method method)
{
    static const int64_t shape[] = {4, 2};
    motet_tensor *x = make_input(2, shape);
    motet_quantize_options options = options_for(x);
    motet_quantized *report;
    options.min_cosine = 0.99;
    options.method = method;
    options.threads = 1;
    write_model(17, coarse_model());
    unlink(target);
    motet_status status = MOTET_ERROR_MEMORY;
    for (long n = 0; status != MOTET_OK; n++) {
        mt_memory_fail_at(n);
        status = motet_model_quantize(source, target, &options, &report);
        mt_memory_fail_at(-1);
        assert_true(status == MOTET_OK || status == MOTET_ERROR_MEMORY);
        assert_true((access(target, F_OK) == 0) == (status == MOTET_OK));
        motet_quantized_destroy(report);
        assert_true(n < 10000);
    }
    motet_tensor_destroy(x);
}

static void want_of_memory(void **state)
{
    (void)state;
    fail_everywhere(MOTET_QUANTIZE_DYNAMIC);
}

static void want_of_memory_statically(void **state)
{
    (void)state;
    fail_everywhere(MOTET_QUANTIZE_ENTROPY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(products, setup, teardown),
        cmocka_unit_test_setup_teardown(one_rounding_for_all_who_read, setup, teardown),
        cmocka_unit_test_setup_teardown(gemms, setup, teardown),
        cmocka_unit_test_setup_teardown(convolutions, setup, teardown),
        cmocka_unit_test_setup_teardown(channels_of_zeros, setup, teardown),
        cmocka_unit_test_setup_teardown(in_branches, setup, teardown),
        cmocka_unit_test_setup_teardown(what_stays_float, setup, teardown),
        cmocka_unit_test_setup_teardown(sums_that_might_not_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(layers_that_cost_too_much, setup, teardown),
        cmocka_unit_test_setup_teardown(exclusion, setup, teardown),
        cmocka_unit_test(ranges),
        cmocka_unit_test_setup_teardown(static_layers, setup, teardown),
        cmocka_unit_test_setup_teardown(static_ranges_are_of_the_samples, setup, teardown),
        cmocka_unit_test_setup_teardown(stopped, setup, teardown),
        cmocka_unit_test_setup_teardown(errors, setup, teardown),
        cmocka_unit_test_setup_teardown(want_of_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(want_of_memory_statically, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
