/* The rules of grouping; the arithmetic of it is in agglomerate.c. */
#include "diarize/speakers.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "core/memory.h"

enum {
    FOLD_AT = 2048, /* points that are too many */
    FOLD_TO = 512,  /* points to keep at the most when folding */
    CANDIDATES = 4, /* nearest speakers that a voice is tried on */
    MAX_VOICES = 8, /* voices of one window */
    ROUNDS = 3
};

/* Folding must not decide what the final clustering is there to decide. */
static const float FOLD_SHARE_OF_THRESHOLD = 0.5f;

/* Voices that are like nobody's (laughter, noise, people who talk at once) gather as a recording goes on, and clusters
 * of them grow, though more slowly than speakers do. With more than so many seconds of clean voice a cluster must have
 * more to stand: by this power of the ratio. */
static const float STRAYS_AFTER = 600, STRAYS_GROW = 0.7f;

/* --- while it runs --------------------------------------------------------------------------------------------- */

static motet_status fold(mt_record *record, mt_points *points, const mt_speaker_rules *rules)
{
    size_t n = (size_t)points->count;
    mt_merge *merges = mt_alloc_array(n, sizeof *merges);
    int *labels = mt_alloc_array(n, sizeof *labels);
    motet_status status = merges && labels ? mt_agglomerate(points, merges) : mt_fail_memory(n * sizeof *merges);
    if (status == MOTET_OK) {
        int steps = 0, clusters;
        while (steps < points->count - 1 &&
               (merges[steps].distance < rules->threshold * FOLD_SHARE_OF_THRESHOLD || points->count - steps > FOLD_TO))
            steps++;
        mt_cut(merges, steps, points->count, labels, &clusters);
        status = mt_points_fold(points, labels, clusters);
    }
    if (status == MOTET_OK)
        for (size_t v = 0; v < record->voice_count; v++)
            if (record->voices[v].point >= 0) record->voices[v].point = labels[record->voices[v].point];
    mt_free(merges);
    mt_free(labels);
    return status;
}

/* Two voices of one window that both take part are linked. */
static motet_status link_voices(mt_record *record, size_t first, size_t v, mt_points *points)
{
    const mt_voice *voice = &record->voices[v];
    for (size_t u = first; u < v; u++) {
        const mt_voice *other = &record->voices[u];
        if (other->point < 0) continue;
        float smaller = other->alone < voice->alone ? other->alone : voice->alone;
        MT_TRY(mt_points_link(points, other->point, voice->point, smaller));
    }
    return MOTET_OK;
}

motet_status mt_speakers_window(mt_record *record, size_t w, mt_points *points, const mt_speaker_rules *rules)
{
    size_t first, end;
    mt_record_voices_of(record, w, &first, &end);
    for (size_t v = first; v < end; v++) {
        mt_voice *voice = &record->voices[v];
        if (voice->alone < rules->min_clean) continue;
        MT_TRY(mt_points_add(points, mt_record_vector(record, v), voice->alone));
        voice->point = points->count - 1;
        MT_TRY(link_voices(record, first, v, points));
    }
    return points->count > FOLD_AT ? fold(record, points, rules) : MOTET_OK;
}

/* --- the cut --------------------------------------------------------------------------------------------------- */

/* Clean speech that makes a cluster a speaker. Overlapping windows hear the same speech several times; the rule's
 * seconds are of speech as windows sum it up. */
static float smallest_speaker(const mt_points *points, const mt_speaker_rules *rules)
{
    float total = 0;
    for (int i = 0; i < points->count; i++) total += points->weights[i];
    float share = total * rules->min_share, least = rules->min_speech;
    if (total > STRAYS_AFTER) least *= powf(total / STRAYS_AFTER, STRAYS_GROW);
    return share < least ? share : least;
}

/* standing[s]: how many clusters have at least `least` seconds after s merges. */
static motet_status count_standing(const mt_points *points, const mt_merge *merges, float least, int *standing)
{
    size_t n = (size_t)points->count;
    float *weights = mt_alloc_array(n, sizeof *weights);
    if (!weights) return mt_fail_memory(n * sizeof *weights);
    memcpy(weights, points->weights, n * sizeof *weights);
    standing[0] = 0;
    for (size_t i = 0; i < n; i++) standing[0] += weights[i] >= least;
    for (int step = 0; step < points->count - 1; step++) {
        float *kept = &weights[merges[step].kept], gone = weights[merges[step].gone];
        int before = (*kept >= least) + (gone >= least);
        *kept += gone;
        standing[step + 1] = standing[step] - before + (*kept >= least);
    }
    mt_free(weights);
    return MOTET_OK;
}

/* The number of merges: up to the threshold, then further while there are too many speakers; back only while there are
 * too few clusters of any size to make them of, for a cut far below the threshold splits people. */
static int choose_cut(const mt_merge *merges, const int *standing, int count, const mt_speaker_rules *rules)
{
    int steps = 0;
    while (steps < count - 1 && merges[steps].distance <= rules->threshold) steps++;
    if (rules->max > 0)
        while (steps < count - 1 && standing[steps] > rules->max) steps++;
    while (steps > 0 && count - steps < rules->min) steps--;
    return steps;
}

/* --- speakers and their voices --------------------------------------------------------------------------------- */

typedef struct centroids {
    int count;
    float *vectors; /* dims each, unit length */
} centroids;

/* Seconds that a cluster needs, so that at least `min` stand, as far as there are so many: not more than `least`. */
static float lower_to_count(const mt_points *clusters, float least, int min)
{
    int above = 0;
    float next = 0; /* the heaviest of those below */
    do {
        above = 0;
        next = 0;
        for (int i = 0; i < clusters->count; i++) {
            float weight = clusters->weights[i];
            above += weight >= least;
            if (weight < least && weight > next) next = weight;
        }
        if (above < min && next > 0) least = next;
    } while (above < min && next > 0);
    return least;
}

/* Clusters with at least `least` seconds, or, when there is none, the one with the most. */
static motet_status standing_centroids(const mt_points *clusters, float least, centroids *out)
{
    size_t dims = (size_t)clusters->dims;
    int biggest = 0;
    for (int i = 1; i < clusters->count; i++)
        if (clusters->weights[i] > clusters->weights[biggest]) biggest = i;
    *out = (centroids){0, mt_alloc_array((size_t)clusters->count * dims, sizeof(float))};
    if (!out->vectors) return mt_fail_memory((size_t)clusters->count * dims * sizeof(float));
    for (int i = 0; i < clusters->count; i++) {
        if (clusters->weights[i] < least && i != biggest) continue;
        float *vector = out->vectors + (size_t)out->count++ * dims;
        memcpy(vector, clusters->sums + (size_t)i * dims, dims * sizeof(float));
        mt_normalize(vector, clusters->dims);
    }
    return MOTET_OK;
}

typedef struct candidate {
    int speaker;
    float similarity;
} candidate;

/* The speakers nearest to a voice, nearest first. */
static int find_candidates(const centroids *speakers, const float *vector, int dims, candidate *out)
{
    int used = 0;
    for (int s = 0; s < speakers->count; s++) {
        candidate c = {s, mt_dot(vector, speakers->vectors + (size_t)s * (size_t)dims, dims)};
        int at = used;
        while (at > 0 && out[at - 1].similarity < c.similarity) at--;
        if (at >= CANDIDATES) continue;
        int last = used < CANDIDATES ? used++ : CANDIDATES - 1;
        memmove(out + at + 1, out + at, (size_t)(last - at) * sizeof *out);
        out[at] = c;
    }
    return used;
}

typedef struct window_search {
    int voices;
    candidate candidates[MAX_VOICES][CANDIDATES];
    int candidate_count;
    float weights[MAX_VOICES];
    float same_penalty;
    int choice[MAX_VOICES], best_choice[MAX_VOICES];
    float best;
} window_search;

/* All ways to give the window's voices to candidates: at most 4^3 for a network of three local speakers. */
static void search_window(window_search *search, int voice, float value)
{
    if (voice == search->voices) {
        if (value > search->best) {
            search->best = value;
            memcpy(search->best_choice, search->choice, sizeof search->choice);
        }
        return;
    }
    for (int c = 0; c < search->candidate_count; c++) {
        const candidate *pick = &search->candidates[voice][c];
        float gain = pick->similarity * search->weights[voice];
        for (int u = 0; u < voice; u++)
            if (search->choice[u] == pick->speaker) {
                float smaller =
                    search->weights[u] < search->weights[voice] ? search->weights[u] : search->weights[voice];
                gain -= search->same_penalty * smaller;
            }
        search->choice[voice] = pick->speaker;
        search_window(search, voice + 1, value + gain);
    }
}

static void assign_window(mt_record *record, size_t w, const centroids *speakers, const mt_speaker_rules *rules)
{
    size_t first, end;
    mt_record_voices_of(record, w, &first, &end);
    window_search search = {.voices = (int)(end - first), .same_penalty = rules->same_penalty, .best = -FLT_MAX};
    for (int v = 0; v < search.voices; v++) {
        search.weights[v] =
            record->voices[first + (size_t)v].alone + 0.1f; /* even a voice that is never alone counts */
        const float *vector = mt_record_vector(record, first + (size_t)v);
        search.candidate_count = find_candidates(speakers, vector, record->dims, search.candidates[v]);
    }
    search_window(&search, 0, 0);
    for (int v = 0; v < search.voices; v++) record->voices[first + (size_t)v].speaker = search.best_choice[v];
}

/* Without any clean voice there is nothing to tell speakers apart by: everything is one speaker's. */
static motet_status assign_to_one(mt_record *record, int *count)
{
    for (size_t v = 0; v < record->voice_count; v++) record->voices[v].speaker = 0;
    *count = record->voice_count > 0;
    return MOTET_OK;
}

static motet_status cut_dendrogram(const mt_points *points, const mt_speaker_rules *rules, int *labels, int *clusters)
{
    size_t n = (size_t)points->count;
    mt_merge *merges = mt_alloc_array(n, sizeof *merges);
    int *standing = mt_alloc_array(n, sizeof *standing);
    motet_status status = merges && standing ? mt_agglomerate(points, merges) : mt_fail_memory(n * sizeof *merges);
    if (status == MOTET_OK) status = count_standing(points, merges, smallest_speaker(points, rules), standing);
    if (status == MOTET_OK)
        mt_cut(merges, choose_cut(merges, standing, points->count, rules), points->count, labels, clusters);
    mt_free(merges);
    mt_free(standing);
    return status;
}

static motet_status fold_by_cut(mt_points *points, const mt_speaker_rules *rules, int *labels)
{
    int clusters;
    MT_TRY(cut_dendrogram(points, rules, labels, &clusters));
    return mt_points_fold(points, labels, clusters);
}

/* Both cuts. The points become the clusters; labels[i]: which one each of them is in. */
static motet_status fold_to_people(mt_points *points, const mt_speaker_rules *rules, int *labels)
{
    int count = points->count;
    mt_speaker_rules second = *rules;
    second.threshold = rules->one_person;
    MT_TRY(fold_by_cut(points, rules, labels));
    int *joined = mt_alloc_array((size_t)points->count, sizeof *joined);
    if (!joined) return mt_fail_memory((size_t)points->count * sizeof *joined);
    mt_points_settle(points);
    motet_status status = fold_by_cut(points, &second, joined);
    for (int i = 0; i < count && status == MOTET_OK; i++) labels[i] = joined[labels[i]];
    mt_free(joined);
    return status;
}

motet_status mt_speakers_cut(const mt_points *points, const mt_speaker_rules *rules, int *labels, int *clusters)
{
    mt_points copy;
    *clusters = 0;
    if (points->count == 0) return MOTET_OK;
    MT_TRY(mt_points_copy(points, &copy));
    motet_status status = fold_to_people(&copy, rules, labels);
    *clusters = copy.count;
    mt_points_free(&copy);
    return status;
}

void mt_speakers_place(mt_record *record, size_t w, const float *vectors, int count, const mt_speaker_rules *rules)
{
    centroids speakers = {count, (float *)vectors};
    assign_window(record, w, &speakers, rules);
}

static void assign_all(mt_record *record, const centroids *speakers, const mt_speaker_rules *rules)
{
    for (size_t w = 0; w < record->window_count; w++) assign_window(record, w, speakers, rules);
}

/* Each speaker's vector becomes the mean of the voices that are his by now, short ones left out. A speaker who has lost
 * all of them keeps the vector he had. */
static motet_status move_centroids(const mt_record *record, centroids *speakers, const mt_speaker_rules *rules)
{
    size_t dims = (size_t)record->dims, values = (size_t)speakers->count * dims;
    float *means = mt_alloc_zero(values, sizeof *means);
    if (!means) return mt_fail_memory(values * sizeof *means);
    for (size_t v = 0; v < record->voice_count; v++) {
        const mt_voice *voice = &record->voices[v];
        if (voice->alone < rules->min_clean) continue;
        const float *vector = mt_record_vector(record, v);
        float *mean = means + (size_t)voice->speaker * dims;
        for (size_t d = 0; d < dims; d++) mean[d] += vector[d] * voice->alone;
    }
    for (size_t at = 0; at < values; at += dims) {
        if (!(mt_dot(means + at, means + at, record->dims) > 0)) continue;
        mt_normalize(means + at, record->dims);
        memcpy(speakers->vectors + at, means + at, dims * sizeof *means);
    }
    mt_free(means);
    return MOTET_OK;
}

/* Voices go to the nearest speakers, speakers to the mean of their voices, in turn (Lloyd 1982). */
static motet_status settle_speakers(mt_record *record, centroids *speakers, const mt_speaker_rules *rules)
{
    assign_all(record, speakers, rules);
    for (int round = 0; round < ROUNDS; round++) {
        MT_TRY(move_centroids(record, speakers, rules));
        assign_all(record, speakers, rules);
    }
    return MOTET_OK;
}

motet_status mt_speakers_assign(mt_record *record, mt_points *points, const mt_speaker_rules *rules, int *count)
{
    if (points->count == 0) return assign_to_one(record, count);
    float least = smallest_speaker(points, rules);
    int *labels = mt_alloc_array((size_t)points->count, sizeof *labels);
    if (!labels) return mt_fail_memory((size_t)points->count * sizeof *labels);
    motet_status status = fold_to_people(points, rules, labels);
    mt_free(labels);
    MT_TRY(status);
    centroids speakers;
    MT_TRY(standing_centroids(points, lower_to_count(points, least, rules->min), &speakers));
    status = settle_speakers(record, &speakers, rules);
    *count = speakers.count;
    mt_free(speakers.vectors);
    return status;
}
