/* The session: a diarizer that tells of every window, the tracker, the turns, and the clock. */
#include "motet/live.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "core/memory.h"
#include "diarize/diarizer.h"
#include "live/persons.h"
#include "live/refine.h"
#include "live/tracker.h"
#include "live/turns.h"

enum { SILENCE = 1600 }; /* samples of a gap pushed at a time */

struct motet_live {
    motet_live_options options;
    motet_diarizer *diarizer;
    const motet_diarizer_info *info;
    mt_tracker tracker;
    mt_live_turns turns;
    mt_persons persons;
    mt_refiner refiner;
    motet_latency *latency;
    motet_live_listener listener;
    void *user;

    int64_t samples, heard; /* samples that came in; frames of them that windows have covered */
    int64_t samples_a_frame;
    double lookahead; /* seconds that the front end must hear beyond a frame */
    motet_live_origin origin;
    bool in_gap, behind;
    int64_t dropped;
    struct {
        int64_t start, told_to; /* samples */
        const char *reason;     /* NULL: there is none */
    } gap;
    double level, lost;
};

void motet_live_options_init(motet_live_options *options)
{
    *options = (motet_live_options){.latency = 1, .refine = 180};
    motet_diarize_options_init(&options->diarize);
    options->diarize.hop = 0.5;
}

static double now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int64_t frames_of(const motet_live *l, double seconds)
{
    return llround(seconds / l->info->frame);
}

/* --- telling --------------------------------------------------------------------------------------------------- */

/* When the last sound that frames before `seconds` of the stream need was captured; negative: not known. */
static double captured_at(const motet_live *l, double seconds)
{
    if (l->origin.captured < 0) return -1;
    return l->origin.captured - ((double)l->samples / l->info->sample_rate - seconds - l->lookahead);
}

static motet_status tell(void *user, motet_live_event *event)
{
    motet_live *l = user;
    event->time = (double)l->heard * l->info->frame;
    double captured =
        event->kind == MOTET_LIVE_STATS || event->kind == MOTET_LIVE_GAP ? -1 : captured_at(l, event->time);
    event->late_ms = captured < 0 ? -1 : fmax(0, (now_seconds() - captured) * 1e3);
    if (l->listener && l->listener(l->user, event))
        return mt_fail(MOTET_ERROR_CANCELLED, "cancelled after %.1f s of audio", event->time);
    return MOTET_OK;
}

static int person_of(void *user, int speaker)
{
    const motet_live *l = user;
    return mt_persons_root(&l->persons, speaker);
}

static motet_status tell_turn(void *user, const mt_live_turn *turn)
{
    motet_live *l = user;
    static const motet_live_kind kinds[] = {MOTET_LIVE_TURN_START, MOTET_LIVE_TURN_UPDATE, MOTET_LIVE_TURN_END};
    double mean = turn->frames ? turn->votes / (double)turn->frames : 0;
    motet_live_event event = {.kind = kinds[turn->state],
                              .turn = turn->id,
                              .start = (double)turn->start * l->info->frame,
                              .end = (double)turn->end * l->info->frame,
                              .confidence = mean < 1 ? mean : 1};
    MT_TRY(mt_persons_introduce(&l->persons, turn->speaker, &event.speaker, &event.name));
    return tell(l, &event);
}

/* --- a window -------------------------------------------------------------------------------------------------- */

/* Frames that are decided now: all that would be older than `latency` when the next window comes. That one must wait
 * for what the front end and the resampler need to hear beyond its end, for which a frame is enough. */
static int64_t decided_until(const motet_live *l)
{
    double held_back = l->options.latency - l->info->hop - l->info->frame;
    return l->heard - (held_back > 0 ? (int64_t)floor(held_back / l->info->frame + 1e-6) : 0);
}

static motet_status decide(motet_live *l, int64_t until)
{
    mt_record *record = mt_diarizer_record(l->diarizer);
    mt_turn_rules rules = mt_diarizer_turn_rules(l->diarizer);
    size_t from = mt_live_turns_first_window(&l->turns, record);
    return mt_live_turns_decide(&l->turns, record, from, until, l->heard, &rules);
}

static motet_status account(motet_live *l, const motet_chunk *chunk, double before)
{
    motet_chunk row = *chunk;
    double now = now_seconds(), captured = captured_at(l, chunk->start + l->info->window);
    row.cluster_ms += (now - before) * 1e3;
    row.resample_ms = l->origin.resample_ms;
    l->origin.resample_ms = 0;
    double rest = captured < 0 ? 0 : (now - captured) * 1e3 - row.resample_ms - row.encode_ms - row.cluster_ms;
    row.decode_ms = rest > 0 ? rest : 0;
    return motet_latency_add(l->latency, &row);
}

/* Voices before it are in windows that no window to come overlaps, and whose frames are decided. */
static size_t first_needed(const motet_live *l, const mt_record *record)
{
    size_t window = mt_live_turns_first_window(&l->turns, record), first, end;
    if (window > l->tracker.settled) window = l->tracker.settled;
    if (window >= record->window_count) return 0;
    mt_record_voices_of(record, window, &first, &end);
    return first;
}

static motet_status on_window(void *user, const motet_chunk *chunk)
{
    motet_live *l = user;
    double before = now_seconds();
    mt_record *record = mt_diarizer_record(l->diarizer);
    l->heard = frames_of(l, chunk->start + l->info->window);
    int64_t all = (l->samples + l->samples_a_frame - 1) / l->samples_a_frame;
    if (l->heard > all) l->heard = all;
    MT_TRY(mt_refiner_step(&l->refiner, l->diarizer, record, &l->tracker, l->heard));
    MT_TRY(mt_tracker_window(&l->tracker, record, mt_live_turns_first_window(&l->turns, record)));
    MT_TRY(mt_persons_take(&l->persons, &l->tracker));
    MT_TRY(decide(l, decided_until(l)));
    mt_record_let_go(record, first_needed(l, record));
    return l->in_gap ? MOTET_OK : account(l, chunk, before);
}

/* Windows are left out when there is no time for them, and in long gaps, where there is nothing in them. */
static int leave_out(void *user)
{
    motet_live *l = user;
    if (l->in_gap) return (double)(l->samples - l->gap.start) > (l->info->window + l->info->hop) * l->info->sample_rate;
    l->dropped += l->behind;
    return l->behind;
}

/* --- a session ------------------------------------------------------------------------------------------------- */

static motet_status check_options(const motet_live_options *o, const motet_diarizer_info *info)
{
    if (!(o->latency >= info->hop - 1e-9 && o->latency <= 60))
        return mt_fail(MOTET_ERROR_ARGUMENT, "latency %g s: expected the hop's %g s to 60 s", o->latency, info->hop);
    if (!(o->refine >= 0 && o->refine <= 86400) || (o->refine > 0 && o->refine < 10))
        return mt_fail(MOTET_ERROR_ARGUMENT, "a global pass every %g s: expected 0 (none), or 10 to 86400", o->refine);
    return MOTET_OK;
}

static motet_status set_up(motet_live *l)
{
    MT_TRY(motet_diarizer_create(&l->options.diarize, &l->diarizer));
    l->info = motet_diarizer_describe(l->diarizer);
    MT_TRY(check_options(&l->options, l->info));
    MT_TRY(motet_latency_create_live(l->info->hop * 1000, &l->latency));
    l->lookahead = mt_diarizer_lookahead(l->diarizer);
    l->samples_a_frame = llround(l->info->frame * l->info->sample_rate);
    l->turns.tell = tell_turn;
    l->turns.person = person_of;
    l->turns.user = l;
    l->origin.captured = -1;
    mt_persons_init(&l->persons, l->info->hop, l->info->window, &l->turns, tell, l);
    mt_refiner_init(&l->refiner, l->options.refine, l->info->frame);
    mt_tracker_init(&l->tracker, mt_diarizer_record(l->diarizer)->dims, mt_diarizer_rules(l->diarizer),
                    l->info->window / l->info->hop);
    return mt_diarizer_follow(l->diarizer, on_window, leave_out, l);
}

motet_status motet_live_create(const motet_live_options *options, motet_live **out)
{
    *out = NULL;
    motet_live *l = mt_alloc_zero(1, sizeof *l);
    if (!l) return mt_fail_memory(sizeof *l);
    l->options = *options;
    motet_status status = set_up(l);
    if (status != MOTET_OK) {
        motet_live_destroy(l);
        return status;
    }
    *out = l;
    return MOTET_OK;
}

void motet_live_destroy(motet_live *l)
{
    if (!l) return;
    mt_refiner_stop(&l->refiner);
    mt_tracker_free(&l->tracker);
    mt_live_turns_free(&l->turns);
    mt_persons_free(&l->persons);
    motet_latency_destroy(l->latency);
    motet_diarizer_destroy(l->diarizer);
    mt_free(l);
}

void motet_live_listen(motet_live *l, motet_live_listener listener, void *user)
{
    l->listener = listener;
    l->user = user;
}

void motet_live_know(motet_live *l, const motet_known *known, const motet_known_options *options)
{
    l->persons.known = known;
    motet_known_options_init(&l->persons.matching);
    if (options) l->persons.matching = *options;
}

const motet_diarizer_info *motet_live_describe(const motet_live *l)
{
    return l->info;
}

const motet_latency *motet_live_latency(const motet_live *l)
{
    return l->latency;
}

void motet_live_behind(motet_live *l, bool behind)
{
    l->behind = behind;
}

double motet_live_time(const motet_live *l)
{
    return (double)l->samples / l->info->sample_rate;
}

double motet_live_silence(const motet_live *l)
{
    return l->turns.count ? 0 : (double)(l->turns.decided - l->turns.last_end) * l->info->frame;
}

/* --- samples --------------------------------------------------------------------------------------------------- */

static void watch_level(motet_live *l, const float *samples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        double level = fabs((double)samples[i]);
        if (level > l->level) l->level = level;
    }
}

static motet_status push_silence(motet_live *l, int64_t count)
{
    static const float silence[SILENCE];
    while (count > 0) {
        size_t now = count < SILENCE ? (size_t)count : SILENCE;
        l->samples += (int64_t)now;
        MT_TRY(motet_diarizer_push(l->diarizer, silence, now));
        count -= (int64_t)now;
    }
    return MOTET_OK;
}

static motet_status tell_gap(motet_live *l)
{
    l->gap.told_to = l->samples;
    motet_live_event event = {.kind = MOTET_LIVE_GAP,
                              .start = (double)l->gap.start / l->info->sample_rate,
                              .end = motet_live_time(l),
                              .reason = l->gap.reason};
    return tell(l, &event);
}

/* A gap that comes in pieces is told when it begins, and once more when it is over. */
static motet_status end_gap(motet_live *l)
{
    bool more = l->gap.reason && l->gap.told_to < l->samples;
    if (more) MT_TRY(tell_gap(l));
    l->gap.reason = NULL;
    return MOTET_OK;
}

/* What a stream needs that a reset has taken. */
static motet_status make_ready(motet_live *l)
{
    mt_record *record = mt_diarizer_record(l->diarizer);
    return record->stores ? MOTET_OK : mt_record_keep_in_files(record);
}

motet_status motet_live_gap(motet_live *l, double seconds, const char *reason)
{
    if (!(seconds > 0)) return MOTET_OK;
    MT_TRY(make_ready(l));
    bool goes_on = l->gap.reason != NULL;
    if (!goes_on) l->gap.start = l->samples;
    l->gap.reason = reason;
    l->lost += seconds;
    l->in_gap = true;
    l->origin.captured = -1;
    motet_status status = push_silence(l, llround(seconds * l->info->sample_rate));
    l->in_gap = false;
    MT_TRY(status);
    return goes_on ? MOTET_OK : tell_gap(l);
}

motet_status motet_live_push(motet_live *l, const float *samples, size_t count, const motet_live_origin *origin)
{
    MT_TRY(make_ready(l));
    MT_TRY(end_gap(l));
    watch_level(l, samples, count);
    l->origin.captured = origin ? origin->captured : -1;
    if (origin) l->origin.resample_ms += origin->resample_ms;
    l->samples += (int64_t)count;
    return motet_diarizer_push(l->diarizer, samples, count);
}

motet_status motet_live_tell(motet_live *l, double drift_ppm)
{
    motet_latency_summary late;
    MT_TRY(motet_latency_summarize(l->latency, MOTET_STAGE_TOTAL, &late));
    motet_live_event event = {.kind = MOTET_LIVE_STATS,
                              .stats = {.level = l->level > 1e-5 ? 20 * log10(l->level) : -100,
                                        .late_p50 = late.p50,
                                        .late_p95 = late.p95,
                                        .late_p99 = late.p99,
                                        .late_max = late.max,
                                        .windows = (int64_t)late.count,
                                        .misses = (int64_t)motet_latency_misses(l->latency),
                                        .dropped = l->dropped,
                                        .lost = l->lost,
                                        .drift_ppm = drift_ppm,
                                        .speakers = mt_persons_shown(&l->persons)}};
    l->level = 0;
    return tell(l, &event);
}

/* --- the end --------------------------------------------------------------------------------------------------- */

static motet_status tell_final(motet_live *l, const motet_diarization *result)
{
    for (size_t i = 0; i < result->turn_count; i++) {
        const motet_turn *turn = &result->turns[i];
        const char *label = result->speakers[turn->speaker].label;
        motet_live_event event = {.kind = MOTET_LIVE_TURN_FINAL,
                                  .name = strncmp(label, "SPEAKER_", 8) ? label : NULL,
                                  .turn = (int64_t)i,
                                  .speaker = turn->speaker,
                                  .start = turn->start,
                                  .end = turn->end,
                                  .confidence = turn->confidence};
        MT_TRY(tell(l, &event));
    }
    return MOTET_OK;
}

static void reset(motet_live *l)
{
    mt_refiner_stop(&l->refiner);
    mt_refiner_init(&l->refiner, l->options.refine, l->info->frame);
    motet_diarizer_reset(l->diarizer);
    mt_tracker_free(&l->tracker);
    mt_live_turns_free(&l->turns);
    mt_persons_free(&l->persons);
    l->samples = l->heard = l->dropped = 0;
    l->origin = (motet_live_origin){.captured = -1};
    l->level = l->lost = 0;
    l->gap.reason = NULL;
    l->behind = false;
}

static motet_status conclude(motet_live *l, motet_diarization **out)
{
    l->behind = false;
    MT_TRY(end_gap(l));
    MT_TRY(mt_diarizer_complete(l->diarizer));
    mt_refiner_stop(&l->refiner);
    MT_TRY(decide(l, l->heard));
    MT_TRY(mt_live_turns_end(&l->turns, -1));
    MT_TRY(motet_diarizer_finish(l->diarizer, out));
    if (l->persons.known) MT_TRY(motet_known_name(l->persons.known, &l->persons.matching, *out));
    motet_latency_conclude(l->latency, (*out)->final_ms);
    return tell_final(l, *out);
}

motet_status motet_live_finish(motet_live *l, motet_diarization **out)
{
    *out = NULL;
    motet_status status = conclude(l, out);
    if (status != MOTET_OK) {
        motet_diarization_destroy(*out);
        *out = NULL;
    }
    reset(l);
    return status;
}
