/* The time of each step is counted, for whoever charges it to the chunk it leads to. */
#include "recording.h"

#include <math.h>

#include "cli.h"
#include "progress.h"

enum { BLOCK = 4096 }; /* samples read at a time */

/* Says in the terms of the command line why this recording cannot be taken. */
static motet_status refuse(recording *r, const char *why, int number)
{
    cli_say(r->command, "%s: %s %d", r->path, why, number);
    r->told = true;
    return MOTET_ERROR_ARGUMENT;
}

motet_status recording_open(recording *r, const motet_audio_options *options)
{
    motet_status status = motet_audio_open(r->path, options, &r->audio);
    if (status == MOTET_ERROR_ARGUMENT && options->channel != MOTET_CHANNEL_MIX)
        return refuse(r, "it has no channel", options->channel + 1);
    if (status != MOTET_OK) return status;
    int rate = motet_audio_describe(r->audio)->rate;
    status = motet_resampler_create(rate, motet_diarizer_describe(r->diarizer)->sample_rate, &r->resampler);
    if (status == MOTET_ERROR_ARGUMENT)
        return refuse(r, "sample rates from 8000 to 768000 Hz can be used, and its is", rate);
    return status;
}

static void watch_level(recording *r, const float *samples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        double level = fabs((double)samples[i]);
        if (level > r->peak) r->peak = level;
        r->clipped += level >= 0.999;
    }
    r->samples += (int64_t)count;
}

/* Reads a block, or what is left. A damaged file ends here when what there was is enough. */
static motet_status read_block(recording *r, float *samples, size_t *count)
{
    double before = monotonic_seconds();
    motet_status status = motet_audio_read(r->audio, samples, BLOCK, count);
    r->decode_ms += (monotonic_seconds() - before) * 1e3;
    if (status == MOTET_ERROR_FORMAT && r->partial) {
        cli_say(r->command, "%s; going on with what could be read", motet_error_message());
        r->damaged = true;
        *count = 0;
        return MOTET_OK;
    }
    if (status == MOTET_OK) watch_level(r, samples, *count);
    return status;
}

motet_status recording_stream(recording *r)
{
    float block[BLOCK];
    for (;;) {
        size_t count;
        motet_status status = read_block(r, block, &count);
        if (status != MOTET_OK) return status;
        const float *samples;
        size_t resampled;
        double before = monotonic_seconds();
        status = count ? motet_resampler_push(r->resampler, block, count, &samples, &resampled)
                       : motet_resampler_finish(r->resampler, &samples, &resampled);
        r->resample_ms += (monotonic_seconds() - before) * 1e3;
        if (status == MOTET_OK) status = motet_diarizer_push(r->diarizer, samples, resampled);
        if (status != MOTET_OK || count == 0) return status;
        if (cli_interrupted()) return MOTET_ERROR_CANCELLED;
    }
}

void recording_close(recording *r)
{
    motet_diarizer_reset(r->diarizer);
    motet_resampler_destroy(r->resampler);
    motet_audio_close(r->audio);
    r->resampler = NULL;
    r->audio = NULL;
}

static int on_signal(void *user)
{
    (void)user;
    return cli_interrupted();
}

/* Opens the recording and lets the diarizer hear all of it. */
static motet_status hear(recording *r)
{
    motet_audio_options options;
    motet_audio_options_init(&options);
    options.interrupted = on_signal;
    motet_status status = recording_open(r, &options);
    return status == MOTET_OK ? recording_stream(r) : status;
}

static bool done(recording *r, motet_status status)
{
    if (status != MOTET_OK && !cli_interrupted() && !r->told) cli_say(r->command, "%s", motet_error_message());
    recording_close(r);
    return status == MOTET_OK;
}

bool recording_diarize(const char *command, const char *path, motet_diarizer *diarizer, motet_diarization **out)
{
    recording r = {.command = command, .path = path, .diarizer = diarizer};
    *out = NULL;
    motet_status status = hear(&r);
    if (status == MOTET_OK) status = motet_diarizer_finish(diarizer, out);
    return done(&r, status);
}

bool recording_hear(const char *command, const char *path, motet_diarizer *diarizer, motet_heard **out)
{
    recording r = {.command = command, .path = path, .diarizer = diarizer};
    *out = NULL;
    motet_status status = hear(&r);
    if (status == MOTET_OK) status = motet_diarizer_keep(diarizer, out);
    return done(&r, status);
}
