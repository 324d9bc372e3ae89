/* See activity.h. Plaquet and Bredin 2023, "Powerset multi-class cross entropy loss for neural speaker diarization": a
 * speaker's probability is the sum over the classes he is in. */
#include "diarize/activity.h"

#include <math.h>
#include <string.h>

enum { PROBABILITIES, LOGARITHMS, LOGITS };

/* --- the description ------------------------------------------------------------------------------------------- */

/* The classes of a powerset in their order: by size, then by members. */
static int list_powerset(int speakers, int overlap, unsigned char *members)
{
    int classes = 0;
    members[classes++] = 0;
    for (int a = 0; a < speakers; a++) members[classes++] = (unsigned char)(1 << a);
    for (int a = 0; a < speakers && overlap >= 2; a++)
        for (int b = a + 1; b < speakers; b++) members[classes++] = (unsigned char)(1 << a | 1 << b);
    return classes;
}

static motet_status describe_classes(const mt_network *n, mt_activity *a)
{
    static const char *const kinds[] = {"powerset", "multilabel", NULL};
    static const char *const values[] = {"probabilities", "log-probabilities", "logits", NULL};
    int overlap = 0, kind = 0;
    MT_TRY(mt_network_choice(n, "motet.activity", kinds, false, &kind));
    MT_TRY(mt_network_int(n, "motet.speakers", 1, MT_MAX_LOCAL_SPEAKERS, &a->speakers));
    a->powerset = kind == 0;
    a->values = a->powerset ? LOGARITHMS : PROBABILITIES;
    if (mt_network_says(n, "motet.values")) MT_TRY(mt_network_choice(n, "motet.values", values, false, &a->values));
    a->classes = a->speakers;
    if (!a->powerset) return MOTET_OK;
    MT_TRY(mt_network_int(n, "motet.overlap", 1, 2, &overlap));
    a->classes = list_powerset(a->speakers, overlap, a->members);
    return MOTET_OK;
}

motet_status mt_activity_describe(const mt_network *n, int sample_rate, int window, mt_activity *a)
{
    int step = 0;
    *a = (mt_activity){0};
    MT_TRY(describe_classes(n, a));
    MT_TRY(mt_network_int(n, "motet.frame_step", 1, window, &step));
    a->step = step;
    a->first = step / 2.0;
    a->frames = window / step;
    MT_TRY(mt_network_maybe_int(n, "motet.frames", 1, window, &a->frames));
    MT_TRY(mt_network_maybe_number(n, "motet.frame_first", 0, window, &a->first));
    bool exact = a->frames * (int64_t)step == window && !mt_network_says(n, "motet.frame_first");
    a->grid = exact ? step : sample_rate / 50;
    a->grid_frames = window / a->grid;
    if (window % a->grid == 0) return MOTET_OK;
    return mt_fail(MOTET_ERROR_UNSUPPORTED, "motet.frame_step %d must divide motet.window %d, or 20 ms must", step,
                   window);
}

/* --- one frame ------------------------------------------------------------------------------------------------- */

static float clamp_probability(float p)
{
    return p > 0 ? (p < 1 ? p : 1) : 0; /* NaN: 0 */
}

/* The classes' probabilities; logits by softmax where classes exclude each other, by the logistic function elsewhere.
 */
static void find_probabilities(const mt_activity *a, const float *values, float *p)
{
    float highest = values[0], sum = 0;
    for (int c = 1; c < a->classes; c++) highest = values[c] > highest ? values[c] : highest;
    for (int c = 0; c < a->classes; c++) {
        if (a->values == PROBABILITIES)
            p[c] = values[c];
        else if (a->values == LOGARITHMS)
            p[c] = expf(values[c]);
        else if (a->powerset)
            sum += p[c] = expf(values[c] - highest);
        else
            p[c] = 1 / (1 + expf(-values[c]));
    }
    for (int c = 0; c < a->classes; c++) p[c] = clamp_probability(sum > 0 ? p[c] / sum : p[c]);
}

static void read_powerset(const mt_activity *a, const float *p, float *active, float *alone)
{
    for (int k = 0; k < a->speakers; k++) active[k] = alone[k] = 0;
    for (int c = 1; c < a->classes; c++)
        for (int k = 0; k < a->speakers; k++) {
            if (!(a->members[c] >> k & 1)) continue;
            active[k] = clamp_probability(active[k] + p[c]);
            if (a->members[c] == 1 << k) alone[k] = p[c];
        }
}

static void read_multilabel(const mt_activity *a, const float *p, float *active, float *alone)
{
    for (int k = 0; k < a->speakers; k++) {
        active[k] = alone[k] = p[k];
        for (int j = 0; j < a->speakers; j++)
            if (j != k) alone[k] *= 1 - p[j];
    }
}

/* The network's frame whose centre is nearest to that of frame t on record. */
static int nearest_frame(const mt_activity *a, int t)
{
    double at = floor((((double)t + 0.5) * a->grid - a->first) / a->step + 0.5);
    return at < 0 ? 0 : at >= a->frames ? a->frames - 1 : (int)at;
}

void mt_activity_read(const mt_activity *a, const float *output, float *active, float *alone)
{
    float p[MT_MAX_CLASSES];
    for (int t = 0; t < a->grid_frames; t++, active += a->speakers, alone += a->speakers) {
        find_probabilities(a, output + (size_t)nearest_frame(a, t) * (size_t)a->classes, p);
        (a->powerset ? read_powerset : read_multilabel)(a, p, active, alone);
    }
}
