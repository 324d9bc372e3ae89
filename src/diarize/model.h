/* What listens: an ONNX file that describes itself (models/README.md), and one run of it on a window.
 *
 * It is a diarizer (activity of local speakers and a voice vector for each), a segmentation (activity alone), or a
 * speech detector (activity of one local speaker, whoever speaks). Whatever the file calls its classes, what comes out
 * is always the same: for each frame and local speaker the probability that he is active and that he is active alone,
 * and, of a diarizer, a voice vector a local speaker. */
#ifndef MT_DIARIZE_MODEL_H
#define MT_DIARIZE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "diarize/record.h"
#include "dsp/mel.h"
#include "motet/session.h"

typedef struct mt_model mt_model;

typedef struct mt_model_description {
    const char *name, *version, *licence; /* "" when the file does not say */
    int sample_rate;
    int window;     /* samples */
    int frame_step; /* samples that a frame of the encoding stands for */
    int frames;     /* a window: window / frame_step */
    bool log_mel;   /* the input is log-mel frames; else samples */
    mt_mel_options mel;
    double onset;      /* the share of the windows' votes that makes speech, where nobody asks for another */
    int speakers;      /* local speakers */
    int voice;         /* length of a voice vector; 0: it gives none */
    double threshold;  /* cosine distance; these two only of those that give voices */
    double similarity; /* cosine that makes two voices one person's */
} mt_model_description;

typedef struct mt_encoding {
    float *active, *alone; /* [frames][speakers] */
    float *voices;         /* [speakers][voice], unit length */
} mt_encoding;

/* window: samples, for a speech detector, which has none of its own; 0: 1.5 s. */
motet_status mt_model_open(const char *path, int threads, int window, mt_model **out);
void mt_model_close(mt_model *model); /* NULL is allowed */
const mt_model_description *mt_model_describe(const mt_model *model);

/* Runs the network on one window: [mel frames][bins] or [samples], which begins with sample `start` of the stream
 * (detectors remember). The encoding belongs to the model and lasts until its next run. */
motet_status mt_model_encode(mt_model *model, const float *input, int64_t start, const mt_encoding **out);

/* What it was last run on; NULL of a detector. */
const motet_tensor *mt_model_input(const mt_model *model);

#endif
