/* motet model check: is this file sound, and does it do what it declares? Three looks, each for what the one before
 * cannot see: at the file, at what a session makes of it, and at one run, whose outputs must have the types and shapes
 * that the file declares. */
#include "model.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "motet/model.h"

static const char command[] = "model check";

enum { TEXT = 2560, MAX_FINDINGS = 400 };

typedef struct settings {
    model_feed feed;
    bool json, no_run;
} settings;

typedef struct findings {
    char *lines[MAX_FINDINGS];
    size_t count;
} findings;

static void help(void)
{
    fputs("usage: motet model check [OPTION...] FILE\n\n"
          "Checks a model: that every weight has the bytes its shape takes, external data included; that every name\n"
          "leads somewhere and no circle is closed; that motet knows all operators; that it runs; and that what comes\n"
          "out has the declared types and shapes. Everything found is listed.\n\n" MODEL_FEED_HELP
          "      --no-run            look, but do not run\n"
          "      --json              for programs\n"
          "  -h, --help\n\n"
          "Examples:\n"
          "  motet model check model.onnx\n"
          "  motet model check --shape audio=1x16000 wav2vec2.onnx\n\n"
          "Exit status: 0 sound, 1 not, 2 wrong usage.\n",
          stdout);
}

/* --- what is found -------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void find(findings *found, const char *format, ...)
{
    char text[TEXT];
    va_list arguments;
    if (found->count == MAX_FINDINGS) return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    cli_make_printable(text);
    char *copy = strdup(text);
    if (copy) found->lines[found->count++] = copy;
}

static void look_at_file(const motet_model *model, findings *found)
{
    const motet_model_operator *kind;
    const char *problem;
    for (size_t i = 0; (problem = motet_model_problem_at(model, i)); i++) find(found, "%s", problem);
    for (size_t i = 0; (kind = motet_model_operator_at(model, i)); i++)
        if (kind->missing)
            find(found, "operator %s.%s version %lld is missing (%lld node%s)", kind->domain, kind->type,
                 (long long)kind->version, (long long)kind->count, kind->count == 1 ? "" : "s");
}

/* Dimensions of one name have one size. */
typedef struct sizes {
    const char *names[64];
    int64_t values[64];
    size_t count;
} sizes;

static bool agrees(sizes *known, const char *name, int64_t value)
{
    for (size_t i = 0; i < known->count; i++)
        if (!strcmp(known->names[i], name)) return known->values[i] == value;
    if (known->count == sizeof known->names / sizeof *known->names) return true;
    known->names[known->count] = name;
    known->values[known->count++] = value;
    return true;
}

static bool fits(const motet_value_info *info, const motet_tensor *tensor, sizes *known)
{
    if (info->kind != motet_tensor_kind(tensor)) return false;
    if (info->kind != MOTET_TENSOR) return true; /* its items have been checked when it was made */
    if (info->type != MOTET_UNDEFINED && info->type != motet_tensor_type(tensor)) return false;
    if (info->rank < 0) return true;
    if (info->rank != motet_tensor_rank(tensor)) return false;
    for (int i = 0; i < info->rank; i++) {
        int64_t size = motet_tensor_dims(tensor)[i];
        if (info->dims[i] >= 0 ? info->dims[i] != size : info->symbols[i] && !agrees(known, info->symbols[i], size))
            return false;
    }
    return true;
}

static void look_at_outputs(const motet_session *session, const model_values *inputs, const model_values *outputs,
                            findings *found)
{
    char declared[TEXT / 4], got[TEXT / 4];
    sizes known = {0};
    for (size_t i = 0; i < inputs->count; i++)
        (void)fits(motet_session_input(session, i), inputs->tensors[i], &known); /* learns the names */
    for (size_t i = 0; i < outputs->count; i++) {
        const motet_value_info *info = motet_session_output(session, i);
        if (!fits(info, outputs->tensors[i], &known))
            find(found, "output '%s' is declared as %s, but %s comes out", info->name,
                 model_value_text(info, declared, sizeof declared),
                 model_tensor_text(outputs->tensors[i], got, sizeof got));
    }
}

/* False when the run could not even be tried. */
static bool look_at_run(const settings *s, motet_session *session, findings *found)
{
    model_values inputs = {0}, outputs = {0};
    bool tried = model_feed_make(command, &s->feed, session, &inputs) && model_name_outputs(command, session, &outputs);
    if (tried && model_run_once(session, &inputs, &outputs) != MOTET_OK)
        find(found, "%s", motet_error_message());
    else if (tried)
        look_at_outputs(session, &inputs, &outputs, found);
    model_values_clear(&inputs);
    model_values_clear(&outputs);
    return tried;
}

static bool look(const settings *s, const char *path, findings *found)
{
    motet_model *model;
    motet_session *session = NULL;
    if (motet_model_open(path, &model) != MOTET_OK) {
        find(found, "%s", motet_error_message());
        return true;
    }
    look_at_file(model, found);
    motet_model_close(model);
    if (found->count) return true;
    if (motet_session_open(path, NULL, &session) != MOTET_OK) {
        find(found, "%s", motet_error_message());
        return true;
    }
    bool tried = s->no_run || look_at_run(s, session, found);
    motet_session_close(session);
    return tried;
}

/* --- telling -------------------------------------------------------------------------------------------------- */

static bool tell(const settings *s, const char *path, const findings *found)
{
    if (s->json) {
        json_t *list = json_array();
        for (size_t i = 0; i < found->count; i++) json_array_append_new(list, json_string(found->lines[i]));
        return model_print_json(
            command, json_pack("{s:s, s:b, s:o}", "file", path, "sound", found->count == 0, "findings", list));
    }
    for (size_t i = 0; i < found->count; i++) printf("%s\n", found->lines[i]);
    if (!found->count) printf("%s: sound%s\n", path, s->no_run ? " as far as it can be without a run" : "");
    return cli_print(command, "", 0);
}

static int check(const settings *s, const char *path)
{
    findings found = {0};
    bool told = look(s, path, &found) && tell(s, path, &found);
    bool sound = found.count == 0;
    for (size_t i = 0; i < found.count; i++) free(found.lines[i]);
    return told && sound ? EXIT_DONE : EXIT_FAILED;
}

int model_check(int argc, char **argv)
{
    static const struct option options[] = {MODEL_FEED_OPTIONS,
                                            {"no-run", no_argument, NULL, 'n'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    settings s = {0};
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (option) {
        case 'h': help(); return EXIT_DONE;
        case 'n': s.no_run = true; break;
        case 'j': s.json = true; break;
        default:
            if (!model_feed_option(command, &s.feed, option, optarg)) return EXIT_MISUSE;
        }
    }
    if (argc - optind != 1) return cli_misuse(command, "expected one FILE");
    return check(&s, argv[optind]);
}
