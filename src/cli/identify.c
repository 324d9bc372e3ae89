/* motet identify: whose of the known voices are in a recording. */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "motet/voices.h"
#include "recording.h"

static const char command[] = "identify";

typedef struct settings {
    motet_diarize_options diarize;
    motet_known_options matching;
    const char *known;
    char **files;
    int file_count;
} settings;

static void help(void)
{
    motet_known_options d;
    motet_known_options_init(&d);
    printf("usage: motet identify --known PATH [OPTION...] FILE...\n\n"
           "Tells whose voices are in recordings. Prints a line for each speaker, fields separated by tabs: the file,\n"
           "the speaker, who it is or `unknown`, the most similar known voice and its similarity, the runner-up and\n"
           "its similarity (`-` where there is none), and the seconds of speech.\n\n"
           "  -k, --known PATH         voice prints (motet enroll): a .json file, or a folder of them\n"
           "      --similarity X       the cosine, -1 to 1, that a voice must reach to be known (default: what\n"
           "                           the model says)\n"
           "      --margin X           that much it must be more similar than the runner-up (default %g)\n"
           "  -n, --speakers N         exactly N speakers in each recording (default: found out)\n"
           "  -m, --model FILE         a diarizer model, the one the prints were made with (default motet-cnn;\n"
           "                           $MOTET_MODEL)\n"
           "  -e, --embedding FILE     voices from this network in place of the model's own ($MOTET_EMBEDDING)\n"
           "  -t, --threads N          default: as many as the process may use\n"
           "  -h, --help\n\n"
           "Exit status: 0 done, 1 failed, 2 wrong usage, 3 some recordings failed.\n",
           d.margin);
}

enum { OPTION_SIMILARITY = 256, OPTION_MARGIN };

static const struct option long_options[] = {{"known", required_argument, NULL, 'k'},
                                             {"similarity", required_argument, NULL, OPTION_SIMILARITY},
                                             {"margin", required_argument, NULL, OPTION_MARGIN},
                                             {"speakers", required_argument, NULL, 'n'},
                                             {"model", required_argument, NULL, 'm'},
                                             {"embedding", required_argument, NULL, 'e'},
                                             {"threads", required_argument, NULL, 't'},
                                             {"help", no_argument, NULL, 'h'},
                                             {NULL, 0, NULL, 0}};

static bool set_option(settings *s, int option, const char *text)
{
    switch (option) {
    case 'k': s->known = text; return true;
    case 'm': s->diarize.model = text; return true;
    case 'e': s->diarize.embedding = text; return true;
    case 'n': return cli_int(command, "speakers", text, 1, 1000, &s->diarize.speakers);
    case 't': return cli_int(command, "threads", text, 1, 1024, &s->diarize.threads);
    case OPTION_SIMILARITY: return cli_number(command, "similarity", text, -1, 1, &s->matching.similarity);
    case OPTION_MARGIN: return cli_number(command, "margin", text, 0, 2, &s->matching.margin);
    default: fprintf(stderr, "Try 'motet identify --help'.\n"); return false; /* getopt has said what is wrong */
    }
}

static void format_similarity(char text[16], bool any, double similarity)
{
    snprintf(text, 16, any ? "%.3f" : "-", similarity);
}

static bool print_speaker(const settings *s, const char *path, const motet_known *known, const motet_speaker *speaker)
{
    motet_match match;
    char line[PATH_MAX + 512], shown[PATH_MAX], second[16];
    motet_known_match(known, speaker->voice, &s->matching, &match);
    snprintf(shown, sizeof shown, "%s", path);
    cli_make_printable(shown);
    format_similarity(second, match.runner_up != NULL, match.runner_up_similarity);
    int length = snprintf(line, sizeof line, "%s\t%s\t%s\t%s\t%.3f\t%s\t%s\t%.1f\n", shown, speaker->label,
                          match.known ? match.name : "unknown", match.name, match.similarity,
                          match.runner_up ? match.runner_up : "-", second, speaker->speech);
    return cli_print(command, line, (size_t)length);
}

static bool identify_file(const settings *s, const char *path, motet_diarizer *diarizer, const motet_known *known)
{
    motet_diarization *result;
    if (!recording_diarize(command, path, diarizer, &result)) return false;
    bool printed = true;
    if (result->speaker_count == 0) cli_say(command, "%s: nobody speaks in it", path);
    for (size_t k = 0; k < result->speaker_count && printed; k++)
        printed = print_speaker(s, path, known, &result->speakers[k]);
    motet_diarization_destroy(result);
    return printed;
}

static int identify(const settings *s, motet_diarizer *diarizer, const motet_known *known)
{
    int done = 0;
    for (int i = 0; i < s->file_count && !cli_interrupted(); i++)
        done += identify_file(s, s->files[i], diarizer, known);
    return done == s->file_count ? EXIT_DONE : done ? EXIT_PARTLY : EXIT_FAILED;
}

static int run(settings *s)
{
    char model[PATH_MAX], embedding[PATH_MAX];
    motet_diarizer *diarizer = NULL;
    motet_known *known = NULL;
    int code = EXIT_FAILED;
    cli_catch_signals();
    s->diarize.model = cli_choose_model(command, s->diarize.model, model, sizeof model);
    s->diarize.embedding = cli_choose_embedding(s->diarize.embedding, embedding, sizeof embedding);
    if (!s->diarize.model) return EXIT_FAILED;
    if (motet_diarizer_create(&s->diarize, &diarizer) != MOTET_OK ||
        motet_known_open(s->known, motet_diarizer_describe(diarizer), &known) != MOTET_OK)
        cli_say(command, "%s", motet_error_message());
    else
        code = identify(s, diarizer, known);
    motet_known_destroy(known);
    motet_diarizer_destroy(diarizer);
    return cli_interrupted() ? cli_die_of_signal() : code;
}

int cli_identify(int argc, char **argv)
{
    settings s = {0};
    motet_diarize_options_init(&s.diarize);
    motet_known_options_init(&s.matching);
    for (int option; (option = getopt_long(argc, argv, "k:n:m:e:t:h", long_options, NULL)) != -1;) {
        if (option == 'h') {
            help();
            return EXIT_DONE;
        }
        if (!set_option(&s, option, optarg)) return EXIT_MISUSE;
    }
    s.files = argv + optind;
    s.file_count = argc - optind;
    if (!s.known) return cli_misuse(command, "--known is needed: where the voice prints are");
    if (s.file_count < 1) return cli_misuse(command, "no recording given");
    return run(&s);
}
