/* engine: sessions from opening to closing, with a handful of operators made for the purpose, some of them ill-behaved.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/memory.h"
#include "core/status.h"
#include "engine/buffers.h"
#include "engine/denormals.h"
#include "engine/stock.h"
#include "motet/session.h"
#include "onnx_writer.h"
#include "ops/op.h"

static int teardown(void **state)
{
    (void)state;
    forget_pieces();
    return 0;
}

/* --- operators ------------------------------------------------------------------------------------------------ */

static motet_status combine(mt_op_context *c, float (*f)(float, float))
{
    const motet_tensor *a, *b;
    motet_tensor *out;
    void *scratch;
    MT_TRY(mt_need(c, 0, &a));
    MT_TRY(mt_need(c, 1, &b));
    if (a->type != MOTET_FLOAT) return mt_op_fail_type(c, 0);
    if (b->count != 1 && b->count != a->count)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%d elements do not go with %d", (int)a->count, (int)b->count);
    MT_TRY(mt_out(c, 0, MOTET_FLOAT, a->rank, a->dims, &out));
    MT_TRY(mt_scratch(c, 1000, &scratch));
    memset(scratch, 0x7f, 1000);
    for (int64_t i = 0; i < a->count; i++)
        ((float *)out->data)[i] = f(((const float *)a->data)[i], ((const float *)b->data)[b->count == 1 ? 0 : i]);
    return MOTET_OK;
}

static float add(float a, float b)
{
    return a + b;
}

static float mul(float a, float b)
{
    return a * b;
}

static motet_status op_add(mt_op_context *c)
{
    return combine(c, add);
}

static motet_status op_mul(mt_op_context *c)
{
    return combine(c, mul);
}

/* Shows its input. */
static motet_status op_view(mt_op_context *c)
{
    return mt_out_view(c, 0, c->in[0], c->in[0]->rank, c->in[0]->dims);
}

/* Three outputs, the sum of whose firsts is the input's first; asks for all of them whatever is wanted. */
static motet_status op_split(mt_op_context *c)
{
    float first = *(const float *)c->in[0]->data;
    for (int i = 0; i < 3; i++) {
        motet_tensor *out;
        MT_TRY(mt_out(c, i, MOTET_FLOAT, 0, NULL, &out));
        *(float *)out->data = i == 0 ? first - 3 : (float)i;
    }
    return MOTET_OK;
}

static motet_status op_forget(mt_op_context *c)
{
    (void)c;
    return MOTET_OK;
}

static motet_status op_name(mt_op_context *c)
{
    motet_tensor *out;
    MT_TRY(mt_out(c, 0, MOTET_STRING, 0, NULL, &out));
    return motet_tensor_set_string(out, 0, "motet", 5);
}

/* 1 where the plain operators are asked for. */
static motet_status op_reference(mt_op_context *c)
{
    motet_tensor *out;
    MT_TRY(mt_out(c, 0, MOTET_FLOAT, 0, NULL, &out));
    *(float *)out->data = c->reference ? 1 : 0;
    return MOTET_OK;
}

/* Its inputs as a sequence. */
static motet_status op_bundle(mt_op_context *c)
{
    motet_tensor *items;
    MT_TRY(mt_out_list(c, 0, MOTET_SEQUENCE, c->in_count, &items));
    for (int i = 0; i < c->in_count; i++) mt_item_share(&items[i], c->in[i]);
    return mt_list_check(c->out[0]);
}

static motet_status op_if(mt_op_context *c)
{
    bool truth = *(const float *)c->in[0]->data != 0;
    motet_tensor results[4] = {0};
    motet_status status =
        mt_run_graph(c, mt_attr_graph(c, truth ? "then_branch" : "else_branch"), NULL, 0, results, c->out_count);
    for (int i = 0; i < c->out_count; i++) mt_out_move(c, i, &results[i]);
    return status;
}

/* Runs its body `times` times on what it made the time before. */
static motet_status op_repeat(mt_op_context *c)
{
    motet_tensor carried = {0};
    mt_tensor_share(&carried, c->in[0], c->in[0]->rank, c->in[0]->dims);
    for (int64_t i = 0; i < mt_attr_int(c, "times", 1); i++) {
        const motet_tensor *fed[] = {&carried};
        motet_tensor made = {0};
        motet_status status = mt_run_graph(c, mt_attr_graph(c, "body"), fed, 1, &made, 1);
        mt_tensor_clear(&carried);
        carried = made;
        if (status != MOTET_OK) return status;
    }
    mt_out_move(c, 0, &carried);
    return MOTET_OK;
}

const mt_op *mt_op_find(const char *domain, const char *name, int version)
{
    static const mt_op table[] = {{"", "Add", 7, op_add, false},
                                  {"", "Mul", 7, op_mul, false},
                                  {"", "View", 1, op_view, false},
                                  {"", "Split3", 1, op_split, false},
                                  {"", "Forget", 1, op_forget, false},
                                  {"", "Name", 1, op_name, false},
                                  {"", "If", 1, op_if, false},
                                  {"", "Repeat", 1, op_repeat, false},
                                  {"", "Reference", 1, op_reference, false},
                                  {"", "Bundle", 1, op_bundle, true}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(table[i].domain, domain) && !strcmp(table[i].name, name) && table[i].since <= version)
            return &table[i];
    return NULL;
}

/* --- helpers -------------------------------------------------------------------------------------------------- */

static motet_session *open_bytes(piece bytes)
{
    motet_session_options options;
    motet_session *session;
    motet_session_options_init(&options);
    options.threads = 1;
    if (motet_session_open_memory(bytes.bytes, bytes.size, &options, &session) != MOTET_OK)
        fail_msg("%s", motet_error_message());
    return session;
}

static void refuse(piece bytes, motet_status expected, const char *message_expected)
{
    motet_session *session;
    assert_int_equal(motet_session_open_memory(bytes.bytes, bytes.size, NULL, &session), expected);
    assert_null(session);
    assert_string_equal(motet_error_message(), message_expected);
}

/* float32[count] of first, first + 1, ... */
static motet_tensor *count_from(float first, int64_t count)
{
    motet_tensor *made;
    assert_int_equal(motet_tensor_create(MOTET_FLOAT, 1, &count, &made), MOTET_OK);
    for (int64_t i = 0; i < count; i++) ((float *)made->data)[i] = first + (float)i;
    return made;
}

/* Feeds "x" and asks for "y". */
static motet_status run(motet_session *session, const motet_tensor *x, motet_tensor **y)
{
    const char *in[] = {"x"}, *out[] = {"y"};
    return motet_session_run(session, in, &x, 1, out, y, 1);
}

static void expect(motet_session *session, float x, float y)
{
    motet_tensor *fed = count_from(x, 2), *got;
    if (run(session, fed, &got) != MOTET_OK) fail_msg("%s", motet_error_message());
    assert_true(*(const float *)motet_tensor_const_data(got) == y);
    assert_true(*(const float *)motet_tensor_const_data(fed) == x);
    motet_tensor_destroy(fed);
    motet_tensor_destroy(got);
}

static void expect_failure(motet_session *session, motet_status expected, const char *message_expected)
{
    motet_tensor *fed = count_from(1, 2), *got;
    assert_int_equal(run(session, fed, &got), expected);
    assert_null(got);
    assert_string_equal(motet_error_message(), message_expected);
    motet_tensor_destroy(fed);
}

static piece scalar(const char *name, float f)
{
    return initializer(tensor(name, MOTET_FLOAT, "", FLOATS(f)));
}

static piece simple_graph(piece nodes)
{
    return JOIN(input("x", MOTET_FLOAT, "n"), output("y"), scalar("two", 2), scalar("one", 1), nodes);
}

/* y = ((x + 1) * 2 + (x + 1)) * 2 = 6 x + 6 */
static piece arithmetic(void)
{
    return model(17, simple_graph(JOIN(node("Add", "x one", "a", NONE), node("Mul", "a two", "b", NONE),
                                       node("Add", "b a", "c", NONE), node("Mul", "c two", "y", NONE))));
}

static piece if_node(const char *condition, const char *out, piece then_branch, piece else_branch)
{
    return node("If", condition, out,
                JOIN(attribute_graph("then_branch", then_branch), attribute_graph("else_branch", else_branch)));
}

/* x != 0: 3 (x + 1) by way of a captured value and an inner If; else x as it is. */
static piece branching(void)
{
    piece inner = JOIN(node("Add", "b a", "s", NONE), output("s"));
    piece then_branch = JOIN(node("Mul", "a two", "b", NONE), if_node("b", "r", inner, JOIN(output("b"))), output("r"));
    return model(17, simple_graph(JOIN(node("Add", "x one", "a", NONE), if_node("x", "y", then_branch, output("x")))));
}

/* y = (x * 2 + 1) three times over, with 2 computed outside the body */
static piece repeating(void)
{
    piece body = JOIN(input("v", MOTET_FLOAT, NULL), node("Mul", "v factor", "t", NONE),
                      node("Add", "t one", "u", NONE), output("u"));
    return model(17, simple_graph(JOIN(node("Mul", "x one", "first", NONE), node("Add", "one one", "factor", NONE),
                                       node("Repeat", "first", "y",
                                            JOIN(attribute_int("times", 3), attribute_graph("body", body))))));
}

/* --- running -------------------------------------------------------------------------------------------------- */

static void models_run(void **state)
{
    (void)state;
    motet_session *session = open_bytes(arithmetic());
    expect(session, 1, 12);
    expect(session, 5, 36);
    motet_session_close(session);
    session = open_bytes(branching());
    expect(session, 3, 12);
    expect(session, 0, 0);
    expect(session, 1, 6);
    motet_session_close(session);
    session = open_bytes(repeating());
    expect(session, 1, 15);
    expect(session, 0, 7);
    motet_session_close(session);
}

static void declarations_are_shown(void **state)
{
    (void)state;
    motet_session *session = open_bytes(JOIN(arithmetic(), message(14, JOIN(text(1, "motet.role"), text(2, "vad")))));
    assert_int_equal(motet_session_input_count(session), 1);
    assert_string_equal(motet_session_input(session, 0)->name, "x");
    assert_string_equal(motet_session_input(session, 0)->symbols[0], "n");
    assert_null(motet_session_input(session, 1));
    assert_string_equal(motet_session_output(session, 0)->name, "y");
    assert_string_equal(motet_session_metadata(session, "motet.role"), "vad");
    assert_null(motet_session_metadata(session, "motet.rolf"));
    motet_session_close(session);
}

/* Outputs that are an input, a weight, a view or one another are memory of the caller's own. */
static void outputs_are_the_callers_own(void **state)
{
    (void)state;
    motet_session *session =
        open_bytes(model(17, JOIN(simple_graph(JOIN(node("Add", "x one", "y", NONE), node("View", "y", "v", NONE),
                                                    node("Name", "x", "s", NONE))),
                                  output("x"), output("two"), output("v"), output("s"))));
    const char *in[] = {"x"}, *out[] = {"y", "x", "two", "v", "y", "s"};
    motet_tensor *fed = count_from(1, 4), *got[6];
    for (int round = 0; round < 2; round++) {
        const float expected[] = {2, 1, 2, 2, 2};
        assert_int_equal(motet_session_run(session, in, (const motet_tensor *const *)&fed, 1, out, got, 6), MOTET_OK);
        for (int i = 0; i < 5; i++) {
            float *first = motet_tensor_data(got[i]);
            assert_true(*first == expected[i]);
            *first = -1;
        }
        assert_string_equal(motet_tensor_string(got[5], 0, NULL), "motet");
        for (int i = 0; i < 6; i++) motet_tensor_destroy(got[i]);
        assert_true(*(const float *)motet_tensor_const_data(fed) == 1);
    }
    motet_tensor_destroy(fed);
    motet_session_close(session);
}

static void outputs_outlive_the_session(void **state)
{
    (void)state;
    motet_session *session = open_bytes(arithmetic());
    motet_tensor *fed = count_from(1, 100), *got;
    assert_int_equal(run(session, fed, &got), MOTET_OK);
    motet_tensor_destroy(fed);
    motet_session_close(session);
    assert_true(((const float *)motet_tensor_const_data(got))[99] == 606);
    motet_tensor_destroy(got);
}

static void outputs_that_nobody_reads_cost_nothing(void **state)
{
    (void)state;
    motet_session *session = open_bytes(model(17, simple_graph(node("Split3", "x", "- unread y", NONE))));
    expect(session, 10, 2);
    motet_session_close(session);
}

static void the_option_reaches_the_operators(void **state)
{
    (void)state;
    piece bytes = model(17, simple_graph(node("Reference", "x", "y", NONE)));
    motet_session_options options;
    motet_session *session;
    motet_session_options_init(&options);
    assert_false(options.reference);
    options.reference = true;
    assert_int_equal(motet_session_open_memory(bytes.bytes, bytes.size, &options, &session), MOTET_OK);
    expect(session, 0, 1);
    motet_session_close(session);
}

static void sessions_share_threads(void **state)
{
    (void)state;
    enum { SESSIONS = 3 };
    piece bytes = arithmetic();
    motet_threads *threads;
    motet_session *sessions[SESSIONS];
    motet_session_options options;
    motet_session_options_init(&options);
    assert_int_equal(motet_threads_create(5000, &threads), MOTET_ERROR_ARGUMENT);
    assert_null(threads);
    assert_int_equal(motet_threads_create(2, &threads), MOTET_OK);
    options.shared = threads;
    for (int i = 0; i < SESSIONS; i++)
        assert_int_equal(motet_session_open_memory(bytes.bytes, bytes.size, &options, &sessions[i]), MOTET_OK);
    for (int i = 0; i < SESSIONS; i++) expect(sessions[i], 5, 36);
    motet_session_close(sessions[1]);
    expect(sessions[2], 1, 12);
    motet_session_close(sessions[0]);
    motet_session_close(sessions[2]);
    motet_threads_destroy(threads);
}

/* --- stopping and watching ------------------------------------------------------------------------------------ */

static motet_status run_watched(motet_session *session, const motet_run_options *options)
{
    const char *in[] = {"x"}, *out[] = {"y"};
    motet_tensor *fed = count_from(1, 2), *got;
    motet_status status =
        motet_session_run_with(session, options, in, (const motet_tensor *const *)&fed, 1, out, &got, 1);
    motet_tensor_destroy(fed);
    motet_tensor_destroy(got);
    return status;
}

/* 2^60 rounds of nothing much. */
static piece endless(piece nodes, const char *result)
{
    piece body = JOIN(input("v", MOTET_FLOAT, NULL), nodes, output(result));
    return model(17, simple_graph(node("Repeat", "x", "y",
                                       JOIN(attribute_int("times", INT64_MAX / 8), attribute_graph("body", body)))));
}

static void *cancel_soon(void *cancel)
{
    usleep(20000);
    motet_cancel_request(cancel);
    return NULL;
}

static void runs_are_cancelled_from_another_thread(void **state)
{
    (void)state;
    const piece models[] = {endless(node("View", "v", "w", NONE), "w"), endless(NONE, "v")};
    motet_run_options options;
    motet_cancel *cancel;
    motet_run_options_init(&options);
    assert_int_equal(motet_cancel_create(&cancel), MOTET_OK);
    options.cancel = cancel;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        motet_session *session = open_bytes(models[i]), *other = open_bytes(arithmetic());
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, cancel_soon, cancel), 0);
        assert_int_equal(run_watched(session, &options), MOTET_ERROR_CANCELLED);
        pthread_join(thread, NULL);
        assert_int_equal(run_watched(other, &options), MOTET_ERROR_CANCELLED);
        motet_cancel_reset(cancel);
        assert_int_equal(run_watched(other, &options), MOTET_OK);
        motet_session_close(session);
        motet_session_close(other);
    }
    motet_cancel_destroy(cancel);
}

static void the_profile_counts_calls(void **state)
{
    (void)state;
    motet_session *session = open_bytes(repeating());
    motet_run_options options;
    motet_run_options_init(&options);
    assert_int_equal(motet_profile_create(&options.profile), MOTET_OK);
    assert_null(motet_profile_node_at(options.profile, 0));
    for (int i = 0; i < 5; i++) assert_int_equal(run_watched(session, &options), MOTET_OK);
    int64_t calls = 0;
    const motet_profile_node *line;
    for (size_t i = 0; (line = motet_profile_node_at(options.profile, i)); i++) {
        assert_true(line->seconds >= 0);
        assert_string_equal(line->domain, "");
        calls += line->calls;
    }
    assert_int_equal(calls, 5 * (1 + 1 + 3 * 2)); /* Mul, Repeat, and three rounds of Mul and Add */
    motet_profile_destroy(options.profile);
    motet_session_close(session);
}

/* After the first run a run allocates the outputs it hands out, and nothing else. */
static void warm_runs_allocate_nothing(void **state)
{
    (void)state;
    const piece models[] = {arithmetic(), branching()};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        motet_session *session = open_bytes(models[i]);
        motet_tensor *fed = count_from(1, 1000), *got;
        assert_int_equal(run(session, fed, &got), MOTET_OK);
        motet_tensor_destroy(got);
        mt_memory_fail_at(0);
        motet_status status = run(session, fed, &got);
        mt_memory_fail_at(-1);
        assert_int_equal(status, MOTET_OK);
        motet_tensor_destroy(got);
        motet_tensor_destroy(fed);
        motet_session_close(session);
    }
}

static void denormals_are_zero_within_runs(void **state)
{
    (void)state;
    volatile float tiny = 1e-39f, two = 2;
    unsigned control = mt_denormals_off();
    bool possible = tiny * two == 0; /* not on every processor, nor under valgrind */
    mt_denormals_restore(control);
    if (!possible) skip();
    motet_session *session = open_bytes(model(17, simple_graph(node("Mul", "x two", "y", NONE))));
    motet_tensor *fed = count_from(1e-39f, 1), *got;
    assert_int_equal(run(session, fed, &got), MOTET_OK);
    assert_true(*(const float *)motet_tensor_const_data(got) == 0);
    assert_true(tiny * two > 0);
    motet_tensor_destroy(fed);
    motet_tensor_destroy(got);
    motet_session_close(session);
}

typedef struct job {
    motet_session *session;
    float first;
    bool right;
} job;

static void *run_often(void *argument)
{
    job *j = argument;
    motet_tensor *fed = count_from(j->first, 64), *got;
    j->right = true;
    for (int i = 0; i < 100; i++) {
        if (run(j->session, fed, &got) != MOTET_OK) {
            j->right = false;
            break;
        }
        for (int k = 0; k < 64; k++)
            j->right &= ((const float *)motet_tensor_const_data(got))[k] == 6 * (j->first + (float)k) + 6;
        motet_tensor_destroy(got);
    }
    motet_tensor_destroy(fed);
    return NULL;
}

static void threads_share_a_session(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    motet_session *session = open_bytes(arithmetic());
    pthread_t threads[THREADS];
    job jobs[THREADS];
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = (job){session, (float)i * 1000, false};
        assert_int_equal(pthread_create(&threads[i], NULL, run_often, &jobs[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_true(jobs[i].right);
    }
    motet_session_close(session);
}

/* --- refusals ------------------------------------------------------------------------------------------------- */

static void missing_operators_are_named_at_once(void **state)
{
    (void)state;
    piece then_branch = JOIN(node("Glow", "x", "g", NONE), output("g"));
    refuse(model(17, simple_graph(JOIN(node("Fade", "x", "a", in_domain("com.example")), node("Glow", "a", "b", NONE),
                                       node("Dead", "b", "c", NONE), if_node("b", "y", then_branch, output("x"))))),
           MOTET_ERROR_UNSUPPORTED,
           "model in memory: 2 operators are missing: com.example.Fade version 1 (1 node), ai.onnx.Glow version 17 (2 "
           "nodes)");
    refuse(model(6, simple_graph(node("Add", "x one", "y", NONE))), MOTET_ERROR_UNSUPPORTED,
           "model in memory: 1 operator is missing: ai.onnx.Add version 6 (1 node)");
    refuse(
        model(17, simple_graph(node("ReorderInput", "x", "y", in_domain("com.microsoft.nchwc")))),
        MOTET_ERROR_UNSUPPORTED,
        "model in memory: ONNX Runtime has laid out its channels in blocks for one kind of CPU (com.microsoft.nchwc): "
        "save it at ORT_ENABLE_EXTENDED or lower, or take the file it was made from");
}

static void files_are_named(void **state)
{
    (void)state;
    char path[] = "/tmp/motet-test-XXXXXX", expected[128];
    motet_session *session;
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    snprintf(expected, sizeof expected, "%s: the file is empty", path);
    assert_int_equal(motet_session_open(path, NULL, &session), MOTET_ERROR_FORMAT);
    assert_string_equal(motet_error_message(), expected);
    piece bytes = arithmetic();
    assert_int_equal(write(descriptor, bytes.bytes, bytes.size), bytes.size);
    close(descriptor);
    assert_int_equal(motet_session_open(path, NULL, &session), MOTET_OK);
    remove(path);
    expect(session, 1, 12);
    motet_session_close(session);
    assert_int_equal(motet_session_open("/nowhere/x.onnx", NULL, &session), MOTET_ERROR_IO);
    assert_string_equal(motet_error_message(), "/nowhere/x.onnx: No such file or directory");
    motet_session_close(NULL);
}

static void inputs_are_checked(void **state)
{
    (void)state;
    piece bytes = model(17, JOIN(input("features", MOTET_FLOAT, "batch ? 80"), output("y"), scalar("one", 1),
                                 node("Add", "features one", "y", NONE)));
    motet_session *session = open_bytes(bytes);
    const int64_t wrong[] = {1, 299, 81}, right[] = {1, 2, 80};
    const struct {
        motet_type type;
        int rank;
        const int64_t *dims;
        const char *message_expected;
    } cases[] = {
        {MOTET_FLOAT, 3, wrong,
         "model in memory: input 'features': expected float32[batch,?,80], got float32[1,299,81]"},
        {MOTET_INT64, 3, right, "model in memory: input 'features': expected float32[batch,?,80], got int64[1,2,80]"},
        {MOTET_FLOAT, 2, right, "model in memory: input 'features': expected float32[batch,?,80], got float32[1,2]"},
    };
    const char *in[] = {"features", "other"}, *out[] = {"y", "z"};
    motet_tensor *fed[2], *got[2];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(motet_tensor_create(cases[i].type, cases[i].rank, cases[i].dims, &fed[0]), MOTET_OK);
        assert_int_equal(motet_session_run(session, in, (const motet_tensor *const *)fed, 1, out, got, 1),
                         MOTET_ERROR_SHAPE);
        assert_string_equal(motet_error_message(), cases[i].message_expected);
        motet_tensor_destroy(fed[0]);
    }
    assert_int_equal(motet_tensor_create(MOTET_FLOAT, 3, right, &fed[0]), MOTET_OK);
    fed[1] = fed[0];
    assert_int_equal(motet_session_run(session, in, (const motet_tensor *const *)fed, 2, out, got, 1),
                     MOTET_ERROR_ARGUMENT);
    assert_string_equal(motet_error_message(), "model in memory: the model has no input 'other'");
    assert_int_equal(motet_session_run(session, NULL, NULL, 0, out, got, 1), MOTET_ERROR_ARGUMENT);
    assert_string_equal(motet_error_message(), "model in memory: input 'features' is not fed");
    assert_int_equal(motet_session_run(session, in, (const motet_tensor *const *)fed, 1, out, got, 2),
                     MOTET_ERROR_ARGUMENT);
    assert_string_equal(motet_error_message(), "model in memory: the model has no output 'z'");
    assert_null(got[0]);
    assert_int_equal(motet_session_run(session, in, (const motet_tensor *const *)fed, 1, out, got, 1), MOTET_OK);
    motet_tensor_destroy(got[0]);
    motet_tensor_destroy(fed[0]);
    motet_session_close(session);
}

static void failures_name_the_node(void **state)
{
    (void)state;
    motet_session *session =
        open_bytes(model(17, JOIN(simple_graph(node("Add", "x three", "y", named("sum"))),
                                  initializer(tensor("three", MOTET_FLOAT, "3", FLOATS(1, 2, 3))))));
    expect_failure(session, MOTET_ERROR_SHAPE, "model in memory: node 'sum' (Add): 2 elements do not go with 3");
    motet_session_close(session);
    session = open_bytes(model(
        17, simple_graph(if_node("x", "y", JOIN(node("Add", "x -", "b", named("in")), output("b")), output("x")))));
    expect_failure(session, MOTET_ERROR_FORMAT,
                   "model in memory: node 'If_0' (If): node 'in' (Add): input 1 is required but left out");
    expect(session, 0, 0);
    motet_session_close(session);
    session = open_bytes(model(17, simple_graph(node("Forget", "x", "y", NONE))));
    expect_failure(session, MOTET_ERROR_UNSUPPORTED,
                   "model in memory: node 'Forget_0' (Forget): output 0 is not supported");
    motet_session_close(session);
    session = open_bytes(model(17, simple_graph(node("Split3", "x", "- y", NONE))));
    expect_failure(session, MOTET_ERROR_FORMAT,
                   "model in memory: node 'Split3_0' (Split3): output 2 is required but the node has only 2");
    motet_session_close(session);
}

/* --- memory --------------------------------------------------------------------------------------------------- */

static void every_allocation_may_fail(void **state)
{
    (void)state;
    const piece models[] = {arithmetic(), branching(), repeating()};
    motet_session_options options;
    motet_session_options_init(&options);
    options.threads = 1;
    motet_tensor *fed = count_from(1, 2);
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        motet_status status = MOTET_ERROR_MEMORY;
        for (long n = 0; status != MOTET_OK; n++) {
            motet_session *session;
            motet_tensor *got = NULL;
            mt_memory_fail_at(n);
            status = motet_session_open_memory(models[i].bytes, models[i].size, &options, &session);
            if (status == MOTET_OK) status = run(session, fed, &got);
            mt_memory_fail_at(-1);
            assert_true(status == MOTET_OK || status == MOTET_ERROR_MEMORY);
            if (session && status != MOTET_OK)
                expect(session, 1, i == 0 ? 12 : i == 1 ? 6 : 15); /* the next run works */
            motet_tensor_destroy(got);
            motet_session_close(session);
            assert_true(n < 10000);
        }
    }
    motet_tensor_destroy(fed);
}

static void buffers_are_used_again(void **state)
{
    (void)state;
    mt_buffers buffers = {0};
    for (size_t bytes = 0; bytes < 5000; bytes += 7) {
        mt_buffer *first = mt_buffers_take(&buffers, bytes);
        assert_true(first->bytes >= bytes && first->bytes < bytes + 64);
        assert_int_equal((uintptr_t)first->elements % 64, 0);
        memset(first->elements, 1, first->bytes);
        mt_buffers_give(first);
        mt_buffer *second = mt_buffers_take(&buffers, bytes);
        assert_ptr_equal(first, second);
        mt_buffers_give(second);
    }
    mt_buffers_trim(&buffers);
    assert_null(mt_buffers_take(&buffers, SIZE_MAX - 10));
    mt_buffers_drop(&buffers);
}

/* Takes and gives back in an order of its own, writing over every buffer. */
static void work_like_a_run(mt_buffers *buffers, size_t scale)
{
    enum { HELD = 24 };
    mt_buffer *held[HELD] = {NULL};
    uint32_t random = 7;
    for (int i = 0; i < 600; i++) {
        random = random * 1664525 + 1013904223;
        mt_buffer **place = &held[random >> 16 & 15];
        unsigned char mark = (unsigned char)(place - held);
        if (*place) {
            for (size_t k = 0; k < (*place)->bytes; k++)
                assert_int_equal(((unsigned char *)(*place)->elements)[k], mark);
            mt_buffers_give(*place);
        }
        *place = mt_buffers_take(buffers, (random >> 20) * scale);
        assert_non_null(*place);
        memset((*place)->elements, mark, (*place)->bytes);
    }
    for (int i = 0; i < HELD; i++)
        if (held[i]) mt_buffers_give(held[i]);
    mt_buffers_trim(buffers);
}

static void a_run_finds_its_arena_again(void **state)
{
    (void)state;
    mt_buffers buffers = {0};
    work_like_a_run(&buffers, 100);
    assert_int_equal(buffers.memory_count, 1);
    size_t large = buffers.memory[0].range.end;
    mt_memory_fail_at(0);
    for (int i = 0; i < 3; i++) work_like_a_run(&buffers, 100);
    for (int i = 0; i < 3; i++) work_like_a_run(&buffers, 10);
    mt_memory_fail_at(-1);
    assert_int_equal(buffers.memory[0].range.end, large);
    /* What the last runs had no use for goes, and comes again when it is wanted. */
    for (int i = 0; i < 40; i++) work_like_a_run(&buffers, 1);
    assert_true(buffers.memory[0].range.end < large / 10);
    work_like_a_run(&buffers, 100);
    assert_int_equal(buffers.memory_count, 1);
    assert_int_equal(buffers.memory[0].range.end, large);
    mt_buffers_drop(&buffers);
}

/* A graph that holds thousands of values at once. */
static void very_many_buffers_are_still_found(void **state)
{
    (void)state;
    enum { MANY = 5000 };
    static mt_buffer *held[MANY];
    mt_buffers buffers = {0};
    for (int i = 0; i < MANY; i++) {
        held[i] = mt_buffers_take(&buffers, 100);
        memset(held[i]->elements, i % 251, held[i]->bytes);
    }
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(*(unsigned char *)held[i]->elements, i % 251);
        assert_true(mt_buffers_own(held[i]));
        mt_buffers_give(held[i]);
    }
    mt_buffers_trim(&buffers);
    mt_buffers_drop(&buffers);
}

static void outputs_come_back_from_anywhere(void **state)
{
    (void)state;
    mt_stock *stock;
    motet_tensor first = {0}, second = {0};
    assert_int_equal(mt_stock_create(&stock), MOTET_OK);
    assert_int_equal(mt_stock_tensor(stock, &first, MOTET_FLOAT, 1, (int64_t[]){100}), MOTET_OK);
    motet_tensor *handle = first.buffer->handle;
    *handle = first;
    mt_item_share(&second, handle); /* a list that somebody made of it */
    motet_tensor_destroy(handle);
    assert_int_equal(second.count, 100);
    memset(second.data, 1, 400);
    mt_tensor_clear(&second);
    mt_memory_fail_at(0);
    assert_int_equal(mt_stock_tensor(stock, &first, MOTET_INT32, 1, (int64_t[]){101}), MOTET_OK);
    mt_memory_fail_at(-1);
    mt_stock_leave(stock); /* and the tensor is still out */
    memset(first.data, 1, 404);
    mt_tensor_clear(&first);
}

/* --- lists ---------------------------------------------------------------------------------------------------- */

static piece list_output(const char *name)
{
    piece tensor_type = message(1, JOIN(number(1, MOTET_FLOAT)));
    return message(12, JOIN(text(1, name), message(2, message(4, message(1, tensor_type)))));
}

static void sequences_come_out_on_their_own(void **state)
{
    (void)state;
    motet_session *session =
        open_bytes(model(17, JOIN(input("x", MOTET_FLOAT, "n"), list_output("y"), scalar("one", 1),
                                  node("Add", "x one", "a", NONE), node("Bundle", "a x a one", "y", NONE))));
    assert_int_equal(motet_session_output(session, 0)->kind, MOTET_SEQUENCE);
    assert_int_equal(motet_session_output(session, 0)->item, MOTET_TENSOR);
    assert_int_equal(motet_session_output(session, 0)->type, MOTET_FLOAT);
    motet_tensor *x = count_from(5, 2), *y;
    if (run(session, x, &y) != MOTET_OK) fail_msg("%s", motet_error_message());
    motet_session_close(session);
    assert_int_equal(motet_tensor_count(y), 4);
    const float wanted[] = {6, 5, 6, 1};
    for (int i = 0; i < 4; i++) {
        const float *data = motet_tensor_const_data(motet_tensor_item(y, i));
        assert_true(data[0] == wanted[i]);
        assert_ptr_not_equal(data, motet_tensor_const_data(x));
        for (int k = 0; k < i; k++) assert_ptr_not_equal(data, motet_tensor_const_data(motet_tensor_item(y, k)));
    }
    motet_tensor_destroy(x);
    motet_tensor_destroy(y);
}

static void lists_are_refused_where_tensors_are_expected(void **state)
{
    (void)state;
    motet_session *session =
        open_bytes(model(17, simple_graph(JOIN(node("Bundle", "x x", "s", NONE), node("Add", "s one", "y", NONE)))));
    expect_failure(session, MOTET_ERROR_SHAPE,
                   "model in memory: node 'Add_1' (Add): input 0 is a sequence: expected a tensor");
    motet_tensor *x = count_from(1, 2), *fed, *y;
    assert_int_equal(motet_tensor_list(MOTET_SEQUENCE, (const motet_tensor *[]){x}, 1, &fed), MOTET_OK);
    assert_int_equal(run(session, fed, &y), MOTET_ERROR_SHAPE);
    assert_string_equal(motet_error_message(), "model in memory: input 'x': expected float32[n], got sequence of 1");
    motet_tensor_destroy(x);
    motet_tensor_destroy(fed);
    motet_session_close(session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(models_run, teardown),
        cmocka_unit_test_teardown(declarations_are_shown, teardown),
        cmocka_unit_test_teardown(outputs_are_the_callers_own, teardown),
        cmocka_unit_test_teardown(outputs_outlive_the_session, teardown),
        cmocka_unit_test_teardown(outputs_that_nobody_reads_cost_nothing, teardown),
        cmocka_unit_test_teardown(the_option_reaches_the_operators, teardown),
        cmocka_unit_test_teardown(warm_runs_allocate_nothing, teardown),
        cmocka_unit_test_teardown(denormals_are_zero_within_runs, teardown),
        cmocka_unit_test_teardown(threads_share_a_session, teardown),
        cmocka_unit_test_teardown(sessions_share_threads, teardown),
        cmocka_unit_test_teardown(runs_are_cancelled_from_another_thread, teardown),
        cmocka_unit_test_teardown(the_profile_counts_calls, teardown),
        cmocka_unit_test_teardown(missing_operators_are_named_at_once, teardown),
        cmocka_unit_test_teardown(files_are_named, teardown),
        cmocka_unit_test_teardown(inputs_are_checked, teardown),
        cmocka_unit_test_teardown(failures_name_the_node, teardown),
        cmocka_unit_test_teardown(every_allocation_may_fail, teardown),
        cmocka_unit_test_teardown(buffers_are_used_again, teardown),
        cmocka_unit_test_teardown(a_run_finds_its_arena_again, teardown),
        cmocka_unit_test_teardown(very_many_buffers_are_still_found, teardown),
        cmocka_unit_test_teardown(outputs_come_back_from_anywhere, teardown),
        cmocka_unit_test_teardown(sequences_come_out_on_their_own, teardown),
        cmocka_unit_test_teardown(lists_are_refused_where_tensors_are_expected, teardown),
    };
    return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
