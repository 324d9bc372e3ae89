/* From voices to speakers: which voices of the windows belong to one person, and how many persons there are.
 *
 * While the recording runs, voices with enough clean speech become points of a clustering; when there are too many,
 * close ones are folded together, so that memory and time stay bounded however long it runs. At the end the points are
 * clustered, the cut of the dendrogram is chosen (by the threshold, or by the number of speakers that was asked for),
 * clusters whose mean voices are one person's join, clusters with little speech are dissolved, and every voice, also
 * the short ones, goes to the speaker it is nearest to, two voices of one window to two speakers where possible.
 *
 * Why two cuts: voices scatter around a person's mean, and average linkage counts that scatter as distance. It must
 * while clusters are small, or mixtures of voices would bridge people. But a person who is heard for long in several
 * ways (tones, rooms, topics) falls into clusters that are tight, large and apart, and their means, in which the
 * scatter is gone, tell far better whose they are. The second cut goes by those, as `motet identify` does. */
#ifndef MT_DIARIZE_SPEAKERS_H
#define MT_DIARIZE_SPEAKERS_H

#include "diarize/agglomerate.h"
#include "diarize/record.h"

typedef struct mt_speaker_rules {
    float threshold;    /* cosine distance at which clustering stops */
    float one_person;   /* cosine distance of mean voices up to which clusters are joined in the end */
    int min, max;       /* speakers; 0: no bound; equal: exactly so many */
    float min_clean;    /* seconds a voice needs to take part in the clustering */
    float min_speech;   /* seconds of clean voice, in all windows together, that a cluster needs to stand as a speaker
                           (more of them in long recordings) ... */
    float min_share;    /* ... or this share of all of it, whichever is less */
    float same_penalty; /* how much similarity it must gain to put two voices of a window to one speaker */
} mt_speaker_rules;

/* Takes the voices of window w into the clustering; the windows that overlap it should be on record by then. */
motet_status mt_speakers_window(mt_record *record, size_t w, mt_points *points, const mt_speaker_rules *rules);

/* Where the points stand so far: labels[i] = 0 .. *clusters - 1 for each of them, by the same cuts as at the end. */
motet_status mt_speakers_cut(const mt_points *points, const mt_speaker_rules *rules, int *labels, int *clusters);

/* Gives the voices of window w to the nearest of `count` speakers, as at the end. vectors: record->dims floats each,
 * unit length. */
void mt_speakers_place(mt_record *record, size_t w, const float *vectors, int count, const mt_speaker_rules *rules);

/* Sets `speaker` of every voice (0 .. *count - 1). Uses up the points. */
motet_status mt_speakers_assign(mt_record *record, mt_points *points, const mt_speaker_rules *rules, int *count);

#endif
