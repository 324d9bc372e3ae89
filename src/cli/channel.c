/* Blocks say where they stand on the time line of their capture, so that what is missing between two of them shows, and
 * becomes silence: after a gap the resampler begins anew, and its first sample stands where it belongs. */
#include "channel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    SLIP_SAMPLES = 9600,
    AT_ONCE = 50 /* blocks taken before somebody looks whether it is time to end */
};

static const double BEHIND = 4; /* seconds of sound that wait, at which windows are left out */

static double now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int rate_of(const channel *c)
{
    return motet_live_describe(c->live)->sample_rate;
}

motet_status channel_add_feed(channel *c, motet_capture *capture)
{
    feed *f = &c->feeds[c->feed_count++];
    *f = (feed){.capture = capture};
    return motet_resampler_create(motet_capture_rate(capture), rate_of(c), &f->resampler);
}

void channel_close(channel *c)
{
    for (int i = 0; i < c->feed_count; i++) {
        motet_capture_close(c->feeds[i].capture);
        motet_resampler_destroy(c->feeds[i].resampler);
    }
    motet_live_destroy(c->live);
    free(c->mix);
    *c = (channel){0};
}

bool channel_ended(const channel *c)
{
    for (int i = 0; i < c->feed_count; i++)
        if (!c->feeds[i].ended) return false;
    return true;
}

double channel_drift(const channel *c)
{
    motet_capture_state state;
    motet_capture_look(c->feeds[0].capture, &state);
    return state.drift_ppm;
}

/* --- into the session ------------------------------------------------------------------------------------------ */

static motet_status deliver(channel *c, const float *samples, size_t count, const motet_live_origin *origin)
{
    c->tap(c->user, c, samples, count);
    return motet_live_push(c->live, samples, count, origin);
}

static motet_status deliver_gap(channel *c, int64_t count, const char *why)
{
    static const float silence[4096];
    for (int64_t left = count; left > 0; left -= 4096) c->tap(c->user, c, silence, left < 4096 ? (size_t)left : 4096);
    return motet_live_gap(c->live, (double)count / rate_of(c), why);
}

/* --- several sources in one ------------------------------------------------------------------------------------ */

static motet_status make_room(channel *c, int64_t until)
{
    size_t wanted = (size_t)(until - c->mixed_to);
    if (wanted <= c->mix_length) return MOTET_OK;
    if (wanted > c->mix_capacity) {
        float *grown = realloc(c->mix, 2 * wanted * sizeof *grown);
        if (!grown) return MOTET_ERROR_MEMORY;
        c->mix = grown;
        c->mix_capacity = 2 * wanted;
    }
    memset(c->mix + c->mix_length, 0, (wanted - c->mix_length) * sizeof *c->mix);
    c->mix_length = wanted;
    return MOTET_OK;
}

/* Delivers what all sources have given. */
static motet_status deliver_mix(channel *c)
{
    int64_t until = INT64_MAX;
    for (int i = 0; i < c->feed_count; i++)
        if (!c->feeds[i].ended && c->feeds[i].position < until) until = c->feeds[i].position;
    if (until == INT64_MAX) until = c->mixed_to + (int64_t)c->mix_length;
    if (until <= c->mixed_to) return MOTET_OK;
    motet_status status = make_room(c, until);
    if (status != MOTET_OK) return status;
    size_t count = (size_t)(until - c->mixed_to);
    status = deliver(c, c->mix, count, &c->mix_origin);
    memmove(c->mix, c->mix + count, (c->mix_length - count) * sizeof *c->mix);
    c->mix_length -= count;
    c->mixed_to = until;
    c->mix_origin.resample_ms = 0;
    return status;
}

static motet_status add_to_mix(channel *c, const feed *f, const float *samples, size_t count,
                               const motet_live_origin *origin)
{
    motet_status status = make_room(c, f->position + (int64_t)count);
    if (status != MOTET_OK) return status;
    float scale = 1.0f / (float)c->feed_count;
    for (size_t i = 0; i < count; i++) {
        int64_t at = f->position + (int64_t)i - c->mixed_to;
        if (at >= 0) c->mix[at] += scale * samples[i];
    }
    c->mix_origin.captured = origin->captured;
    c->mix_origin.resample_ms += origin->resample_ms;
    return MOTET_OK;
}

/* --- one source ------------------------------------------------------------------------------------------------ */

static motet_status feed_samples(channel *c, feed *f, const float *samples, size_t count,
                                 const motet_live_origin *origin)
{
    if (count == 0) return MOTET_OK;
    motet_status status =
        c->feed_count > 1 ? add_to_mix(c, f, samples, count, origin) : deliver(c, samples, count, origin);
    f->position += (int64_t)count;
    return status;
}

static motet_status finish_resampling(channel *c, feed *f)
{
    const float *samples;
    size_t count;
    motet_live_origin origin = {.captured = -1};
    motet_status status = motet_resampler_finish(f->resampler, &samples, &count);
    return status == MOTET_OK ? feed_samples(c, f, samples, count, &origin) : status;
}

/* A few samples for a clock that has drifted: the stream goes on without a seam. */
static motet_status fill_slip(channel *c, feed *f, int64_t start)
{
    static const float silence[SLIP_SAMPLES];
    const float *samples;
    size_t count;
    motet_live_origin origin = {.captured = -1};
    motet_status status = motet_resampler_push(f->resampler, silence, (size_t)(start - f->next), &samples, &count);
    f->next = start;
    return status == MOTET_OK ? feed_samples(c, f, samples, count, &origin) : status;
}

/* The silence before sample `start`. */
static motet_status feed_gap(channel *c, feed *f, int64_t start, const char *why)
{
    int from = motet_capture_rate(f->capture), to = rate_of(c);
    if (!why && start - f->next < from / 10 && start - f->next <= SLIP_SAMPLES) return fill_slip(c, f, start);
    motet_status status = finish_resampling(c, f);
    if (status != MOTET_OK) return status;
    motet_resampler_destroy(f->resampler);
    f->resampler = NULL;
    status = motet_resampler_create(from, to, &f->resampler);
    int64_t missing = llround((double)start * to / from) - f->position;
    f->next = start;
    if (status != MOTET_OK || missing <= 0) return status;
    if (c->feed_count == 1) status = deliver_gap(c, missing, why ? why : "nothing came");
    f->position += missing;
    return status;
}

/* Whoever is heard first begins the session's time line. */
static void begin_feed(channel *c, feed *f, const motet_block *block)
{
    int rate = motet_capture_rate(f->capture);
    double first = block->captured - (double)block->count / rate;
    if (f->begun) return;
    f->begun = true;
    if (*c->zero < 0) *c->zero = first;
    f->shift = llround((first - *c->zero) * rate) - block->start;
}

static motet_status feed_block(channel *c, feed *f, const motet_block *block)
{
    const float *samples = block->samples, *resampled;
    size_t count = (size_t)block->count, resampled_count;
    begin_feed(c, f, block);
    int64_t start = block->start + f->shift;
    if (start > f->next) {
        motet_status status = feed_gap(c, f, start, block->why);
        if (status != MOTET_OK) return status;
    }
    if (start < f->next) { /* heard already */
        int64_t known = f->next - start;
        if (known >= (int64_t)count) return MOTET_OK;
        samples += known;
        count -= (size_t)known;
    }
    f->next += (int64_t)count;
    motet_live_origin origin = {.captured = block->captured};
    double before = now_seconds();
    motet_status status = motet_resampler_push(f->resampler, samples, count, &resampled, &resampled_count);
    origin.resample_ms = (now_seconds() - before) * 1e3;
    return status == MOTET_OK ? feed_samples(c, f, resampled, resampled_count, &origin) : status;
}

static motet_status take_feed(channel *c, feed *f, bool *moved)
{
    static motet_block block;
    motet_capture_state state;
    for (int n = 0; n < AT_ONCE && !f->ended && motet_capture_read(f->capture, &block); n++) {
        *moved = true;
        motet_capture_look(f->capture, &state);
        motet_live_behind(c->live, state.backlog > BEHIND);
        motet_status status = feed_block(c, f, &block);
        if (status == MOTET_OK && block.end) {
            f->ended = true;
            status = finish_resampling(c, f);
        }
        if (status != MOTET_OK) return status;
    }
    return MOTET_OK;
}

motet_status channel_take(channel *c, bool *moved)
{
    motet_status status = MOTET_OK;
    for (int i = 0; i < c->feed_count && status == MOTET_OK; i++) status = take_feed(c, &c->feeds[i], moved);
    if (status == MOTET_OK && c->feed_count > 1) status = deliver_mix(c);
    return status;
}
