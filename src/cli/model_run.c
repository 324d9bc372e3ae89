/* motet model run: one run, its outputs to files or in a few numbers each. */
#include "model.h"

#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "motet/tensor_file.h"

static const char command[] = "model run";

typedef struct settings {
    model_feed feed;
    const char *outputs[MODEL_MAX_VALUES]; /* "NAME=FILE" */
    size_t output_count;
    motet_session_options session;
    bool json;
} settings;

static void help(void)
{
    fputs(
        "usage: motet model run [OPTION...] FILE\n\n"
        "Runs an ONNX model once and tells, for every output, its type and shape, smallest, largest and mean element\n"
        "and the first few.\n\n" MODEL_FEED_HELP
        "      --output NAME=FILE  write this output to a .npy or .pb (NAME= may be left out when there is one)\n"
        "      --threads N         threads that work on the run (default: all there are)\n"
        "      --reference         plain reference operators, no fast kernels\n" MODEL_PASS_HELP
        "      --cache-dir FOLDER  keep packed weights there for the next time (as large as the weights)\n"
        "      --json              for programs\n"
        "  -h, --help\n\n"
        "Examples:\n"
        "  motet model run --input audio=speech.npy --output logits=logits.npy wav2vec2.onnx\n"
        "  motet model run --shape 1x16000 --seed 7 wav2vec2.onnx\n\n"
        "Exit status: 0 done, 1 failed, 2 wrong usage.\n",
        stdout);
}

/* --- in numbers ----------------------------------------------------------------------------------------------- */

typedef struct summary {
    double min, max, mean;
    int64_t finite;
} summary;

static summary sum_up(const motet_tensor *tensor)
{
    summary s = {(double)NAN, (double)NAN, 0, 0};
    for (int64_t i = 0; i < motet_tensor_count(tensor); i++) {
        double value = motet_tensor_number(tensor, i);
        if (!isfinite(value)) continue;
        s.finite++;
        s.min = fmin(s.min, value);
        s.max = fmax(s.max, value);
        s.mean += (value - s.mean) / (double)s.finite;
    }
    return s;
}

enum { FIRST_FEW = 5, TEXT = 512 };

static int64_t first_few(const motet_tensor *tensor)
{
    int64_t count = motet_tensor_count(tensor);
    return count < FIRST_FEW ? count : FIRST_FEW;
}

static void print_elements(const motet_tensor *tensor)
{
    summary s = sum_up(tensor);
    char text[TEXT];
    if (s.finite) printf("  min %.6g  max %.6g  mean %.6g", s.min, s.max, s.mean);
    if (motet_tensor_type(tensor) != MOTET_STRING && s.finite < motet_tensor_count(tensor))
        printf("  %" PRId64 " not finite", motet_tensor_count(tensor) - s.finite);
    printf("  [");
    for (int64_t i = 0; i < first_few(tensor); i++) {
        if (motet_tensor_type(tensor) == MOTET_STRING) {
            snprintf(text, sizeof text, "\"%.40s\"", motet_tensor_string(tensor, i, NULL));
            cli_make_printable(text);
        } else {
            snprintf(text, sizeof text, "%.6g", motet_tensor_number(tensor, i));
        }
        printf("%s%s", i ? ", " : "", text);
    }
    printf("%s]\n", motet_tensor_count(tensor) > FIRST_FEW ? ", ..." : "");
}

/* A list has a line for each item. */
static void print_output(const char *name, const motet_tensor *tensor)
{
    char text[TEXT];
    if (motet_tensor_kind(tensor) == MOTET_TENSOR) {
        printf("%s  %s", name, model_tensor_text(tensor, text, sizeof text));
        print_elements(tensor);
        return;
    }
    printf("%s  %s\n", name, model_tensor_text(tensor, text, sizeof text));
    for (int64_t i = 0; i < motet_tensor_count(tensor); i++) {
        snprintf(text, sizeof text, "%.400s[%" PRId64 "]", name, i);
        print_output(text, motet_tensor_item(tensor, i));
    }
}

static json_t *list_json(const char *name, const motet_tensor *list);

static json_t *output_json(const char *name, const motet_tensor *tensor)
{
    if (motet_tensor_kind(tensor) != MOTET_TENSOR) return list_json(name, tensor);
    summary s = sum_up(tensor);
    json_t *shape = json_array(), *first = json_array();
    for (int i = 0; i < motet_tensor_rank(tensor); i++)
        json_array_append_new(shape, json_integer(motet_tensor_dims(tensor)[i]));
    for (int64_t i = 0; i < first_few(tensor); i++)
        json_array_append_new(first, motet_tensor_type(tensor) == MOTET_STRING
                                         ? json_string(motet_tensor_string(tensor, i, NULL))
                                         : model_number(motet_tensor_number(tensor, i)));
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:I, s:o}", "name", name, "type",
                     motet_type_name(motet_tensor_type(tensor)), "shape", shape, "min", model_number(s.min), "max",
                     model_number(s.max), "mean", model_number(s.finite ? s.mean : (double)NAN), "finite",
                     (json_int_t)s.finite, "first", first);
}

static json_t *list_json(const char *name, const motet_tensor *list)
{
    json_t *items = json_array();
    for (int64_t i = 0; i < motet_tensor_count(list); i++)
        json_array_append_new(items, output_json(name, motet_tensor_item(list, i)));
    return json_pack("{s:s, s:s, s:o}", "name", name, "kind", motet_kind_name(motet_tensor_kind(list)), "items", items);
}

static bool tell(const settings *s, const char *path, const model_values *outputs)
{
    if (s->json) {
        json_t *list = json_array();
        for (size_t i = 0; i < outputs->count; i++)
            json_array_append_new(list, output_json(outputs->names[i], outputs->tensors[i]));
        return model_print_json(command, json_pack("{s:s, s:o}", "file", path, "outputs", list));
    }
    for (size_t i = 0; i < outputs->count; i++) {
        char name[TEXT];
        snprintf(name, sizeof name, "%s", outputs->names[i]);
        cli_make_printable(name);
        print_output(name, outputs->tensors[i]);
    }
    return cli_print(command, "", 0);
}

/* --- to files ------------------------------------------------------------------------------------------------- */

/* The output that "NAME=FILE" names, or the only one; outputs->count when there is none. */
static size_t find_output(const model_values *outputs, const char *entry, const char **file)
{
    size_t length = model_split(entry, file);
    if (!length && outputs->count == 1) return 0;
    for (size_t i = 0; length && i < outputs->count; i++)
        if (strlen(outputs->names[i]) == length && !strncmp(outputs->names[i], entry, length)) return i;
    return outputs->count;
}

/* Before the run, so that a slip of the pen does not cost one. */
static bool check_names(const settings *s, const model_values *outputs)
{
    const char *file;
    for (size_t i = 0; i < s->output_count; i++) {
        if (find_output(outputs, s->outputs[i], &file) < outputs->count) continue;
        cli_say(command, "%s: the model has no such output", s->outputs[i]);
        return false;
    }
    return true;
}

static bool write_outputs(const settings *s, const model_values *outputs)
{
    const char *file;
    for (size_t i = 0; i < s->output_count; i++) {
        size_t k = find_output(outputs, s->outputs[i], &file);
        if (motet_tensor_write(file, outputs->tensors[k]) == MOTET_OK) continue;
        cli_say(command, "%s", motet_error_message());
        return false;
    }
    return true;
}

/* --- all of it ------------------------------------------------------------------------------------------------ */

static bool run_session(const settings *s, const char *path, motet_session *session)
{
    model_values inputs = {0}, outputs = {0};
    bool good = model_name_outputs(command, session, &outputs) && check_names(s, &outputs) &&
                model_feed_make(command, &s->feed, session, &inputs);
    if (good && model_run_once(session, &inputs, &outputs) != MOTET_OK) {
        cli_say(command, "%s", motet_error_message());
        good = false;
    }
    good = good && write_outputs(s, &outputs) && tell(s, path, &outputs);
    model_values_clear(&inputs);
    model_values_clear(&outputs);
    return good;
}

static int run(const settings *s, const char *path)
{
    motet_session *session;
    if (motet_session_open(path, &s->session, &session) != MOTET_OK) {
        cli_say(command, "%s", motet_error_message());
        return EXIT_FAILED;
    }
    bool good = run_session(s, path, session);
    motet_session_close(session);
    return good ? EXIT_DONE : EXIT_FAILED;
}

static bool set_option(settings *s, int option, const char *text)
{
    switch (option) {
    case 'o':
        if (s->output_count == MODEL_MAX_VALUES) return cli_misuse(command, "too many --output"), false;
        s->outputs[s->output_count++] = text;
        return true;
    case 't': return cli_int(command, "threads", text, 1, 1024, &s->session.threads);
    case 'r': return s->session.reference = true;
    case 'C': return (s->session.cache = text) != NULL;
    case 'x': return model_leave_out(command, &s->session, text);
    case 'j': return s->json = true;
    default: return model_feed_option(command, &s->feed, option, text);
    }
}

int model_run(int argc, char **argv)
{
    static const struct option options[] = {MODEL_FEED_OPTIONS,
                                            {"output", required_argument, NULL, 'o'},
                                            {"threads", required_argument, NULL, 't'},
                                            {"reference", no_argument, NULL, 'r'},
                                            {"cache-dir", required_argument, NULL, 'C'},
                                            {"no-pass", required_argument, NULL, 'x'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    static settings s;
    motet_session_options_init(&s.session);
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (option == 'h') {
            help();
            return EXIT_DONE;
        }
        if (!set_option(&s, option, optarg)) return EXIT_MISUSE;
    }
    if (argc - optind != 1) return cli_misuse(command, "expected one FILE");
    return run(&s, argv[optind]);
}
