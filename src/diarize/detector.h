/* A speech detector that takes its stream chunk by chunk and remembers what it heard (Silero VAD): it is fed each
 * sample once, however often windows overlap. */
#ifndef MT_DIARIZE_DETECTOR_H
#define MT_DIARIZE_DETECTOR_H

#include <stdint.h>

#include "diarize/network.h"

typedef struct mt_detector mt_detector;

/* Reads motet.frame_step (samples a chunk), .context (samples before the chunk that it is fed with again), .state and
 * .state_next (the input and the output that carry its memory), .input.rate (an input for the sample rate),
 * .input.audio and .output.activity. The network must outlive the detector. window: the most samples that a call of
 * read will have. */
motet_status mt_detector_create(const mt_network *network, int sample_rate, int window, mt_detector **out);
void mt_detector_destroy(mt_detector *detector); /* NULL is allowed */

/* The probability of speech in each `grid` samples of a window that begins with sample `start` of the stream. Windows
 * come in the order of the stream; one that brings nothing new, or begins beyond what was heard, begins anew. */
motet_status mt_detector_read(mt_detector *detector, const float *samples, int64_t start, int count, int grid,
                              float *probabilities);

#endif
