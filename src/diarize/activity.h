/* What a network says frame by frame, as probabilities: whatever its classes are (multi-label, powerset), whatever its
 * values are (probabilities, their logarithms, logits), and however its frames lie in the window. */
#ifndef MT_DIARIZE_ACTIVITY_H
#define MT_DIARIZE_ACTIVITY_H

#include "diarize/network.h"

enum { MT_MAX_LOCAL_SPEAKERS = 4, MT_MAX_CLASSES = 16 };

typedef struct mt_activity {
    bool powerset;
    int values;                            /* 0: probabilities, 1: their natural logarithms, 2: logits */
    int classes;                           /* values a frame */
    int speakers;                          /* local speakers */
    int frames;                            /* the network's, of a window */
    double step;                           /* samples from one of them to the next */
    double first;                          /* the sample that the first one is centred on */
    int grid;                              /* samples that a frame on record stands for ... */
    int grid_frames;                       /* ... and how many there are in a window */
    unsigned char members[MT_MAX_CLASSES]; /* powerset: bit k of class c says that speaker k is in it */
} mt_activity;

/* Reads motet.activity, .speakers, .overlap, .values, .frames, .frame_step and .frame_first. The frames on record are
 * the network's where those divide the window, else of 20 ms. */
motet_status mt_activity_describe(const mt_network *network, int sample_rate, int window, mt_activity *out);

/* output: [frames][classes]. active, alone: [grid_frames][speakers], the probability that a speaker is active, and that
 * nobody else is. Values that are not finite count as 0. */
void mt_activity_read(const mt_activity *activity, const float *output, float *active, float *alone);

#endif
