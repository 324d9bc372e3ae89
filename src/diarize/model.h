/* A diarizer network: an ONNX file that describes itself (models/README.md), and one run of it.
 *
 * Whatever the file calls its classes, what comes out is always the same: for each frame and local speaker the
 * probability that he is active, the probability that he is active alone, and a voice vector a local speaker. */
#ifndef MT_DIARIZE_MODEL_H
#define MT_DIARIZE_MODEL_H

#include <stdbool.h>

#include "diarize/record.h"
#include "dsp/mel.h"
#include "motet/session.h"

typedef struct mt_model mt_model;

typedef struct mt_model_description {
    const char *name, *version, *licence; /* "" when the file does not say */
    int sample_rate;
    int window;     /* samples */
    int frame_step; /* samples */
    int frames;     /* a window: window / frame_step */
    bool log_mel;   /* the input is log-mel frames; else samples */
    mt_mel_options mel;
    bool powerset;
    int classes;       /* of output `activity` */
    int speakers;      /* local speakers */
    int voice;         /* length of a voice vector */
    double threshold;  /* cosine distance */
    double similarity; /* cosine that makes two voices one person's */
} mt_model_description;

typedef struct mt_encoding {
    float *active, *alone; /* [frames][speakers] */
    float *voices;         /* [speakers][voice] */
} mt_encoding;

motet_status mt_model_open(const char *path, int threads, mt_model **out);
void mt_model_close(mt_model *model); /* NULL is allowed */
const mt_model_description *mt_model_describe(const mt_model *model);

/* Runs the network on one window: [mel frames][bins] or [samples]. The encoding belongs to the model and lasts until
 * its next run. */
motet_status mt_model_encode(mt_model *model, const float *input, const mt_encoding **out);

/* What it was last run on. */
const motet_tensor *mt_model_input(const mt_model *model);

#endif
