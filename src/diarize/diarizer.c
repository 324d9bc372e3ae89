/* The chain: samples -> log-mel rows -> windows -> network -> record; at the end clustering, votes, turns. */
#include "diarize/diarizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/file.h"
#include "core/memory.h"
#include "core/pool.h"
#include "diarize/heard.h"
#include "diarize/listener.h"
#include "diarize/options.h"
#include "diarize/windows.h"

/* A local speaker that the network gives less than this is none (seconds). */
static const float MIN_ACTIVE = 0.1f;

struct motet_diarizer {
    motet_diarize_options options;
    motet_diarizer_info info;
    char *model_path, *embedding_path; /* the latter NULL: voices are the model's */
    char identity[17];
    mt_listener *listener;
    mt_mel *mel; /* NULL when the model takes samples */
    mt_windows windows;
    mt_record record;
    mt_points points;
    size_t settled; /* windows whose voices take part in the clustering */
    mt_speaker_rules rules;
    int64_t samples;    /* that came in */
    bool complete;      /* no more will come */
    double features_ms; /* spent on rows since the last chunk */
    motet_chunk_observer observer;
    void *user;

    /* A live session's, see diarizer.h. */
    mt_follower follower;
    int (*leave_out)(void *user);
    void *follower_user;
    float *early;       /* a window, for looking at the first one before it is full */
    int64_t early_rows; /* of it have been looked at */
    bool provisional;   /* the last window on record is such a look */
};

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* --- settings -------------------------------------------------------------------------------------------------- */

static motet_status choose_hop(const motet_diarize_options *o, const mt_model_description *d, int *samples)
{
    double window = (double)d->window / d->sample_rate;
    if (!(o->hop >= 0.1 && o->hop <= window))
        return mt_fail(MOTET_ERROR_ARGUMENT, "hop %g s: expected 0.1 s to the window's %g s", o->hop, window);
    int frames = (int)lround(o->hop * d->sample_rate / d->frame_step);
    *samples = (frames > 0 ? frames : 1) * d->frame_step; /* a frame may be longer than the hop that was asked for */
    return MOTET_OK;
}

static motet_status set_up(motet_diarizer *d)
{
    double before = now_ms();
    int threads = d->options.threads ? d->options.threads : mt_cpu_count(), hop = 0;
    MT_TRY(mt_listener_open(d->model_path, d->embedding_path, threads, &d->listener));
    MT_TRY(mt_file_identity(d->embedding_path ? d->embedding_path : d->model_path, d->identity));
    const mt_model_description *m = mt_listener_describe(d->listener);
    const char *const *embedding = mt_listener_embedding(d->listener);
    MT_TRY(choose_hop(&d->options, m, &hop));
    if (m->log_mel) MT_TRY(mt_mel_create(&m->mel, &d->mel));
    int row = m->log_mel ? m->mel.frame_step : 1;
    d->windows = (mt_windows){.width = m->log_mel ? m->mel.bins : 1,
                              .length = m->window / row,
                              .hop = hop / row,
                              .grid = m->frame_step / row,
                              .padding = m->log_mel ? (float)log(m->mel.floor) : 0};
    mt_record_init(&d->record, m->frames, m->voice);
    d->points.dims = m->voice;
    d->rules = mt_options_speakers(&d->options, m->threshold, m->similarity);
    d->info = (motet_diarizer_info){.model_path = d->model_path,
                                    .model_name = m->name,
                                    .model_version = m->version,
                                    .model_licence = m->licence,
                                    .embedding_path = d->embedding_path ? d->embedding_path : "",
                                    .embedding_name = embedding ? embedding[0] : "",
                                    .embedding_version = embedding ? embedding[1] : "",
                                    .embedding_licence = embedding ? embedding[2] : "",
                                    .voice_identity = d->identity,
                                    .sample_rate = m->sample_rate,
                                    .window = (double)m->window / m->sample_rate,
                                    .hop = (double)hop / m->sample_rate,
                                    .frame = (double)m->frame_step / m->sample_rate,
                                    .local_speakers = m->speakers,
                                    .voice_dims = m->voice,
                                    .threshold = (double)d->rules.threshold,
                                    .similarity = m->similarity,
                                    .onset = d->options.onset < 0 ? m->onset : d->options.onset,
                                    .threads = threads,
                                    .load_ms = now_ms() - before};
    return MOTET_OK;
}

motet_status motet_diarizer_create(const motet_diarize_options *options, motet_diarizer **out)
{
    *out = NULL;
    if (!options->model) return mt_fail(MOTET_ERROR_ARGUMENT, "no model given");
    MT_TRY(mt_options_check(options));
    motet_diarizer *d = mt_alloc_zero(1, sizeof *d);
    if (!d) return mt_fail_memory(sizeof *d);
    d->options = *options;
    d->model_path = mt_copy_string(options->model);
    d->options.model = d->model_path;
    if (options->embedding) d->embedding_path = mt_copy_string(options->embedding);
    d->options.embedding = d->embedding_path;
    bool copied = d->model_path && (d->embedding_path || !options->embedding);
    motet_status status = copied ? set_up(d) : mt_fail_memory(strlen(options->model));
    if (status != MOTET_OK) {
        motet_diarizer_destroy(d);
        return status;
    }
    *out = d;
    return MOTET_OK;
}

void motet_diarizer_destroy(motet_diarizer *d)
{
    if (!d) return;
    mt_record_free(&d->record);
    mt_points_free(&d->points);
    mt_windows_reset(&d->windows);
    mt_mel_destroy(d->mel);
    mt_free(d->early);
    mt_listener_close(d->listener);
    mt_free(d->model_path);
    mt_free(d->embedding_path);
    mt_free(d);
}

const motet_diarizer_info *motet_diarizer_describe(const motet_diarizer *d)
{
    return &d->info;
}

void motet_diarizer_observe(motet_diarizer *d, motet_chunk_observer observer, void *user)
{
    d->observer = observer;
    d->user = user;
}

void motet_diarizer_reset(motet_diarizer *d)
{
    mt_record_free(&d->record);
    mt_points_free(&d->points);
    mt_windows_reset(&d->windows);
    if (d->mel) mt_mel_reset(d->mel);
    d->settled = 0;
    d->samples = 0;
    d->features_ms = 0;
    d->early_rows = 0;
    d->provisional = d->complete = false;
}

/* --- a chunk --------------------------------------------------------------------------------------------------- */

/* Seconds of frames that are more likely than not: many small probabilities do not make a speaker. */
static float likely_seconds(const float *probabilities, int frames, int stride, double frame)
{
    int likely = 0;
    for (int t = 0; t < frames; t++) likely += probabilities[t * stride] > 0.5f;
    return (float)(likely * frame);
}

/* The local speakers of a window that say anything go on record. */
static motet_status keep_voices(motet_diarizer *d, const mt_encoding *encoding, int64_t start)
{
    const mt_model_description *m = mt_listener_describe(d->listener);
    MT_TRY(mt_record_window_begin(&d->record, start));
    for (int k = 0; k < m->speakers; k++) {
        const float *active = encoding->active + k, *alone = encoding->alone + k;
        if (likely_seconds(active, m->frames, m->speakers, d->info.frame) < MIN_ACTIVE) continue;
        MT_TRY(mt_record_voice(&d->record, encoding->voices + k * m->voice, active, m->speakers,
                               likely_seconds(alone, m->frames, m->speakers, d->info.frame)));
    }
    return MOTET_OK;
}

/* The windows that end by frame `until` are settled, the last of a live session may still be dropped: their voices go
 * into the clustering. */
static motet_status settle_windows(motet_diarizer *d, int64_t until)
{
    for (; d->settled < d->record.window_count; d->settled++) {
        if (d->record.windows[d->settled].start + d->record.frames > until) return MOTET_OK;
        MT_TRY(mt_speakers_window(&d->record, d->settled, &d->points, &d->rules));
    }
    return MOTET_OK;
}

const motet_tensor *motet_diarizer_input(const motet_diarizer *diarizer)
{
    return diarizer->record.window_count ? mt_listener_input(diarizer->listener) : NULL;
}

/* Encodes a window and puts it on record, in place of one that was there for the time being only. */
static motet_status put_on_record(motet_diarizer *d, const float *rows, int64_t start, double *encode_ms)
{
    const mt_encoding *encoding;
    double before = now_ms();
    MT_TRY(mt_listener_encode(d->listener, rows, start * mt_listener_describe(d->listener)->frame_step, &encoding));
    *encode_ms = d->features_ms + now_ms() - before;
    d->features_ms = 0;
    if (d->provisional) mt_record_window_drop(&d->record);
    d->provisional = false;
    return keep_voices(d, encoding, start);
}

static motet_chunk describe_chunk(const motet_diarizer *d, int64_t start_row)
{
    return (motet_chunk){.index = (int64_t)d->record.window_count - 1,
                         .start = (double)(start_row / d->windows.grid) * d->info.frame};
}

static motet_status run_chunk(motet_diarizer *d, const float *rows, int64_t start_row)
{
    if (d->leave_out && d->leave_out(d->follower_user)) return MOTET_OK;
    double encode_ms;
    MT_TRY(put_on_record(d, rows, start_row / d->windows.grid, &encode_ms));
    double before = now_ms();
    MT_TRY(settle_windows(d, start_row / d->windows.grid));
    motet_chunk chunk = describe_chunk(d, start_row);
    chunk.encode_ms = encode_ms;
    chunk.cluster_ms = now_ms() - before;
    if (d->follower) MT_TRY(d->follower(d->follower_user, &chunk));
    if (d->observer && d->observer(d->user, &chunk))
        return mt_fail(MOTET_ERROR_CANCELLED, "cancelled after %.1f s of audio", chunk.start + d->info.window);
    return MOTET_OK;
}

/* The first window as far as it has come, every hop, for whoever cannot wait until it is full. */
static motet_status look_early(motet_diarizer *d)
{
    int64_t hop = d->windows.hop, held = (int64_t)d->windows.held;
    while (!d->windows.any && d->early_rows + hop <= held && d->early_rows + hop < d->windows.length) {
        d->early_rows += hop;
        mt_windows_peek(&d->windows, (size_t)d->early_rows, d->early);
        double encode_ms;
        MT_TRY(put_on_record(d, d->early, 0, &encode_ms));
        d->provisional = true;
        motet_chunk chunk = describe_chunk(d, 0);
        chunk.start = (double)(d->early_rows - d->windows.length) / d->windows.grid * d->info.frame;
        chunk.encode_ms = encode_ms;
        MT_TRY(d->follower(d->follower_user, &chunk));
    }
    return MOTET_OK;
}

static motet_status run_complete(motet_diarizer *d)
{
    const float *rows;
    int64_t start;
    if (d->follower) MT_TRY(look_early(d));
    while (mt_windows_take(&d->windows, &rows, &start)) MT_TRY(run_chunk(d, rows, start));
    return MOTET_OK;
}

/* Pieces of at most a hop, so that no more than one window completes at a time and what is held stays small. */
static motet_status push_piece(motet_diarizer *d, const float *samples, size_t count)
{
    double before = now_ms();
    const float *rows = samples;
    size_t row_count = count;
    if (d->mel) MT_TRY(mt_mel_push(d->mel, samples, count, &rows, &row_count));
    MT_TRY(mt_windows_push(&d->windows, rows, row_count));
    d->samples += (int64_t)count;
    d->features_ms += now_ms() - before;
    return run_complete(d);
}

motet_status motet_diarizer_push(motet_diarizer *d, const float *samples, size_t count)
{
    size_t piece = (size_t)lround(d->info.hop * d->info.sample_rate);
    while (count) {
        size_t now = count < piece ? count : piece;
        MT_TRY(push_piece(d, samples, now));
        samples += now;
        count -= now;
    }
    return MOTET_OK;
}

/* --- the end --------------------------------------------------------------------------------------------------- */

motet_status mt_diarizer_complete(motet_diarizer *d)
{
    if (d->complete) return MOTET_OK;
    d->complete = true;
    if (d->mel) {
        const float *rows;
        size_t count;
        MT_TRY(mt_mel_finish(d->mel, &rows, &count));
        MT_TRY(mt_windows_push(&d->windows, rows, count));
        MT_TRY(run_complete(d));
    }
    bool last;
    const float *rows;
    int64_t start;
    MT_TRY(mt_windows_finish(&d->windows, &last, &rows, &start));
    return last ? run_chunk(d, rows, start) : MOTET_OK;
}

mt_turn_rules mt_diarizer_turn_rules(const motet_diarizer *d)
{
    return mt_options_turns(&d->options, d->info.onset, d->info.frame, (double)d->samples / d->info.sample_rate);
}

static motet_status settle_all(motet_diarizer *d)
{
    MT_TRY(mt_diarizer_complete(d));
    if (d->provisional) mt_record_window_drop(&d->record);
    d->provisional = false;
    return settle_windows(d, INT64_MAX);
}

static motet_status conclude(motet_diarizer *d, motet_diarization **out)
{
    double before = now_ms();
    int speakers;
    MT_TRY(mt_speakers_assign(&d->record, &d->points, &d->rules, &speakers));
    mt_turn_rules rules = mt_diarizer_turn_rules(d);
    MT_TRY(mt_turns_make(&d->record, speakers, &rules, out));
    (*out)->final_ms = now_ms() - before;
    return MOTET_OK;
}

motet_status motet_diarizer_finish(motet_diarizer *d, motet_diarization **out)
{
    *out = NULL;
    motet_status status = settle_all(d);
    if (status == MOTET_OK) status = conclude(d, out);
    motet_diarizer_reset(d);
    return status;
}

motet_status motet_diarizer_keep(motet_diarizer *d, motet_heard **out)
{
    *out = NULL;
    motet_status status = settle_all(d);
    double duration = (double)d->samples / d->info.sample_rate;
    if (status == MOTET_OK)
        status = mt_heard_take(&d->record, &d->points, mt_listener_describe(d->listener), duration, out);
    motet_diarizer_reset(d);
    return status;
}

/* --- for a live session ---------------------------------------------------------------------------------------- */

motet_status mt_diarizer_follow(motet_diarizer *d, mt_follower follower, int (*leave_out)(void *user), void *user)
{
    size_t values = (size_t)d->windows.length * (size_t)d->windows.width;
    if (!d->early) d->early = mt_alloc_array(values, sizeof *d->early);
    if (!d->early) return mt_fail_memory(values * sizeof *d->early);
    d->follower = follower;
    d->leave_out = leave_out;
    d->follower_user = user;
    return MOTET_OK;
}

mt_record *mt_diarizer_record(motet_diarizer *d)
{
    return &d->record;
}

const mt_speaker_rules *mt_diarizer_rules(const motet_diarizer *d)
{
    return &d->rules;
}

double mt_diarizer_lookahead(const motet_diarizer *d)
{
    const mt_model_description *m = mt_listener_describe(d->listener);
    return m->log_mel ? (m->mel.frame_length - m->mel.frame_step) / 2.0 / m->sample_rate : 0;
}

motet_status mt_snapshot_take(const motet_diarizer *d, mt_snapshot *out)
{
    return mt_snapshot_make(&d->record, &d->points, d->settled, &d->rules, out);
}
