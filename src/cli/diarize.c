/* motet diarize: recordings in, turns out.
 *
 * Each recording streams through decoding, resampling and the diarizer in blocks; the time of each step is charged to
 * the chunk it leads to. Outputs are made in memory and written whole, so that a failure or ^C leaves nothing
 * half-written. */
#include "cli.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "motet/latency.h"
#include "diarize_options.h"
#include "outputs.h"
#include "progress.h"
#include "session.h"
#include "voices.h"

static const char command[] = "diarize";

enum { BLOCK = 4096 }; /* samples read at a time */

/* --- one recording --------------------------------------------------------------------------------------------- */

typedef struct job {
    const settings *settings;
    const char *path;
    char file_id[NAME_MAX + 1], shown[NAME_MAX + 1]; /* the latter for the terminal */
    motet_diarizer *diarizer;
    motet_audio *audio;
    motet_resampler *resampler;
    motet_latency *latency;
    progress progress;
    double decode_ms, resample_ms; /* since the last chunk */
    bool out_of_memory;
    bool damaged; /* and read as far as it went */
    bool told;    /* what went wrong has been said */
    double peak;
    int64_t clipped, samples;
} job;

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

/* Says in the terms of the command line why this recording cannot be taken. */
static motet_status refuse(job *j, const char *why, int number)
{
    cli_say(command, "%s: %s %d", j->path, why, number);
    j->told = true;
    return MOTET_ERROR_ARGUMENT;
}

static motet_status open_recording(job *j)
{
    motet_status status = motet_audio_open(j->path, &j->settings->audio, &j->audio);
    if (status == MOTET_ERROR_ARGUMENT && j->settings->audio.channel != MOTET_CHANNEL_MIX)
        return refuse(j, "it has no channel", j->settings->audio.channel + 1);
    if (status != MOTET_OK) return status;
    const motet_audio_info *info = motet_audio_describe(j->audio);
    const motet_diarizer_info *d = motet_diarizer_describe(j->diarizer);
    status = motet_resampler_create(info->rate, d->sample_rate, &j->resampler);
    if (status == MOTET_ERROR_ARGUMENT)
        return refuse(j, "sample rates from 8000 to 768000 Hz can be used, and its is", info->rate);
    if (status != MOTET_OK) return status;
    status = motet_latency_create(d->hop * 1000, &j->latency);
    double total = info->frames >= 0 ? (double)info->frames / info->rate : -1;
    progress_begin(&j->progress, j->shown, total, j->settings->quiet);
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
        if (cli_interrupted()) return MOTET_ERROR_CANCELLED;
    }
}

/* --- outputs --------------------------------------------------------------------------------------------------- */

/* A number of speakers that was asked for and could not be had. */
static void report_count(const job *j, const motet_diarization *result)
{
    const motet_diarize_options *asked = &j->settings->diarize;
    int least = asked->speakers ? asked->speakers : asked->min_speakers;
    if (result->speaker_count < (size_t)least)
        cli_say(command, "%s: asked for %d speakers, %zu could be told apart", j->path, least, result->speaker_count);
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
    report_count(j, result);
    if (j->settings->quiet) return;
    fprintf(stderr, "%s: %.1f s, %zu speaker%s, %zu turn%s, in %.2f s (%.4f of real time)\n", j->shown,
            result->duration, result->speaker_count, result->speaker_count == 1 ? "" : "s", result->turn_count,
            result->turn_count == 1 ? "" : "s", elapsed, result->duration > 0 ? elapsed / result->duration : 0);
}

static void explain_turn(const motet_diarization *result, const motet_turn *turn)
{
    const char *who = result->speakers[turn->speaker].label;
    fprintf(stderr, "%.2f to %.2f s, %s, confidence %.2f\n", turn->start, turn->end, who, turn->confidence);
    fprintf(stderr,
            "  %.0f %% of the votes of %d window%s, which hear it alone for %.1f s together; %.2f s of the turn with "
            "somebody else\n",
            100 * turn->share, turn->windows, turn->windows == 1 ? "" : "s", turn->clean, turn->overlap);
    fprintf(stderr, "  its voice is similar to %s by %.2f", who, turn->similarity);
    if (turn->rival >= 0)
        fprintf(stderr, ", to %s by %.2f: a margin of %.2f", result->speakers[turn->rival].label,
                turn->rival_similarity, turn->similarity - turn->rival_similarity);
    fputc('\n', stderr);
}

static void explain(const job *j, const motet_diarization *result)
{
    double at = j->settings->explain;
    bool any = false;
    for (size_t i = 0; i < result->turn_count && at >= 0; i++) {
        const motet_turn *turn = &result->turns[i];
        if (turn->start > at || turn->end <= at) continue;
        explain_turn(result, turn);
        any = true;
    }
    if (at >= 0 && !any) cli_say(command, "%s: nobody speaks at %g s", j->path, at);
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
    motet_latency_conclude(j->latency, result->final_ms);
    if (!outputs_write_turns(command, j->settings, result, &document)) return false;
    if (j->settings->export_voices &&
        !voices_export(command, j->settings->export_voices, j->file_id, document.diarizer, result))
        return false;
    report(j, result, elapsed);
    explain(j, result);
    return outputs_write_latency(command, j->settings, j->path, j->latency);
}

static int diarize_file(const settings *s, motet_diarizer *diarizer, const motet_known *known, const char *path)
{
    job j = {.settings = s, .path = path, .diarizer = diarizer};
    name_recording(path, j.file_id, sizeof j.file_id);
    name_recording(path, j.shown, sizeof j.shown);
    cli_make_printable(j.shown);
    motet_diarization *result = NULL;
    motet_status status = open_recording(&j);
    if (status == MOTET_OK) status = stream_recording(&j);
    if (status == MOTET_OK) status = motet_diarizer_finish(diarizer, &result);
    if (status == MOTET_OK && known) status = motet_known_name(known, &s->matching, result);
    progress_end(&j.progress);
    int code = EXIT_FAILED;
    if (status == MOTET_OK)
        code = !write_outputs(&j, result) ? EXIT_FAILED : j.damaged ? EXIT_PARTLY : EXIT_DONE;
    else if (cli_interrupted())
        cli_say(command, "%s: interrupted, nothing written", path);
    else if (j.out_of_memory)
        cli_say(command, "%s: out of memory", path);
    else if (!j.told)
        cli_say(command, "%s", motet_error_message());
    motet_diarizer_reset(diarizer);
    motet_diarization_destroy(result);
    motet_latency_destroy(j.latency);
    motet_resampler_destroy(j.resampler);
    motet_audio_close(j.audio);
    return code;
}

/* --- all of them ----------------------------------------------------------------------------------------------- */

static bool make_folders(const settings *s)
{
    return (!s->output || s->output_is_file || cli_make_folder(command, s->output)) &&
           (!s->export_voices || cli_make_folder(command, s->export_voices));
}

static int diarize_files(const settings *s, motet_diarizer *diarizer, const motet_known *known)
{
    int done = 0, partly = 0;
    /* the first one also says so when the model's loading was cut */
    for (int i = 0; i < s->file_count && (i == 0 || !cli_interrupted()); i++) {
        int code = diarize_file(s, diarizer, known, s->files[i]);
        done += code == EXIT_DONE;
        partly += code == EXIT_PARTLY;
    }
    if (done == s->file_count) return EXIT_DONE;
    return done + partly ? EXIT_PARTLY : EXIT_FAILED;
}

static int diarize_all(settings *s)
{
    if (!settings_find_model(s)) return EXIT_FAILED;
    if (!settings_check_places(s)) return EXIT_FAILED;
    cli_catch_signals();
    motet_diarizer *diarizer;
    motet_known *known = NULL;
    motet_status status = motet_diarizer_create(&s->diarize, &diarizer);
    if (status == MOTET_ERROR_ARGUMENT) return cli_misuse(command, "%s", motet_error_message());
    if (status == MOTET_OK && s->known) status = motet_known_open(s->known, motet_diarizer_describe(diarizer), &known);
    int code = EXIT_FAILED;
    if (status != MOTET_OK)
        cli_say(command, "%s", motet_error_message());
    else if (make_folders(s))
        code = diarize_files(s, diarizer, known);
    motet_known_destroy(known);
    motet_diarizer_destroy(diarizer);
    return cli_interrupted() ? cli_die_of_signal() : code;
}

/* One recording as a live session hears it. */
static int diarize_realtime(settings *s)
{
    char file_id[NAME_MAX + 1];
    motet_capture *capture;
    if (!settings_find_model(s) || !settings_check_places(s)) return EXIT_FAILED;
    if (s->output && !s->output_is_file && !cli_make_folder(command, s->output)) return EXIT_FAILED;
    name_recording(s->files[0], file_id, sizeof file_id);
    session_request request = {.command = command, .settings = s, .file_id = file_id, .source = s->files[0]};
    motet_live_options_init(&request.live);
    request.live.diarize = s->diarize;
    if (s->latency > 0) request.live.latency = s->latency;
    if (s->refine >= 0) request.live.refine = s->refine;
    if (motet_capture_play(s->files[0], &s->audio, s->speed, &capture) != MOTET_OK) {
        cli_say(command, "%s", motet_error_message());
        return EXIT_FAILED;
    }
    session *live = session_create(&request);
    if (!live) {
        motet_capture_close(capture);
        return EXIT_FAILED;
    }
    int code = session_add(live, NULL, capture);
    if (code == EXIT_DONE) return session_run(live);
    session_destroy(live);
    return code;
}

int cli_diarize(int argc, char **argv)
{
    settings s;
    int code;
    if (!settings_read(&s, argc, argv, &code)) return code;
    return s.realtime ? diarize_realtime(&s) : diarize_all(&s);
}
