/* Turns are kept as long as they may be seen. A picture is put together in memory, line by line, and written at once;
 * the terminal's other screen keeps what was there before. */
#include "view.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli.h"
#include "columns.h"
#include "progress.h"

enum {
    MOST_SPANS = 512,
    MOST_LANES = 64,
    MOST_COLUMNS = 400,
    BYTES_A_LINE = 4 * MOST_COLUMNS + 64,
    LABEL = 24,
    CHANNEL = 16,
    NAME = 128,
    BYTES = 1 << 16
};

static const double DRAW_EVERY = 0.25; /* seconds */
static const double COLUMN = 0.5;      /* seconds of the stream */
static const char RESTORE[] = "\033[?25h\033[?1049l";

typedef struct view_lane {
    char channel[CHANNEL]; /* "" when there is only one */
    int speaker;           /* -1: he has been merged into another */
    char name[NAME];       /* "SPEAKER_00" or who it is, with the channel before it */
    double speech;         /* seconds of turns that have ended */
    double last;           /* when he last spoke */
} view_lane;

typedef struct span {
    int lane; /* -1: a gap */
    char channel[CHANNEL];
    int64_t turn;
    double start, end;
} span;

struct view {
    view_lane lanes[MOST_LANES];
    int lane_count;
    span spans[MOST_SPANS]; /* a ring, by age */
    size_t span_count;
    motet_live_stats stats;
    bool any_stats;
    double late_ms, drawn_at;
    char text[BYTES];
    size_t length;
    int columns, rows;
};

view *view_open(void)
{
    const char *kind = getenv("TERM");
    if (isatty(STDERR_FILENO) != 1 || !kind || !strcmp(kind, "dumb")) return NULL;
    view *v = calloc(1, sizeof *v);
    if (!v) return NULL;
    v->late_ms = -1;
    cli_before_dying(RESTORE);
    fputs("\033[?1049h\033[?25l", stderr);
    return v;
}

void view_close(view *v)
{
    if (!v) return;
    fputs(RESTORE, stderr);
    fflush(stderr);
    cli_before_dying(NULL);
    free(v);
}

/* --- what is known --------------------------------------------------------------------------------------------- */

static bool is_of(const char *kept, const char *channel)
{
    return !strncmp(kept, channel ? channel : "", CHANNEL - 1);
}

/* name: NULL while he has only his number. */
static void name_lane(view_lane *lane, const char *channel, const char *name)
{
    char number[32];
    snprintf(number, sizeof number, "SPEAKER_%02d", lane->speaker);
    snprintf(lane->name, NAME, "%s%s%s", channel ? channel : "", channel ? " " : "", name ? name : number);
}

/* Of lanes that are too many the one that was silent longest makes room. */
static int find_lane(view *v, const char *channel, int speaker)
{
    int oldest = 0;
    for (int i = 0; i < v->lane_count; i++) {
        if (v->lanes[i].speaker == speaker && is_of(v->lanes[i].channel, channel)) return i;
        if (v->lanes[i].last < v->lanes[oldest].last) oldest = i;
    }
    int at = v->lane_count < MOST_LANES ? v->lane_count++ : oldest;
    for (size_t i = 0; i < MOST_SPANS; i++)
        if (v->spans[i].lane == at) v->spans[i].end = v->spans[i].start;
    v->lanes[at] = (view_lane){.speaker = speaker};
    snprintf(v->lanes[at].channel, CHANNEL, "%s", channel ? channel : "");
    name_lane(&v->lanes[at], channel, NULL);
    return at;
}

static span *new_span(view *v)
{
    return &v->spans[v->span_count++ % MOST_SPANS];
}

static span *find_span(view *v, const char *channel, int64_t turn)
{
    size_t first = v->span_count > MOST_SPANS ? v->span_count - MOST_SPANS : 0;
    for (size_t i = v->span_count; i-- > first;) {
        span *s = &v->spans[i % MOST_SPANS];
        if (s->turn == turn && is_of(s->channel, channel)) return s;
    }
    return NULL;
}

static void take_turn(view *v, const char *channel, const motet_live_event *event)
{
    int lane = find_lane(v, channel, event->speaker);
    if (event->name) name_lane(&v->lanes[lane], channel, event->name);
    span *s = event->kind == MOTET_LIVE_TURN_START ? NULL : find_span(v, channel, event->turn);
    if (!s) {
        s = new_span(v);
        *s = (span){.lane = lane, .turn = event->turn, .start = event->start};
        snprintf(s->channel, sizeof s->channel, "%s", channel ? channel : "");
    }
    s->end = event->end;
    v->lanes[lane].last = event->end;
    if (event->kind == MOTET_LIVE_TURN_END) v->lanes[lane].speech += event->end - event->start;
}

static void take_merge(view *v, const char *channel, const motet_live_event *event)
{
    int from = find_lane(v, channel, event->speaker), into = find_lane(v, channel, event->into);
    for (size_t i = 0; i < MOST_SPANS; i++)
        if (v->spans[i].lane == from) v->spans[i].lane = into;
    v->lanes[into].speech += v->lanes[from].speech;
    v->lanes[from].speaker = -1;
    v->lanes[from].last = -1;
}

void view_take(view *v, const char *channel, const motet_live_event *event)
{
    if (event->late_ms >= 0) v->late_ms = event->late_ms;
    switch (event->kind) {
    case MOTET_LIVE_TURN_START:
    case MOTET_LIVE_TURN_UPDATE:
    case MOTET_LIVE_TURN_END: take_turn(v, channel, event); break;
    case MOTET_LIVE_SPEAKER_MERGE: take_merge(v, channel, event); break;
    case MOTET_LIVE_SPEAKER_NAME:
        name_lane(&v->lanes[find_lane(v, channel, event->speaker)], channel, event->name);
        break;
    case MOTET_LIVE_GAP: *new_span(v) = (span){.lane = -1, .turn = -1, .start = event->start, .end = event->end}; break;
    case MOTET_LIVE_STATS:
        v->stats = event->stats;
        v->any_stats = true;
        break;
    default: break;
    }
}

/* --- the picture ----------------------------------------------------------------------------------------------- */

static void add(view *v, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(view *v, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(v->text + v->length, BYTES - v->length, format, arguments);
    va_end(arguments);
    if (length > 0 && v->length + (size_t)length < BYTES) v->length += (size_t)length;
}

/* A line of what fits, and the rest of the terminal's line empty. */
static void add_line(view *v, int row, const char *line)
{
    int taken;
    if (row <= v->rows) add(v, "\033[%d;1H%.*s\033[K", row, (int)columns_fit(line, v->columns, &taken), line);
}

static const char *clock_text(double seconds, char *text, size_t size)
{
    long s = (long)seconds;
    if (s >= 3600)
        snprintf(text, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, size, "%ld:%02ld", s / 60, s % 60);
    return text;
}

static void draw_head(view *v, const view_state *state)
{
    char line[BYTES_A_LINE], time[32], meter[11] = "----------", left[MOST_COLUMNS], padded[BYTES_A_LINE - 64];
    double db = state->peak > 1e-5 ? 20 * log10(state->peak) : -100;
    for (int i = 0; i < 10; i++) meter[i] = db > -60 + 6 * i ? '#' : '-';
    snprintf(left, sizeof left, "motet live   %s   %s%s%s", clock_text(state->time, time, sizeof time), state->source,
             *state->trouble ? ": " : "", state->trouble);
    cli_make_printable(left);
    columns_pad(left, v->columns - 22, padded, sizeof padded);
    snprintf(line, sizeof line, "%s |%s| %4.0f dB", padded, meter, db);
    add_line(v, 1, line);
}

/* Whether the lane's speaker (-1: a gap) is heard somewhere in the column that begins at `from`. */
static bool covers(const view *v, int lane, double from)
{
    for (size_t i = 0; i < MOST_SPANS && i < v->span_count; i++) {
        const span *s = &v->spans[i];
        if (s->lane == lane && s->end > s->start && s->start < from + COLUMN - 1e-6 && s->end > from + 1e-6)
            return true;
    }
    return false;
}

/* One column of all lanes: '#' where one speaks, '=' where several do, 'x' in a gap. */
static void draw_column(const view *v, double from, const int *order, int lanes, char *cells, size_t stride)
{
    bool gap = covers(v, -1, from);
    int speaking = 0;
    for (int i = 0; i < lanes; i++) {
        cells[(size_t)i * stride] = gap ? 'x' : ' ';
        if (!covers(v, order[i], from)) continue;
        cells[(size_t)i * stride] = '#';
        speaking++;
    }
    for (int i = 0; speaking > 1 && i < lanes; i++)
        if (cells[(size_t)i * stride] == '#') cells[(size_t)i * stride] = '=';
}

/* The lanes that fit, those of the latest speakers, in the order they were made. */
static int choose_lanes(const view *v, int most, int *order)
{
    int count = 0;
    for (int i = 0; i < v->lane_count; i++) {
        int later = 0;
        for (int k = 0; k < v->lane_count; k++) later += v->lanes[k].last > v->lanes[i].last;
        if (v->lanes[i].speaker >= 0 && later < most && count < most) order[count++] = i;
    }
    return count;
}

static bool speaks_now(const view *v, int lane, double shown_to)
{
    return v->lanes[lane].last > shown_to - 2 * COLUMN && v->lanes[lane].last > 0;
}

static void draw_lanes(view *v, const view_state *state)
{
    static char cells[MOST_LANES][MOST_COLUMNS + 1];
    int order[MOST_LANES], width = v->columns - LABEL - 2;
    int lanes = choose_lanes(v, v->rows - 5 < MOST_LANES ? v->rows - 5 : MOST_LANES, order);
    double now = floor(state->time / COLUMN) * COLUMN;
    for (int x = 0; x < width; x++)
        draw_column(v, now - (width - x) * COLUMN, order, lanes, &cells[0][x], sizeof cells[0]);
    for (int i = 0; i < v->rows - 5; i++) {
        char line[BYTES_A_LINE] = "", time[32], name[NAME];
        if (i < lanes) {
            const view_lane *l = &v->lanes[order[i]];
            columns_pad(l->name, 14, name, sizeof name);
            snprintf(line, sizeof line, "%c %s %7s|%.*s|", speaks_now(v, order[i], now - state->latency) ? '>' : ' ',
                     name, clock_text(l->speech, time, sizeof time), width, cells[i]);
        }
        add_line(v, 3 + i, line);
    }
}

static void draw_axis(view *v)
{
    char line[MOST_COLUMNS + 64];
    int width = v->columns - LABEL - 2;
    memset(line, ' ', sizeof line);
    for (int back = 10; back * 2 <= width; back += 10) {
        char mark[16];
        int length = snprintf(mark, sizeof mark, "|-%d s", back), at = LABEL + 1 + width - (int)(back / COLUMN);
        if (at + length < v->columns) memcpy(line + at, mark, (size_t)length);
    }
    snprintf(line + LABEL + 1 + width - 4, 8, "now|");
    add_line(v, v->rows - 1, line);
}

static void draw_status(view *v, const view_state *state)
{
    char line[MOST_COLUMNS + 64], late[64] = "";
    const motet_live_stats *s = &v->stats;
    if (v->any_stats)
        snprintf(late, sizeof late, " + %.0f ms (P99 %.0f)", s->late_p50, s->late_p99);
    else if (v->late_ms >= 0)
        snprintf(late, sizeof late, " + %.0f ms", v->late_ms);
    snprintf(line, sizeof line, "latency %.1f s%s, %lld late, %lld dropped, %.1f s lost, %+.0f ppm   ^C ends",
             state->latency, late, (long long)s->misses, (long long)s->dropped, s->lost, s->drift_ppm);
    add_line(v, v->rows, line);
}

bool view_draw(view *v, const view_state *state)
{
    struct winsize size = {0};
    double now = monotonic_seconds();
    if (now - v->drawn_at < DRAW_EVERY) return false;
    v->drawn_at = now;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 40 || size.ws_row < 7) return true;
    v->columns = size.ws_col < MOST_COLUMNS ? size.ws_col : MOST_COLUMNS;
    v->rows = size.ws_row;
    v->length = 0;
    draw_head(v, state);
    add_line(v, 2, "");
    draw_lanes(v, state);
    add_line(v, v->rows - 2, "");
    draw_axis(v);
    draw_status(v, state);
    fwrite(v->text, 1, v->length, stderr);
    fflush(stderr);
    return true;
}
