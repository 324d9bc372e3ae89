/* A recording from its file to its diarization: decoding, resampling and the diarizer, block by block. */
#ifndef MOTET_CLI_RECORDING_H
#define MOTET_CLI_RECORDING_H

#include "motet/audio.h"
#include "motet/diarize.h"

typedef struct recording {
    const char *command, *path; /* for messages */
    motet_diarizer *diarizer;
    bool partial; /* what can be read of a damaged file is enough */

    motet_audio *audio;
    motet_resampler *resampler;
    double decode_ms, resample_ms; /* spent since somebody set them to 0 */
    double peak;                   /* loudest sample, 0 to 1 and beyond */
    int64_t samples, clipped;
    bool damaged; /* and read as far as it went */
    bool told;    /* what went wrong has been said */
} recording;

/* Opens the file. What fails here and below is said by motet_error_message, unless `told`. */
motet_status recording_open(recording *r, const motet_audio_options *options);

/* Streams it through the diarizer, to its end or to a signal. */
motet_status recording_stream(recording *r);

/* The diarizer is ready for another one. */
void recording_close(recording *r);

/* All of it at once. *out is owned by the caller. False when it failed, which has been said, or was interrupted. */
bool recording_diarize(const char *command, const char *path, motet_diarizer *diarizer, motet_diarization **out);

/* The same, but for the conclusions. */
bool recording_hear(const char *command, const char *path, motet_diarizer *diarizer, motet_heard **out);

#endif
