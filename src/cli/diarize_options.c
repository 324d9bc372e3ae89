/* The command line of `motet diarize`: help, options, and what of it goes together. */
#include "diarize_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

const output_format output_formats[FORMATS] = {{"rttm", MOTET_FORMAT_RTTM}, {"json", MOTET_FORMAT_JSON}};

static void help(void)
{
    motet_diarize_options d;
    motet_diarize_options_init(&d);
    printf(
        "usage: motet diarize [OPTION...] FILE...\n\n"
        "Tells who spoke when. FILE is any audio file libsndfile reads (WAV, FLAC, Ogg, Opus, MP3, ...), at any rate "
        "and\n"
        "with any number of channels; '-' is standard input. Turns go to standard output as RTTM.\n\n"
        "Output\n"
        "  -f, --format FORMAT      rttm, json, or with --realtime jsonl; may be given several times (default rttm)\n"
        "  -o, --output PATH        a folder, made if need be, for NAME.FORMAT of each recording, or a file that ends\n"
        "                           in .rttm or .json (default: standard output)\n"
        "      --latency-report F   the time of every chunk, as F.json or F.csv tells by its ending\n"
        "  -q, --quiet              no progress, no latency table\n\n"
        "Speakers\n"
        "  -n, --speakers N         exactly N speakers (default: found out)\n"
        "      --min-speakers N     at least N\n"
        "      --max-speakers N     at most N\n"
        "      --threshold D        cosine distance, 0 to 2, at which clustering stops: less finds more speakers\n"
        "                           (default: what the model says)\n"
        "      --exclusive          never two speakers at a time\n"
        "      --known PATH         voice prints (motet enroll), one or a folder: names in place of SPEAKER_00\n"
        "      --similarity X       as for motet identify\n"
        "      --margin X           as for motet identify\n"
        "      --export-voices DIR  a voice print of every speaker, DIR/NAME-SPEAKER.json\n\n"
        "Turns\n"
        "      --min-turn S         drop turns shorter than S seconds (default %g)\n"
        "      --min-gap S          fill a speaker's pauses shorter than S seconds (default %g)\n"
        "      --onset X            the share of the windows' votes, up to 1, that makes speech: less hears more\n"
        "                           (default: what the model says)\n"
        "      --explain T          say what speaks for the turns at T seconds, and against them\n\n"
        "Audio\n"
        "      --channel N|mix      one channel, counted from 1, or the mean of all (default mix)\n"
        "      --raw-rate HZ        the input has no header: signed 16-bit little-endian samples at HZ\n"
        "      --raw-channels N     channels of such input (default 1)\n"
        "      --partial            take what can be read of a damaged or truncated file (exit status 3)\n\n"
        "At the speed of sound\n"
        "      --realtime           take it as `motet live` takes a microphone (see there): turns while it plays, "
        "with\n"
        "                           --format jsonl every event\n"
        "      --speed X            play X times as fast (default 1)\n"
        "      --latency S          seconds from a sound to its turn (default 1)\n"
        "      --refine S           seconds between global passes in the background, 0 for none (default 180)\n\n"
        "Work\n"
        "  -m, --model FILE         a diarizer, a segmentation or a speech detector: a file, or a shipped model by "
        "name:\n"
        "                           motet-cnn (default; $MOTET_MODEL), motet-cnn-int8 (smaller and faster), "
        "motet-w2v,\n"
        "                           or pyannote-segmentation-3.0, which needs --embedding\n"
        "  -e, --embedding FILE     voices from this network in place of the model's own ($MOTET_EMBEDDING);\n"
        "                           shipped is campplus. These two are the best for real conversations, and\n"
        "                           take 16 times as long\n"
        "      --hop S              seconds from one 3-second window to the next (default %g; 0.5 with --realtime)\n"
        "  -t, --threads N          default: as many as the process may use\n"
        "  -h, --help\n\n"
        "Exit status: 0 done, 1 failed, 2 wrong usage, 3 some recordings failed or were only partly read.\n",
        d.min_turn, d.min_gap, d.hop);
}

static const struct option long_options[] = {{"format", required_argument, NULL, 'f'},
                                             {"output", required_argument, NULL, 'o'},
                                             {"latency-report", required_argument, NULL, OPTION_LATENCY},
                                             {"quiet", no_argument, NULL, 'q'},
                                             {"speakers", required_argument, NULL, 'n'},
                                             {"min-speakers", required_argument, NULL, OPTION_MIN_SPEAKERS},
                                             {"max-speakers", required_argument, NULL, OPTION_MAX_SPEAKERS},
                                             {"threshold", required_argument, NULL, OPTION_THRESHOLD},
                                             {"exclusive", no_argument, NULL, OPTION_EXCLUSIVE},
                                             {"known", required_argument, NULL, OPTION_KNOWN},
                                             {"similarity", required_argument, NULL, OPTION_SIMILARITY},
                                             {"margin", required_argument, NULL, OPTION_MARGIN},
                                             {"export-voices", required_argument, NULL, OPTION_EXPORT_VOICES},
                                             {"min-turn", required_argument, NULL, OPTION_MIN_TURN},
                                             {"min-gap", required_argument, NULL, OPTION_MIN_GAP},
                                             {"onset", required_argument, NULL, OPTION_ONSET},
                                             {"explain", required_argument, NULL, OPTION_EXPLAIN},
                                             {"channel", required_argument, NULL, OPTION_CHANNEL},
                                             {"raw-rate", required_argument, NULL, OPTION_RAW_RATE},
                                             {"raw-channels", required_argument, NULL, OPTION_RAW_CHANNELS},
                                             {"partial", no_argument, NULL, OPTION_PARTIAL},
                                             {"model", required_argument, NULL, 'm'},
                                             {"embedding", required_argument, NULL, 'e'},
                                             {"hop", required_argument, NULL, OPTION_HOP},
                                             {"threads", required_argument, NULL, 't'},
                                             {"realtime", no_argument, NULL, OPTION_REALTIME},
                                             {"speed", required_argument, NULL, OPTION_SPEED},
                                             {"latency", required_argument, NULL, OPTION_LIVE_LATENCY},
                                             {"refine", required_argument, NULL, OPTION_REFINE},
                                             {"help", no_argument, NULL, 'h'},
                                             {NULL, 0, NULL, 0}};

static bool set_format(settings *s, const char *name)
{
    if (!strcmp(name, "jsonl")) return s->events = true;
    for (int i = 0; i < FORMATS; i++)
        if (!strcmp(name, output_formats[i].name)) return s->wanted[i] = true;
    cli_misuse(s->command, "--format %s: expected rttm, json or jsonl", name);
    return false;
}

static bool set_channel(settings *s, const char *text)
{
    s->audio.channel = MOTET_CHANNEL_MIX;
    if (!strcmp(text, "mix")) return true;
    if (!cli_int(s->command, "channel", text, 1, 1024, &s->audio.channel)) return false;
    s->audio.channel--;
    return true;
}

bool settings_set(settings *s, int option, const char *text)
{
    const char *command = s->command;
    motet_diarize_options *d = &s->diarize;
    switch (option) {
    case 'f': return set_format(s, text);
    case 'o': s->output = text; return true;
    case 'q': s->quiet = true; return true;
    case 'm': d->model = text; return true;
    case 'e': d->embedding = text; return true;
    case 'n': return cli_int(command, "speakers", text, 1, 1000, &d->speakers);
    case 't': return cli_int(command, "threads", text, 1, 1024, &d->threads);
    case OPTION_LATENCY: s->latency_report = text; return true;
    case OPTION_MIN_SPEAKERS: return cli_int(command, "min-speakers", text, 1, 1000, &d->min_speakers);
    case OPTION_MAX_SPEAKERS: return cli_int(command, "max-speakers", text, 1, 1000, &d->max_speakers);
    case OPTION_THRESHOLD: return cli_number(command, "threshold", text, 0, 2, &d->threshold);
    case OPTION_EXCLUSIVE: d->exclusive = true; return true;
    case OPTION_KNOWN: s->known = text; return true;
    case OPTION_SIMILARITY:
        s->matching_given = true;
        return cli_number(command, "similarity", text, -1, 1, &s->matching.similarity);
    case OPTION_MARGIN: s->matching_given = true; return cli_number(command, "margin", text, 0, 2, &s->matching.margin);
    case OPTION_EXPORT_VOICES: s->export_voices = text; return true;
    case OPTION_MIN_TURN: return cli_number(command, "min-turn", text, 0, 3600, &d->min_turn);
    case OPTION_MIN_GAP: return cli_number(command, "min-gap", text, 0, 3600, &d->min_gap);
    case OPTION_ONSET: return cli_number(command, "onset", text, 0.01, 1, &d->onset);
    case OPTION_EXPLAIN: return cli_number(command, "explain", text, 0, 1e9, &s->explain);
    case OPTION_CHANNEL: return set_channel(s, text);
    case OPTION_RAW_RATE: return cli_int(command, "raw-rate", text, 8000, 768000, &s->audio.raw_rate);
    case OPTION_RAW_CHANNELS: return cli_int(command, "raw-channels", text, 1, 1024, &s->audio.raw_channels);
    case OPTION_PARTIAL: s->partial = true; return true;
    case OPTION_REALTIME: return s->realtime = true;
    case OPTION_SPEED: return cli_number(command, "speed", text, 0.1, 1000, &s->speed);
    case OPTION_LIVE_LATENCY: return cli_number(command, "latency", text, 0.1, 60, &s->latency);
    case OPTION_REFINE: return cli_number(command, "refine", text, 0, 86400, &s->refine);
    case OPTION_HOP: return cli_number(command, "hop", text, 0.1, 60, &d->hop);
    default: fprintf(stderr, "Try 'motet %s --help'.\n", command); return false; /* getopt has said what is wrong */
    }
}

const char *ending_of(const char *path)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    return dot ? dot + 1 : "";
}

/* The format that a file name asks for by its ending, -1 for none. */
static int format_of(const char *path)
{
    for (int i = 0; i < FORMATS; i++)
        if (!strcmp(ending_of(path), output_formats[i].name)) return i;
    return -1;
}

/* --output is a file when its name ends in .rttm or .json, or when something that is no folder bears it already
 * (/dev/null, say); anything else is a folder. */
static bool settle_output_file(settings *s, int wanted)
{
    struct stat at;
    bool exists = stat(s->output, &at) == 0;
    int format = format_of(s->output);
    bool events = !strcmp(ending_of(s->output), "jsonl");
    if ((exists && S_ISDIR(at.st_mode)) || (!exists && format < 0 && !events)) return true;
    s->output_is_file = true;
    s->events |= events && !wanted;
    if (s->file_count > 1 || wanted > 1 || (s->events && wanted) ||
        (wanted == 1 && format >= 0 && !s->wanted[format])) {
        cli_misuse(s->command, "--output %s is one file: give a folder for several recordings or other formats",
                   s->output);
        return false;
    }
    if (!wanted && !s->events && format >= 0) s->wanted[format] = true;
    return true;
}

bool settings_settle_output(settings *s)
{
    int wanted = 0;
    for (int i = 0; i < FORMATS; i++) wanted += s->wanted[i];
    if (s->output && !settle_output_file(s, wanted)) return false;
    if (!s->wanted[1] && !s->events) s->wanted[0] = true; /* RTTM unless something else alone was asked for */
    if (!s->output && (wanted + s->events > 1 || (s->file_count > 1 && s->wanted[1]))) {
        cli_misuse(s->command, "several outputs cannot share standard output: give a folder with --output");
        return false;
    }
    return true;
}

static bool settle_latency_report(const settings *s)
{
    int files = s->file_count;
    if (!s->latency_report) return true;
    if (files > 1) {
        cli_misuse(s->command, "--latency-report is of one recording, and there are %d", files);
        return false;
    }
    if (!strcmp(ending_of(s->latency_report), "json") || !strcmp(ending_of(s->latency_report), "csv")) return true;
    cli_misuse(s->command, "--latency-report %s: the name must end in .json or .csv", s->latency_report);
    return false;
}

bool settings_check_known(const settings *s)
{
    if (s->known || !s->matching_given) return true;
    cli_misuse(s->command, "--similarity and --margin need --known");
    return false;
}

bool settings_find_model(settings *s)
{
    s->diarize.model = cli_choose_model(s->command, s->diarize.model, s->model, sizeof s->model);
    s->diarize.embedding = cli_choose_embedding(s->diarize.embedding, s->embedding, sizeof s->embedding);
    return s->diarize.model != NULL;
}

void name_recording(const char *path, char *id, size_t size)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    if (!strcmp(path, "-")) base = "stdin";
    snprintf(id, size, "%s", base);
    char *dot = strrchr(id, '.');
    if (dot && dot != id) *dot = '\0';
}

typedef struct named {
    char id[NAME_MAX + 1];
    const char *path;
} named;

static int by_id(const void *a, const void *b)
{
    return strcmp(((const named *)a)->id, ((const named *)b)->id);
}

/* Two recordings of one name could not be told apart in the output, or one would be written over the other. */
static bool names_differ(const settings *s)
{
    size_t count = (size_t)s->file_count;
    named *names = calloc(count, sizeof *names);
    if (!names) {
        cli_say(s->command, "out of memory");
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        names[i].path = s->files[i];
        name_recording(s->files[i], names[i].id, sizeof names[i].id);
    }
    qsort(names, count, sizeof *names, by_id);
    bool differ = true;
    for (size_t i = 1; i < count && differ; i++) {
        differ = strcmp(names[i - 1].id, names[i].id) != 0;
        if (!differ)
            cli_misuse(s->command, "%s and %s would both be called %s in the output", names[i - 1].path, names[i].path,
                       names[i].id);
    }
    free(names);
    return differ;
}

void settings_output_path(const settings *s, const char *ending, const char *file_id, char *path, size_t size)
{
    if (!s->output)
        snprintf(path, size, "-");
    else if (s->output_is_file)
        snprintf(path, size, "%s", s->output);
    else
        snprintf(path, size, "%s/%s.%s", s->output, file_id, ending);
}

/* The folder a file is to be made in. */
static void folder_of(const char *path, char *folder, size_t size)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        snprintf(folder, size, ".");
    else
        snprintf(folder, size, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

/* True when both name one file, whatever way leads to its folder. */
static bool same_file(const char *a, const char *b)
{
    char folder_a[PATH_MAX], folder_b[PATH_MAX], real_a[PATH_MAX], real_b[PATH_MAX];
    const char *slash_a = strrchr(a, '/'), *slash_b = strrchr(b, '/');
    if (strcmp(slash_a ? slash_a + 1 : a, slash_b ? slash_b + 1 : b)) return false;
    folder_of(a, folder_a, sizeof folder_a);
    folder_of(b, folder_b, sizeof folder_b);
    if (realpath(folder_a, real_a) && realpath(folder_b, real_b)) return !strcmp(real_a, real_b);
    return !strcmp(folder_a, folder_b);
}

/* The latency report is of one recording, so there is one name to look at for each format. */
static bool report_has_its_own_file(const settings *s)
{
    char id[NAME_MAX + 1], path[PATH_MAX];
    if (!s->latency_report || !s->output) return true;
    name_recording(s->files[0], id, sizeof id);
    for (int i = 0; i < FORMATS; i++) {
        settings_output_path(s, output_formats[i].name, id, path, sizeof path);
        if (!s->wanted[i] || !same_file(path, s->latency_report)) continue;
        cli_misuse(s->command, "the turns and the latency report cannot both be written to %s", path);
        return false;
    }
    return true;
}

static bool can_make_files(const settings *s, const char *path)
{
    char folder[PATH_MAX];
    folder_of(path, folder, sizeof folder);
    if (access(path, W_OK) == 0 || access(folder, W_OK) == 0) return true;
    cli_say(s->command, "%s: cannot create it: %s", path, strerror(errno));
    return false;
}

bool settings_check_places(const settings *s)
{
    return (!s->output_is_file || can_make_files(s, s->output)) &&
           (!s->latency_report || can_make_files(s, s->latency_report));
}

/* Asked when a signal comes while a recording is waited for. */
static int on_signal(void *user)
{
    (void)user;
    return cli_interrupted();
}

/* What only a live session has. */
static bool settle_realtime(settings *s, bool hop_given)
{
    const char *alone = s->events ? "format jsonl" : s->speed ? "speed" : s->latency ? "latency" : NULL;
    if (!s->realtime && (alone || s->refine >= 0)) {
        cli_misuse(s->command, "--%s needs --realtime", alone ? alone : "refine");
        return false;
    }
    if (!s->realtime) return true;
    if (!hop_given) s->diarize.hop = 0.5;
    if (!s->speed) s->speed = 1;
    const char *other = s->partial ? "partial" : s->explain >= 0 ? "explain" : NULL;
    if (s->file_count == 1 && !other) return true;
    if (other)
        cli_misuse(s->command, "--%s and --realtime exclude each other", other);
    else
        cli_misuse(s->command, "--realtime takes one recording");
    return false;
}

static bool fits_together(settings *s, bool hop_given)
{
    return settle_realtime(s, hop_given) && settings_settle_output(s) && settle_latency_report(s) && names_differ(s) &&
           report_has_its_own_file(s);
}

void settings_init(settings *s, const char *command)
{
    *s = (settings){.command = command, .refine = -1, .explain = -1};
    motet_diarize_options_init(&s->diarize);
    motet_audio_options_init(&s->audio);
    motet_known_options_init(&s->matching);
    s->audio.interrupted = on_signal;
}

bool settings_read(settings *s, int argc, char **argv, int *code)
{
    settings_init(s, "diarize");
    *code = EXIT_MISUSE;
    bool raw_channels = false, hop_given = false;
    for (int option; (option = getopt_long(argc, argv, "f:o:qm:e:n:t:h", long_options, NULL)) != -1;) {
        if (option == 'h') {
            help();
            *code = EXIT_DONE;
            return false;
        }
        raw_channels |= option == OPTION_RAW_CHANNELS;
        hop_given |= option == OPTION_HOP;
        if (!settings_set(s, option, optarg)) return false;
    }
    s->files = argv + optind;
    s->file_count = argc - optind;
    if (s->file_count < 1)
        cli_misuse(s->command, "no recording given");
    else if (raw_channels && !s->audio.raw_rate)
        cli_misuse(s->command, "--raw-channels needs --raw-rate");
    else
        return settings_check_known(s) && fits_together(s, hop_given);
    return false;
}
