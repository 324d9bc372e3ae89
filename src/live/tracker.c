/* The points of old voices are folded into fewer when there are too many, so that a window's work does not grow. */
#include "live/tracker.h"

#include <math.h>
#include <string.h>

#include "core/assignment.h"
#include "core/memory.h"

enum { MOST_POINTS = 160, KEPT_POINTS = 96 };

static const float MERGE_SHARE = 0.7f; /* of a speaker's voices that must lie in another's cluster */

void mt_tracker_init(mt_tracker *t, int dims, const mt_speaker_rules *rules, double window_hops)
{
    *t = (mt_tracker){.rules = *rules, .evidence = (float)(0.5 * window_hops), .patience = 4};
    t->points.dims = dims;
}

static void forget_means(mt_tracker *t)
{
    mt_free(t->means.vectors);
    mt_free(t->means.speakers);
    t->means = (mt_mean_voices){0};
}

void mt_tracker_free(mt_tracker *t)
{
    mt_points_free(&t->points);
    forget_means(t);
    mt_free(t->owners);
    mt_free(t->speakers);
    t->owners = NULL;
    t->speakers = NULL;
    t->speaker_count = 0;
    t->owner_capacity = t->speaker_capacity = t->settled = 0;
}

int mt_tracker_stands_for(const mt_tracker *t, int speaker)
{
    while (speaker >= 0 && t->speakers[speaker].merged_into >= 0) speaker = t->speakers[speaker].merged_into;
    return speaker;
}

/* --- points ---------------------------------------------------------------------------------------------------- */

/* A set of points, each with the speaker it is taken for. */
typedef struct crowd {
    mt_points points;
    int *owners;
    size_t capacity;
} crowd;

static void crowd_free(crowd *c)
{
    mt_points_free(&c->points);
    mt_free(c->owners);
}

static motet_status add_voice(const mt_record *record, size_t v, size_t first_of_window, const float *vector,
                              mt_points *points, int **owners, size_t *capacity, int *point_of)
{
    const mt_voice *voice = &record->voices[v];
    if (!mt_reserve((void **)owners, (size_t)points->count, capacity, sizeof **owners))
        return mt_fail_memory((size_t)points->count * sizeof **owners);
    (*owners)[points->count] = voice->speaker;
    MT_TRY(mt_points_add(points, vector, voice->alone));
    point_of[v - first_of_window] = points->count - 1;
    for (size_t u = first_of_window; u < v; u++) {
        if (point_of[u - first_of_window] < 0) continue;
        float other = record->voices[u].alone;
        MT_TRY(mt_points_link(points, point_of[u - first_of_window], points->count - 1,
                              other < voice->alone ? other : voice->alone));
    }
    return MOTET_OK;
}

enum { MOST_VOICES = 8 }; /* of a window */

static motet_status add_window(const mt_tracker *t, const mt_record *record, size_t w, mt_points *points, int **owners,
                               size_t *capacity)
{
    size_t first, end;
    int point_of[MOST_VOICES];
    mt_record_voices_of(record, w, &first, &end);
    for (size_t v = first; v < end && v - first < MOST_VOICES; v++) {
        point_of[v - first] = -1;
        if (record->voices[v].alone < t->rules.min_clean) continue;
        MT_TRY(add_voice(record, v, first, mt_record_vector(record, v), points, owners, capacity, point_of));
    }
    return MOTET_OK;
}

/* The owner of each fold is the one with the most weight in it. */
static motet_status fold_owners(mt_tracker *t, const int *labels, int clusters)
{
    size_t n = (size_t)clusters, speakers = (size_t)t->speaker_count;
    float *weights = mt_alloc_zero(n * speakers, sizeof *weights);
    if (!weights) return mt_fail_memory(n * speakers * sizeof *weights);
    for (int i = 0; i < t->points.count; i++)
        if (t->owners[i] >= 0) weights[(size_t)labels[i] * speakers + (size_t)t->owners[i]] += t->points.weights[i];
    for (size_t c = 0; c < n; c++) {
        t->owners[c] = -1;
        float most = 0;
        for (size_t s = 0; s < speakers; s++)
            if (weights[c * speakers + s] > most) {
                most = weights[c * speakers + s];
                t->owners[c] = (int)s;
            }
    }
    mt_free(weights);
    return MOTET_OK;
}

static motet_status fold(mt_tracker *t)
{
    size_t n = (size_t)t->points.count;
    mt_merge *merges = mt_alloc_array(n, sizeof *merges);
    int *labels = mt_alloc_array(n, sizeof *labels), clusters;
    motet_status status = merges && labels ? mt_agglomerate(&t->points, merges) : mt_fail_memory(n * sizeof *merges);
    if (status == MOTET_OK) {
        mt_cut(merges, t->points.count - KEPT_POINTS, t->points.count, labels, &clusters);
        status = fold_owners(t, labels, clusters);
    }
    if (status == MOTET_OK) status = mt_points_fold(&t->points, labels, clusters);
    mt_free(merges);
    mt_free(labels);
    return status;
}

/* Windows that the last one does not overlap are settled. */
static motet_status settle(mt_tracker *t, const mt_record *record)
{
    int64_t now = record->windows[record->window_count - 1].start;
    for (; t->settled < record->window_count && record->windows[t->settled].start + record->frames <= now; t->settled++)
        MT_TRY(add_window(t, record, t->settled, &t->points, &t->owners, &t->owner_capacity));
    return t->points.count > MOST_POINTS ? fold(t) : MOTET_OK;
}

/* The settled points, and the voices of the windows that are not settled, one by one. */
static motet_status gather(const mt_tracker *t, const mt_record *record, crowd *out)
{
    size_t n = (size_t)t->points.count, dims = (size_t)t->points.dims;
    *out = (crowd){.points = {.dims = t->points.dims}};
    out->points.sums = mt_alloc_array(n * dims, sizeof(float));
    out->points.weights = mt_alloc_array(n, sizeof(float));
    out->points.links = mt_alloc_array(t->points.link_count, sizeof(mt_link));
    out->owners = mt_alloc_array(n, sizeof *out->owners);
    if (!out->points.sums || !out->points.weights || !out->points.links || !out->owners)
        return mt_fail_memory(n * (dims + 2) * sizeof(float));
    if (n) {
        memcpy(out->points.sums, t->points.sums, n * dims * sizeof(float));
        memcpy(out->points.weights, t->points.weights, n * sizeof(float));
        memcpy(out->owners, t->owners, n * sizeof *out->owners);
    }
    if (t->points.link_count) memcpy(out->points.links, t->points.links, t->points.link_count * sizeof(mt_link));
    out->points.count = t->points.count;
    out->points.link_count = out->points.link_capacity = t->points.link_count;
    out->points.sum_capacity = out->points.weight_capacity = out->capacity = n;
    for (size_t w = t->settled; w < record->window_count; w++)
        MT_TRY(add_window(t, record, w, &out->points, &out->owners, &out->capacity));
    return MOTET_OK;
}

/* --- clusters and speakers ------------------------------------------------------------------------------------- */

/* What clusters and speakers have in common. */
typedef struct table {
    int clusters, speakers;
    float *shared;  /* [cluster][speaker]: seconds of clean voice in both */
    float *weights; /* of the clusters */
    int *identity;  /* the speaker each cluster is taken for, -1: none */
} table;

static void table_free(table *b)
{
    mt_free(b->shared);
    mt_free(b->weights);
    mt_free(b->identity);
}

static float *shared(const table *b, int cluster, int speaker)
{
    return &b->shared[(size_t)cluster * (size_t)b->speakers + (size_t)speaker];
}

static motet_status make_table(const mt_tracker *t, const crowd *c, const int *labels, int clusters, table *b)
{
    size_t n = (size_t)clusters, s = (size_t)t->speaker_count;
    *b = (table){clusters, t->speaker_count, mt_alloc_zero(n * s, sizeof(float)), mt_alloc_zero(n, sizeof(float)),
                 mt_alloc_array(n, sizeof(int))};
    if (!b->shared || !b->weights || !b->identity) return mt_fail_memory(n * (s + 2) * sizeof(float));
    for (int i = 0; i < c->points.count; i++) {
        int owner = mt_tracker_stands_for(t, c->owners[i]);
        b->weights[labels[i]] += c->points.weights[i];
        if (owner >= 0) *shared(b, labels[i], owner) += c->points.weights[i];
    }
    return MOTET_OK;
}

/* Clusters to speakers, so that as much voice as can be stays with its speaker. */
static motet_status find_identities(table *b)
{
    size_t n = (size_t)b->clusters, s = (size_t)b->speakers;
    double *costs = mt_alloc_array(n * s, sizeof *costs);
    size_t *column = mt_alloc_array(n, sizeof *column);
    motet_status status = costs && column ? MOTET_OK : mt_fail_memory(n * (s + 1) * sizeof *costs);
    if (status == MOTET_OK) {
        for (size_t i = 0; i < n * s; i++) costs[i] = -(double)b->shared[i];
        status = mt_assign(n, s, costs, column);
    }
    for (size_t i = 0; i < n && status == MOTET_OK; i++) {
        bool known = column[i] != MT_UNASSIGNED && *shared(b, (int)i, (int)column[i]) > 0;
        b->identity[i] = known ? (int)column[i] : -1;
    }
    mt_free(costs);
    mt_free(column);
    return status;
}

/* Where most of a speaker's voices lie now, and whether that is somebody else's cluster. */
static int lies_with(const table *b, int speaker)
{
    float all = 0, most = 0;
    int home = -1;
    for (int c = 0; c < b->clusters; c++) {
        float here = *shared(b, c, speaker);
        all += here;
        if (here > most) {
            most = here;
            home = c;
        }
    }
    if (home < 0 || most < MERGE_SHARE * all || b->identity[home] == speaker) return -1;
    return b->identity[home];
}

static void find_merges(mt_tracker *t, const table *b)
{
    for (int s = 0; s < b->speakers; s++) {
        mt_identity *one = &t->speakers[s];
        if (one->merged_into >= 0) continue;
        int other = lies_with(b, s);
        one->pending = other >= 0 ? one->pending + 1 : 0;
        if (one->pending >= t->patience) one->merged_into = other;
    }
}

static motet_status add_speaker(mt_tracker *t, int *out)
{
    if (!mt_reserve((void **)&t->speakers, (size_t)t->speaker_count, &t->speaker_capacity, sizeof *t->speakers))
        return mt_fail_memory((size_t)t->speaker_count * sizeof *t->speakers);
    *out = t->speaker_count++;
    t->speakers[*out] = (mt_identity){.merged_into = -1};
    return MOTET_OK;
}

static bool anybody(const mt_tracker *t)
{
    return t->speaker_count > 0;
}

/* A cluster that is nobody's becomes somebody when there is enough of it; the very first at once. */
static motet_status find_newcomers(mt_tracker *t, table *b)
{
    for (int c = 0; c < b->clusters; c++)
        if (b->identity[c] < 0 && (b->weights[c] >= t->evidence || !anybody(t)))
            MT_TRY(add_speaker(t, &b->identity[c]));
    return MOTET_OK;
}

/* A point follows its cluster, but for those of a speaker whose merge is not decided yet. */
static void revise_owners(const mt_tracker *t, const table *b, const int *labels, crowd *c)
{
    for (int i = 0; i < c->points.count; i++) {
        int owner = mt_tracker_stands_for(t, c->owners[i]), identity = b->identity[labels[i]];
        bool undecided = owner >= 0 && t->speakers[owner].pending > 0;
        c->owners[i] = identity < 0 || undecided ? owner : mt_tracker_stands_for(t, identity);
    }
}

static motet_status recognize(mt_tracker *t, crowd *c)
{
    int *labels = mt_alloc_array((size_t)c->points.count, sizeof *labels), clusters;
    if (!labels) return mt_fail_memory((size_t)c->points.count * sizeof *labels);
    table b = {0};
    motet_status status = mt_speakers_cut(&c->points, &t->rules, labels, &clusters);
    if (status == MOTET_OK) status = make_table(t, c, labels, clusters, &b);
    if (status == MOTET_OK) status = find_identities(&b);
    if (status == MOTET_OK) {
        find_merges(t, &b);
        status = find_newcomers(t, &b);
    }
    if (status == MOTET_OK) {
        revise_owners(t, &b, labels, c);
        if (t->points.count) memcpy(t->owners, c->owners, (size_t)t->points.count * sizeof *t->owners);
    }
    table_free(&b);
    mt_free(labels);
    return status;
}

/* --- voices to speakers ---------------------------------------------------------------------------------------- */

static motet_status find_means(mt_tracker *t, const crowd *c)
{
    size_t dims = (size_t)c->points.dims, n = (size_t)t->speaker_count;
    forget_means(t);
    float *sums = t->means.vectors = mt_alloc_zero(n * dims, sizeof *sums);
    t->means.speakers = mt_alloc_array(n, sizeof *t->means.speakers);
    if (!sums || !t->means.speakers) return mt_fail_memory(n * dims * sizeof *sums);
    for (size_t s = 0; s < n; s++) t->speakers[s].weight = 0;
    for (int i = 0; i < c->points.count; i++) {
        if (c->owners[i] < 0) continue;
        float *sum = sums + (size_t)c->owners[i] * dims;
        for (size_t d = 0; d < dims; d++) sum[d] += c->points.sums[(size_t)i * dims + d];
        t->speakers[c->owners[i]].weight += c->points.weights[i];
    }
    for (size_t s = 0; s < n; s++) {
        float norm = sqrtf(mt_dot(sums + s * dims, sums + s * dims, (int)dims));
        if (!(norm > 0)) continue;
        float *to = sums + (size_t)t->means.count * dims;
        for (size_t d = 0; d < dims; d++) to[d] = sums[s * dims + d] / norm;
        t->means.speakers[t->means.count++] = (int)s;
    }
    return MOTET_OK;
}

static void place(const mt_tracker *t, mt_record *record, size_t from)
{
    for (size_t w = from; w < record->window_count; w++) {
        size_t first, end;
        mt_record_voices_of(record, w, &first, &end);
        mt_speakers_place(record, w, t->means.vectors, t->means.count, &t->rules);
        for (size_t v = first; v < end; v++) record->voices[v].speaker = t->means.speakers[record->voices[v].speaker];
    }
}

/* Before anybody has been heard alone for long enough, whoever speaks is the first speaker. */
static motet_status place_without_points(mt_tracker *t, mt_record *record, size_t from)
{
    int only = 0;
    size_t first, end;
    mt_record_voices_of(record, from, &first, &end);
    if (first == record->voice_count) return MOTET_OK;
    if (!anybody(t)) MT_TRY(add_speaker(t, &only));
    for (size_t v = first; v < record->voice_count; v++) record->voices[v].speaker = only;
    return MOTET_OK;
}

motet_status mt_tracker_window(mt_tracker *t, mt_record *record, size_t from)
{
    crowd c;
    MT_TRY(settle(t, record));
    motet_status status = gather(t, record, &c);
    if (status == MOTET_OK && c.points.count) status = recognize(t, &c);
    if (status == MOTET_OK) status = find_means(t, &c);
    crowd_free(&c);
    MT_TRY(status);
    if (!t->means.count) return place_without_points(t, record, from);
    place(t, record, from);
    return MOTET_OK;
}

/* --- from a global pass ---------------------------------------------------------------------------------------- */

/* What the speakers of the global pass and those known share, by the voices that took part in the clustering. */
static motet_status compare_passes(const mt_tracker *t, const mt_record *record, const mt_record *passed, int speakers,
                                   table *b)
{
    size_t n = (size_t)speakers, s = (size_t)t->speaker_count;
    *b = (table){speakers, t->speaker_count, mt_alloc_zero(n * s, sizeof(float)), mt_alloc_zero(n, sizeof(float)),
                 mt_alloc_array(n, sizeof(int))};
    if (!b->shared || !b->weights || !b->identity) return mt_fail_memory(n * (s + 2) * sizeof(float));
    for (size_t v = 0; v < passed->voice_count; v++) {
        float alone = passed->voices[v].alone;
        int owner = mt_tracker_stands_for(t, record->voices[v].speaker);
        if (alone < t->rules.min_clean) continue;
        b->weights[passed->voices[v].speaker] += alone;
        if (owner >= 0) *shared(b, passed->voices[v].speaker, owner) += alone;
    }
    return MOTET_OK;
}

/* One point for each speaker of the global pass, and the voices that were settled since then. */
static motet_status replace_points(mt_tracker *t, const mt_record *record, const mt_record *passed, const table *b)
{
    size_t dims = (size_t)t->points.dims, n = (size_t)b->clusters;
    float *sums = mt_alloc_zero(n * dims, sizeof *sums);
    if (!sums) return mt_fail_memory(n * dims * sizeof *sums);
    for (size_t v = 0; v < passed->voice_count; v++) {
        float alone = passed->voices[v].alone, *sum = sums + (size_t)passed->voices[v].speaker * dims;
        const float *vector = mt_record_vector(passed, v);
        if (alone < t->rules.min_clean) continue;
        for (size_t d = 0; d < dims; d++) sum[d] += alone * vector[d];
    }
    mt_points_free(&t->points);
    mt_free(t->owners);
    t->owners = NULL;
    t->owner_capacity = 0;
    motet_status status = MOTET_OK;
    for (size_t c = 0; c < n && status == MOTET_OK; c++) {
        float norm = sqrtf(mt_dot(sums + c * dims, sums + c * dims, (int)dims));
        if (!(norm > 0) || b->identity[c] < 0) continue;
        for (size_t d = 0; d < dims; d++) sums[c * dims + d] /= norm;
        if (!mt_reserve((void **)&t->owners, (size_t)t->points.count, &t->owner_capacity, sizeof *t->owners)) {
            status = mt_fail_memory(n * sizeof *t->owners);
            break;
        }
        t->owners[t->points.count] = mt_tracker_stands_for(t, b->identity[c]);
        status = mt_points_add(&t->points, sums + c * dims, b->weights[c]);
    }
    for (size_t w = passed->window_count; w < t->settled && status == MOTET_OK; w++)
        status = add_window(t, record, w, &t->points, &t->owners, &t->owner_capacity);
    mt_free(sums);
    return status;
}

motet_status mt_tracker_adopt(mt_tracker *t, const mt_record *record, const mt_record *passed, int speakers)
{
    table b = {0};
    if (t->settled < passed->window_count || !speakers || !t->speaker_count) return MOTET_OK;
    motet_status status = compare_passes(t, record, passed, speakers, &b);
    if (status == MOTET_OK) status = find_identities(&b);
    if (status == MOTET_OK) {
        for (int s = 0; s < b.speakers; s++) {
            int other = t->speakers[s].merged_into < 0 ? lies_with(&b, s) : -1;
            if (other >= 0) t->speakers[s].merged_into = other;
        }
        status = find_newcomers(t, &b);
    }
    if (status == MOTET_OK) status = replace_points(t, record, passed, &b);
    table_free(&b);
    return status;
}
