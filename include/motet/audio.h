/* Audio in: any file libsndfile reads, raw PCM or WAV from a pipe, as mono float at the rate that is asked for.
 *
 * Everything streams: an hour-long file is never whole in memory. */
#ifndef MOTET_AUDIO_H
#define MOTET_AUDIO_H

#include <stdint.h>

#include "motet/status.h"
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- reading ------------------------------------------------------------------------------------------------- */

typedef struct motet_audio motet_audio;

enum { MOTET_CHANNEL_MIX = -1 };

typedef struct motet_audio_options {
    int channel;  /* MOTET_CHANNEL_MIX: the mean of all channels (default); 0, 1, ...: that one alone */
    int raw_rate; /* > 0: the input is headerless signed 16-bit little-endian PCM at this rate; 0 (default): a format
                     with a header */
    int raw_channels;               /* channels of such raw input (default 1) */
    int (*interrupted)(void *user); /* asked when a signal comes while a read waits: other than 0 ends the reading with
                                       CANCELLED; NULL (default): it goes on waiting */
    void *user;                     /* handed to it */
} motet_audio_options;

MOTET_API void motet_audio_options_init(motet_audio_options *options);

typedef struct motet_audio_info {
    int rate;           /* Hz, as stored */
    int channels;       /* as stored */
    int64_t frames;     /* samples a channel; -1 when it cannot be known (a pipe) */
    const char *format; /* "FLAC", "WAV (Microsoft)", ...; owned by the motet_audio */
} motet_audio_info;

/* Opens `path`; "-" is standard input. options NULL takes the defaults.
 * Errors: IO (missing, unreadable), FORMAT (not audio, or damaged at its start), ARGUMENT (no such channel), MEMORY. */
MOTET_API MOTET_CHECKED motet_status motet_audio_open(const char *path, const motet_audio_options *options,
                                                      motet_audio **out);
MOTET_API void motet_audio_close(motet_audio *audio); /* NULL is allowed */
MOTET_API const motet_audio_info *motet_audio_describe(const motet_audio *audio);

/* Reads up to `capacity` mono samples, nominally in [-1, 1], at the stored rate; *count is 0 at the end.
 * NaN and infinite samples become 0 and are counted by motet_audio_repaired.
 * Errors: FORMAT (damaged or truncated: samples read before it have been delivered; the message says at which second),
 * IO. */
MOTET_API MOTET_CHECKED motet_status motet_audio_read(motet_audio *audio, float *samples, size_t capacity,
                                                      size_t *count);

/* How many NaN or infinite samples have been replaced by silence so far. */
MOTET_API int64_t motet_audio_repaired(const motet_audio *audio);

/* --- resampling ---------------------------------------------------------------------------------------------- */

typedef struct motet_resampler motet_resampler;

/* A streaming converter from `from` to `to` Hz (8000 to 768000 and 8000 to 192000; equal rates pass samples through
 * unchanged). Pass-band flat to 0.1 dB up to 7/16 of the lower rate; images and aliases below -90 dB.
 * Delay is compensated: output sample 0 stands at the time of input sample 0.
 * The bytes that come out do not depend on how the input was cut. Errors: ARGUMENT, MEMORY. */
MOTET_API MOTET_CHECKED motet_status motet_resampler_create(int from, int to, motet_resampler **out);
MOTET_API void motet_resampler_destroy(motet_resampler *resampler); /* NULL is allowed */

/* Takes `count` samples and hands back what they complete: *out points to *out_count samples owned by the resampler,
 * valid until its next call. Errors: MEMORY. */
MOTET_API MOTET_CHECKED motet_status motet_resampler_push(motet_resampler *resampler, const float *samples,
                                                          size_t count, const float **out, size_t *out_count);

/* The end of the input: hands back the rest, so that in total round(n * to / from) samples came out. */
MOTET_API MOTET_CHECKED motet_status motet_resampler_finish(motet_resampler *resampler, const float **out,
                                                            size_t *out_count);

/* --- recording ------------------------------------------------------------------------------------------------- */

typedef struct motet_recorder motet_recorder;

/* Records to a FLAC file, 16 bits, 1 to 8 channels. A thread of its own writes, so that a slow disk stops nobody; what
 * it has written is in the file block by block (a quarter of a second at 16 kHz) and flushed to the disk every few
 * seconds: a file that was never closed can be read up to there. Errors: IO (naming the path and why), ARGUMENT,
 * MEMORY. */
MOTET_API MOTET_CHECKED motet_status motet_recorder_create(const char *path, int rate, int channels,
                                                           motet_recorder **out);

/* Takes samples of one channel, in [-1, 1] (clipped); they are written once all channels have as many. Never waits.
 * Errors: MEMORY; IO, with the reason, when the file could not be written or is a minute behind; the recording has then
 * ended where it was. */
MOTET_API MOTET_CHECKED motet_status motet_recorder_write(motet_recorder *recorder, int channel, const float *samples,
                                                          size_t count);

/* Writes what is left (a shorter channel ends in silence), closes the file and frees the recorder. Errors: IO. NULL is
 * allowed. */
MOTET_API MOTET_CHECKED motet_status motet_recorder_close(motet_recorder *recorder);

#ifdef __cplusplus
}
#endif
#endif
