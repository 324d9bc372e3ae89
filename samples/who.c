/* Who spoke when, in sixty lines on the public API.
 *
 *     cc who.c $(pkg-config --cflags --libs motet) -o who
 *     ./who models/motet-cnn.onnx conversation.flac */
#include <stdio.h>

#include <motet/motet.h>

static int fail(void)
{
    fprintf(stderr, "who: %s\n", motet_error_message());
    return 1;
}

/* Decodes, resamples and diarizes in blocks: however long the recording, little of it is in memory at a time. */
static motet_status listen(motet_audio *audio, motet_resampler *resampler, motet_diarizer *diarizer)
{
    float block[4096];
    const float *samples;
    for (;;) {
        size_t count, resampled;
        motet_status status = motet_audio_read(audio, block, sizeof block / sizeof *block, &count);
        if (status == MOTET_OK)
            status = count ? motet_resampler_push(resampler, block, count, &samples, &resampled)
                           : motet_resampler_finish(resampler, &samples, &resampled);
        if (status == MOTET_OK) status = motet_diarizer_push(diarizer, samples, resampled);
        if (status != MOTET_OK || count == 0) return status;
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: who MODEL RECORDING\n");
        return 2;
    }
    motet_diarize_options options;
    motet_diarize_options_init(&options);
    options.model = argv[1];

    motet_diarizer *diarizer = NULL;
    motet_audio *audio = NULL;
    motet_resampler *resampler = NULL;
    motet_diarization *result = NULL;
    motet_status status = motet_diarizer_create(&options, &diarizer);
    if (status == MOTET_OK) status = motet_audio_open(argv[2], NULL, &audio);
    if (status == MOTET_OK)
        status = motet_resampler_create(motet_audio_describe(audio)->rate,
                                        motet_diarizer_describe(diarizer)->sample_rate, &resampler);
    if (status == MOTET_OK) status = listen(audio, resampler, diarizer);
    if (status == MOTET_OK) status = motet_diarizer_finish(diarizer, &result);

    for (size_t i = 0; status == MOTET_OK && i < result->turn_count; i++) {
        const motet_turn *turn = &result->turns[i];
        printf("%8.2f %8.2f  %s\n", turn->start, turn->end, result->speakers[turn->speaker].label);
    }
    motet_diarization_destroy(result);
    motet_resampler_destroy(resampler);
    motet_audio_close(audio);
    motet_diarizer_destroy(diarizer);
    return status == MOTET_OK ? 0 : fail();
}
