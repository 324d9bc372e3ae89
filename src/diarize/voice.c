#include "diarize/voice.h"

#include <math.h>

#include "diarize/record.h"

/* The threshold is for voices as they come, the similarity for means of many, which are more alike: the distance of one
 * person's is this much less, as our own models have it. */
static const double MEANS = 0.65;

motet_status mt_voice_describe(const mt_network *n, int *length, double *threshold, double *similarity)
{
    MT_TRY(mt_network_int(n, "motet.voice", 1, MT_MAX_VOICE, length));
    MT_TRY(mt_network_number(n, "motet.threshold", 0, 2, threshold));
    *similarity = 1 - MEANS * *threshold;
    return mt_network_maybe_number(n, "motet.similarity", -1, 1, similarity);
}

void mt_voice_read(const float *from, int length, float *to)
{
    double square = 0;
    for (int i = 0; i < length; i++) square += (double)from[i] * from[i];
    double scale = isfinite(square) && square > 0 ? 1 / sqrt(square) : 0;
    for (int i = 0; i < length; i++) to[i] = scale > 0 ? (float)(from[i] * scale) : 0;
}
