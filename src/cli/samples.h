/* Samples of what a model will meet, for its quantisation: from recordings and arrays. */
#ifndef MOTET_CLI_SAMPLES_H
#define MOTET_CLI_SAMPLES_H

#include "model.h"

enum { SAMPLES_MAX_PATHS = 256 };

typedef struct samples {
    const char *command;
    const char *paths[SAMPLES_MAX_PATHS]; /* files, and folders of files */
    size_t path_count;
    int most;    /* that are kept */
    int threads; /* for what reads recordings */

    motet_tensor **kept; /* for the model's first input */
    size_t count, seen, stride;
    const model_values *inputs; /* what the others are fed; the first, too, where nothing is kept */
} samples;

/* Reads all of the paths for the model at `path`, open as `session`; its inputs are fed from `inputs` otherwise, which
 * must stay. False, and said, when that cannot be. Recordings become what the model hears of them: the windows of a
 * diarizer model, or else pieces of samples at 16 kHz, as many as its first input takes. An array is a sample, or, with
 * a first axis where the model has batches, as many. Of more than `most` samples those that stay are evenly spread. */
bool samples_read(samples *s, const char *path, const motet_session *session, const model_values *inputs);

void samples_clear(samples *s);

/* How many there are, and what sample `index` feeds: a motet_quantize_sample whose context is the samples. */
size_t samples_count(const samples *s);
motet_status samples_take(void *context, size_t index, const motet_tensor **inputs);

#endif
