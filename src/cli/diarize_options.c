/* The command line of `motet diarize`: help, options, and what of it goes together. */
#include "diarize_options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"

static const char command[] = "diarize";

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
        "  -f, --format FORMAT      rttm or json; may be given several times (default rttm)\n"
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
        "      --exclusive          never two speakers at a time\n\n"
        "Turns\n"
        "      --min-turn S         drop turns shorter than S seconds (default %g)\n"
        "      --min-gap S          fill a speaker's pauses shorter than S seconds (default %g)\n\n"
        "Audio\n"
        "      --channel N|mix      one channel, counted from 1, or the mean of all (default mix)\n"
        "      --raw-rate HZ        the input has no header: signed 16-bit little-endian samples at HZ\n"
        "      --raw-channels N     channels of such input (default 1)\n"
        "      --partial            take what can be read of a damaged or truncated file (exit status 3)\n\n"
        "Work\n"
        "  -m, --model FILE         a diarizer model (default motet-cnn; $MOTET_MODEL)\n"
        "      --hop S              seconds from one 3-second window to the next (default %g)\n"
        "  -t, --threads N          default: as many as the process may use\n"
        "  -h, --help\n\n"
        "Exit status: 0 done, 1 failed, 2 wrong usage, 3 some recordings failed or were only partly read.\n",
        d.min_turn, d.min_gap, d.hop);
}

enum {
    OPTION_LATENCY = 256,
    OPTION_MIN_SPEAKERS,
    OPTION_MAX_SPEAKERS,
    OPTION_THRESHOLD,
    OPTION_EXCLUSIVE,
    OPTION_MIN_TURN,
    OPTION_MIN_GAP,
    OPTION_CHANNEL,
    OPTION_RAW_RATE,
    OPTION_RAW_CHANNELS,
    OPTION_PARTIAL,
    OPTION_HOP
};

static const struct option long_options[] = {{"format", required_argument, NULL, 'f'},
                                             {"output", required_argument, NULL, 'o'},
                                             {"latency-report", required_argument, NULL, OPTION_LATENCY},
                                             {"quiet", no_argument, NULL, 'q'},
                                             {"speakers", required_argument, NULL, 'n'},
                                             {"min-speakers", required_argument, NULL, OPTION_MIN_SPEAKERS},
                                             {"max-speakers", required_argument, NULL, OPTION_MAX_SPEAKERS},
                                             {"threshold", required_argument, NULL, OPTION_THRESHOLD},
                                             {"exclusive", no_argument, NULL, OPTION_EXCLUSIVE},
                                             {"min-turn", required_argument, NULL, OPTION_MIN_TURN},
                                             {"min-gap", required_argument, NULL, OPTION_MIN_GAP},
                                             {"channel", required_argument, NULL, OPTION_CHANNEL},
                                             {"raw-rate", required_argument, NULL, OPTION_RAW_RATE},
                                             {"raw-channels", required_argument, NULL, OPTION_RAW_CHANNELS},
                                             {"partial", no_argument, NULL, OPTION_PARTIAL},
                                             {"model", required_argument, NULL, 'm'},
                                             {"hop", required_argument, NULL, OPTION_HOP},
                                             {"threads", required_argument, NULL, 't'},
                                             {"help", no_argument, NULL, 'h'},
                                             {NULL, 0, NULL, 0}};

static bool set_format(settings *s, const char *name)
{
    for (int i = 0; i < FORMATS; i++)
        if (!strcmp(name, output_formats[i].name)) return s->wanted[i] = true;
    cli_misuse(command, "--format %s: expected rttm or json", name);
    return false;
}

static bool set_channel(settings *s, const char *text)
{
    s->audio.channel = MOTET_CHANNEL_MIX;
    if (!strcmp(text, "mix")) return true;
    if (!cli_int(command, "channel", text, 1, 1024, &s->audio.channel)) return false;
    s->audio.channel--;
    return true;
}

static bool set_option(settings *s, int option, const char *text)
{
    motet_diarize_options *d = &s->diarize;
    switch (option) {
    case 'f': return set_format(s, text);
    case 'o': s->output = text; return true;
    case 'q': s->quiet = true; return true;
    case 'm': d->model = text; return true;
    case 'n': return cli_int(command, "speakers", text, 1, 1000, &d->speakers);
    case 't': return cli_int(command, "threads", text, 1, 1024, &d->threads);
    case OPTION_LATENCY: s->latency_report = text; return true;
    case OPTION_MIN_SPEAKERS: return cli_int(command, "min-speakers", text, 1, 1000, &d->min_speakers);
    case OPTION_MAX_SPEAKERS: return cli_int(command, "max-speakers", text, 1, 1000, &d->max_speakers);
    case OPTION_THRESHOLD: return cli_number(command, "threshold", text, 0, 2, &d->threshold);
    case OPTION_EXCLUSIVE: d->exclusive = true; return true;
    case OPTION_MIN_TURN: return cli_number(command, "min-turn", text, 0, 3600, &d->min_turn);
    case OPTION_MIN_GAP: return cli_number(command, "min-gap", text, 0, 3600, &d->min_gap);
    case OPTION_CHANNEL: return set_channel(s, text);
    case OPTION_RAW_RATE: return cli_int(command, "raw-rate", text, 8000, 768000, &s->audio.raw_rate);
    case OPTION_RAW_CHANNELS: return cli_int(command, "raw-channels", text, 1, 1024, &s->audio.raw_channels);
    case OPTION_PARTIAL: s->partial = true; return true;
    case OPTION_HOP: return cli_number(command, "hop", text, 0.1, 60, &d->hop);
    default: fprintf(stderr, "Try 'motet diarize --help'.\n"); return false; /* getopt has said what is wrong */
    }
}

const char *ending_of(const char *path)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    return dot ? dot + 1 : "";
}

/* An output that ends in .rttm or .json is a file of that format, anything else a folder. */
static bool settle_output(settings *s)
{
    int files = s->file_count;
    int wanted = 0;
    for (int i = 0; i < FORMATS; i++) wanted += s->wanted[i];
    struct stat at;
    bool folder_exists = s->output && stat(s->output, &at) == 0 && S_ISDIR(at.st_mode);
    for (int i = 0; s->output && !folder_exists && i < FORMATS; i++) {
        if (strcmp(ending_of(s->output), output_formats[i].name)) continue;
        s->output_is_file = true;
        if (files > 1 || wanted > 1 || (wanted == 1 && !s->wanted[i])) {
            cli_misuse(command, "--output %s is one %s file: give a folder for several files or other formats",
                       s->output, output_formats[i].name);
            return false;
        }
        s->wanted[i] = true;
        wanted = 1;
    }
    if (!wanted) s->wanted[0] = true;
    if (!s->output && (wanted > 1 || (files > 1 && s->wanted[1]))) {
        cli_misuse(command, "several outputs cannot share standard output: give a folder with --output");
        return false;
    }
    return true;
}

static bool settle_latency_report(const settings *s)
{
    int files = s->file_count;
    if (!s->latency_report) return true;
    if (files > 1) {
        cli_misuse(command, "--latency-report is of one recording, and there are %d", files);
        return false;
    }
    if (!strcmp(ending_of(s->latency_report), "json") || !strcmp(ending_of(s->latency_report), "csv")) return true;
    cli_misuse(command, "--latency-report %s: the name must end in .json or .csv", s->latency_report);
    return false;
}

bool settings_find_model(settings *s)
{
    if (!s->diarize.model) s->diarize.model = getenv("MOTET_MODEL");
    if (s->diarize.model) return true;
    s->diarize.model = s->model;
    if (cli_find_model("motet-cnn.onnx", s->model, sizeof s->model)) return true;
    cli_say(command, "the default model motet-cnn.onnx is not installed in %s: give one with --model", MOTET_MODEL_DIR);
    return false;
}

void name_recording(const char *path, char *id, size_t size)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    if (!strcmp(path, "-")) base = "stdin";
    snprintf(id, size, "%s", base);
    char *dot = strrchr(id, '.');
    if (dot && dot != id) *dot = '\0';
}

/* Two recordings of one name would write to the same output file. */
static bool names_differ(const settings *s)
{
    if (!s->output) return true;
    for (int i = 0; i < s->file_count; i++)
        for (int k = 0; k < i; k++) {
            char a[NAME_MAX + 1], b[NAME_MAX + 1];
            name_recording(s->files[i], a, sizeof a);
            name_recording(s->files[k], b, sizeof b);
            if (strcmp(a, b)) continue;
            cli_misuse(command, "%s and %s would both be written to %s/%s", s->files[k], s->files[i], s->output, a);
            return false;
        }
    return true;
}

/* Asked when a signal comes while a recording is waited for. */
static int on_signal(void *user)
{
    (void)user;
    return cli_interrupted();
}

static bool fits_together(settings *s)
{
    return settle_output(s) && settle_latency_report(s) && names_differ(s);
}

bool settings_read(settings *s, int argc, char **argv, int *code)
{
    *s = (settings){0};
    motet_diarize_options_init(&s->diarize);
    motet_audio_options_init(&s->audio);
    s->audio.interrupted = on_signal;
    *code = EXIT_MISUSE;
    bool raw_channels = false;
    for (int option; (option = getopt_long(argc, argv, "f:o:qm:n:t:h", long_options, NULL)) != -1;) {
        if (option == 'h') {
            help();
            *code = EXIT_DONE;
            return false;
        }
        raw_channels |= option == OPTION_RAW_CHANNELS;
        if (!set_option(s, option, optarg)) return false;
    }
    s->files = argv + optind;
    s->file_count = argc - optind;
    if (s->file_count < 1)
        cli_misuse(command, "no recording given");
    else if (raw_channels && !s->audio.raw_rate)
        cli_misuse(command, "--raw-channels needs --raw-rate");
    else
        return fits_together(s);
    return false;
}
