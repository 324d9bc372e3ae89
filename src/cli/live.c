/* motet live: the sound server's sources into a session. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "outputs.h"
#include "session.h"

static const char command[] = "live";

enum { MAX_SOURCES = SESSION_SOURCES, NAME_SIZE = 32 };

typedef struct request {
    settings settings;
    const char *sources[MAX_SOURCES];          /* as the sound server knows them */
    char channels[MAX_SOURCES][NAME_SIZE + 1]; /* "": the one without a name */
    int source_count;
    const char *record;
    double length, silence;
    bool plain;
} request;

static void help(void)
{
    motet_live_options o;
    motet_live_options_init(&o);
    printf("usage: motet live [OPTION...]\n\n"
           "Tells who is speaking while they speak, from a microphone or from what the machine plays. ^C, or SIGTERM, "
           "ends it\n"
           "with the final turns, which the same global pass makes as for a file; a second ^C ends it at once. SIGUSR1 "
           "prints\n"
           "the latency table.\n\n"
           "Sound\n"
           "  -s, --source [CH=]NAME   a source as `motet devices` lists it, default, or monitor for what is being "
           "played\n"
           "                           (default: default). May be given several times: sources without a channel's "
           "name are\n"
           "                           mixed; CH=NAME keeps a source apart as channel CH, with speakers of its own\n"
           "      --record FILE.flac   keep what was heard, a channel each; readable up to the last seconds whatever "
           "happens\n"
           "      --for TIME           end after TIME: 90s, 30m, 1h30m\n"
           "      --until-silence TIME end when nobody has spoken for TIME\n\n"
           "Turns\n"
           "      --latency S          seconds from a sound to its turn, %g to 60: later is surer (default %g)\n"
           "      --refine S           seconds between global passes in the background, 0 for none (default %g)\n"
           "  -n, --speakers N, --min-speakers N, --max-speakers N, --threshold D, --exclusive, --min-turn S, "
           "--min-gap S, --onset X\n"
           "                           as for `motet diarize`; the numbers of speakers bound the final turns\n"
           "      --known PATH         voice prints (motet enroll), one or a folder: names as soon as somebody is "
           "recognised\n"
           "      --similarity X, --margin X, --export-voices DIR\n"
           "                           as for `motet diarize`\n\n"
           "Output\n"
           "  -f, --format FORMAT      rttm or json: the final turns; jsonl: every event as a line of JSON while it "
           "happens\n"
           "                           (default rttm). May be given several times\n"
           "  -o, --output PATH        a folder for live-TIME.FORMAT, or a file (default: standard output)\n"
           "      --latency-report F   the time of every window, as F.json or F.csv\n"
           "      --plain              lines instead of a picture on a terminal\n"
           "  -q, --quiet              neither\n\n"
           "Work\n"
           "  -m, --model FILE, -e, --embedding FILE, -t, --threads N\n"
           "      --hop S              seconds from one 3-second window to the next (default %g)\n"
           "  -h, --help\n",
           o.diarize.hop, o.latency, o.refine, o.diarize.hop);
}

enum { OPTION_RECORD = 512, OPTION_FOR, OPTION_SILENCE, OPTION_PLAIN };

static const struct option long_options[] = {{"source", required_argument, NULL, 's'},
                                             {"record", required_argument, NULL, OPTION_RECORD},
                                             {"for", required_argument, NULL, OPTION_FOR},
                                             {"until-silence", required_argument, NULL, OPTION_SILENCE},
                                             {"plain", no_argument, NULL, OPTION_PLAIN},
                                             {"latency", required_argument, NULL, OPTION_LIVE_LATENCY},
                                             {"refine", required_argument, NULL, OPTION_REFINE},
                                             {"format", required_argument, NULL, 'f'},
                                             {"output", required_argument, NULL, 'o'},
                                             {"latency-report", required_argument, NULL, OPTION_LATENCY},
                                             {"quiet", no_argument, NULL, 'q'},
                                             {"speakers", required_argument, NULL, 'n'},
                                             {"min-speakers", required_argument, NULL, OPTION_MIN_SPEAKERS},
                                             {"max-speakers", required_argument, NULL, OPTION_MAX_SPEAKERS},
                                             {"threshold", required_argument, NULL, OPTION_THRESHOLD},
                                             {"known", required_argument, NULL, OPTION_KNOWN},
                                             {"similarity", required_argument, NULL, OPTION_SIMILARITY},
                                             {"margin", required_argument, NULL, OPTION_MARGIN},
                                             {"export-voices", required_argument, NULL, OPTION_EXPORT_VOICES},
                                             {"exclusive", no_argument, NULL, OPTION_EXCLUSIVE},
                                             {"min-turn", required_argument, NULL, OPTION_MIN_TURN},
                                             {"min-gap", required_argument, NULL, OPTION_MIN_GAP},
                                             {"onset", required_argument, NULL, OPTION_ONSET},
                                             {"model", required_argument, NULL, 'm'},
                                             {"embedding", required_argument, NULL, 'e'},
                                             {"hop", required_argument, NULL, OPTION_HOP},
                                             {"threads", required_argument, NULL, 't'},
                                             {"help", no_argument, NULL, 'h'},
                                             {NULL, 0, NULL, 0}};

/* --- options --------------------------------------------------------------------------------------------------- */

/* CH=NAME when what stands before the first '=' can be the name of a channel, that is, of a file. */
static bool add_source(request *r, const char *text)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    bool named = length > 0 && length <= NAME_SIZE && text[length] == '=';
    if (r->source_count == MAX_SOURCES) {
        cli_misuse(command, "more than %d sources", MAX_SOURCES);
        return false;
    }
    snprintf(r->channels[r->source_count], NAME_SIZE + 1, "%.*s", named ? (int)length : 0, text);
    r->sources[r->source_count++] = named ? text + length + 1 : text;
    return true;
}

static bool set_option(request *r, int option, const char *text)
{
    switch (option) {
    case 's': return add_source(r, text);
    case OPTION_RECORD: r->record = text; return true;
    case OPTION_FOR: return cli_duration(command, "for", text, &r->length);
    case OPTION_SILENCE: return cli_duration(command, "until-silence", text, &r->silence);
    case OPTION_PLAIN: return r->plain = true;
    default: return settings_set(&r->settings, option, text);
    }
}

static bool fits_together(request *r)
{
    int named = 0;
    for (int i = 0; i < r->source_count; i++) named += r->channels[i][0] != '\0';
    if (named && named < r->source_count) {
        cli_misuse(command, "either all sources have a channel's name, or none");
        return false;
    }
    if (named > 1 && (r->settings.latency_report || r->settings.output_is_file)) {
        cli_misuse(command, "several channels need a folder as --output, and have no single latency report");
        return false;
    }
    return true;
}

static bool read_options(request *r, int argc, char **argv, int *code)
{
    *r = (request){0};
    settings_init(&r->settings, command);
    r->settings.diarize.hop = 0.5;
    *code = EXIT_MISUSE;
    for (int option; (option = getopt_long(argc, argv, "s:f:o:qm:e:n:t:h", long_options, NULL)) != -1;) {
        if (option == 'h') {
            help();
            *code = EXIT_DONE;
            return false;
        }
        if (!set_option(r, option, optarg)) return false;
    }
    if (optind < argc) {
        cli_misuse(command, "'%s': recordings are for `motet diarize`", argv[optind]);
        return false;
    }
    if (!r->source_count) r->sources[r->source_count++] = "default";
    return settings_check_known(&r->settings) && settings_settle_output(&r->settings) && fits_together(r);
}

/* --- running --------------------------------------------------------------------------------------------------- */

static int add_sources(session *live, const request *r)
{
    int code = EXIT_DONE;
    for (int i = 0; i < r->source_count && code == EXIT_DONE; i++) {
        motet_capture *capture;
        if (motet_capture_open(r->sources[i], &capture) != MOTET_OK) {
            cli_say(command, "%s", motet_error_message());
            return EXIT_FAILED;
        }
        code = session_add(live, r->channels[i][0] ? r->channels[i] : NULL, capture);
    }
    return code;
}

static int run(request *r)
{
    settings *s = &r->settings;
    char file_id[64];
    time_t now = time(NULL);
    strftime(file_id, sizeof file_id, "live-%Y%m%d-%H%M%S", localtime(&now));
    if (!settings_find_model(s) || !settings_check_places(s)) return EXIT_FAILED;
    if (!outputs_make_folders(s)) return EXIT_FAILED;
    session_request wanted = {.command = command,
                              .settings = s,
                              .file_id = file_id,
                              .source = r->sources[0],
                              .record = r->record,
                              .length = r->length,
                              .silence = r->silence,
                              .view = !r->plain && !s->quiet};
    motet_live_options_init(&wanted.live);
    wanted.live.diarize = s->diarize;
    if (s->latency > 0) wanted.live.latency = s->latency;
    if (s->refine >= 0) wanted.live.refine = s->refine;
    session *live = session_create(&wanted);
    if (!live) return EXIT_FAILED;
    int code = add_sources(live, r);
    if (code == EXIT_DONE) return session_run(live);
    session_destroy(live);
    return code;
}

int cli_live(int argc, char **argv)
{
    static request r;
    int code;
    return read_options(&r, argc, argv, &code) ? run(&r) : code;
}
