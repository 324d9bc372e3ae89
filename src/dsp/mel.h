/* The log-mel front end that models/README.md defines: samples go in as they come, frames come out as soon as all of
 * their samples are there.
 *
 * Frame i is the frame_length samples from i * frame_step - (frame_length - frame_step) / 2 of the stream, zeros
 * outside it, so that it is centred on the step that it stands for. A stream of n samples has ceil(n / frame_step)
 * frames. The bytes that come out do not depend on how the samples were cut. */
#ifndef MT_DSP_MEL_H
#define MT_DSP_MEL_H

#include <stddef.h>

#include "motet/status.h"

typedef struct mt_mel mt_mel;

typedef struct mt_mel_options {
    int sample_rate;        /* Hz */
    int bins;               /* triangles: floats a frame */
    int frame_length;       /* samples under the window */
    int frame_step;         /* samples from frame to frame; at most frame_length */
    int fft;                /* points of the transform; at least frame_length */
    double low_hz, high_hz; /* the outer edges of the first and the last triangle */
    double floor;           /* power below it counts as it; > 0 */
} mt_mel_options;

/* Errors: FORMAT (options that cannot be, with the one that is wrong: they come from a model's metadata), MEMORY. */
motet_status mt_mel_create(const mt_mel_options *options, mt_mel **out);
void mt_mel_destroy(mt_mel *mel); /* NULL is allowed */

/* Takes `count` samples in [-1, 1] and hands back the frames that they complete: *frames points to *frame_count x bins
 * natural logarithms, always finite, owned by `mel` and valid until its next call. Errors: MEMORY. */
motet_status mt_mel_push(mt_mel *mel, const float *samples, size_t count, const float **frames, size_t *frame_count);

/* The end of the stream: hands back the frames that are left. The next push begins a new stream. Errors: MEMORY. */
motet_status mt_mel_finish(mt_mel *mel, const float **frames, size_t *frame_count);

/* A stream of its own: the frames of `count` samples, a multiple of frame_step, to frames[count / frame_step][bins].
 * Errors: MEMORY. */
motet_status mt_mel_window(mt_mel *mel, const float *samples, size_t count, float *frames);

/* Forgets the stream under way. */
void mt_mel_reset(mt_mel *mel);

#endif
