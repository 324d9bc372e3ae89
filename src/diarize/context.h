/* One person in several windows.
 *
 * Windows overlap, so the same speech is heard several times. Two voices of two windows that are active in the same
 * frames are the same person, whatever the vectors say, and the mean of their vectors is worth more than either alone.
 */
#ifndef MT_DIARIZE_CONTEXT_H
#define MT_DIARIZE_CONTEXT_H

#include <stdbool.h>

#include "diarize/record.h"

/* The unit vector of `voice` together with the voices of the windows around it that agree with it in the frames that
 * both windows cover, each weighted by its clean speech and by how well it agrees. vector: record->dims floats. */
void mt_context_vector(const mt_record *record, size_t voice, float *vector);

#endif
