/* graph: building (names, order, nested graphs, functions), what is refused, and the passes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/memory.h"
#include "core/status.h"
#include "graph/build.h"
#include "graph/names.h"
#include "graph/passes/passes.h"
#include "graph/write.h"
#include "onnx_writer.h"

enum { FLOAT = 1 }; /* AttributeProto.AttributeType */

static mt_file *file;

static int teardown(void **state)
{
    (void)state;
    mt_file_close(file);
    file = NULL;
    forget_pieces();
    return 0;
}

static mt_model *build(piece bytes)
{
    mt_model *built;
    assert_int_equal(mt_file_open_memory(bytes.bytes, bytes.size, &file), MOTET_OK);
    if (mt_model_build(file, &built) != MOTET_OK) fail_msg("%s", motet_error_message());
    mt_file_forget_structure(file);
    return built;
}

static void refuse(piece bytes, motet_status expected, const char *words_of_message)
{
    mt_model *built;
    mt_file *opened;
    assert_int_equal(mt_file_open_memory(bytes.bytes, bytes.size, &opened), MOTET_OK);
    assert_int_equal(mt_model_build(opened, &built), expected);
    assert_null(built);
    if (!strstr(motet_error_message(), words_of_message))
        fail_msg("\"%s\" does not say \"%s\"", motet_error_message(), words_of_message);
    mt_file_close(opened);
}

/* The types of a graph's nodes, in order: "Add Mul". */
static const char *types(const mt_graph *graph)
{
    static char text_of[512];
    text_of[0] = '\0';
    for (int i = 0; i < graph->node_count; i++) {
        if (i) strcat(text_of, " ");
        strcat(text_of, graph->nodes[i]->type);
    }
    return text_of;
}

static const mt_graph *nested(const mt_graph *graph, int node_index, const char *attribute_name)
{
    return mt_node_attribute(graph->nodes[node_index], attribute_name)->graph;
}

static piece scalar(const char *name, float f)
{
    return initializer(tensor(name, MOTET_FLOAT, "", FLOATS(f)));
}

/* A branch of an If: a graph without inputs, with the output `out`. */
static piece branch(piece nodes, const char *out)
{
    return JOIN(nodes, output(out));
}

static piece if_node(const char *condition, const char *out, piece then_branch, piece else_branch)
{
    return node("If", condition, out,
                JOIN(attribute_graph("then_branch", then_branch), attribute_graph("else_branch", else_branch)));
}

/* --- building ------------------------------------------------------------------------------------------------- */

static void a_model_is_built(void **state)
{
    (void)state;
    piece bytes = JOIN(
        model(17, JOIN(input("x", MOTET_FLOAT, "batch 3 ?"), input("w", MOTET_FLOAT, ""), output("y"), scalar("w", 2),
                       node("Add", "x w", "a", named("first")), node("Clip", "a - w", "y", attribute_int("axis", -1)))),
        message(14, JOIN(text(1, "motet.role"), text(2, "vad"))));
    mt_model *built = build(bytes);
    assert_string_equal(types(built->main), "Add Clip");
    assert_int_equal(built->main->input_count, 1); /* w is an initializer */
    assert_string_equal(built->inputs[0].name, "x");
    assert_int_equal(built->inputs[0].rank, 3);
    assert_string_equal(built->inputs[0].symbols[0], "batch");
    assert_int_equal(built->inputs[0].dims[1], 3);
    assert_int_equal(built->inputs[0].dims[2], -1);
    assert_null(built->inputs[0].symbols[2]);
    assert_int_equal(built->outputs[0].rank, -1);
    assert_string_equal(built->metadata[0].value, "vad");
    const mt_node *clip = built->main->nodes[1];
    assert_string_equal(clip->name, "Clip_1");
    assert_int_equal(clip->version, 17);
    assert_int_equal(clip->inputs[1], MT_NO_VALUE);
    assert_int_equal(mt_node_attribute(clip, "axis")->i, -1);
    assert_non_null(built->values[clip->inputs[2]].tensor);
    mt_model_destroy(built);
}

static void constants_become_values(void **state)
{
    (void)state;
    piece bytes =
        model(17, JOIN(output("y"), node("Constant", "", "c", attribute_float("value_float", 3)),
                       node("Constant", "", "d", attribute_tensor("value", tensor("", MOTET_INT64, "2", INT64S(4, 5)))),
                       node("Add", "c d", "y", NONE)));
    mt_model *built = build(bytes);
    assert_string_equal(types(built->main), "Add");
    const mt_node *add = built->main->nodes[0];
    assert_true(*(const float *)built->values[add->inputs[0]].tensor->data == 3);
    assert_int_equal(((const int64_t *)built->values[add->inputs[1]].tensor->data)[1], 5);
    mt_model_destroy(built);
}

static void sparse_weights_are_values(void **state)
{
    (void)state;
    piece ones = tensor("s", MOTET_FLOAT, "1", FLOATS(1)), place = tensor("", MOTET_INT64, "1", INT64S(2));
    piece bytes = model(17, JOIN(output("y"), sparse_initializer(sparse(ones, place, "4")),
                                 node("Constant", "", "c", attribute_sparse("sparse_value", sparse(ones, place, "4"))),
                                 node("Add", "s c", "y", NONE)));
    mt_model *built = build(bytes);
    for (int i = 0; i < 2; i++) {
        const motet_tensor *weight = built->values[built->main->nodes[0]->inputs[i]].tensor;
        assert_int_equal(weight->count, 4);
        assert_true(((const float *)weight->data)[1] == 0 && ((const float *)weight->data)[2] == 1);
    }
    mt_model_destroy(built);
    refuse(model(17, sparse_initializer(dims(3, "4"))), MOTET_ERROR_FORMAT, "missing");
    refuse(model(17, node("Constant", "", "c", attribute("sparse_value", 11, NONE))), MOTET_ERROR_FORMAT, "missing");
}

static void nodes_are_put_in_order(void **state)
{
    (void)state;
    piece bytes = model(17, JOIN(input("x", MOTET_FLOAT, NULL), output("y"), node("Third", "b", "y", NONE),
                                 node("Second", "a", "b", NONE), node("First", "x", "a", NONE)));
    mt_model *built = build(bytes);
    assert_string_equal(types(built->main), "First Second Third");
    mt_model_destroy(built);
}

/* What a branch captures counts as an input of its If. */
static void captures_count_for_the_order(void **state)
{
    (void)state;
    piece then_branch = branch(node("Neg", "late", "t", NONE), "t"), else_branch = branch(NONE, "x");
    piece bytes = model(17, JOIN(input("x", MOTET_BOOL, NULL), output("y"), if_node("x", "y", then_branch, else_branch),
                                 node("Abs", "x", "late", NONE)));
    mt_model *built = build(bytes);
    assert_string_equal(types(built->main), "Abs If");
    const mt_graph *inner = nested(built->main, 1, "then_branch");
    assert_int_equal(inner->nodes[0]->inputs[0], built->main->nodes[0]->outputs[0]);
    assert_int_equal(nested(built->main, 1, "else_branch")->outputs[0], built->main->inputs[0]);
    mt_model_destroy(built);
}

static void names_that_lead_nowhere_are_refused(void **state)
{
    (void)state;
    piece x = input("x", MOTET_FLOAT, NULL), y = output("y");
    refuse(model(17, JOIN(x, y, node("Add", "x nope", "y", named("sum")))), MOTET_ERROR_FORMAT,
           "node 'sum' (Add): input 1, 'nope', is no input");
    refuse(model(17, JOIN(x, y, node("Abs", "x", "z", NONE))), MOTET_ERROR_FORMAT, "output 'y' is made by no node");
    refuse(model(17, JOIN(x, y, node("Abs", "x", "y", NONE), node("Neg", "x", "y", named("n")))), MOTET_ERROR_FORMAT,
           "node 'n' (Neg): the value 'y' is defined twice");
    refuse(model(17, JOIN(x, x, y, node("Abs", "x", "y", NONE))), MOTET_ERROR_FORMAT, "'x' is defined twice");
    refuse(
        model(17, JOIN(x, y, if_node("x", "y", branch(node("Abs", "gone", "t", named("a")), "t"), branch(NONE, "x")))),
        MOTET_ERROR_FORMAT, "node 'If_0' (If): attribute 'then_branch': node 'a' (Abs): input 0, 'gone'");
}

static void circles_are_refused(void **state)
{
    (void)state;
    piece x = input("x", MOTET_FLOAT, NULL), y = output("y");
    refuse(model(17, JOIN(x, y, node("Add", "x b", "a", named("p")), node("Add", "a x", "b", named("q")),
                          node("Abs", "b", "y", NONE))),
           MOTET_ERROR_FORMAT, "circle: 'p' (Add)");
    refuse(model(17, JOIN(x, y, node("Add", "x y", "y", named("self")))), MOTET_ERROR_FORMAT, "circle: 'self' (Add)");
    refuse(model(17, JOIN(x, y, if_node("x", "y", branch(NONE, "y"), branch(NONE, "x")))), MOTET_ERROR_FORMAT,
           "circle");
}

static void versions_are_checked(void **state)
{
    (void)state;
    piece graph = JOIN(input("x", MOTET_FLOAT, NULL), output("y"), node("Abs", "x", "y", named("n")));
    refuse(message(7, graph), MOTET_ERROR_FORMAT, "node 'n' (Abs): the model does not import");
    refuse(model(0, graph), MOTET_ERROR_FORMAT, "version 0");
    piece own = JOIN(input("x", MOTET_FLOAT, NULL), output("y"), node("Own", "x", "y", in_domain("com.example")));
    mt_model *built = build(model(17, own));
    assert_int_equal(built->main->nodes[0]->version, 1);
    mt_model_destroy(built);
}

static void inputs_of_odd_types_are_refused(void **state)
{
    (void)state;
    piece sparse = message(11, JOIN(text(1, "s"), message(2, message(8, NONE))));
    refuse(model(17, JOIN(sparse, output("s"))), MOTET_ERROR_UNSUPPORTED, "input 's': a sparse tensor");
    piece nested = NONE; /* a sequence of sequences of ... */
    for (int i = 0; i < 5; i++) nested = message(4, message(1, nested));
    nested = message(11, JOIN(text(1, "s"), message(2, nested)));
    refuse(model(17, JOIN(nested, output("s"))), MOTET_ERROR_UNSUPPORTED, "input 's': a type of more than 4 levels");
    refuse(model(17, JOIN(input("x", MOTET_FLOAT, "1 1 1 1 1 1 1 1 1"), output("x"))), MOTET_ERROR_LIMIT, "9 axes");
    refuse(model(17, JOIN(input("x", 77, ""), output("x"))), MOTET_ERROR_UNSUPPORTED, "element type 77");
}

static void graphs_nest_to_a_limit(void **state)
{
    (void)state;
    piece inner = branch(NONE, "x");
    for (int i = 0; i < MT_MAX_GRAPH_DEPTH; i++) inner = branch(if_node("x", "t", inner, branch(NONE, "x")), "t");
    mt_model *built = build(model(17, JOIN(input("x", MOTET_BOOL, NULL), inner)));
    mt_model_destroy(built);
    inner = branch(if_node("x", "t", inner, branch(NONE, "x")), "t");
    refuse(model(17, JOIN(input("x", MOTET_BOOL, NULL), inner)), MOTET_ERROR_LIMIT, "nest deeper");
}

/* --- functions ------------------------------------------------------------------------------------------------ */

/* FunctionProto; in it, nodes are field 7. */
static piece function(const char *name, const char *inputs, const char *outputs, piece rest)
{
    return message(25, JOIN(text(1, name), words(4, inputs), words(5, outputs), rest, text(10, "my"),
                            message(9, JOIN(text(1, ""), number(2, 13)))));
}

static piece function_node(const char *type, const char *inputs, const char *outputs, piece rest)
{
    return message(7, JOIN(words(1, inputs), words(2, outputs), text(4, type), rest));
}

static void functions_are_expanded(void **state)
{
    (void)state;
    piece twice = function("Twice", "p -", "o",
                           JOIN(text(6, "slope"),
                                function_node("LeakyRelu", "p", "t", attribute_reference("alpha", FLOAT, "slope")),
                                function_node("Add", "t t", "o", named("sum"))));
    piece graph = JOIN(input("x", MOTET_FLOAT, NULL), output("y"),
                       node("Twice", "x", "a", JOIN(in_domain("my"), named("call"), attribute_float("slope", 0.5f))),
                       node("Twice", "a", "y", in_domain("my")));
    mt_model *built = build(JOIN(model(17, graph), twice));
    assert_string_equal(types(built->main), "LeakyRelu Add Identity LeakyRelu Add Identity");
    assert_string_equal(built->main->nodes[1]->name, "call/sum");
    assert_int_equal(built->main->nodes[0]->version, 13);
    assert_true(mt_node_attribute(built->main->nodes[0], "alpha")->f == 0.5f);
    assert_null(mt_node_attribute(built->main->nodes[3], "alpha")); /* not given: the operator's own default */
    assert_int_equal(mt_pass_identity(built), MOTET_OK);
    assert_string_equal(types(built->main), "LeakyRelu Add LeakyRelu Add");
    assert_int_equal(built->main->nodes[2]->inputs[0], built->main->nodes[1]->outputs[0]);
    assert_int_equal(built->main->outputs[0], built->main->nodes[3]->outputs[0]);
    mt_model_destroy(built);
}

static void function_attributes_have_defaults(void **state)
{
    (void)state;
    piece by_default = message(11, JOIN(text(1, "slope"), single(2, 0.25f), number(20, FLOAT)));
    piece leaky =
        function("Leaky", "p", "o",
                 JOIN(by_default, function_node("LeakyRelu", "p", "o", attribute_reference("alpha", FLOAT, "slope"))));
    piece graph = JOIN(input("x", MOTET_FLOAT, NULL), output("y"), node("Leaky", "x", "y", in_domain("my")));
    mt_model *built = build(JOIN(model(17, graph), leaky));
    assert_true(mt_node_attribute(built->main->nodes[0], "alpha")->f == 0.25f);
    mt_model_destroy(built);
}

static void functions_of_one_name_are_told_apart(void **state)
{
    (void)state;
    enum { NODE = 8, FUNCTION = 13 }; /* fields "overload" */
    piece plain = function("F", "p", "o", function_node("Abs", "p", "o", NONE));
    piece other = function("F", "p", "o", JOIN(text(FUNCTION, "twice"), function_node("Add", "p p", "o", NONE)));
    piece graph = JOIN(input("x", MOTET_FLOAT, NULL), output("y"), node("F", "x", "a", in_domain("my")),
                       node("F", "a", "b", JOIN(in_domain("my"), text(NODE, "twice"))),
                       node("F", "b", "y", JOIN(in_domain("my"), text(NODE, "thrice"))));
    mt_model *built = build(JOIN(model(17, graph), other, plain));
    assert_int_equal(mt_pass_identity(built), MOTET_OK);
    assert_string_equal(types(built->main), "Abs Add F"); /* the last is nobody's */
    mt_model_destroy(built);
    refuse(JOIN(model(17, graph), plain, plain), MOTET_ERROR_FORMAT, "there are two of them");
    refuse(JOIN(model(17, graph), other, other), MOTET_ERROR_FORMAT, "overload 'twice'");
}

static void wrong_calls_are_refused(void **state)
{
    (void)state;
    piece f = function("F", "p", "o", function_node("Abs", "p", "o", NONE));
    piece x = input("x", MOTET_FLOAT, NULL), y = output("y");
    refuse(JOIN(model(17, JOIN(x, y, node("F", "x x", "y", in_domain("my")))), f), MOTET_ERROR_FORMAT,
           "2 inputs are given, but the function has 1");
    refuse(JOIN(model(17, JOIN(x, y, node("F", "x", "y z", in_domain("my")))), f), MOTET_ERROR_FORMAT,
           "2 outputs are read, but the function has 1");
    piece idle = function("F", "p", "o", NONE);
    refuse(JOIN(model(17, JOIN(x, y, node("F", "x", "y", in_domain("my")))), idle), MOTET_ERROR_FORMAT,
           "does not make its output 'o'");
    piece leak = function("F", "p", "o", function_node("Abs", "x", "o", NONE)); /* x is the caller's */
    refuse(JOIN(model(17, JOIN(x, y, node("F", "x", "y", in_domain("my")))), leak), MOTET_ERROR_FORMAT,
           "input 0, 'x', is no input");
}

static void endless_calls_are_refused(void **state)
{
    (void)state;
    piece itself = function("F", "p", "o", function_node("F", "p", "o", in_domain("my")));
    piece graph = JOIN(input("x", MOTET_FLOAT, NULL), output("y"), node("F", "x", "y", in_domain("my")));
    refuse(JOIN(model(17, graph), itself), MOTET_ERROR_LIMIT, "call each other deeper");
}

/* What nobody reads has a name in a written file where readers want one: before what is read, and where every output
 * has to be there. Trailing ones that may be left out are. */
static void unread_outputs_are_written_where_they_must(void **state)
{
    (void)state;
    piece bytes =
        model(17, JOIN(input("x", MOTET_FLOAT, NULL), output("i"), output("v"), output("d"),
                       initializer(tensor("k", MOTET_INT64, "1", INT64S(1))), node("TopK", "x k", "w i", NONE),
                       node("TopK", "x k", "v j", NONE), node("Dropout", "x k", "d m", NONE)));
    const size_t outputs[] = {2, 2, 1};
    char path[] = "/tmp/motet-graph-XXXXXX";
    mt_file *origin, *written;
    mt_model *built;
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    assert_int_equal(mt_file_open_memory(bytes.bytes, bytes.size, &origin), MOTET_OK);
    assert_int_equal(mt_model_build(origin, &built), MOTET_OK);
    assert_int_equal(mt_pass_dead(built), MOTET_OK);
    assert_int_equal(mt_model_write(built, origin, path, false), MOTET_OK);
    mt_model_destroy(built);
    mt_file_close(origin);
    assert_int_equal(mt_file_open(path, &written), MOTET_OK);
    for (size_t i = 0; i < 3; i++) {
        const Onnx__NodeProto *node_written = written->model->graph->node[i];
        assert_int_equal(node_written->n_output, outputs[i]);
        for (size_t k = 0; k < outputs[i]; k++) assert_true(*node_written->output[k] != '\0');
    }
    mt_file_close(written);
    remove(path);
}

/* Each function calls the one before twice: 2^30 nodes from a few kilobytes. */
static void explosions_are_refused(void **state)
{
    (void)state;
    piece all = function("F0", "p", "o", function_node("Abs", "p", "o", NONE));
    for (int i = 1; i <= 30; i++) {
        char name[8], called[8];
        snprintf(name, sizeof name, "F%d", i);
        snprintf(called, sizeof called, "F%d", i - 1);
        all = JOIN(all, function(name, "p", "o",
                                 JOIN(function_node(called, "p", "t", in_domain("my")),
                                      function_node(called, "t", "o", in_domain("my")))));
    }
    piece graph = JOIN(input("x", MOTET_FLOAT, NULL), output("y"), node("F30", "x", "y", in_domain("my")));
    refuse(JOIN(model(17, graph), all), MOTET_ERROR_LIMIT, "functions expand to too much");
}

/* --- passes --------------------------------------------------------------------------------------------------- */

static void dead_nodes_go(void **state)
{
    (void)state;
    piece then_branch = branch(JOIN(node("Neg", "kept", "t", NONE), node("Exp", "kept", "unread", NONE)), "t");
    piece bytes = model(17, JOIN(input("x", MOTET_BOOL, NULL), output("y"), node("Abs", "x", "kept", NONE),
                                 node("Log", "x", "dead", NONE), node("Sin", "dead", "dead2", NONE),
                                 if_node("x", "y also", then_branch, branch(NONE, "x"))));
    mt_model *built = build(bytes);
    assert_int_equal(mt_pass_dead(built), MOTET_OK);
    assert_string_equal(types(built->main), "Abs If");
    assert_int_equal(built->main->nodes[1]->outputs[1], MT_NO_VALUE);
    assert_string_equal(types(nested(built->main, 1, "then_branch")), "Neg");
    mt_model_destroy(built);
}

static void identities_go(void **state)
{
    (void)state;
    piece bytes = model(17, JOIN(input("x", MOTET_FLOAT, NULL), output("y"), output("z"), output("m"),
                                 node("Identity", "x", "a", NONE), node("Identity", "a", "b", NONE),
                                 node("Abs", "b", "c", NONE), node("Dropout", "c", "y", NONE),
                                 node("Identity", "x", "z", NONE), node("Dropout", "x", "d m", NONE)));
    mt_model *built = build(bytes);
    assert_int_equal(mt_pass_identity(built), MOTET_OK);
    assert_string_equal(types(built->main), "Abs Dropout"); /* the mask of the last is an output */
    assert_int_equal(built->main->nodes[0]->inputs[0], built->main->inputs[0]);
    assert_int_equal(built->main->outputs[0], built->main->nodes[0]->outputs[0]);
    assert_int_equal(built->main->outputs[1], built->main->inputs[0]);
    mt_model_destroy(built);
}

/* An Identity of two outputs is wrong, and fails when it runs; without it the second would never be made. */
static void identities_with_more_outputs_stay(void **state)
{
    (void)state;
    mt_model *built = build(
        model(17, JOIN(input("x", MOTET_FLOAT, NULL), output("y"), output("z"), node("Identity", "x", "y z", NONE))));
    assert_int_equal(mt_pass_identity(built), MOTET_OK);
    assert_string_equal(types(built->main), "Identity");
    mt_model_destroy(built);
}

/* Adds the first elements of float inputs; "Fail" fails, "Truth" says true. */
static motet_status evaluate(void *context, const mt_model *of, const mt_node *n, size_t limit,
                             motet_tensor *const *outputs)
{
    ++*(int *)context;
    assert_true(limit > 0);
    if (strcmp(n->type, "Fail") == 0) return mt_fail(MOTET_ERROR_SHAPE, "as asked");
    if (strcmp(n->type, "Truth") == 0) {
        MT_TRY(mt_tensor_alloc(outputs[0], MOTET_BOOL, 0, NULL));
        *(uint8_t *)outputs[0]->data = 1;
        return MOTET_OK;
    }
    MT_TRY(mt_tensor_alloc(outputs[0], MOTET_FLOAT, 0, NULL));
    *(float *)outputs[0]->data = 0;
    for (int i = 0; i < n->input_count; i++)
        *(float *)outputs[0]->data += *(const float *)of->values[n->inputs[i]].tensor->data;
    return MOTET_OK;
}

static void constants_are_folded(void **state)
{
    (void)state;
    int calls = 0;
    piece then_branch = branch(node("Sum", "two four", "t", NONE), "t");
    piece bytes = model(17, JOIN(input("x", MOTET_BOOL, NULL), output("y"), output("f"), output("r"), scalar("two", 2),
                                 node("Sum", "two two", "four", NONE), node("Sum", "four four", "eight", NONE),
                                 node("Sum", "eight x", "y1", NONE), node("Fail", "two", "f", NONE),
                                 node("RandomUniformLike", "two", "r", NONE),
                                 if_node("x", "i", then_branch, branch(NONE, "two")), node("Sum", "y1 i", "y", NONE)));
    mt_model *built = build(bytes);
    assert_int_equal(mt_pass_fold(built, evaluate, &calls), MOTET_OK);
    assert_string_equal(types(built->main), "Sum Fail RandomUniformLike If Sum");
    assert_int_equal(calls, 4);
    const motet_tensor *eight = built->values[built->main->nodes[0]->inputs[0]].tensor;
    assert_true(*(const float *)eight->data == 8 && eight->constant);
    const mt_graph *inner = nested(built->main, 3, "then_branch");
    assert_int_equal(inner->node_count, 0);
    assert_true(*(const float *)built->values[inner->outputs[0]].tensor->data == 6);
    mt_model_destroy(built);
}

static void settled_branches_are_taken(void **state)
{
    (void)state;
    int calls = 0;
    bool changed;
    piece inner = branch(node("Sin", "x", "s", NONE), "s");
    piece then_branch = branch(JOIN(node("Abs", "x", "u", NONE), node("Truth", "two", "also", NONE),
                                    if_node("also", "v", inner, branch(NONE, "x")), node("Add", "u v", "t", NONE)),
                               "t");
    piece bytes =
        model(17, JOIN(input("x", MOTET_FLOAT, NULL), output("y"), scalar("two", 2), node("Truth", "two", "yes", NONE),
                       if_node("yes", "i", then_branch, branch(NONE, "x")), node("Neg", "i", "y", NONE)));
    mt_model *built = build(bytes);
    assert_int_equal(mt_pass_fold(built, evaluate, &calls), MOTET_OK);
    assert_int_equal(mt_pass_branch(built, &changed), MOTET_OK);
    assert_true(changed);
    assert_string_equal(types(built->main), "Abs If Add Neg");
    assert_int_equal(mt_pass_branch(built, &changed), MOTET_OK);
    assert_true(changed);
    assert_string_equal(types(built->main), "Abs Sin Add Neg");
    const mt_graph *main_graph = built->main;
    assert_int_equal(main_graph->nodes[3]->inputs[0], main_graph->nodes[2]->outputs[0]);
    assert_int_equal(main_graph->nodes[2]->inputs[1], main_graph->nodes[1]->outputs[0]);
    assert_ptr_equal(built->values[main_graph->nodes[1]->outputs[0]].home, main_graph);
    assert_int_equal(mt_pass_branch(built, &changed), MOTET_OK);
    assert_false(changed);
    mt_model_destroy(built);
}

/* --- memory --------------------------------------------------------------------------------------------------- */

static void every_allocation_may_fail(void **state)
{
    (void)state;
    piece f = function("F", "p", "o",
                       JOIN(message(11, JOIN(text(1, "s"), single(2, 1), number(20, FLOAT))),
                            function_node("Abs", "p", "o", attribute_reference("a", FLOAT, "s"))));
    piece then_branch = branch(node("Neg", "late", "t", NONE), "t");
    piece bytes =
        JOIN(model(17, JOIN(input("x", MOTET_BOOL, "a 2"), output("y"), scalar("w", 1),
                            node("F", "x", "late0", in_domain("my")), if_node("x", "y", then_branch, branch(NONE, "x")),
                            node("Constant", "", "c", attribute_float("value_float", 3)),
                            node("Add", "late0 c", "late", attribute_int("i", 3)))),
             f);
    motet_status status = MOTET_ERROR_MEMORY;
    for (long n = 0; status != MOTET_OK; n++) {
        mt_model *built = NULL;
        bool changed;
        int calls = 0;
        mt_memory_fail_at(n);
        status = mt_file_open_memory(bytes.bytes, bytes.size, &file);
        if (status == MOTET_OK) status = mt_model_build(file, &built);
        if (status == MOTET_OK) status = mt_pass_dead(built);
        if (status == MOTET_OK) status = mt_pass_fold(built, evaluate, &calls);
        if (status == MOTET_OK) status = mt_pass_branch(built, &changed);
        if (status == MOTET_OK) status = mt_pass_identity(built);
        mt_memory_fail_at(-1);
        assert_true(status == MOTET_OK || status == MOTET_ERROR_MEMORY);
        mt_model_destroy(built);
        mt_file_close(file);
        file = NULL;
        assert_true(n < 10000);
    }
}

static void names_are_found(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    static char texts[COUNT][24];
    mt_names names = {0};
    int found;
    assert_false(mt_names_find(&names, "v0", &found));
    for (int i = 0; i < COUNT; i++) {
        snprintf(texts[i], sizeof texts[i], "/a/long/prefix/v%d", i);
        assert_true(mt_names_add(&names, texts[i], i));
    }
    for (int i = 0; i < COUNT; i++) {
        assert_true(mt_names_find(&names, texts[i], &found));
        assert_int_equal(found, i);
    }
    assert_false(mt_names_find(&names, "/a/long/prefix/v1000", &found));
    mt_names_clear(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_model_is_built, teardown),
        cmocka_unit_test_teardown(constants_become_values, teardown),
        cmocka_unit_test_teardown(sparse_weights_are_values, teardown),
        cmocka_unit_test_teardown(nodes_are_put_in_order, teardown),
        cmocka_unit_test_teardown(captures_count_for_the_order, teardown),
        cmocka_unit_test_teardown(names_that_lead_nowhere_are_refused, teardown),
        cmocka_unit_test_teardown(circles_are_refused, teardown),
        cmocka_unit_test_teardown(versions_are_checked, teardown),
        cmocka_unit_test_teardown(inputs_of_odd_types_are_refused, teardown),
        cmocka_unit_test_teardown(graphs_nest_to_a_limit, teardown),
        cmocka_unit_test_teardown(functions_are_expanded, teardown),
        cmocka_unit_test_teardown(function_attributes_have_defaults, teardown),
        cmocka_unit_test_teardown(functions_of_one_name_are_told_apart, teardown),
        cmocka_unit_test_teardown(wrong_calls_are_refused, teardown),
        cmocka_unit_test_teardown(endless_calls_are_refused, teardown),
        cmocka_unit_test_teardown(explosions_are_refused, teardown),
        cmocka_unit_test_teardown(unread_outputs_are_written_where_they_must, teardown),
        cmocka_unit_test_teardown(dead_nodes_go, teardown),
        cmocka_unit_test_teardown(identities_go, teardown),
        cmocka_unit_test_teardown(identities_with_more_outputs_stay, teardown),
        cmocka_unit_test_teardown(constants_are_folded, teardown),
        cmocka_unit_test_teardown(settled_branches_are_taken, teardown),
        cmocka_unit_test_teardown(every_allocation_may_fail, teardown),
        cmocka_unit_test_teardown(names_are_found, teardown),
    };
    return cmocka_run_group_tests_name("graph", tests, NULL, NULL);
}
