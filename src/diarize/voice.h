/* Voice vectors, whichever network they come from. */
#ifndef MT_DIARIZE_VOICE_H
#define MT_DIARIZE_VOICE_H

#include "diarize/network.h"

/* Reads motet.voice (length), .threshold and .similarity. */
motet_status mt_voice_describe(const mt_network *network, int *length, double *threshold, double *similarity);

/* A vector at unit length; one that is not finite, or nothing, becomes zero, which is near to nobody. */
void mt_voice_read(const float *from, int length, float *to);

#endif
