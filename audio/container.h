/* What a container says about itself that libsndfile does not pass on: how long its sound should be. */
#ifndef MT_AUDIO_CONTAINER_H
#define MT_AUDIO_CONTAINER_H

#include <stdbool.h>
#include <stdint.h>

#include "audio/source.h"

/* A RIFF WAVE or AIFF file up to the start of its sound. */
typedef struct mt_container {
    bool big_endian;
    int encoding; /* SF_FORMAT_PCM_16, ...; 0 when the samples are not plain (ADPCM) or the file is no WAVE */
    int rate, channels;
    int64_t offset; /* of the sound's first byte */
    int64_t length; /* bytes of sound, as declared; -1 when the writer left it open */
} mt_container;

/* False when `source` is neither, or its chunks cannot be followed to the sound. */
bool mt_container_read(mt_source *source, mt_container *out);

/* Whether an Ogg file that has been read to its end, ends with a last page. */
bool mt_ogg_complete(mt_source *source);

#endif
