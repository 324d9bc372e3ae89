/* One known voice, as known.c sees it. The file format is in motet/voices.h. */
#ifndef MT_DIARIZE_VOICEPRINT_H
#define MT_DIARIZE_VOICEPRINT_H

#include "core/status.h"
#include "motet/voices.h"

struct motet_voiceprint {
    char name[MOTET_MAX_NAME + 1];
    char *model_name, *model_version, *model_identity;
    double seconds;
    int dims;   /* 0: nothing added yet */
    float *sum; /* of unit vectors, each times its weight */
};

/* The network that a diarizer's voices come from. */
typedef struct mt_voice_model {
    const char *name, *version;
} mt_voice_model;

mt_voice_model mt_voices_of(const motet_diarizer_info *info);

/* Reads a file; its vector is of unit length. The model is whatever the file says. Errors: IO, FORMAT, MEMORY, all
 * naming the file. */
motet_status mt_voiceprint_read(const char *path, motet_voiceprint **out);

#endif
