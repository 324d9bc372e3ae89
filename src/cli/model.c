/* motet model SUBCOMMAND: finds the subcommand and steps aside. */
#include "model.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *purpose;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"inspect", "what a model is made of: operators, weights, inputs, outputs, what is missing", model_inspect},
    {"check", "whether it is sound: structure, weights, external data, types and shapes", model_check},
    {"run", "run it once, on files or on random inputs", model_run},
    {"compare", "compare two models, or a model with stored outputs", model_compare},
    {"test", "run test cases in the layout of the ONNX backend tests", model_test},
    {"bench", "how long it takes to load and to run, and where the time goes", model_bench},
    {"optimize", "write a simpler model that computes the same", model_optimize},
    {"quantize", "write a model that computes with bytes, as near to the original as is asked", model_quantize},
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static void help(FILE *to)
{
    fputs("usage: motet model COMMAND [OPTION...] ...\n\n", to);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(to, "  motet model %-10s %s\n", commands[i].name, commands[i].purpose);
    fputs("\n'motet model COMMAND --help' tells more.\n", to);
}

int cli_model(int argc, char **argv)
{
    if (argc < 2) {
        help(stderr);
        return EXIT_MISUSE;
    }
    const char *name = argv[1];
    if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
        help(stdout);
        return EXIT_DONE;
    }
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(name, commands[i].name)) continue;
        static char full_name[64]; /* what getopt puts before its messages */
        snprintf(full_name, sizeof full_name, "motet model %s", name);
        argv[1] = full_name;
        return commands[i].run(argc - 1, argv + 1);
    }
    return cli_misuse("model", "there is no command '%s'", name);
}
