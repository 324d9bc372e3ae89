/* motet model optimize: a simpler file that computes the same. */
#include "model.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "motet/model.h"

static const char command[] = "model optimize";

static void help(void)
{
    fputs(
        "usage: motet model optimize [OPTION...] FILE OPTIMIZED\n\n"
        "Writes a simpler model that computes the same: what does not depend on the inputs is computed once, settled\n"
        "branches are inlined, functions expanded, idle and unread nodes removed. The file is standard ONNX of the "
        "same\n"
        "opset. Quantised weights stay quantised.\n\n"
        "      --external          weights in a file of their own, OPTIMIZED.data (always so beyond 2 GiB)\n"
        "      --json              what came of it, for programs\n"
        "  -h, --help\n\n"
        "Examples:\n"
        "  motet model optimize exported.onnx model.onnx && motet model compare exported.onnx model.onnx\n\n"
        "Exit status: 0 done, 1 failed, 2 wrong usage.\n",
        stdout);
}

typedef struct figures {
    int64_t nodes, parameters, bytes;
} figures;

static bool look(const char *path, figures *out)
{
    motet_model *model;
    if (motet_model_open(path, &model) != MOTET_OK) {
        cli_say(command, "%s", motet_error_message());
        return false;
    }
    const motet_model_about *about = motet_model_describe(model);
    *out = (figures){about->nodes, about->parameters, about->bytes};
    motet_model_close(model);
    return true;
}

static bool tell(const figures *before, const figures *after, bool json)
{
    if (json)
        return model_print_json(command, json_pack("{s:{s:I, s:I, s:I}, s:{s:I, s:I, s:I}}", "before", "nodes",
                                                   (json_int_t)before->nodes, "parameters",
                                                   (json_int_t)before->parameters, "bytes", (json_int_t)before->bytes,
                                                   "after", "nodes", (json_int_t)after->nodes, "parameters",
                                                   (json_int_t)after->parameters, "bytes", (json_int_t)after->bytes));
    printf("nodes       %10" PRId64 " -> %10" PRId64 "\n", before->nodes, after->nodes);
    printf("parameters  %10" PRId64 " -> %10" PRId64 "\n", before->parameters, after->parameters);
    printf("weights     %10.1f -> %10.1f MB\n", (double)before->bytes / 1e6, (double)after->bytes / 1e6);
    return cli_print(command, "", 0);
}

static int optimize(const char *path, const char *optimized, bool external, bool json)
{
    figures before, after;
    if (!look(path, &before)) return EXIT_FAILED;
    if (motet_model_optimize(path, optimized, external) != MOTET_OK) {
        cli_say(command, "%s", motet_error_message());
        return EXIT_FAILED;
    }
    return look(optimized, &after) && tell(&before, &after, json) ? EXIT_DONE : EXIT_FAILED;
}

int model_optimize(int argc, char **argv)
{
    static const struct option options[] = {{"external", no_argument, NULL, 'e'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    bool external = false, json = false;
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (option) {
        case 'h': help(); return EXIT_DONE;
        case 'e': external = true; break;
        case 'j': json = true; break;
        default:
            fprintf(stderr, "Try 'motet %s --help'.\n", command); /* getopt has said what is wrong */
            return EXIT_MISUSE;
        }
    }
    if (argc - optind != 2) return cli_misuse(command, "expected FILE and OPTIMIZED");
    return optimize(argv[optind], argv[optind + 1], external, json);
}
