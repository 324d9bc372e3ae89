/* Who is who while the recording runs.
 *
 * With every window the voices heard so far are clustered anew, by the same cut as at the end: old ones as points that
 * stand for many, those of the last seconds one by one. The clusters of now are then matched with the speakers known so
 * far, by the voices they share, so that a speaker keeps his number however the clusters move:
 *   - a cluster that shares nothing with anybody is a new speaker, once there is enough of it;
 *   - a part that has come away from its speaker is a new speaker too (a split);
 *   - a speaker whose voices have lain in somebody else's cluster for a while is merged into him, for good.
 * At last the voices of the latest windows are given to the nearest speakers, those of one window to different ones. */
#ifndef MT_LIVE_TRACKER_H
#define MT_LIVE_TRACKER_H

#include <stdbool.h>

#include "diarize/record.h"
#include "diarize/speakers.h"

typedef struct mt_identity {
    float weight;    /* seconds of clean voice in all windows together */
    int merged_into; /* -1: stands for himself */
    int pending;     /* windows in a row for which his voices have lain with somebody else */
} mt_identity;

/* The mean voice of every speaker who stands for himself and has any. */
typedef struct mt_mean_voices {
    int count;
    float *vectors; /* dims each, unit length */
    int *speakers;  /* whose they are */
} mt_mean_voices;

typedef struct mt_tracker {
    mt_speaker_rules rules;
    float evidence;   /* seconds of clean voice, as windows sum it up, that make a new speaker */
    int patience;     /* windows that a merge has to last */
    mt_points points; /* voices of windows that meet no later window */
    int *owners;      /* the speaker of each point, -1: nobody's */
    size_t owner_capacity, settled;
    mt_identity *speakers;
    int speaker_count;
    size_t speaker_capacity;
    mt_mean_voices means; /* as of the last window */
} mt_tracker;

/* window_hops: how many hops a window is long. */
void mt_tracker_init(mt_tracker *tracker, int dims, const mt_speaker_rules *rules, double window_hops);
void mt_tracker_free(mt_tracker *tracker); /* leaves it as after mt_tracker_init */

/* Takes the window that went on record last, and sets `speaker` of the voices of the windows from `from` on. */
motet_status mt_tracker_window(mt_tracker *tracker, mt_record *record, size_t from);

/* Takes over what a global pass has made of the windows that were on record then (`passed`, whose voices have speakers
 * 0 .. speakers - 1), all of them settled by now: its speakers are matched with those known, and its clusters replace
 * the points. */
motet_status mt_tracker_adopt(mt_tracker *tracker, const mt_record *record, const mt_record *passed, int speakers);

/* The speaker that stands for `speaker` now. */
int mt_tracker_stands_for(const mt_tracker *tracker, int speaker);

#endif
