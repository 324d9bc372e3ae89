/* motet model compare: do two models, or a model and stored outputs, say the same? */
#include "model.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "motet/compare.h"
#include "motet/tensor_file.h"

static const char command[] = "model compare";

typedef struct settings {
    model_feed feed;
    const char *expected[MODEL_MAX_VALUES]; /* "NAME=FILE" */
    size_t expected_count;
    motet_tolerance tolerance;
    bool tolerance_given;
    motet_session_options session;
    bool reference, json;
} settings;

/* One output of both. */
typedef struct pair {
    const char *name;
    const motet_tensor *expected, *got;
    bool passed;
    motet_distance distance;
    char why[1024];
} pair;

static void help(void)
{
    fputs(
        "usage: motet model compare [OPTION...] FILE OTHER\n"
        "       motet model compare [OPTION...] --expect NAME=FILE.npy... FILE\n\n"
        "Runs two models on the same inputs, or one whose outputs are stored, and compares what comes out: types and\n"
        "shapes, integers and text exactly; for floating point, cosine, mean squared error and the largest\n"
        "difference. Of two models the first says what is expected. Inputs and outputs of two models go by name, or\n"
        "by position where the names differ.\n\n" MODEL_FEED_HELP
        "      --expect NAME=FILE  what output NAME should be, a .npy or .pb (NAME= may be left out when there is "
        "one)\n"
        "      --min-cosine C      pass when the cosine is at least C\n"
        "      --max-abs D         pass when no element differs by more than D\n"
        "      --rtol R, --atol A  pass when every element is within A + R |expected|\n"
        "                          (default, when no bound is given: R 1e-3, A 1e-7)\n"
        "      --reference         the first model with plain reference operators, no fast kernels\n"
        "      --threads N         threads that work on a run (default: all there are)\n"
        "      --json              for programs\n"
        "  -h, --help\n\n"
        "Examples:\n"
        "  motet model compare --min-cosine 0.995 --shape audio=1x48000 float.onnx int8.onnx\n"
        "  motet model compare --reference model.onnx model.onnx\n"
        "  motet model compare --input speech.npy --expect logits=logits.npy wav2vec2.onnx\n\n"
        "Exit status: 0 all outputs pass, 1 they do not, 2 wrong usage.\n",
        stdout);
}

/* --- telling -------------------------------------------------------------------------------------------------- */

static bool tell_text(const pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char name[512];
        snprintf(name, sizeof name, "%s", pairs[i].name);
        cli_make_printable(name);
        printf("%-4s  %s  cosine %.9f  mse %.3g  max|d| %.3g = %.3g std", pairs[i].passed ? "ok" : "FAIL", name,
               pairs[i].distance.cosine, pairs[i].distance.mse, pairs[i].distance.max_abs,
               pairs[i].distance.max_abs_over_std);
        printf(pairs[i].passed ? "\n" : "  %s\n", pairs[i].why);
    }
    return cli_print(command, "", 0);
}

static bool tell_json(const pair *pairs, size_t count, bool passed)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:s, s:b, s:o, s:o, s:o, s:o, s:s?}", "name", pairs[i].name, "passed",
                                              pairs[i].passed, "cosine", model_number(pairs[i].distance.cosine), "mse",
                                              model_number(pairs[i].distance.mse), "max_abs",
                                              model_number(pairs[i].distance.max_abs), "max_abs_over_std",
                                              model_number(pairs[i].distance.max_abs_over_std), "reason",
                                              pairs[i].passed ? NULL : pairs[i].why));
    return model_print_json(command, json_pack("{s:b, s:o}", "passed", passed, "outputs", list));
}

static bool compare(const settings *s, pair *pairs, size_t count)
{
    bool passed = count > 0;
    for (size_t i = 0; i < count; i++) {
        motet_distance_init(&pairs[i].distance);
        pairs[i].passed =
            motet_tensor_compare(pairs[i].expected, pairs[i].got, &s->tolerance, &pairs[i].distance) == MOTET_OK;
        if (!pairs[i].passed) snprintf(pairs[i].why, sizeof pairs[i].why, "%s", motet_error_message());
        cli_make_printable(pairs[i].why);
        passed = passed && pairs[i].passed;
    }
    if (!count) cli_say(command, "there are no outputs to compare");
    return (s->json ? tell_json(pairs, count, passed) : tell_text(pairs, count)) && passed;
}

/* --- what is compared ----------------------------------------------------------------------------------------- */

static bool say_failure(void)
{
    cli_say(command, "%s", motet_error_message());
    return false;
}

static size_t find_name(const model_values *values, const char *name, size_t length)
{
    size_t i = 0;
    while (i < values->count && (strlen(values->names[i]) != length || strncmp(values->names[i], name, length))) i++;
    return i;
}

/* The place in `values` of the name that stands at `index` of another list of the same length. */
static size_t counterpart(const model_values *values, const char *name, size_t index)
{
    size_t found = find_name(values, name, strlen(name));
    return found < values->count ? found : index;
}

/* Feeds the other model what the first was fed. The tensors stay the first's. */
static bool run_other(motet_session *session, const model_values *inputs, model_values *outputs)
{
    model_values fed = {.count = motet_session_input_count(session)};
    if (!model_name_outputs(command, session, outputs)) return false;
    if (fed.count != inputs->count)
        return cli_say(command, "the models have %zu and %zu inputs", inputs->count, fed.count), false;
    for (size_t i = 0; i < fed.count; i++) {
        fed.names[i] = motet_session_input(session, i)->name;
        fed.tensors[i] = inputs->tensors[counterpart(inputs, fed.names[i], i)];
    }
    return model_run_once(session, &fed, outputs) == MOTET_OK || say_failure();
}

static bool compare_outputs(const settings *s, const model_values *expected, const model_values *got)
{
    static pair pairs[MODEL_MAX_VALUES];
    if (expected->count != got->count)
        return cli_say(command, "the models have %zu and %zu outputs", expected->count, got->count), false;
    for (size_t i = 0; i < expected->count; i++)
        pairs[i] = (pair){.name = expected->names[i],
                          .expected = expected->tensors[i],
                          .got = got->tensors[counterpart(got, expected->names[i], i)]};
    return compare(s, pairs, expected->count);
}

static bool with_other(const settings *s, const char *path, const model_values *inputs, const model_values *expected)
{
    motet_session *session;
    model_values outputs = {0};
    if (motet_session_open(path, &s->session, &session) != MOTET_OK) return say_failure();
    bool good = run_other(session, inputs, &outputs) && compare_outputs(s, expected, &outputs);
    model_values_clear(&outputs);
    motet_session_close(session);
    return good;
}

static bool read_expected(const settings *s, const model_values *outputs, pair *pairs, motet_tensor **stored)
{
    for (size_t i = 0; i < s->expected_count; i++) {
        const char *file;
        size_t length = model_split(s->expected[i], &file), k = 0;
        if (length || outputs->count != 1) k = find_name(outputs, s->expected[i], length);
        if (k == outputs->count) return cli_say(command, "%s: the model has no such output", s->expected[i]), false;
        if (motet_tensor_read(file, &stored[i]) != MOTET_OK) return say_failure();
        pairs[i] = (pair){.name = outputs->names[k], .expected = stored[i], .got = outputs->tensors[k]};
    }
    return true;
}

static bool with_stored(const settings *s, const model_values *outputs)
{
    static pair pairs[MODEL_MAX_VALUES];
    motet_tensor *stored[MODEL_MAX_VALUES] = {0};
    bool good = read_expected(s, outputs, pairs, stored) && compare(s, pairs, s->expected_count);
    for (size_t i = 0; i < s->expected_count; i++) motet_tensor_destroy(stored[i]);
    return good;
}

static bool run_first(const settings *s, const char *path, model_values *inputs, model_values *outputs,
                      motet_session **session)
{
    motet_session_options options = s->session;
    options.reference = s->reference;
    if (motet_session_open(path, &options, session) != MOTET_OK) return say_failure();
    return model_feed_make(command, &s->feed, *session, inputs) && model_name_outputs(command, *session, outputs) &&
           (model_run_once(*session, inputs, outputs) == MOTET_OK || say_failure());
}

static int compare_files(const settings *s, const char *first, const char *other)
{
    model_values inputs = {0}, outputs = {0};
    motet_session *session = NULL;
    bool good = run_first(s, first, &inputs, &outputs, &session) &&
                (other ? with_other(s, other, &inputs, &outputs) : with_stored(s, &outputs));
    model_values_clear(&inputs);
    model_values_clear(&outputs);
    motet_session_close(session);
    return good ? EXIT_DONE : EXIT_FAILED;
}

/* --- the command line ----------------------------------------------------------------------------------------- */

/* The first bound that is given replaces the default one. */
static bool set_bound(settings *s, const char *option, const char *text, double high, double *bound)
{
    double value;
    if (!cli_number(command, option, text, 0, high, &value)) return false;
    if (!s->tolerance_given) s->tolerance.rtol = s->tolerance.atol = -1;
    s->tolerance_given = true;
    *bound = value;
    return true;
}

enum { OPTION_COSINE = 256, OPTION_MAX_ABS, OPTION_RTOL, OPTION_ATOL, OPTION_EXPECT, OPTION_THREADS };

static bool set_option(settings *s, int option, const char *text)
{
    switch (option) {
    case OPTION_COSINE: return set_bound(s, "min-cosine", text, 1, &s->tolerance.cosine);
    case OPTION_MAX_ABS: return set_bound(s, "max-abs", text, 1e300, &s->tolerance.max_abs);
    case OPTION_RTOL: return set_bound(s, "rtol", text, 1e300, &s->tolerance.rtol);
    case OPTION_ATOL: return set_bound(s, "atol", text, 1e300, &s->tolerance.atol);
    case OPTION_THREADS: return cli_int(command, "threads", text, 1, 1024, &s->session.threads);
    case OPTION_EXPECT:
        if (s->expected_count == MODEL_MAX_VALUES) return cli_misuse(command, "too many --expect"), false;
        s->expected[s->expected_count++] = text;
        return true;
    case 'r': return s->reference = true;
    case 'j': return s->json = true;
    default: return model_feed_option(command, &s->feed, option, text);
    }
}

int model_compare(int argc, char **argv)
{
    static const struct option options[] = {MODEL_FEED_OPTIONS,
                                            {"expect", required_argument, NULL, OPTION_EXPECT},
                                            {"min-cosine", required_argument, NULL, OPTION_COSINE},
                                            {"max-abs", required_argument, NULL, OPTION_MAX_ABS},
                                            {"rtol", required_argument, NULL, OPTION_RTOL},
                                            {"atol", required_argument, NULL, OPTION_ATOL},
                                            {"threads", required_argument, NULL, OPTION_THREADS},
                                            {"reference", no_argument, NULL, 'r'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    static settings s;
    motet_tolerance_init(&s.tolerance);
    motet_session_options_init(&s.session);
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (option == 'h') {
            help();
            return EXIT_DONE;
        }
        if (!set_option(&s, option, optarg)) return EXIT_MISUSE;
    }
    int files = argc - optind, wanted = s.expected_count ? 1 : 2;
    if (files != wanted)
        return cli_misuse(command, "expected %s", wanted == 2 ? "FILE and OTHER, or --expect" : "one FILE");
    return compare_files(&s, argv[optind], wanted == 2 ? argv[optind + 1] : NULL);
}
