/* A line of JSON is flushed as soon as it is written, so that whoever reads it is never behind. */
#include "events.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "progress.h"

static bool open_json(event_sink *sink, const settings *s, const char *file_id)
{
    char path[PATH_MAX];
    if (!s->events) return true;
    if (!s->output) {
        sink->json = stdout;
        return true;
    }
    settings_output_path(s, "jsonl", file_id, path, sizeof path);
    sink->json = fopen(path, "we");
    if (sink->json) return true;
    cli_say(sink->command, "%s: cannot create it: %s", path, strerror(errno));
    return false;
}

bool event_sink_open(event_sink *sink, const char *command, const settings *s, const char *file_id, bool wants_view)
{
    *sink = (event_sink){.command = command, .began = monotonic_seconds()};
    if (!open_json(sink, s, file_id)) return false;
    bool shares = sink->json == stdout && isatty(STDOUT_FILENO) == 1;
    if (wants_view && !shares) sink->view = view_open();
    sink->lines = !s->quiet && !sink->view && !shares;
    return true;
}

void event_sink_end(event_sink *sink)
{
    view_close(sink->view);
    sink->view = NULL;
}

static void close_json(event_sink *sink)
{
    if (sink->json && sink->json != stdout) fclose(sink->json);
    sink->json = NULL;
}

void event_sink_close(event_sink *sink)
{
    event_sink_end(sink);
    close_json(sink);
}

static double wall_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* False when nobody reads any more. Other failures, a full disk above all, are said once; the session goes on. */
static bool write_json(event_sink *sink, const char *channel, const motet_live_event *event)
{
    char *text;
    size_t length;
    if (motet_live_event_write(event, channel, wall_seconds(), &text, &length) != MOTET_OK) return true;
    bool written = fwrite(text, 1, length, sink->json) == length && fflush(sink->json) == 0;
    motet_string_free(text);
    if (written) return true;
    bool gone = errno == EPIPE;
    if (!gone) cli_say(sink->command, "events: cannot write: %s; going on without them", strerror(errno));
    close_json(sink);
    sink->failed = !gone;
    return !gone;
}

static const char *clock_text(double seconds, char *text, size_t size)
{
    long tenths = (long)(seconds * 10 + 0.5);
    snprintf(text, size, "%ld:%02ld:%02ld.%ld", tenths / 36000, tenths / 600 % 60, tenths / 10 % 60, tenths % 10);
    return text;
}

/* "Anna", or "SPEAKER_00". */
static const char *label_of(const char *name, int speaker, char text[32])
{
    snprintf(text, 32, "SPEAKER_%02d", speaker);
    return name ? name : text;
}

static void print_line(const char *channel, const motet_live_event *event)
{
    char from[32], to[32], label[32];
    const char *name = channel ? channel : "", *space = channel ? " " : "";
    clock_text(event->start, from, sizeof from);
    clock_text(event->end, to, sizeof to);
    switch (event->kind) {
    case MOTET_LIVE_TURN_END:
        fprintf(stderr, "%s%s%s - %s  %s\n", name, space, from, to, label_of(event->name, event->speaker, label));
        break;
    case MOTET_LIVE_SPEAKER_MERGE:
        fprintf(stderr, "%s%sSPEAKER_%02d is %s\n", name, space, event->speaker,
                label_of(event->name, event->into, label));
        break;
    case MOTET_LIVE_SPEAKER_NAME:
        fprintf(stderr, "%s%sSPEAKER_%02d is %s\n", name, space, event->speaker, event->name);
        break;
    case MOTET_LIVE_GAP: fprintf(stderr, "%s%s%s - %s  gap: %s\n", name, space, from, to, event->reason); break;
    default: break;
    }
}

bool event_sink_take(event_sink *sink, const char *channel, const motet_live_event *event)
{
    if (sink->view) view_take(sink->view, channel, event);
    if (sink->lines) print_line(channel, event);
    return !sink->json || write_json(sink, channel, event);
}
