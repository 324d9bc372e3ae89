/* Agreement is the soft Jaccard index of the two activities over the common frames: sum of minima over sum of maxima.
 */
#include "diarize/context.h"

#include <math.h>

#include "diarize/agglomerate.h"

/* Below this two voices are not taken for one: a network that gives one person two slots in turn agrees with neither.
 */
static const float LEAST_AGREEMENT = 0.5f;

static float agreement(const mt_record *record, size_t a, int64_t a_start, size_t b, int64_t b_start)
{
    const uint8_t *x = mt_record_activity(record, a), *y = mt_record_activity(record, b);
    int shift = (int)(b_start - a_start), common = record->frames - (shift > 0 ? shift : -shift);
    if (shift > 0)
        x += shift;
    else
        y -= shift;
    int both = 0, either = 0;
    for (int t = 0; t < common; t++) {
        both += x[t] < y[t] ? x[t] : y[t];
        either += x[t] > y[t] ? x[t] : y[t];
    }
    return either > 0 ? (float)both / (float)either : 0;
}

static void add_vector(const mt_record *record, size_t voice, float weight, float *sum)
{
    const float *vector = mt_record_vector(record, voice);
    for (int d = 0; d < record->dims; d++) sum[d] += weight * vector[d];
}

/* Adds the voice of window w that agrees with `voice` best, of equal ones the more similar; false when the windows do
 * not overlap. One at most: two people who talk through each other agree with each other too. */
static bool add_window(const mt_record *record, size_t voice, size_t w, float *sum)
{
    int64_t mine = record->windows[record->voices[voice].window].start, other = record->windows[w].start;
    if (other - mine >= record->frames || mine - other >= record->frames) return false;
    size_t first, end, best = 0;
    float best_value = 0, best_agreement = 0;
    mt_record_voices_of(record, w, &first, &end);
    for (size_t v = first; v < end; v++) {
        float agreed = agreement(record, voice, mine, v, other);
        float alike = mt_dot(mt_record_vector(record, voice), mt_record_vector(record, v), record->dims);
        if (agreed < LEAST_AGREEMENT || agreed * (1 + alike) <= best_value) continue;
        best_value = agreed * (1 + alike);
        best_agreement = agreed;
        best = v;
    }
    if (best_value > 0) add_vector(record, best, best_agreement * record->voices[best].alone, sum);
    return true;
}

void mt_context_vector(const mt_record *record, size_t voice, float *vector)
{
    for (int d = 0; d < record->dims; d++) vector[d] = 0;
    add_vector(record, voice, record->voices[voice].alone + 0.01f, vector); /* its own, even if it is never alone */
    size_t at = (size_t)record->voices[voice].window;
    for (size_t w = at + 1; w < record->window_count && add_window(record, voice, w, vector); w++) continue;
    for (size_t w = at; w-- > 0 && add_window(record, voice, w, vector);) continue;
    double square = 0;
    for (int d = 0; d < record->dims; d++) square += (double)vector[d] * vector[d];
    for (int d = 0; d < record->dims && square > 0; d++) vector[d] = (float)(vector[d] / sqrt(square));
}
