/* Decoding, resampling and the diarizer, block by block. */
#include "recording.h"

#include "cli.h"
#include "motet/audio.h"

enum { BLOCK = 4096 };

static int on_signal(void *user)
{
    (void)user;
    return cli_interrupted();
}

static motet_status stream(motet_audio *audio, motet_resampler *resampler, motet_diarizer *diarizer)
{
    float block[BLOCK];
    for (;;) {
        size_t count, resampled;
        const float *samples;
        motet_status status = motet_audio_read(audio, block, BLOCK, &count);
        if (status == MOTET_OK)
            status = count ? motet_resampler_push(resampler, block, count, &samples, &resampled)
                           : motet_resampler_finish(resampler, &samples, &resampled);
        if (status == MOTET_OK) status = motet_diarizer_push(diarizer, samples, resampled);
        if (status != MOTET_OK || count == 0) return status;
        if (cli_interrupted()) return MOTET_ERROR_CANCELLED;
    }
}

/* Opens the recording and lets the diarizer hear all of it. */
static motet_status hear(const char *path, motet_diarizer *diarizer)
{
    motet_audio_options options;
    motet_audio *audio = NULL;
    motet_resampler *resampler = NULL;
    motet_audio_options_init(&options);
    options.interrupted = on_signal;
    motet_status status = motet_audio_open(path, &options, &audio);
    if (status == MOTET_OK)
        status = motet_resampler_create(motet_audio_describe(audio)->rate,
                                        motet_diarizer_describe(diarizer)->sample_rate, &resampler);
    if (status == MOTET_OK) status = stream(audio, resampler, diarizer);
    motet_resampler_destroy(resampler);
    motet_audio_close(audio);
    return status;
}

static bool done(const char *command, motet_diarizer *diarizer, motet_status status)
{
    if (status != MOTET_OK && !cli_interrupted()) cli_say(command, "%s", motet_error_message());
    motet_diarizer_reset(diarizer);
    return status == MOTET_OK;
}

bool recording_diarize(const char *command, const char *path, motet_diarizer *diarizer, motet_diarization **out)
{
    *out = NULL;
    motet_status status = hear(path, diarizer);
    if (status == MOTET_OK) status = motet_diarizer_finish(diarizer, out);
    return done(command, diarizer, status);
}

bool recording_hear(const char *command, const char *path, motet_diarizer *diarizer, motet_heard **out)
{
    *out = NULL;
    motet_status status = hear(path, diarizer);
    if (status == MOTET_OK) status = motet_diarizer_keep(diarizer, out);
    return done(command, diarizer, status);
}
