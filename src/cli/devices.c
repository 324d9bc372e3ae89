/* motet devices: what `motet live --source` takes. */
#include <getopt.h>
#include <stdio.h>

#include "cli.h"
#include "motet/capture.h"
#include "motet/status.h"

static const char command[] = "devices";

static void help(void)
{
    puts("usage: motet devices\n\n"
         "Lists the sources of the sound server (PulseAudio, or PipeWire), one a line: a star for the default source "
         "and\n"
         "for the monitor of the default sink, the name that `motet live --source` takes, rate and channels, and what "
         "it\n"
         "is. A monitor hears what a sink plays: the other side of a call, a film.\n\n"
         "  -h, --help");
}

static int list(void)
{
    motet_devices *devices;
    if (motet_devices_list(&devices) != MOTET_OK) {
        cli_say(command, "%s", motet_error_message());
        return EXIT_FAILED;
    }
    fprintf(stderr, "%s, %zu source%s\n", devices->server, devices->count, devices->count == 1 ? "" : "s");
    for (size_t i = 0; i < devices->count; i++) {
        const motet_device *d = &devices->items[i];
        cli_make_printable(d->name);
        cli_make_printable(d->description);
        printf("%c %-48s %6d Hz %2d ch  %s%s\n", d->chosen ? '*' : ' ', d->name, d->rate, d->channels, d->description,
               d->monitor ? "  [monitor]" : "");
    }
    motet_devices_destroy(devices);
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}

int cli_devices(int argc, char **argv)
{
    static const struct option long_options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    int option = getopt_long(argc, argv, "h", long_options, NULL);
    if (option == 'h') {
        help();
        return EXIT_DONE;
    }
    if (option != -1) {
        fputs("Try 'motet devices --help'.\n", stderr);
        return EXIT_MISUSE;
    }
    return optind < argc ? cli_misuse(command, "there is nothing to add to this") : list();
}
