/* The filter banks that other people's speaker networks were trained on, over a piece of audio as a whole.
 *
 * Kaldi's (feature-fbank.cc; WeSpeaker, 3D-Speaker and most ONNX speaker networks): frames that lie wholly within the
 * piece, each without its mean and pre-emphasised on its own, triangles straight in mel.
 * NeMo's (FilterbankFeatures; TitaNet): the piece pre-emphasised as a whole, frames centred on multiples of the step
 * with zeros around the piece, triangles straight in Hz on Slaney's scale, of equal area. Both: logarithm of the power,
 * no dither. Normalising over time is the caller's. */
#ifndef MT_DSP_FBANK_H
#define MT_DSP_FBANK_H

#include <stddef.h>

#include "motet/status.h"

typedef struct mt_fbank mt_fbank;

typedef enum mt_fbank_kind { MT_FBANK_KALDI, MT_FBANK_NEMO } mt_fbank_kind;
typedef enum mt_fbank_window { MT_WINDOW_HAMMING, MT_WINDOW_POVEY, MT_WINDOW_HANN } mt_fbank_window;

typedef struct mt_fbank_options {
    mt_fbank_kind kind;
    mt_fbank_window window;
    int sample_rate;        /* Hz */
    int bins;               /* floats a frame */
    int frame_length;       /* samples under the window; the transform is of the next power of two */
    int frame_step;         /* samples from frame to frame */
    double low_hz, high_hz; /* the outer edges of the first and the last triangle */
    double scale;           /* samples are multiplied by it: 32768 makes 16-bit numbers of [-1, 1] */
} mt_fbank_options;

/* Errors: FORMAT (options that cannot be, with the one that is wrong: they come from a model's metadata), MEMORY. */
motet_status mt_fbank_create(const mt_fbank_options *options, mt_fbank **out);
void mt_fbank_destroy(mt_fbank *fbank); /* NULL is allowed */

/* Frames that a piece of `samples` gives. */
size_t mt_fbank_frames(const mt_fbank *fbank, size_t samples);

/* The sample that frame 0 is centred on; frame i is i steps further. */
size_t mt_fbank_centre(const mt_fbank *fbank);

/* out: mt_fbank_frames x bins natural logarithms, always finite. */
void mt_fbank_compute(mt_fbank *fbank, const float *samples, size_t count, float *out);

#endif
