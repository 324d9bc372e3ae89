/* The generic agglomerative algorithm with cached nearest neighbours (Müllner 2011, "Modern hierarchical, agglomerative
 * clustering algorithms"), because the cannot-link penalty makes the distance non-reducible and rules the chain out.
 * Dot products and links add up under merging, so a merge updates one row; time is about n^2, memory 2 n^2 floats. */
#include "diarize/agglomerate.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "core/memory.h"

/* A link that weighs as much as the whole smaller cluster moves it this far away: beyond thresholds as networks have
 * them. */
static const float LINK_PENALTY = 0.5f;

/* Sixteen partial sums, so that the compiler may use vector registers without changing the order of additions. */
float mt_dot(const float *a, const float *b, int n)
{
    enum { LANES = 16 };
    float partial[LANES] = {0}, rest = 0;
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int lane = 0; lane < LANES; lane++) partial[lane] += a[i + lane] * b[i + lane];
    for (; i < n; i++) rest += a[i] * b[i];
    for (int lane = 0; lane < LANES; lane++) rest += partial[lane];
    return rest;
}

void mt_normalize(float *vector, int n)
{
    float norm = sqrtf(mt_dot(vector, vector, n));
    if (norm > 0)
        for (int i = 0; i < n; i++) vector[i] /= norm;
}

void mt_points_free(mt_points *points)
{
    int dims = points->dims;
    mt_free(points->sums);
    mt_free(points->weights);
    mt_free(points->links);
    memset(points, 0, sizeof *points);
    points->dims = dims;
}

motet_status mt_points_add(mt_points *points, const float *unit_vector, float weight)
{
    size_t n = (size_t)points->count, dims = (size_t)points->dims;
    if (!mt_reserve((void **)&points->sums, n, &points->sum_capacity, dims * sizeof(float)) ||
        !mt_reserve((void **)&points->weights, n, &points->weight_capacity, sizeof(float)))
        return mt_fail_memory(n * dims * sizeof(float));
    for (size_t i = 0; i < dims; i++) points->sums[n * dims + i] = unit_vector[i] * weight;
    points->weights[n] = weight;
    points->count++;
    return MOTET_OK;
}

motet_status mt_points_copy(const mt_points *p, mt_points *out)
{
    size_t count = (size_t)p->count, dims = (size_t)p->dims;
    *out = *p;
    out->sums = mt_copy_array(p->sums, count * dims, sizeof *p->sums);
    out->weights = mt_copy_array(p->weights, count, sizeof *p->weights);
    out->links = mt_copy_array(p->links, p->link_count, sizeof *p->links);
    out->sum_capacity = out->weight_capacity = count;
    out->link_capacity = p->link_count;
    if (out->sums && out->weights && out->links) return MOTET_OK;
    mt_points_free(out);
    return mt_fail_memory(count * dims * sizeof *p->sums);
}

motet_status mt_points_link(mt_points *points, int a, int b, float weight)
{
    if (!mt_reserve((void **)&points->links, points->link_count, &points->link_capacity, sizeof *points->links))
        return mt_fail_memory(points->link_count * sizeof *points->links);
    points->links[points->link_count++] = (mt_link){a, b, weight};
    return MOTET_OK;
}

typedef struct state {
    int n;
    float *dots, *links; /* n x n, symmetric */
    float *weights;
    int *alive, alive_count; /* points that still name a cluster, in no order */
    int *nearest;
    float *nearest_distance;
} state;

static float distance(const state *s, int a, int b)
{
    size_t at = (size_t)a * (size_t)s->n + (size_t)b;
    float smaller = s->weights[a] < s->weights[b] ? s->weights[a] : s->weights[b];
    return 1 - s->dots[at] / (s->weights[a] * s->weights[b]) + LINK_PENALTY * s->links[at] / smaller;
}

static void find_nearest(state *s, int a)
{
    s->nearest[a] = -1;
    s->nearest_distance[a] = FLT_MAX;
    for (int k = 0; k < s->alive_count; k++) {
        int b = s->alive[k];
        if (b == a) continue;
        float d = distance(s, a, b);
        if (d < s->nearest_distance[a] || (d == s->nearest_distance[a] && b < s->nearest[a])) {
            s->nearest[a] = b;
            s->nearest_distance[a] = d;
        }
    }
}

static void free_state(state *s)
{
    mt_free(s->dots);
    mt_free(s->links);
    mt_free(s->weights);
    mt_free(s->alive);
    mt_free(s->nearest);
    mt_free(s->nearest_distance);
}

static motet_status make_state(state *s, const mt_points *points)
{
    size_t n = (size_t)points->count;
    *s = (state){.n = points->count,
                 .dots = mt_alloc_array(n * n, sizeof(float)),
                 .links = mt_alloc_zero(n * n, sizeof(float)),
                 .weights = mt_alloc_array(n, sizeof(float)),
                 .alive = mt_alloc_array(n, sizeof(int)),
                 .alive_count = points->count,
                 .nearest = mt_alloc_array(n, sizeof(int)),
                 .nearest_distance = mt_alloc_array(n, sizeof(float))};
    if (!s->dots || !s->links || !s->weights || !s->alive || !s->nearest || !s->nearest_distance) {
        free_state(s);
        return mt_fail_memory(2 * n * n * sizeof(float));
    }
    memcpy(s->weights, points->weights, n * sizeof(float));
    for (int a = 0; a < s->n; a++) {
        s->alive[a] = a;
        for (int b = 0; b <= a; b++) {
            float dot = mt_dot(points->sums + (size_t)a * (size_t)points->dims,
                               points->sums + (size_t)b * (size_t)points->dims, points->dims);
            s->dots[(size_t)a * n + (size_t)b] = s->dots[(size_t)b * n + (size_t)a] = dot;
        }
    }
    for (size_t k = 0; k < points->link_count; k++) {
        const mt_link *link = &points->links[k];
        s->links[(size_t)link->a * n + (size_t)link->b] += link->weight;
        s->links[(size_t)link->b * n + (size_t)link->a] += link->weight;
    }
    for (int a = 0; a < s->n; a++) find_nearest(s, a);
    return MOTET_OK;
}

static void join(state *s, int kept, int gone)
{
    size_t n = (size_t)s->n;
    for (int k = 0; k < s->alive_count; k++) {
        size_t c = (size_t)s->alive[k];
        s->dots[(size_t)kept * n + c] += s->dots[(size_t)gone * n + c];
        s->links[(size_t)kept * n + c] += s->links[(size_t)gone * n + c];
        s->dots[c * n + (size_t)kept] = s->dots[(size_t)kept * n + c];
        s->links[c * n + (size_t)kept] = s->links[(size_t)kept * n + c];
    }
    s->weights[kept] += s->weights[gone];
    for (int k = 0; k < s->alive_count; k++)
        if (s->alive[k] == gone) s->alive[k] = s->alive[--s->alive_count];
    for (int k = 0; k < s->alive_count; k++) {
        int c = s->alive[k];
        if (c == kept || s->nearest[c] == kept || s->nearest[c] == gone) {
            find_nearest(s, c);
        } else {
            float d = distance(s, c, kept);
            if (d < s->nearest_distance[c] || (d == s->nearest_distance[c] && kept < s->nearest[c])) {
                s->nearest[c] = kept;
                s->nearest_distance[c] = d;
            }
        }
    }
}

/* The closest pair, ties by the lower point: the order of `alive` must not show. */
static int closest(const state *s)
{
    int best = s->alive[0];
    for (int k = 1; k < s->alive_count; k++) {
        int a = s->alive[k];
        float d = s->nearest_distance[a], best_d = s->nearest_distance[best];
        if (d < best_d || (d == best_d && a < best)) best = a;
    }
    return best;
}

motet_status mt_agglomerate(const mt_points *points, mt_merge *merges)
{
    if (points->count < 2) return MOTET_OK;
    state s;
    MT_TRY(make_state(&s, points));
    for (int step = 0; step < points->count - 1; step++) {
        int a = closest(&s), b = s.nearest[a];
        int kept = a < b ? a : b, gone = a < b ? b : a;
        merges[step] = (mt_merge){kept, gone, s.nearest_distance[a]};
        join(&s, kept, gone);
    }
    free_state(&s);
    return MOTET_OK;
}

void mt_cut(const mt_merge *merges, int steps, int count, int *labels, int *clusters)
{
    /* A cluster is named by its lowest point, so following `kept` downwards ends, and one pass from below suffices. */
    for (int i = 0; i < count; i++) labels[i] = i;
    for (int step = 0; step < steps; step++) labels[merges[step].gone] = merges[step].kept;
    int used = 0;
    for (int i = 0; i < count; i++) labels[i] = labels[i] == i ? used++ : labels[labels[i]];
    *clusters = used;
}

motet_status mt_points_fold(mt_points *points, const int *labels, int clusters)
{
    size_t dims = (size_t)points->dims;
    float *sums = mt_alloc_zero((size_t)clusters * dims, sizeof(float));
    float *weights = mt_alloc_zero((size_t)clusters, sizeof(float));
    float *links = mt_alloc_zero((size_t)clusters * (size_t)clusters, sizeof(float));
    if (!sums || !weights || !links) {
        mt_free(sums);
        mt_free(weights);
        mt_free(links);
        return mt_fail_memory((size_t)clusters * (dims + (size_t)clusters) * sizeof(float));
    }
    for (int i = 0; i < points->count; i++) {
        float *sum = sums + (size_t)labels[i] * dims;
        for (size_t d = 0; d < dims; d++) sum[d] += points->sums[(size_t)i * dims + d];
        weights[labels[i]] += points->weights[i];
    }
    for (size_t k = 0; k < points->link_count; k++) {
        int a = labels[points->links[k].a], b = labels[points->links[k].b];
        links[(size_t)(a < b ? a : b) * (size_t)clusters + (size_t)(a < b ? b : a)] += points->links[k].weight;
    }
    mt_free(points->sums);
    mt_free(points->weights);
    points->sums = sums;
    points->weights = weights;
    points->count = clusters;
    points->sum_capacity = points->weight_capacity = (size_t)clusters;
    points->link_count = 0;
    motet_status status = MOTET_OK;
    for (int a = 0; a < clusters && status == MOTET_OK; a++)
        for (int b = a + 1; b < clusters && status == MOTET_OK; b++) {
            float weight = links[(size_t)a * (size_t)clusters + (size_t)b];
            if (weight > 0) status = mt_points_link(points, a, b, weight);
        }
    mt_free(links);
    return status;
}

void mt_points_settle(mt_points *points)
{
    for (int i = 0; i < points->count; i++) {
        float *sum = points->sums + (size_t)i * (size_t)points->dims;
        mt_normalize(sum, points->dims);
        for (int d = 0; d < points->dims; d++) sum[d] *= points->weights[i];
    }
}
