/* motet diarize: recordings in, turns out. The time of each step is charged to the chunk it leads to. Outputs are made
 * in memory and written whole, so that a failure or ^C leaves nothing half-written. */
#include "cli.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "motet/latency.h"
#include "diarize_options.h"
#include "outputs.h"
#include "progress.h"
#include "recording.h"
#include "session.h"
#include "voices.h"

static const char command[] = "diarize";

/* --- one recording --------------------------------------------------------------------------------------------- */

typedef struct job {
    const settings *settings;
    recording recording;
    char file_id[NAME_MAX + 1], shown[NAME_MAX + 1]; /* the latter for the terminal */
    motet_latency *latency;
    progress progress;
    bool out_of_memory;
} job;

static int on_chunk(void *user, motet_chunk *chunk)
{
    job *j = user;
    chunk->decode_ms = j->recording.decode_ms;
    chunk->resample_ms = j->recording.resample_ms;
    j->recording.decode_ms = j->recording.resample_ms = 0;
    if (motet_latency_add(j->latency, chunk) != MOTET_OK) return j->out_of_memory = true;
    progress_show(&j->progress, chunk->start + motet_diarizer_describe(j->recording.diarizer)->window);
    return cli_interrupted();
}

static motet_status open_recording(job *j)
{
    motet_status status = recording_open(&j->recording, &j->settings->audio);
    if (status != MOTET_OK) return status;
    const motet_audio_info *info = motet_audio_describe(j->recording.audio);
    status = motet_latency_create(motet_diarizer_describe(j->recording.diarizer)->hop * 1000, &j->latency);
    double total = info->frames >= 0 ? (double)info->frames / info->rate : -1;
    progress_begin(&j->progress, j->shown, total, j->settings->quiet);
    motet_diarizer_observe(j->recording.diarizer, on_chunk, j);
    return status;
}

/* --- outputs --------------------------------------------------------------------------------------------------- */

/* A number of speakers that was asked for and could not be had. */
static void report_count(const job *j, const motet_diarization *result)
{
    const motet_diarize_options *asked = &j->settings->diarize;
    int least = asked->speakers ? asked->speakers : asked->min_speakers;
    if (result->speaker_count < (size_t)least)
        cli_say(command, "%s: asked for %d speakers, %zu could be told apart", j->recording.path, least,
                result->speaker_count);
}

static void report(const job *j, const motet_diarization *result, double elapsed)
{
    const recording *r = &j->recording;
    if (r->samples == 0)
        cli_say(command, "%s: holds no audio", r->path);
    else if (r->peak == 0)
        cli_say(command, "%s: nothing but digital silence", r->path);
    if (motet_audio_repaired(r->audio))
        cli_say(command, "%s: %lld samples were not numbers and count as silence", r->path,
                (long long)motet_audio_repaired(r->audio));
    if (r->clipped * 1000 > r->samples)
        cli_say(command, "%s: %.1f %% of the samples are clipped", r->path,
                100.0 * (double)r->clipped / (double)r->samples);
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
    if (at >= 0 && !any) cli_say(command, "%s: nobody speaks at %g s", j->recording.path, at);
}

static bool write_outputs(job *j, const motet_diarization *result)
{
    double elapsed = monotonic_seconds() - j->progress.began;
    motet_document document = {.file_id = j->file_id,
                               .source = j->recording.path,
                               .diarizer = motet_diarizer_describe(j->recording.diarizer),
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
    return outputs_write_latency(command, j->settings, j->recording.path, j->latency);
}

static int diarize_file(const settings *s, motet_diarizer *diarizer, const motet_known *known, const char *path)
{
    job j = {.settings = s,
             .recording = {.command = command, .path = path, .diarizer = diarizer, .partial = s->partial}};
    name_recording(path, j.file_id, sizeof j.file_id);
    name_recording(path, j.shown, sizeof j.shown);
    cli_make_printable(j.shown);
    motet_diarization *result = NULL;
    motet_status status = open_recording(&j);
    if (status == MOTET_OK) status = recording_stream(&j.recording);
    if (status == MOTET_OK) status = motet_diarizer_finish(diarizer, &result);
    if (status == MOTET_OK && known) status = motet_known_name(known, &s->matching, result);
    progress_end(&j.progress);
    int code = EXIT_FAILED;
    if (status == MOTET_OK)
        code = !write_outputs(&j, result) ? EXIT_FAILED : j.recording.damaged ? EXIT_PARTLY : EXIT_DONE;
    else if (cli_interrupted())
        cli_say(command, "%s: interrupted, nothing written", path);
    else if (j.out_of_memory)
        cli_say(command, "%s: out of memory", path);
    else if (!j.recording.told)
        cli_say(command, "%s", motet_error_message());
    recording_close(&j.recording);
    motet_diarization_destroy(result);
    motet_latency_destroy(j.latency);
    return code;
}

/* --- all of them ----------------------------------------------------------------------------------------------- */

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
    else if (outputs_make_folders(s))
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
    if (!outputs_make_folders(s)) return EXIT_FAILED;
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
