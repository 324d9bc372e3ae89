/* motet enroll: recordings of one person in, a voice print out. */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "motet/file.h"
#include "motet/voices.h"
#include "recording.h"

static const char command[] = "enroll";

static const double LITTLE = 5; /* seconds of speech that make a poor print */

typedef struct settings {
    motet_diarize_options diarize;
    const char *name, *output;
    char **files;
    int file_count;
} settings;

static void help(void)
{
    printf(
        "usage: motet enroll [OPTION...] NAME FILE...\n\n"
        "Makes a voice print of a person from recordings in which nobody else speaks: a small JSON file, for\n"
        "`motet identify --known` and `motet diarize --known`. Half a minute of speech is plenty, %g seconds are\n"
        "little. The print is good for the model that made it and no other. It is a biometric: keep it as safe as a\n"
        "recording.\n\n"
        "  -o, --output FILE        write there (default: standard output)\n"
        "  -m, --model FILE         a diarizer model (default motet-cnn; $MOTET_MODEL)\n"
        "  -e, --embedding FILE     voices from this network in place of the model's own ($MOTET_EMBEDDING)\n"
        "  -t, --threads N          default: as many as the process may use\n"
        "  -h, --help\n\n"
        "Exit status: 0 done, 1 failed, 2 wrong usage.\n",
        LITTLE);
}

static const struct option long_options[] = {{"output", required_argument, NULL, 'o'},
                                             {"model", required_argument, NULL, 'm'},
                                             {"embedding", required_argument, NULL, 'e'},
                                             {"threads", required_argument, NULL, 't'},
                                             {"help", no_argument, NULL, 'h'},
                                             {NULL, 0, NULL, 0}};

static bool add_recording(const char *path, motet_diarizer *diarizer, motet_voiceprint *print)
{
    motet_diarization *result;
    if (!recording_diarize(command, path, diarizer, &result)) return false;
    bool added = false;
    if (result->speaker_count == 0)
        cli_say(command, "%s: no speech was found in it", path);
    else if (!(added = motet_voiceprint_add(print, result, 0) == MOTET_OK))
        cli_say(command, "%s: %s", path, motet_error_message());
    motet_diarization_destroy(result);
    return added;
}

static bool write_print(const settings *s, const motet_voiceprint *print)
{
    char *text;
    size_t length;
    bool written = motet_voiceprint_write(print, &text, &length) == MOTET_OK;
    if (written && !s->output) {
        bool printed = cli_print(command, text, length);
        motet_string_free(text);
        return printed;
    }
    if (written) {
        written = motet_file_write(s->output, text, length) == MOTET_OK;
        motet_string_free(text);
    }
    if (!written) cli_say(command, "%s", motet_error_message());
    return written;
}

static int enroll(const settings *s, motet_diarizer *diarizer, motet_voiceprint *print)
{
    for (int i = 0; i < s->file_count; i++)
        if (!add_recording(s->files[i], diarizer, print)) return EXIT_FAILED;
    if (!write_print(s, print)) return EXIT_FAILED;
    double seconds = motet_voiceprint_seconds(print);
    if (seconds < LITTLE)
        cli_say(command, "%s: only %.1f s of speech: more would make a better print", s->name, seconds);
    return EXIT_DONE;
}

static int run(settings *s)
{
    char model[PATH_MAX], embedding[PATH_MAX];
    motet_diarizer *diarizer = NULL;
    motet_voiceprint *print = NULL;
    s->diarize.model = cli_choose_model(command, s->diarize.model, model, sizeof model);
    s->diarize.embedding = cli_choose_embedding(s->diarize.embedding, embedding, sizeof embedding);
    if (!s->diarize.model) return EXIT_FAILED;
    int code = EXIT_FAILED;
    cli_catch_signals();
    if (motet_diarizer_create(&s->diarize, &diarizer) != MOTET_OK) {
        cli_say(command, "%s", motet_error_message());
    } else if (motet_voiceprint_create(s->name, motet_diarizer_describe(diarizer), &print) != MOTET_OK) {
        code = cli_misuse(command, "%s", motet_error_message());
    } else {
        code = enroll(s, diarizer, print);
    }
    motet_voiceprint_destroy(print);
    motet_diarizer_destroy(diarizer);
    return cli_interrupted() ? cli_die_of_signal() : code;
}

int cli_enroll(int argc, char **argv)
{
    settings s = {0};
    motet_diarize_options_init(&s.diarize);
    s.diarize.speakers = 1;
    for (int option; (option = getopt_long(argc, argv, "o:m:e:t:h", long_options, NULL)) != -1;) {
        switch (option) {
        case 'h': help(); return EXIT_DONE;
        case 'o': s.output = optarg; break;
        case 'm': s.diarize.model = optarg; break;
        case 'e': s.diarize.embedding = optarg; break;
        case 't':
            if (!cli_int(command, "threads", optarg, 1, 1024, &s.diarize.threads)) return EXIT_MISUSE;
            break;
        default:
            fprintf(stderr, "Try 'motet enroll --help'.\n");
            return EXIT_MISUSE; /* getopt has said what is wrong */
        }
    }
    if (argc - optind < 2) return cli_misuse(command, "expected NAME and FILE...");
    s.name = argv[optind];
    s.files = argv + optind + 1;
    s.file_count = argc - optind - 1;
    return run(&s);
}
