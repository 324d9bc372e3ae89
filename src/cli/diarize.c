/* motet diarize: recordings in, turns out.
 *
 * Each recording streams through decoding, resampling and the diarizer in blocks; the time of each step is charged to
 * the chunk it leads to. Outputs are made in memory and written whole, so that a failure or ^C leaves nothing
 * half-written. */
#include "cli.h"

#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "motet/audio.h"
#include "motet/diarize.h"
#include "motet/file.h"
#include "motet/latency.h"
#include "progress.h"

static const char command[] = "diarize";

enum { FORMATS = 2, BLOCK = 4096 };

static const struct {
    const char *name;
    motet_format format;
} formats[FORMATS] = {{"rttm", MOTET_FORMAT_RTTM}, {"json", MOTET_FORMAT_JSON}};

typedef struct settings {
    motet_diarize_options diarize;
    motet_audio_options audio;
    bool wanted[FORMATS];
    const char *output; /* NULL: standard output */
    bool output_is_file;
    const char *latency_report;
    bool partial, quiet;
    char model[PATH_MAX];
} settings;

/* --- the command line ------------------------------------------------------------------------------------------ */

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
        if (!strcmp(name, formats[i].name)) return s->wanted[i] = true;
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

static const char *ending(const char *path)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    return dot ? dot + 1 : "";
}

/* An output that ends in .rttm or .json is a file of that format, anything else a folder. */
static bool settle_output(settings *s, int files)
{
    int wanted = 0;
    for (int i = 0; i < FORMATS; i++) wanted += s->wanted[i];
    struct stat at;
    bool folder_exists = s->output && stat(s->output, &at) == 0 && S_ISDIR(at.st_mode);
    for (int i = 0; s->output && !folder_exists && i < FORMATS; i++) {
        if (strcmp(ending(s->output), formats[i].name)) continue;
        s->output_is_file = true;
        if (files > 1 || wanted > 1 || (wanted == 1 && !s->wanted[i])) {
            cli_misuse(command, "--output %s is one %s file: give a folder for several files or other formats",
                       s->output, formats[i].name);
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

static bool settle_latency_report(const settings *s, int files)
{
    if (!s->latency_report) return true;
    if (files > 1) {
        cli_misuse(command, "--latency-report is of one recording, and there are %d", files);
        return false;
    }
    if (!strcmp(ending(s->latency_report), "json") || !strcmp(ending(s->latency_report), "csv")) return true;
    cli_misuse(command, "--latency-report %s: the name must end in .json or .csv", s->latency_report);
    return false;
}

static bool settle_model(settings *s)
{
    if (!s->diarize.model) s->diarize.model = getenv("MOTET_MODEL");
    if (s->diarize.model) return true;
    s->diarize.model = s->model;
    if (cli_find_model("motet-cnn.onnx", s->model, sizeof s->model)) return true;
    cli_say(command, "the default model motet-cnn.onnx is not installed in %s: give one with --model", MOTET_MODEL_DIR);
    return false;
}

/* --- one recording --------------------------------------------------------------------------------------------- */

typedef struct job {
    const settings *settings;
    const char *path;
    char file_id[NAME_MAX + 1];
    motet_diarizer *diarizer;
    motet_audio *audio;
    motet_resampler *resampler;
    motet_latency *latency;
    progress progress;
    double decode_ms, resample_ms; /* since the last chunk */
    bool out_of_memory;
    bool damaged; /* and read as far as it went */
    double peak;
    int64_t clipped, samples;
} job;

/* The name of a recording in outputs: the file's, without folder and ending. */
static void name_recording(const char *path, char *id, size_t size)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    if (!strcmp(path, "-")) base = "stdin";
    snprintf(id, size, "%s", base);
    char *dot = strrchr(id, '.');
    if (dot && dot != id) *dot = '\0';
}

static int on_signal(void *user)
{
    (void)user;
    return cli_interrupted();
}

static int on_chunk(void *user, motet_chunk *chunk)
{
    job *j = user;
    chunk->decode_ms = j->decode_ms;
    chunk->resample_ms = j->resample_ms;
    j->decode_ms = j->resample_ms = 0;
    if (motet_latency_add(j->latency, chunk) != MOTET_OK) return j->out_of_memory = true;
    progress_show(&j->progress, chunk->start + motet_diarizer_describe(j->diarizer)->window);
    return cli_interrupted();
}

static void watch_level(job *j, const float *samples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        double level = fabs((double)samples[i]);
        if (level > j->peak) j->peak = level;
        j->clipped += level >= 0.999;
    }
    j->samples += (int64_t)count;
}

static motet_status open_recording(job *j)
{
    motet_status status = motet_audio_open(j->path, &j->settings->audio, &j->audio);
    if (status != MOTET_OK) return status;
    const motet_audio_info *info = motet_audio_describe(j->audio);
    const motet_diarizer_info *d = motet_diarizer_describe(j->diarizer);
    status = motet_resampler_create(info->rate, d->sample_rate, &j->resampler);
    if (status == MOTET_OK) status = motet_latency_create(d->hop * 1000, &j->latency);
    double total = info->frames >= 0 ? (double)info->frames / info->rate : -1;
    progress_begin(&j->progress, j->file_id, total, j->settings->quiet);
    motet_diarizer_observe(j->diarizer, on_chunk, j);
    return status;
}

/* Reads a block, or what is left. A damaged file ends here when --partial takes what there was. */
static motet_status read_block(job *j, float *samples, size_t *count)
{
    double before = monotonic_seconds();
    motet_status status = motet_audio_read(j->audio, samples, BLOCK, count);
    j->decode_ms += (monotonic_seconds() - before) * 1e3;
    if (status == MOTET_ERROR_FORMAT && j->settings->partial) {
        cli_say(command, "%s; going on with what could be read", motet_error_message());
        j->damaged = true;
        *count = 0;
        return MOTET_OK;
    }
    if (status == MOTET_OK) watch_level(j, samples, *count);
    return status;
}

static motet_status stream_recording(job *j)
{
    float block[BLOCK];
    for (;;) {
        size_t count;
        motet_status status = read_block(j, block, &count);
        if (status != MOTET_OK) return status;
        const float *samples;
        size_t resampled;
        double before = monotonic_seconds();
        status = count ? motet_resampler_push(j->resampler, block, count, &samples, &resampled)
                       : motet_resampler_finish(j->resampler, &samples, &resampled);
        j->resample_ms += (monotonic_seconds() - before) * 1e3;
        if (status == MOTET_OK) status = motet_diarizer_push(j->diarizer, samples, resampled);
        if (status != MOTET_OK || count == 0) return status;
    }
}

/* --- outputs --------------------------------------------------------------------------------------------------- */

static bool write_text(const char *path, const char *text, size_t length)
{
    if (!path) return cli_print(command, text, length);
    if (motet_file_write(path, text, length) == MOTET_OK) return true;
    cli_say(command, "%s", motet_error_message());
    return false;
}

static bool write_format(const job *j, int which, const motet_diarization *result, const motet_document *document)
{
    const settings *s = j->settings;
    char path[PATH_MAX], *text;
    size_t length;
    if (motet_diarization_write(result, formats[which].format, document, &text, &length) != MOTET_OK) {
        cli_say(command, "%s: %s", j->path, motet_error_message());
        return false;
    }
    if (s->output && !s->output_is_file)
        snprintf(path, sizeof path, "%s/%s.%s", s->output, j->file_id, formats[which].name);
    bool written = write_text(!s->output ? NULL : s->output_is_file ? s->output : path, text, length);
    motet_string_free(text);
    return written;
}

static bool write_latency(const job *j)
{
    const settings *s = j->settings;
    char *text;
    size_t length;
    bool written = true;
    if (s->latency_report) {
        motet_latency_format format =
            !strcmp(ending(s->latency_report), "csv") ? MOTET_LATENCY_CSV : MOTET_LATENCY_JSON;
        if (motet_latency_write(j->latency, format, &text, &length) != MOTET_OK) return false;
        written = write_text(s->latency_report, text, length);
        motet_string_free(text);
    }
    if (s->quiet || motet_latency_write(j->latency, MOTET_LATENCY_TABLE, &text, &length) != MOTET_OK) return written;
    fputs(text, stderr);
    motet_string_free(text);
    return written;
}

static void report(const job *j, const motet_diarization *result, double elapsed)
{
    if (j->samples == 0)
        cli_say(command, "%s: holds no audio", j->path);
    else if (j->peak == 0)
        cli_say(command, "%s: nothing but digital silence", j->path);
    if (motet_audio_repaired(j->audio))
        cli_say(command, "%s: %lld samples were not numbers and count as silence", j->path,
                (long long)motet_audio_repaired(j->audio));
    if (j->clipped * 1000 > j->samples)
        cli_say(command, "%s: %.1f %% of the samples are clipped", j->path,
                100.0 * (double)j->clipped / (double)j->samples);
    if (j->settings->quiet) return;
    fprintf(stderr, "%s: %.1f s, %zu speaker%s, %zu turn%s, in %.2f s (%.4f of real time)\n", j->file_id,
            result->duration, result->speaker_count, result->speaker_count == 1 ? "" : "s", result->turn_count,
            result->turn_count == 1 ? "" : "s", elapsed, result->duration > 0 ? elapsed / result->duration : 0);
}

static bool write_outputs(job *j, const motet_diarization *result)
{
    double elapsed = monotonic_seconds() - j->progress.began;
    motet_document document = {.file_id = j->file_id,
                               .source = j->path,
                               .diarizer = motet_diarizer_describe(j->diarizer),
                               .options = &j->settings->diarize,
                               .elapsed_s = elapsed,
                               .latency = j->latency};
    for (int i = 0; i < FORMATS; i++)
        if (j->settings->wanted[i] && !write_format(j, i, result, &document)) return false;
    report(j, result, elapsed);
    return write_latency(j);
}

static int diarize_file(const settings *s, motet_diarizer *diarizer, const char *path)
{
    job j = {.settings = s, .path = path, .diarizer = diarizer};
    name_recording(path, j.file_id, sizeof j.file_id);
    motet_diarization *result = NULL;
    motet_status status = open_recording(&j);
    if (status == MOTET_OK) status = stream_recording(&j);
    if (status == MOTET_OK) status = motet_diarizer_finish(diarizer, &result);
    progress_end(&j.progress);
    int code = EXIT_FAILED;
    if (status == MOTET_OK)
        code = !write_outputs(&j, result) ? EXIT_FAILED : j.damaged ? EXIT_PARTLY : EXIT_DONE;
    else if (cli_interrupted())
        cli_say(command, "%s: interrupted, nothing written", path);
    else if (j.out_of_memory)
        cli_say(command, "%s: out of memory", path);
    else
        cli_say(command, "%s", motet_error_message());
    motet_diarizer_reset(diarizer);
    motet_diarization_destroy(result);
    motet_latency_destroy(j.latency);
    motet_resampler_destroy(j.resampler);
    motet_audio_close(j.audio);
    return code;
}

/* --- all of them ----------------------------------------------------------------------------------------------- */

/* Two recordings of one name would write to the same output file. */
static bool names_differ(const settings *s, char **paths, int count)
{
    if (!s->output) return true;
    for (int i = 0; i < count; i++)
        for (int k = 0; k < i; k++) {
            char a[NAME_MAX + 1], b[NAME_MAX + 1];
            name_recording(paths[i], a, sizeof a);
            name_recording(paths[k], b, sizeof b);
            if (strcmp(a, b)) continue;
            cli_misuse(command, "%s and %s would both be written to %s/%s", paths[k], paths[i], s->output, a);
            return false;
        }
    return true;
}

static int diarize_all(settings *s, char **paths, int count)
{
    if (!names_differ(s, paths, count)) return EXIT_MISUSE;
    if (!settle_model(s)) return EXIT_FAILED;
    if (s->output && !s->output_is_file && !cli_make_folder(command, s->output)) return EXIT_FAILED;
    motet_diarizer *diarizer;
    motet_status status = motet_diarizer_create(&s->diarize, &diarizer);
    if (status == MOTET_ERROR_ARGUMENT) return cli_misuse(command, "%s", motet_error_message());
    if (status != MOTET_OK) {
        cli_say(command, "%s", motet_error_message());
        return EXIT_FAILED;
    }
    cli_catch_signals();
    int done = 0, partly = 0;
    for (int i = 0; i < count && !cli_interrupted(); i++) {
        int code = diarize_file(s, diarizer, paths[i]);
        done += code == EXIT_DONE;
        partly += code == EXIT_PARTLY;
    }
    motet_diarizer_destroy(diarizer);
    if (cli_interrupted()) return cli_die_of_signal();
    if (done == count) return EXIT_DONE;
    return done + partly ? EXIT_PARTLY : EXIT_FAILED;
}

int cli_diarize(int argc, char **argv)
{
    settings s = {0};
    motet_diarize_options_init(&s.diarize);
    motet_audio_options_init(&s.audio);
    s.audio.interrupted = on_signal;
    bool raw_channels = false;
    for (int option; (option = getopt_long(argc, argv, "f:o:qm:n:t:h", long_options, NULL)) != -1;) {
        if (option == 'h') {
            help();
            return EXIT_DONE;
        }
        raw_channels |= option == OPTION_RAW_CHANNELS;
        if (!set_option(&s, option, optarg)) return EXIT_MISUSE;
    }
    int files = argc - optind;
    if (files < 1) return cli_misuse(command, "no recording given");
    if (raw_channels && !s.audio.raw_rate) return cli_misuse(command, "--raw-channels needs --raw-rate");
    if (!settle_output(&s, files) || !settle_latency_report(&s, files)) return EXIT_MISUSE;
    return diarize_all(&s, argv + optind, files);
}
