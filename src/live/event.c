/* Events as lines of JSON (RFC 8259), one object a line. include/motet/live.schema.json is their description. */
#include <math.h>
#include <stdio.h>
#include <time.h>

#include "core/memory.h"
#include "core/text.h"
#include "motet/live.h"

const char *motet_live_kind_name(motet_live_kind kind)
{
    static const char *const names[MOTET_LIVE_KINDS] = {"speaker_new", "speaker_merge", "speaker_name",
                                                        "turn_start",  "turn_update",   "turn_end",
                                                        "gap",         "stats",         "turn_final"};
    return (unsigned)kind < MOTET_LIVE_KINDS ? names[kind] : "unknown";
}

static void write_speaker(mt_json *json, const char *key, int speaker)
{
    char label[32];
    snprintf(label, sizeof label, "SPEAKER_%02d", speaker);
    mt_json_string(json, key, speaker >= 0 ? label : NULL);
}

/* RFC 3339, UTC, milliseconds. */
static void write_wall(mt_json *json, double wall)
{
    char text[64];
    time_t seconds = (time_t)floor(wall);
    int ms = (int)((wall - (double)seconds) * 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    size_t length = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + length, sizeof text - length, ".%03dZ", ms < 999 ? ms : 999);
    mt_json_string(json, "wall", text);
}

static void write_span(mt_json *json, const motet_live_event *event)
{
    mt_json_number(json, "start", event->start, 3);
    mt_json_number(json, "end", event->end, 3);
}

static void write_name(mt_json *json, const motet_live_event *event)
{
    if (event->name) mt_json_string(json, "name", event->name);
}

static void write_turn(mt_json *json, const motet_live_event *event)
{
    mt_json_int(json, "turn", event->turn);
    write_speaker(json, "speaker", event->speaker);
    write_name(json, event);
    write_span(json, event);
    mt_json_number(json, "confidence", event->confidence, 3);
}

static void write_stats(mt_json *json, const motet_live_stats *stats)
{
    mt_json_number(json, "level_db", stats->level, 1);
    mt_json_number(json, "late_p50_ms", stats->late_p50, 3);
    mt_json_number(json, "late_p95_ms", stats->late_p95, 3);
    mt_json_number(json, "late_p99_ms", stats->late_p99, 3);
    mt_json_number(json, "late_max_ms", stats->late_max, 3);
    mt_json_int(json, "windows", stats->windows);
    mt_json_int(json, "misses", stats->misses);
    mt_json_int(json, "dropped", stats->dropped);
    mt_json_number(json, "lost_s", stats->lost, 3);
    mt_json_number(json, "drift_ppm", stats->drift_ppm, 1);
    mt_json_int(json, "speakers", stats->speakers);
}

static void write_body(mt_json *json, const motet_live_event *event)
{
    switch (event->kind) {
    case MOTET_LIVE_SPEAKER_MERGE:
        write_speaker(json, "speaker", event->speaker);
        write_speaker(json, "into", event->into);
        write_name(json, event);
        break;
    case MOTET_LIVE_SPEAKER_NEW:
    case MOTET_LIVE_SPEAKER_NAME:
        write_speaker(json, "speaker", event->speaker);
        write_name(json, event);
        break;
    case MOTET_LIVE_GAP:
        write_span(json, event);
        mt_json_string(json, "reason", event->reason);
        break;
    case MOTET_LIVE_STATS: write_stats(json, &event->stats); break;
    default: write_turn(json, event); break;
    }
}

motet_status motet_live_event_write(const motet_live_event *event, const char *channel, double wall, char **text,
                                    size_t *length)
{
    mt_json json = {0};
    *text = NULL;
    mt_json_open_row(&json, NULL);
    mt_json_string(&json, "event", motet_live_kind_name(event->kind));
    mt_json_number(&json, "time", event->time, 3);
    write_wall(&json, wall);
    if (event->late_ms >= 0) mt_json_number(&json, "late_ms", event->late_ms, 3);
    if (channel) mt_json_string(&json, "channel", channel);
    write_body(&json, event);
    mt_json_close(&json, '}');
    return mt_text_take(&json.text, text, length);
}
