/* Agglomerative clustering of voices, average linkage on cosine distance, with soft cannot-links.
 *
 * A point stands for one voice or for several that were folded together: `sum` is the sum of their unit vectors, each
 * times its weight, and `weight` the sum of the weights (seconds of clean speech). Two points are as far apart as their
 * vectors are on average, 1 - sum_a.sum_b / (weight_a weight_b), and merging two points is adding their sums. The
 * average keeps the scatter within both: a cluster of voices that are mixtures stays away from the speakers that it
 * mixes.
 *
 * Two voices of one window are two people, unless the network split one of them in two. So a cannot-link is a penalty,
 * in proportion to how much of the smaller cluster stands against the bigger one: a stray split is outvoted, two people
 * who are heard together again and again never merge. */
#ifndef MT_DIARIZE_AGGLOMERATE_H
#define MT_DIARIZE_AGGLOMERATE_H

#include <stddef.h>

#include "core/status.h"

typedef struct mt_link {
    int a, b;     /* points */
    float weight; /* the smaller of the two voices' weights, summed over the windows that hold both */
} mt_link;

typedef struct mt_points {
    int count, dims;
    float *sums; /* dims a point */
    float *weights;
    mt_link *links;
    size_t link_count;
    size_t sum_capacity, weight_capacity, link_capacity;
} mt_points;

void mt_points_free(mt_points *points); /* keeps dims */
motet_status mt_points_copy(const mt_points *points, mt_points *out);
motet_status mt_points_add(mt_points *points, const float *unit_vector, float weight);
motet_status mt_points_link(mt_points *points, int a, int b, float weight);

/* One step of the dendrogram: cluster `gone` joins cluster `kept` (both named by their first point). */
typedef struct mt_merge {
    int kept, gone;
    float distance;
} mt_merge;

/* The whole dendrogram: count - 1 merges in order. merges: room for count. */
motet_status mt_agglomerate(const mt_points *points, mt_merge *merges);

/* labels[i] = 0 .. *clusters - 1 after the first `steps` merges, numbered by their first points. */
void mt_cut(const mt_merge *merges, int steps, int count, int *labels, int *clusters);

/* Replaces points by the clusters of `labels`, and links by links between those. */
motet_status mt_points_fold(mt_points *points, const int *labels, int clusters);

/* Replaces the sum of every point by its direction, times its weight: from now on the average is that of one voice,
 * the mean of all that the point stands for, and its scatter counts no more. */
void mt_points_settle(mt_points *points);

float mt_dot(const float *a, const float *b, int n);
void mt_normalize(float *vector, int n); /* to unit length, unless it is 0 */

#endif
