/* Capturing from the sound server through libpulse's asynchronous interface, in the thread of its threaded main loop.
 *
 *     connect -> context ready -> look the source up -> record stream -> blocks
 *        ^                                                    |
 *        +----- a while later, longer each time <---- anything fails
 *
 * After the first success nothing is final: the server may restart, the device vanish and come back, the default move.
 * A tick four times a second sees when nothing has come for a second, whatever the reason, and moves the time line on.
 */
#include "audio/capture.h"

#include <pulse/pulseaudio.h>
#include <string.h>

#include "audio/clock.h"
#include "core/memory.h"

enum {
    SLOTS = 4096, /* blocks: 20 to 40 s of sound, by how small the server cuts it */
    BLOCKS_A_SECOND = 100,
    TICK_US = 250000,
    SILENT_TICKS = 4, /* after which nothing is said to come */
    FIRST_TICKS = 16, /* before there was anything: a null sink takes two seconds */
    FIRST_WAIT_MS = 100,
    LONGEST_WAIT_MS = 2000,
};

typedef struct pulse {
    motet_capture capture; /* first, so that one is the other */
    pa_threaded_mainloop *loop;
    pa_context *context;
    pa_stream *stream;
    pa_time_event *tick, *retry;
    char *source;    /* as asked for */
    char *heard;     /* the server's name of the source that is being heard */
    bool opened;     /* has been heard once: failures are not final any more */
    bool failed;     /* before that */
    int wait_ms;     /* before the next attempt */
    const char *why; /* what has happened since the last block */
    bool data;       /* came since the last tick */
    int silent_ticks;
    double ticked;
    mt_clock clock;
    motet_block block;
} pulse;

static void connect_to_server(pulse *p);

/* --- trouble --------------------------------------------------------------------------------------------------- */

static void set_trouble(pulse *p, const char *trouble)
{
    if (trouble) p->why = trouble;
    atomic_store(&p->capture.trouble, trouble);
    atomic_store(&p->capture.connected, trouble == NULL);
}

static void drop_stream(pulse *p)
{
    if (!p->stream) return;
    pa_stream_set_state_callback(p->stream, NULL, NULL);
    pa_stream_set_read_callback(p->stream, NULL, NULL);
    pa_stream_set_suspended_callback(p->stream, NULL, NULL);
    pa_stream_set_moved_callback(p->stream, NULL, NULL);
    pa_stream_set_overflow_callback(p->stream, NULL, NULL);
    pa_stream_disconnect(p->stream);
    pa_stream_unref(p->stream);
    p->stream = NULL;
}

static void drop_context(pulse *p)
{
    drop_stream(p);
    if (!p->context) return;
    pa_context_set_state_callback(p->context, NULL, NULL);
    pa_context_set_subscribe_callback(p->context, NULL, NULL);
    pa_context_disconnect(p->context);
    pa_context_unref(p->context);
    p->context = NULL;
}

static void look_up_source(pulse *p);

static void on_retry(pa_mainloop_api *api, pa_time_event *event, const struct timeval *when, void *user)
{
    pulse *p = user;
    (void)when;
    api->time_free(event);
    p->retry = NULL;
    if (p->context && pa_context_get_state(p->context) == PA_CONTEXT_READY)
        look_up_source(p);
    else
        connect_to_server(p);
}

static void retry_in(pulse *p, int ms)
{
    pa_mainloop_api *api = pa_threaded_mainloop_get_api(p->loop);
    struct timeval when;
    if (p->retry) api->time_free(p->retry);
    pa_gettimeofday(&when);
    pa_timeval_add(&when, (pa_usec_t)ms * 1000);
    p->retry = api->time_new(api, &when, on_retry, p);
}

/* Tries again after a while, or gives up when it has never worked. */
static void fail(pulse *p, const char *trouble)
{
    drop_stream(p);
    mt_clock_unmoor(&p->clock);
    set_trouble(p, trouble);
    if (!p->opened) {
        p->failed = true;
        pa_threaded_mainloop_signal(p->loop, 0);
        return;
    }
    retry_in(p, p->wait_ms);
    p->wait_ms = p->wait_ms * 2 < LONGEST_WAIT_MS ? p->wait_ms * 2 : LONGEST_WAIT_MS;
}

/* --- blocks ---------------------------------------------------------------------------------------------------- */

static void write_block(pulse *p, int64_t start, const float *samples, int count, double captured)
{
    motet_block *b = &p->block;
    b->start = start;
    b->count = count;
    b->captured = captured;
    b->why = p->why;
    if (count) memcpy(b->samples, samples, (size_t)count * sizeof *samples);
    if (count) p->why = NULL; /* until there is sound again, it stays the reason */
    mt_ring_write(p->capture.ring, b);
}

/* All that can be read now has arrived by now, and what lies further ahead in it earlier. What the server says of its
 * own latency is not used: for a second after a stream has begun it is wrong by half of one. */
static void take_fragment(pulse *p, const float *samples, size_t count)
{
    size_t behind = pa_stream_readable_size(p->stream) / sizeof(float);
    double arrived = mt_monotonic() - (double)behind / p->capture.rate;
    while (count) {
        int now = count < MOTET_BLOCK_SAMPLES ? (int)count : MOTET_BLOCK_SAMPLES;
        arrived += (double)now / p->capture.rate;
        int64_t start = mt_clock_take(&p->clock, now, arrived);
        write_block(p, start, samples, now, mt_clock_when(&p->clock, start + now));
        samples += now;
        count -= (size_t)now;
    }
    atomic_store(&p->capture.drift_ppm, p->clock.drift_ppm);
}

static void on_read(pa_stream *stream, size_t bytes, void *user)
{
    pulse *p = user;
    const void *data;
    while (pa_stream_readable_size(stream) > 0 && pa_stream_peek(stream, &data, &bytes) == 0 && bytes > 0) {
        if (data) {
            p->data = true;
            take_fragment(p, data, bytes / sizeof(float));
        } else {
            p->why = "samples lost on the way";
            mt_clock_unmoor(&p->clock);
        }
        pa_stream_drop(stream);
    }
}

/* A tick that comes late itself says that the program stood still, and nothing about the source. */
static void on_tick(pa_mainloop_api *api, pa_time_event *event, const struct timeval *when, void *user)
{
    pulse *p = user;
    struct timeval next;
    double now = mt_monotonic();
    int64_t start;
    (void)when;
    bool late = now - p->ticked > 2 * TICK_US / 1e6;
    p->silent_ticks = p->data || late ? 0 : p->silent_ticks + 1;
    p->data = false;
    p->ticked = now;
    if (p->silent_ticks >= (p->clock.begun ? SILENT_TICKS : FIRST_TICKS) && p->opened &&
        mt_clock_pass(&p->clock, now - SILENT_TICKS * TICK_US / 1e6, &start)) {
        if (!p->why) p->why = atomic_load(&p->capture.trouble);
        write_block(p, start, NULL, 0, now);
    }
    pa_gettimeofday(&next);
    pa_timeval_add(&next, TICK_US);
    api->time_restart(event, &next);
}

/* --- the stream ------------------------------------------------------------------------------------------------ */

static void on_stream_state(pa_stream *stream, void *user)
{
    pulse *p = user;
    switch (pa_stream_get_state(stream)) {
    case PA_STREAM_READY:
        p->opened = true;
        p->wait_ms = FIRST_WAIT_MS;
        set_trouble(p, NULL);
        mt_free(p->heard);
        p->heard = mt_copy_string(pa_stream_get_device_name(stream));
        pa_threaded_mainloop_signal(p->loop, 0);
        break;
    case PA_STREAM_FAILED:
    case PA_STREAM_TERMINATED: fail(p, "the device is gone"); break;
    default: break;
    }
}

static void on_suspended(pa_stream *stream, void *user)
{
    pulse *p = user;
    bool suspended = pa_stream_is_suspended(stream) > 0;
    mt_clock_unmoor(&p->clock);
    set_trouble(p, suspended ? "the device is suspended" : NULL);
}

static void on_moved(pa_stream *stream, void *user)
{
    pulse *p = user;
    (void)stream;
    p->why = "moved to another device";
    mt_clock_unmoor(&p->clock);
}

static void on_overflow(pa_stream *stream, void *user)
{
    pulse *p = user;
    (void)stream;
    p->why = "samples lost on the way";
    mt_clock_unmoor(&p->clock);
}

/* The default source is left to the server, which moves the stream when the default moves. */
static void open_stream(pulse *p, const char *device)
{
    pa_sample_spec spec = {.format = PA_SAMPLE_FLOAT32NE, .rate = (uint32_t)p->capture.rate, .channels = 1};
    pa_buffer_attr attributes = {.maxlength = (uint32_t)-1,
                                 .fragsize = (uint32_t)(p->capture.rate / BLOCKS_A_SECOND) * (uint32_t)sizeof(float)};
    bool follows = !strcmp(p->source, "default");
    drop_stream(p);
    p->stream = pa_stream_new(p->context, "capture", &spec, NULL);
    if (!p->stream) {
        fail(p, "the server refuses a stream");
        return;
    }
    pa_stream_set_state_callback(p->stream, on_stream_state, p);
    pa_stream_set_read_callback(p->stream, on_read, p);
    pa_stream_set_suspended_callback(p->stream, on_suspended, p);
    pa_stream_set_moved_callback(p->stream, on_moved, p);
    pa_stream_set_overflow_callback(p->stream, on_overflow, p);
    pa_stream_flags_t flags = PA_STREAM_ADJUST_LATENCY | (follows ? 0 : PA_STREAM_DONT_MOVE);
    if (pa_stream_connect_record(p->stream, follows ? NULL : device, &attributes, flags) < 0)
        fail(p, "the server refuses a stream");
}

static void on_source(pa_context *context, const pa_source_info *info, int end, void *user)
{
    pulse *p = user;
    (void)context;
    if (end < 0) {
        fail(p, p->opened ? "the device is gone" : "no such source");
        return;
    }
    if (end || p->stream) return;
    if (!p->capture.rate) {
        uint32_t rate = info->sample_spec.rate;
        p->capture.rate = rate < 8000 ? 8000 : rate > 96000 ? 96000 : (int)rate;
        mt_clock_init(&p->clock, p->capture.rate);
    }
    if (!p->capture.name) p->capture.name = mt_copy_string(info->description);
    open_stream(p, info->name);
}

/* The server knows names of its own for what moves. */
static const char *server_name(const pulse *p)
{
    if (!strcmp(p->source, "default")) return "@DEFAULT_SOURCE@";
    return strcmp(p->source, "monitor") ? p->source : "@DEFAULT_MONITOR@";
}

static void look_up_source(pulse *p)
{
    pa_operation *operation = pa_context_get_source_info_by_name(p->context, server_name(p), on_source, p);
    if (operation)
        pa_operation_unref(operation);
    else
        fail(p, "the server does not answer");
}

/* --- the server ------------------------------------------------------------------------------------------------ */

static void on_default(pa_context *context, const pa_source_info *info, int end, void *user)
{
    pulse *p = user;
    (void)context;
    if (end || !p->stream || !p->heard || !strcmp(info->name, p->heard)) return;
    p->why = "the default moved";
    mt_clock_unmoor(&p->clock);
    open_stream(p, info->name);
}

/* Something about sources or defaults has changed: what was waited for may be there, and "monitor" may be another. */
static void on_change(pa_context *context, pa_subscription_event_type_t type, uint32_t index, void *user)
{
    pulse *p = user;
    (void)type, (void)index;
    if (!p->opened) return;
    if (!p->stream) {
        retry_in(p, 50);
    } else if (!strcmp(p->source, "monitor")) {
        pa_operation *operation = pa_context_get_source_info_by_name(context, "@DEFAULT_MONITOR@", on_default, p);
        if (operation) pa_operation_unref(operation);
    }
}

static void on_context_state(pa_context *context, void *user)
{
    pulse *p = user;
    switch (pa_context_get_state(context)) {
    case PA_CONTEXT_READY: {
        pa_context_set_subscribe_callback(context, on_change, p);
        pa_operation *operation =
            pa_context_subscribe(context, PA_SUBSCRIPTION_MASK_SOURCE | PA_SUBSCRIPTION_MASK_SERVER, NULL, NULL);
        if (operation) pa_operation_unref(operation);
        look_up_source(p);
        break;
    }
    case PA_CONTEXT_FAILED:
    case PA_CONTEXT_TERMINATED: fail(p, p->opened ? "the server is gone" : "no sound server can be reached"); break;
    default: break;
    }
}

static void connect_to_server(pulse *p)
{
    drop_context(p);
    p->context = pa_context_new(pa_threaded_mainloop_get_api(p->loop), "motet");
    if (p->context) pa_context_set_state_callback(p->context, on_context_state, p);
    if (!p->context || pa_context_connect(p->context, NULL, PA_CONTEXT_NOAUTOSPAWN, NULL) < 0)
        fail(p, p->opened ? "the server is gone" : "no sound server can be reached");
}

/* --- opening and closing --------------------------------------------------------------------------------------- */

static void close_pulse(motet_capture *capture)
{
    pulse *p = (pulse *)capture;
    if (p->loop) {
        pa_mainloop_api *api = pa_threaded_mainloop_get_api(p->loop);
        pa_threaded_mainloop_lock(p->loop);
        if (p->tick) api->time_free(p->tick);
        if (p->retry) api->time_free(p->retry);
        drop_context(p);
        pa_threaded_mainloop_unlock(p->loop);
        pa_threaded_mainloop_stop(p->loop);
        pa_threaded_mainloop_free(p->loop);
    }
    mt_free(p->source);
    mt_free(p->heard);
    mt_capture_free(capture);
}

static void begin(pulse *p)
{
    pa_mainloop_api *api = pa_threaded_mainloop_get_api(p->loop);
    struct timeval when;
    pa_threaded_mainloop_lock(p->loop);
    pa_gettimeofday(&when);
    p->ticked = mt_monotonic();
    p->tick = api->time_new(api, &when, on_tick, p);
    connect_to_server(p);
    while (!p->opened && !p->failed) pa_threaded_mainloop_wait(p->loop);
    pa_threaded_mainloop_unlock(p->loop);
}

static motet_status start(pulse *p, const char *source)
{
    MT_TRY(mt_ring_create(SLOTS, &p->capture.ring));
    p->source = mt_copy_string(source);
    if (!p->source) return mt_fail_memory(strlen(source));
    p->loop = pa_threaded_mainloop_new();
    if (!p->loop || pa_threaded_mainloop_start(p->loop) < 0)
        return mt_fail(MOTET_ERROR_IO, "%s: cannot start a thread for the sound server", source);
    begin(p);
    if (p->failed) return mt_fail(MOTET_ERROR_IO, "%s: %s", source, atomic_load(&p->capture.trouble));
    return p->capture.name ? MOTET_OK : mt_fail_memory(1);
}

motet_status motet_capture_open(const char *source, motet_capture **out)
{
    *out = NULL;
    pulse *p = mt_alloc_zero(1, sizeof *p);
    if (!p) return mt_fail_memory(sizeof *p);
    p->capture.close = close_pulse;
    p->wait_ms = FIRST_WAIT_MS;
    motet_status status = start(p, source);
    if (status != MOTET_OK) {
        close_pulse(&p->capture);
        return status;
    }
    *out = &p->capture;
    return MOTET_OK;
}
