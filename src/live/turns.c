/* The windows that matter are copied into a small record of their own, with their speakers, the persons they are taken
 * for, numbered from 0, so that the votes cost the same however many windows and speakers there have been. */
#include "live/turns.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

void mt_live_turns_free(mt_live_turns *t)
{
    mt_free(t->open);
    *t = (mt_live_turns){.tell = t->tell, .person = t->person, .user = t->user};
}

size_t mt_live_turns_first_window(const mt_live_turns *t, const mt_record *record)
{
    size_t w = record->window_count;
    while (w > 0 && record->windows[w - 1].start + record->frames > t->decided) w--;
    return w;
}

/* --- the windows that matter ----------------------------------------------------------------------------------- */

typedef struct tail {
    mt_record record; /* vectors and activity are the whole record's */
    int *speakers;    /* by their numbers in it */
    int count;
} tail;

static void tail_free(tail *t)
{
    mt_free(t->record.windows);
    mt_free(t->record.voices);
    mt_free(t->speakers);
}

static int number_speaker(tail *t, int speaker)
{
    int k = 0;
    while (k < t->count && t->speakers[k] != speaker) k++;
    if (k == t->count) t->speakers[t->count++] = speaker;
    return k;
}

static motet_status tail_make(const mt_live_turns *turns, const mt_record *record, size_t from, tail *t)
{
    size_t windows = record->window_count - from, first, end;
    mt_record_voices_of(record, from, &first, &end);
    size_t voices = record->voice_count - first;
    *t = (tail){.record = *record};
    t->record.windows = mt_alloc_array(windows, sizeof *t->record.windows);
    t->record.voices = mt_alloc_array(voices, sizeof *t->record.voices);
    t->speakers = mt_alloc_array(voices, sizeof *t->speakers);
    if (!t->record.windows || !t->record.voices || !t->speakers) {
        tail_free(t);
        return mt_fail_memory(windows * sizeof *t->record.windows);
    }
    t->record.window_count = windows;
    t->record.voice_count = voices;
    t->record.vectors += first * (size_t)record->dims;
    t->record.activity += first * (size_t)record->frames;
    for (size_t w = 0; w < windows; w++) {
        t->record.windows[w] = record->windows[from + w];
        t->record.windows[w].first_voice -= (int32_t)first;
    }
    for (size_t v = 0; v < voices; v++) {
        t->record.voices[v] = record->voices[first + v];
        t->record.voices[v].speaker = number_speaker(t, turns->person(turns->user, record->voices[first + v].speaker));
    }
    return MOTET_OK;
}

/* --- turns ----------------------------------------------------------------------------------------------------- */

static motet_status tell(const mt_live_turns *t, mt_live_turn *turn)
{
    turn->changed = false;
    MT_TRY(t->tell(t->user, turn));
    turn->state = MT_TURN_GOES_ON;
    return MOTET_OK;
}

static motet_status end_turn(mt_live_turns *t, size_t i)
{
    mt_live_turn turn = t->open[i];
    memmove(t->open + i, t->open + i + 1, (--t->count - i) * sizeof *t->open);
    if (turn.state == MT_TURN_STARTS) MT_TRY(tell(t, &turn)); /* it began and ended within one window's frames */
    turn.state = MT_TURN_ENDS;
    return t->tell(t->user, &turn);
}

motet_status mt_live_turns_end(mt_live_turns *t, int speaker)
{
    for (size_t i = t->count; i-- > 0;)
        if (speaker < 0 || t->open[i].speaker == speaker) MT_TRY(end_turn(t, i));
    return MOTET_OK;
}

static mt_live_turn *find_open(mt_live_turns *t, int speaker)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->open[i].speaker == speaker) return &t->open[i];
    return NULL;
}

/* Pauses as files have them: shorter than min_gap, they belong to the turn. */
static bool is_pause(int64_t frames, const mt_turn_rules *rules)
{
    return (double)frames * rules->frame < rules->min_gap;
}

static motet_status begin_turn(mt_live_turns *t, int speaker, int64_t start)
{
    if (!mt_reserve((void **)&t->open, t->count, &t->capacity, sizeof *t->open))
        return mt_fail_memory(t->count * sizeof *t->open);
    t->open[t->count++] = (mt_live_turn){.id = t->next_id++, .speaker = speaker, .start = start, .end = start};
    return MOTET_OK;
}

/* The frames [start, end) of a run, whose votes are the run's mean, go to the speaker's turn or begin one. */
static motet_status take_run(mt_live_turns *t, const mt_run *run, int speaker, int64_t start, int64_t end,
                             bool too_short, const mt_turn_rules *rules)
{
    mt_live_turn *turn = find_open(t, speaker);
    if (turn && !is_pause(start - turn->end, rules)) {
        MT_TRY(end_turn(t, (size_t)(turn - t->open)));
        turn = NULL;
    }
    if (!turn && too_short) return MOTET_OK;
    if (!turn) {
        MT_TRY(begin_turn(t, speaker, start));
        turn = &t->open[t->count - 1];
    }
    turn->changed = true;
    turn->end = end;
    turn->frames += end - start;
    turn->votes += run->votes / (double)(run->end - run->start) * (double)(end - start);
    if (end > t->last_end) t->last_end = end;
    return MOTET_OK;
}

static int by_start(const void *a, const void *b)
{
    const mt_run *x = a, *y = b;
    if (x->start != y->start) return x->start < y->start ? -1 : 1;
    return (x->speaker > y->speaker) - (x->speaker < y->speaker);
}

/* A run that reaches what was heard last may go on and is not too short yet. */
static motet_status take_runs(mt_live_turns *t, const mt_runs *runs, const int *speakers, int64_t until, int64_t heard,
                              const mt_turn_rules *rules)
{
    for (size_t i = 0; i < runs->count; i++) {
        const mt_run *run = &runs->items[i];
        int64_t start = run->start > t->decided ? run->start : t->decided, end = run->end < until ? run->end : until;
        if (start >= end) continue;
        bool too_short = run->end < heard && (double)(run->end - run->start) * rules->frame < rules->min_turn;
        MT_TRY(take_run(t, run, speakers[run->speaker], start, end, too_short, rules));
    }
    return MOTET_OK;
}

/* What has been silent for too long ends; the others are told where they are. */
static motet_status tell_all(mt_live_turns *t, const mt_turn_rules *rules)
{
    for (size_t i = 0; i < t->count;)
        if (!is_pause(t->decided - t->open[i].end, rules))
            MT_TRY(end_turn(t, i));
        else
            i++;
    for (size_t i = 0; i < t->count; i++)
        if (t->open[i].changed) MT_TRY(tell(t, &t->open[i]));
    return MOTET_OK;
}

motet_status mt_live_turns_decide(mt_live_turns *t, const mt_record *record, size_t from, int64_t until, int64_t heard,
                                  const mt_turn_rules *rules)
{
    if (until <= t->decided) return MOTET_OK;
    if (from < record->window_count) {
        tail last;
        mt_runs runs = {0};
        MT_TRY(tail_make(t, record, from, &last));
        motet_status status = last.count ? mt_turns_runs(&last.record, last.count, rules, &runs) : MOTET_OK;
        if (status == MOTET_OK && runs.count) {
            qsort(runs.items, runs.count, sizeof *runs.items, by_start);
            status = take_runs(t, &runs, last.speakers, until, heard, rules);
        }
        mt_free(runs.items);
        tail_free(&last);
        MT_TRY(status);
    }
    t->decided = until;
    return tell_all(t, rules);
}
