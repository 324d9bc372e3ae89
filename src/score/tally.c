/* A sweep over the time line. The ends of turns and regions cut it into stretches in which nothing changes; the lists
 * of active speakers are kept up to date from stretch to stretch. */
#include "score/tally.h"

#include <stdbool.h>
#include <stdlib.h>

#include "core/memory.h"

typedef enum lane { REFERENCE, HYPOTHESIS, REGION } lane;

typedef struct event {
    double time;
    lane lane;
    bool begins;
    size_t speaker;
} event;

/* Ends come before beginnings: then touching turns of one speaker never have the speaker active twice. */
static int compare_events(const void *a, const void *b)
{
    const event *first = a, *second = b;
    if (first->time != second->time) return first->time < second->time ? -1 : 1;
    return (int)first->begins - (int)second->begins;
}

static event *add_turns(event *at, lane side, const mt_track *track)
{
    for (size_t i = 0; i < track->count; i++) {
        const mt_speech *turn = &track->turns[i];
        if (turn->begin == turn->end) continue; /* shorter than a frame, where time is counted in frames */
        *at++ = (event){.time = turn->begin, .lane = side, .begins = true, .speaker = turn->speaker};
        *at++ = (event){.time = turn->end, .lane = side, .begins = false, .speaker = turn->speaker};
    }
    return at;
}

static event *add_regions(event *at, const mt_spans *regions)
{
    for (size_t i = 0; i < regions->count; i++) {
        *at++ = (event){.time = regions->items[i].begin, .lane = REGION, .begins = true};
        *at++ = (event){.time = regions->items[i].end, .lane = REGION, .begins = false};
    }
    return at;
}

/* The speakers active now, in no order: `place` tells where each stands in `list`. */
typedef struct active {
    size_t *list, *place;
    size_t count;
} active;

static void switch_speaker(active *now, const event *change)
{
    if (change->begins) {
        now->place[change->speaker] = now->count;
        now->list[now->count++] = change->speaker;
        return;
    }
    size_t last = now->list[--now->count];
    now->list[now->place[change->speaker]] = last;
    now->place[last] = now->place[change->speaker];
}

static void count_stretch(mt_tally *tally, const active *reference, const active *hypothesis, double length)
{
    size_t references = reference->count, hypotheses = hypothesis->count;
    size_t shared = references < hypotheses ? references : hypotheses;
    tally->scored += length * (double)references;
    tally->missed += length * (double)(references - shared);
    tally->false_alarm += length * (double)(hypotheses - shared);
    tally->shared += length * (double)shared;
    if (references) tally->speech += length;
    if (references && !hypotheses) tally->missed_speech += length;
    if (hypotheses && !references) tally->false_alarm_speech += length;
    for (size_t i = 0; i < hypotheses; i++) tally->hypothesis_time[hypothesis->list[i]] += length;
    for (size_t i = 0; i < references; i++) {
        size_t speaker = reference->list[i];
        tally->reference_time[speaker] += length;
        for (size_t j = 0; j < hypotheses; j++)
            tally->both[speaker * tally->hypotheses + hypothesis->list[j]] += length;
    }
}

static void sweep(mt_tally *tally, const event *events, size_t count, active *reference, active *hypothesis)
{
    bool inside = false;
    for (size_t i = 0; i < count; i++) {
        if (inside && events[i].time > events[i - 1].time)
            count_stretch(tally, reference, hypothesis, events[i].time - events[i - 1].time);
        switch (events[i].lane) {
        case REFERENCE: switch_speaker(reference, &events[i]); break;
        case HYPOTHESIS: switch_speaker(hypothesis, &events[i]); break;
        case REGION: inside = events[i].begins; break;
        }
    }
}

static motet_status allocate(mt_tally *tally, size_t references, size_t hypotheses)
{
    *tally = (mt_tally){.references = references, .hypotheses = hypotheses};
    tally->reference_time = mt_alloc_zero(references, sizeof(double));
    tally->hypothesis_time = mt_alloc_zero(hypotheses, sizeof(double));
    tally->both = mt_alloc_zero(references * hypotheses, sizeof(double));
    if (tally->reference_time && tally->hypothesis_time && tally->both) return MOTET_OK;
    return mt_fail_memory(references * hypotheses * sizeof(double));
}

static motet_status run(mt_tally *tally, const mt_track *reference, const mt_track *hypothesis, const mt_spans *regions)
{
    size_t most = 2 * (reference->count + hypothesis->count + regions->count);
    event *events = mt_alloc_array(most, sizeof *events);
    size_t *places = mt_alloc_array(tally->references + tally->hypotheses, 2 * sizeof *places);
    motet_status status = MOTET_OK;
    if (events && places) {
        active references = {.list = places, .place = places + tally->references};
        active hypotheses = {.list = references.place + tally->references};
        hypotheses.place = hypotheses.list + tally->hypotheses;
        event *end = add_turns(events, REFERENCE, reference);
        end = add_turns(end, HYPOTHESIS, hypothesis);
        end = add_regions(end, regions);
        qsort(events, (size_t)(end - events), sizeof *events, compare_events);
        sweep(tally, events, (size_t)(end - events), &references, &hypotheses);
    } else {
        status = mt_fail_memory(most * sizeof *events);
    }
    mt_free(events);
    mt_free(places);
    return status;
}

motet_status mt_tally_make(const mt_track *reference, const mt_track *hypothesis, const mt_spans *regions,
                           mt_tally *tally)
{
    motet_status status = allocate(tally, reference->speakers, hypothesis->speakers);
    if (status == MOTET_OK) status = run(tally, reference, hypothesis, regions);
    if (status != MOTET_OK) mt_tally_free(tally);
    return status;
}

void mt_tally_free(mt_tally *tally)
{
    mt_free(tally->reference_time);
    mt_free(tally->hypothesis_time);
    mt_free(tally->both);
    *tally = (mt_tally){0};
}
