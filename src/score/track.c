/* From lines of a file to tracks: one sort puts a file's turns together, within it each speaker's, within those in
 * time; then overlapping turns of a speaker are neighbours and are merged in one pass. */
#include "score/track.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

static int compare_turns(const void *a, const void *b)
{
    const motet_rttm_turn *first = a, *second = b;
    int order = first->file == second->file ? 0 : strcmp(first->file, second->file);
    if (!order) order = strcmp(first->speaker, second->speaker);
    if (order) return order;
    if (first->onset != second->onset) return first->onset < second->onset ? -1 : 1;
    return (first->duration > second->duration) - (first->duration < second->duration);
}

motet_status mt_turns_sorted(const motet_rttm *rttm, motet_rttm_turn **turns)
{
    size_t count = motet_rttm_count(rttm);
    *turns = mt_alloc_array(count, sizeof **turns);
    if (!*turns) return mt_fail_memory(count * sizeof **turns);
    for (size_t i = 0; i < count; i++) motet_rttm_get(rttm, i, &(*turns)[i]);
    qsort(*turns, count, sizeof **turns, compare_turns);
    return MOTET_OK;
}

size_t mt_turns_of_file(const motet_rttm_turn *turns, size_t count, size_t first)
{
    size_t end = first;
    while (end < count && strcmp(turns[end].file, turns[first].file) == 0) end++;
    return end - first;
}

/* Adds a speaker's next turn: joined to the one before when they overlap; begun where that one ends when they overlap
 * by less than an instant, which is what adding onset and duration leaves of turns that touch. */
static void add_turn(mt_track *track, mt_speech turn)
{
    mt_speech *before = track->count ? &track->turns[track->count - 1] : NULL;
    if (before && before->speaker == turn.speaker && turn.begin < before->end) {
        if (turn.begin < before->end - MT_INSTANT) {
            before->end = fmax(before->end, turn.end);
            return;
        }
        turn.begin = before->end;
    }
    if (turn.end > turn.begin) track->turns[track->count++] = turn;
}

motet_status mt_track_make(const motet_rttm_turn *turns, size_t count, mt_track *track)
{
    *track = (mt_track){0};
    if (!count) return MOTET_OK;
    track->turns = mt_alloc_array(count, sizeof *track->turns);
    if (!track->turns) return mt_fail_memory(count * sizeof *track->turns);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || strcmp(turns[i].speaker, turns[i - 1].speaker) != 0) track->speakers++;
        double end = turns[i].onset + turns[i].duration;
        add_turn(track, (mt_speech){.begin = turns[i].onset, .end = end, .speaker = track->speakers - 1});
    }
    if (track->speakers <= MT_MOST_SPEAKERS) return MOTET_OK;
    size_t speakers = track->speakers;
    mt_track_free(track);
    return mt_fail(MOTET_ERROR_LIMIT, "%.200s: %zu speakers; at most %d can be scored", turns[0].file, speakers,
                   MT_MOST_SPEAKERS);
}

void mt_track_free(mt_track *track)
{
    mt_free(track->turns);
    *track = (mt_track){0};
}

typedef struct edge {
    double time;
    int step; /* +1 begin, -1 end */
} edge;

static int compare_edges(const void *a, const void *b)
{
    const edge *first = a, *second = b;
    if (first->time != second->time) return first->time < second->time ? -1 : 1;
    return first->step - second->step;
}

motet_status mt_track_overlaps(const mt_track *track, mt_spans *overlaps)
{
    edge *edges = mt_alloc_array(track->count, 2 * sizeof *edges);
    if (!edges) return mt_fail_memory(track->count * 2 * sizeof *edges);
    for (size_t i = 0; i < track->count; i++) {
        edges[2 * i] = (edge){track->turns[i].begin, 1};
        edges[2 * i + 1] = (edge){track->turns[i].end, -1};
    }
    qsort(edges, 2 * track->count, sizeof *edges, compare_edges);
    motet_status status = MOTET_OK;
    double begin = 0;
    for (size_t i = 0, active = 0; status == MOTET_OK && i < 2 * track->count; i++) {
        active += (size_t)edges[i].step;
        if (edges[i].step > 0 && active == 2) begin = edges[i].time;
        if (edges[i].step < 0 && active == 1) status = mt_spans_add(overlaps, begin, edges[i].time);
    }
    mt_free(edges);
    if (status == MOTET_OK) mt_spans_unite(overlaps);
    return status;
}
