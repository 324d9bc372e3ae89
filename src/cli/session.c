/* One thread works on all channels: it sleeps until blocks wait or a tenth of a second has passed, takes them, and
 * looks whether it is time to end. Whatever comes of an event, a line of JSON, a line for people, a picture, is made at
 * once. */
#include "session.h"

#include <malloc.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "events.h"
#include "motet/file.h"
#include "outputs.h"
#include "progress.h"
#include "voices.h"

enum { MAX_CHANNELS = SESSION_SOURCES };

static const double TELL_EVERY = 10; /* seconds of the stream from one word on how things are to the next */

struct session {
    session_request request;
    channel channels[MAX_CHANNELS];
    int count;
    motet_diarization *results[MAX_CHANNELS];
    event_sink sink;
    motet_known *known;       /* voices; NULL: none */
    motet_recorder *recorder; /* NULL: nothing is recorded, or no longer */
    bool record_failed;
    double zero, told_at;
    double peak;      /* loudest sample since the picture was drawn */
    bool output_gone; /* whoever read it has gone: end quietly */
};

static volatile sig_atomic_t table_wanted;

static void on_usr1(int number)
{
    (void)number;
    table_wanted = 1;
}

/* --- making one ------------------------------------------------------------------------------------------------ */

session *session_create(const session_request *request)
{
    session *s = calloc(1, sizeof *s);
    if (!s) {
        cli_say(request->command, "out of memory");
        return NULL;
    }
    s->request = *request;
    s->zero = -1;
    return s;
}

/* A recording that fails is said, and ends; what is heard goes on. */
static void record_failed(session *s)
{
    cli_say(s->request.command, "%s; the recording ends there, the session goes on", motet_error_message());
    s->record_failed = true;
}

static void end_recording(session *s)
{
    if (motet_recorder_close(s->recorder) != MOTET_OK && !s->record_failed) record_failed(s);
    s->recorder = NULL;
}

void session_destroy(session *s)
{
    if (!s) return;
    for (int i = 0; i < s->count; i++) {
        channel_close(&s->channels[i]);
        motet_diarization_destroy(s->results[i]);
    }
    motet_known_destroy(s->known);
    end_recording(s);
    event_sink_close(&s->sink);
    free(s);
}

static int on_event(void *user, const motet_live_event *event)
{
    channel *c = user;
    session *s = c->user;
    if (!s->output_gone) s->output_gone = !event_sink_take(&s->sink, c->name, event);
    return 0;
}

static void on_samples(void *user, channel *c, const float *samples, size_t count)
{
    session *s = user;
    for (size_t i = 0; i < count; i++) {
        double level = fabs((double)samples[i]);
        if (level > s->peak) s->peak = level;
    }
    if (!s->recorder || s->record_failed) return;
    if (motet_recorder_write(s->recorder, (int)(c - s->channels), samples, count) != MOTET_OK) record_failed(s);
}

/* Known voices are read when the first model is there that they are for. */
static motet_status know_voices(session *s, channel *c)
{
    const settings *wanted = s->request.settings;
    motet_status status = MOTET_OK;
    if (wanted->known && !s->known) status = motet_known_open(wanted->known, motet_live_describe(c->live), &s->known);
    if (status == MOTET_OK) motet_live_know(c->live, s->known, &wanted->matching);
    return status;
}

/* The channel of that name, made if need be. */
static motet_status find_channel(session *s, const char *name, channel **out)
{
    for (int i = 0; i < s->count; i++) {
        *out = &s->channels[i];
        if (name == (*out)->name || (name && (*out)->name && !strcmp(name, (*out)->name))) return MOTET_OK;
    }
    channel *c = *out = &s->channels[s->count++];
    *c = (channel){.name = name, .zero = &s->zero, .tap = on_samples, .user = s};
    motet_status status = motet_live_create(&s->request.live, &c->live);
    if (status != MOTET_OK) return status;
    motet_live_listen(c->live, on_event, c);
    return know_voices(s, c);
}

int session_add(session *s, const char *name, motet_capture *capture)
{
    channel *c;
    motet_status status = find_channel(s, name, &c);
    if (status == MOTET_OK)
        status = channel_add_feed(c, capture);
    else
        motet_capture_close(capture);
    if (status == MOTET_OK) return EXIT_DONE;
    if (status == MOTET_ERROR_ARGUMENT) return cli_misuse(s->request.command, "%s", motet_error_message());
    cli_say(s->request.command, "%s", motet_error_message());
    return EXIT_FAILED;
}

/* --- while it runs --------------------------------------------------------------------------------------------- */

static void wait_for_blocks(const session *s)
{
    struct pollfd ready[MAX_CHANNELS * MAX_FEEDS];
    nfds_t count = 0;
    for (int i = 0; i < s->count; i++)
        for (int k = 0; k < s->channels[i].feed_count; k++)
            ready[count++] =
                (struct pollfd){.fd = motet_capture_descriptor(s->channels[i].feeds[k].capture), .events = POLLIN};
    poll(ready, count, 100); /* a signal ends it too */
}

static void print_table(const session *s)
{
    for (int i = 0; i < s->count; i++) {
        char *text;
        if (motet_latency_write(motet_live_latency(s->channels[i].live), MOTET_LATENCY_TABLE, &text, NULL) != MOTET_OK)
            return;
        if (s->channels[i].name) fprintf(stderr, "%s: ", s->channels[i].name);
        fputs(text, stderr);
        motet_string_free(text);
    }
}

static motet_status tell_stats(session *s)
{
    double now = motet_live_time(s->channels[0].live);
    if (now - s->told_at < TELL_EVERY) return MOTET_OK;
    s->told_at = now;
    motet_status status = MOTET_OK;
    for (int i = 0; i < s->count && status == MOTET_OK; i++)
        status = motet_live_tell(s->channels[i].live, channel_drift(&s->channels[i]));
    return status;
}

static void draw(session *s)
{
    if (!s->sink.view) return;
    const motet_capture *capture = s->channels[0].feeds[0].capture;
    motet_capture_state state;
    motet_capture_look(s->channels[0].feeds[0].capture, &state);
    view_state picture = {.time = motet_live_time(s->channels[0].live),
                          .peak = s->peak,
                          .latency = s->request.live.latency,
                          .source = motet_capture_name(capture),
                          .trouble = state.trouble};
    if (view_draw(s->sink.view, &picture)) s->peak = 0;
}

static bool should_end(const session *s)
{
    const session_request *r = &s->request;
    bool all_ended = true, all_silent = r->silence > 0;
    if (cli_interrupted() || s->output_gone) return true;
    for (int i = 0; i < s->count; i++) {
        const channel *c = &s->channels[i];
        if (r->length > 0 && motet_live_time(c->live) >= r->length) return true;
        all_ended &= channel_ended(c);
        all_silent &= motet_live_silence(c->live) >= r->silence;
    }
    return all_ended || all_silent;
}

static motet_status work(session *s)
{
    motet_status status = MOTET_OK;
    while (status == MOTET_OK && !should_end(s)) {
        bool moved = false;
        wait_for_blocks(s);
        for (int i = 0; i < s->count && status == MOTET_OK; i++) status = channel_take(&s->channels[i], &moved);
        if (status == MOTET_OK) status = tell_stats(s);
        if (table_wanted) {
            table_wanted = 0;
            print_table(s);
        }
        draw(s);
    }
    return status;
}

static bool start_recording(session *s)
{
    if (!s->request.record) return true;
    int rate = motet_live_describe(s->channels[0].live)->sample_rate;
    if (motet_recorder_create(s->request.record, rate, s->count, &s->recorder) == MOTET_OK) return true;
    cli_say(s->request.command, "%s", motet_error_message());
    return false;
}

/* --- the end --------------------------------------------------------------------------------------------------- */

static motet_status finish(session *s)
{
    motet_status status = MOTET_OK;
    for (int i = 0; i < s->count && status == MOTET_OK; i++) {
        status = motet_live_tell(s->channels[i].live, channel_drift(&s->channels[i]));
        if (status == MOTET_OK) status = motet_live_finish(s->channels[i].live, &s->results[i]);
    }
    return status;
}

/* Files that broke off while they were played. */
static bool all_whole(const session *s)
{
    bool whole = true;
    for (int i = 0; i < s->count; i++)
        for (int k = 0; k < s->channels[i].feed_count; k++)
            if (motet_capture_verdict(s->channels[i].feeds[k].capture) != MOTET_OK) {
                cli_say(s->request.command, "%s", motet_error_message());
                whole = false;
            }
    return whole;
}

static bool write_outputs(session *s)
{
    bool written = true;
    for (int i = 0; i < s->count && written; i++) {
        const channel *c = &s->channels[i];
        char file_id[NAME_MAX + 1];
        snprintf(file_id, sizeof file_id, "%s%s%s", s->request.file_id, c->name ? "-" : "", c->name ? c->name : "");
        motet_document document = {.file_id = file_id,
                                   .source = s->request.source,
                                   .diarizer = motet_live_describe(c->live),
                                   .options = &s->request.live.diarize,
                                   .elapsed_s = monotonic_seconds() - s->sink.began,
                                   .latency = motet_live_latency(c->live)};
        const settings *wanted = s->request.settings;
        written = outputs_write_turns(s->request.command, wanted, s->results[i], &document) &&
                  (!wanted->export_voices || voices_export(s->request.command, wanted->export_voices, file_id,
                                                           document.diarizer, s->results[i])) &&
                  outputs_write_latency(s->request.command, wanted, s->request.source, document.latency);
    }
    return written;
}

/* The global pass takes tens of megabytes for a moment. Left to itself, glibc learns to keep such blocks after they are
 * freed; mapped ones go back to the system, always. */
static void give_memory_back(void)
{
    mallopt(M_MMAP_THRESHOLD, 1 << 18);
}

int session_run(session *s)
{
    const session_request *r = &s->request;
    give_memory_back();
    cli_catch_signals();
    signal(SIGPIPE, SIG_IGN); /* a reader who has gone, and a file that is too large, are errors of a write */
    signal(SIGXFSZ, SIG_IGN);
    struct sigaction action = {.sa_handler = on_usr1, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    int code = EXIT_FAILED;
    if (start_recording(s) && event_sink_open(&s->sink, r->command, r->settings, r->file_id, r->view)) {
        motet_status status = work(s);
        if (status == MOTET_OK) status = finish(s);
        event_sink_end(&s->sink);
        end_recording(s);
        bool whole = all_whole(s) && !s->record_failed && !s->sink.failed;
        if (status == MOTET_OK)
            code = !write_outputs(s) ? EXIT_FAILED : whole ? EXIT_DONE : EXIT_PARTLY;
        else
            cli_say(r->command, "%s", motet_error_message());
    }
    session_destroy(s);
    return code;
}
