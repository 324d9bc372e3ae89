/* motet COMMAND: finds the command and steps aside. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

#include "motet/status.h"

static const struct {
    const char *name, *purpose;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"diarize", "tell who spoke when in a recording", cli_diarize},
    {"live", "tell who is speaking, while they speak", cli_live},
    {"devices", "list what can be listened to", cli_devices},
    {"enroll", "make a print of a voice", cli_enroll},
    {"identify", "tell whose voices are in a recording", cli_identify},
    {"tune", "find the settings that suit labelled recordings", cli_tune},
    {"score", "compare turns with a reference: DER and JER", cli_score},
    {"model", "inspect, check, run, compare, test, time, optimize and quantize ONNX models", cli_model},
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static void help(FILE *to)
{
    fputs("motet: who spoke when\n\nusage: motet COMMAND [OPTION...] ...\n\n", to);
    for (size_t i = 0; i < COMMANDS; i++) fprintf(to, "  motet %-10s %s\n", commands[i].name, commands[i].purpose);
    fputs("\n'motet COMMAND --help' tells more; 'motet --version' prints the version.\n"
          "Results go to standard output, everything else to standard error.\n"
          "Exit status: 0 done, 1 failed, 2 wrong usage, 3 partly done.\n",
          to);
}

int main(int argc, char **argv)
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
    if (!strcmp(name, "--version")) {
        if (argc > 2) return cli_misuse(name, "there is nothing to add to this");
        return printf("motet %s\n", motet_version()) > 0 && fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
    }
    static char full_name[64]; /* what getopt puts before its messages */
    snprintf(full_name, sizeof full_name, "motet %s", name);
    argv[1] = full_name;
    for (size_t i = 0; i < COMMANDS; i++)
        if (!strcmp(full_name + strlen("motet "), commands[i].name)) return commands[i].run(argc - 1, argv + 1);
    cli_make_printable(full_name);
    fprintf(stderr, "motet: there is no command '%s'\nTry 'motet --help'.\n", full_name + strlen("motet "));
    return EXIT_MISUSE;
}
