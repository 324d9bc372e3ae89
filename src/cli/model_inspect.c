/* motet model inspect: what a model is made of. */
#include "model.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "motet/model.h"

static const char command[] = "model inspect";

static void help(void)
{
    fputs(
        "usage: motet model inspect [--json] FILE\n\n"
        "Tells what an ONNX model is made of: operators with domain, version and count, weights by type, inputs and\n"
        "outputs, metadata; every operator that motet does not know, all at once; and whatever else is wrong with it.\n"
        "Operators are listed as they stand in the file, those of functions and nested graphs included.\n\n"
        "      --json              for programs\n"
        "  -h, --help\n\n"
        "Examples:\n"
        "  motet model inspect wav2vec2.onnx\n"
        "  motet model inspect --json model.onnx | jq '.operators[] | select(.missing)'\n\n"
        "Exit status: 0 motet can run it, 1 it cannot, 2 wrong usage.\n",
        stdout);
}

/* --- in words ------------------------------------------------------------------------------------------------- */

/* File text on a terminal. */
static const char *clean(const char *text, char *copy, size_t size)
{
    snprintf(copy, size, "%s", text);
    cli_make_printable(copy);
    return copy;
}

enum { TEXT = 512 };

static void print_about(const motet_model *model)
{
    const motet_model_about *about = motet_model_describe(model);
    const motet_model_import *import;
    char text[TEXT];
    printf("format     ONNX IR version %" PRId64, about->ir_version);
    for (size_t i = 0; (import = motet_model_import_at(model, i)); i++)
        printf(", %s %" PRId64, clean(import->domain, text, sizeof text), import->version);
    if (*about->producer) printf("\nproducer   %s", clean(about->producer, text, sizeof text));
    if (*about->producer && *about->producer_version) printf(" %s", clean(about->producer_version, text, sizeof text));
    printf("\ngraph      %s%s%" PRId64 " nodes", clean(about->graph, text, sizeof text), *about->graph ? ", " : "",
           about->nodes);
    if (about->graphs) printf(", %" PRId64 " nested graphs", about->graphs);
    if (about->functions) printf(", %" PRId64 " functions", about->functions);
    printf("\nweights    %" PRId64 " parameters in %" PRId64 " tensors, %.1f MB", about->parameters, about->weights,
           (double)about->bytes / 1e6);
    if (about->external_bytes) printf(", %.1f MB of it external", (double)about->external_bytes / 1e6);
    printf("\n");
}

static void print_values(const motet_model *model, const char *title,
                         const motet_value_info *(*value)(const motet_model *, size_t))
{
    const motet_value_info *info;
    char type[TEXT], name[TEXT];
    for (size_t i = 0; (info = value(model, i)); i++)
        printf("%-10s %s  %s\n", i ? "" : title, clean(info->name, name, sizeof name),
               model_value_text(info, type, sizeof type));
}

static void print_lists(const motet_model *model)
{
    const motet_model_weights *weights;
    const motet_model_metadata *metadata;
    const motet_model_operator *kind;
    char key[TEXT], value[TEXT];
    for (size_t i = 0; (weights = motet_model_weights_at(model, i)); i++)
        printf("%-10s %s: %" PRId64 " tensors, %" PRId64 " elements, %" PRId64 " bytes\n", i ? "" : "types",
               motet_type_name(weights->type), weights->tensors, weights->elements, weights->bytes);
    for (size_t i = 0; (metadata = motet_model_metadata_at(model, i)); i++)
        printf("%-10s %s: %s\n", i ? "" : "metadata", clean(metadata->key, key, sizeof key),
               clean(metadata->value, value, sizeof value));
    printf("operators\n");
    for (size_t i = 0; (kind = motet_model_operator_at(model, i)); i++)
        printf("%8" PRId64 "  %s.%s %" PRId64 "%s\n", kind->count, clean(kind->domain, key, sizeof key),
               clean(kind->type, value, sizeof value), kind->version,
               kind->missing    ? "  MISSING"
               : kind->function ? "  (a function of the model)"
                                : "");
}

static void print_wrong(const motet_model *model)
{
    const char *problem;
    char text[2048];
    int64_t missing = motet_model_describe(model)->missing;
    if (missing) printf("missing    %" PRId64 " operator%s\n", missing, missing == 1 ? "" : "s");
    for (size_t i = 0; (problem = motet_model_problem_at(model, i)); i++)
        printf("%-10s %s\n", i ? "" : "problems", clean(problem, text, sizeof text));
}

static bool print_text(const motet_model *model)
{
    print_about(model);
    print_values(model, "inputs", motet_model_input);
    print_values(model, "outputs", motet_model_output);
    print_lists(model);
    print_wrong(model);
    return cli_print(command, "", 0);
}

/* --- for programs --------------------------------------------------------------------------------------------- */

static json_t *values_json(const motet_model *model, const motet_value_info *(*value)(const motet_model *, size_t))
{
    json_t *list = json_array();
    const motet_value_info *info;
    for (size_t i = 0; (info = value(model, i)); i++) json_array_append_new(list, model_value_json(info));
    return list;
}

static json_t *operators_json(const motet_model *model)
{
    json_t *list = json_array();
    const motet_model_operator *kind;
    for (size_t i = 0; (kind = motet_model_operator_at(model, i)); i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:I, s:I, s:b, s:b}", "domain", kind->domain, "type", kind->type,
                                        "version", (json_int_t)kind->version, "count", (json_int_t)kind->count,
                                        "function", kind->function, "missing", kind->missing));
    return list;
}

static json_t *weights_json(const motet_model *model)
{
    json_t *list = json_array();
    const motet_model_weights *weights;
    for (size_t i = 0; (weights = motet_model_weights_at(model, i)); i++)
        json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:I}", "type", motet_type_name(weights->type), "tensors",
                                              (json_int_t)weights->tensors, "elements", (json_int_t)weights->elements,
                                              "bytes", (json_int_t)weights->bytes));
    return list;
}

static json_t *text_lists_json(const motet_model *model, json_t *root)
{
    json_t *imports = json_object(), *metadata = json_object(), *problems = json_array();
    const motet_model_import *import;
    const motet_model_metadata *entry;
    const char *problem;
    for (size_t i = 0; (import = motet_model_import_at(model, i)); i++)
        json_object_set_new(imports, import->domain, json_integer(import->version));
    for (size_t i = 0; (entry = motet_model_metadata_at(model, i)); i++)
        json_object_set_new(metadata, entry->key, json_string(entry->value));
    for (size_t i = 0; (problem = motet_model_problem_at(model, i)); i++)
        json_array_append_new(problems, json_string(problem));
    json_object_set_new(root, "imports", imports);
    json_object_set_new(root, "metadata", metadata);
    json_object_set_new(root, "problems", problems);
    return root;
}

static bool print_json(const motet_model *model, const char *path)
{
    const motet_model_about *about = motet_model_describe(model);
    json_t *root =
        json_pack("{s:s, s:I, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "file", path, "ir_version",
                  (json_int_t)about->ir_version, "producer", about->producer, "producer_version",
                  about->producer_version, "graph", about->graph, "nodes", (json_int_t)about->nodes, "nested_graphs",
                  (json_int_t)about->graphs, "functions", (json_int_t)about->functions, "parameters",
                  (json_int_t)about->parameters, "bytes", (json_int_t)about->bytes, "external_bytes",
                  (json_int_t)about->external_bytes, "missing", (json_int_t)about->missing);
    if (!root) return model_print_json(command, NULL);
    json_object_set_new(root, "inputs", values_json(model, motet_model_input));
    json_object_set_new(root, "outputs", values_json(model, motet_model_output));
    json_object_set_new(root, "weights", weights_json(model));
    json_object_set_new(root, "operators", operators_json(model));
    return model_print_json(command, text_lists_json(model, root));
}

static int inspect(const char *path, bool json)
{
    motet_model *model;
    if (motet_model_open(path, &model) != MOTET_OK) {
        cli_say(command, "%s", motet_error_message());
        return EXIT_FAILED;
    }
    bool printed = json ? print_json(model, path) : print_text(model);
    bool sound = !motet_model_describe(model)->missing && !motet_model_problem_at(model, 0);
    motet_model_close(model);
    return printed && sound ? EXIT_DONE : EXIT_FAILED;
}

int model_inspect(int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    bool json = false;
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (option == 'h') {
            help();
            return EXIT_DONE;
        }
        if (option != 'j') {
            fprintf(stderr, "Try 'motet %s --help'.\n", command); /* getopt has said what is wrong */
            return EXIT_MISUSE;
        }
        json = true;
    }
    if (argc - optind != 1) return cli_misuse(command, "expected one FILE");
    return inspect(argv[optind], json);
}
