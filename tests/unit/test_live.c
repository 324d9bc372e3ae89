/* The live session on the shipped conversation: the same events however the samples were cut, final turns that are a
 * file's, labels that stay, known voices, gaps, windows left out, memory that runs out; and the lines of JSON against
 * their schema. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "conversation.h"
#include "core/memory.h"
#include "core/text.h"
#include "motet/motet.h"

/* --- what is heard of a session -------------------------------------------------------------------------------- */

enum { MOST_TURNS = 1000, MOST_SPEAKERS = 100 };

typedef struct ear {
    mt_text text;                       /* all events but statistics, without what depends on the time of day */
    motet_live_event turns[MOST_TURNS]; /* as they were told last */
    bool ended[MOST_TURNS];
    int turn_count, speaker_count;
    bool gone[MOST_SPEAKERS];
    char names[MOST_SPEAKERS][32]; /* "": not known */
    int final_turns, final_names;  /* of known people */
    int gaps;
    motet_live_event gap; /* the last one */
    motet_live_stats stats;
    double latest; /* the most that a frame had to wait, seconds */
} ear;

static void hear_turn(ear *e, const motet_live_event *event)
{
    assert_in_range(event->turn, 0, MOST_TURNS - 1);
    assert_true(event->speaker < e->speaker_count && !e->gone[event->speaker]);
    assert_string_equal(event->name ? event->name : "", e->names[event->speaker]);
    assert_true(event->start < event->end && event->end <= event->time + 1e-9);
    assert_true(event->confidence >= 0 && event->confidence <= 1);
    motet_live_event *turn = &e->turns[event->turn];
    double shown_to = event->start;
    if (event->kind == MOTET_LIVE_TURN_START) {
        assert_int_equal(event->turn, e->turn_count);
        e->turn_count++;
    } else {
        assert_false(e->ended[event->turn]);
        assert_int_equal(event->speaker, turn->speaker); /* what has been shown stays */
        assert_true(event->start == turn->start && event->end >= turn->end);
        shown_to = turn->end;
    }
    if (event->end > shown_to && event->time - shown_to > e->latest) e->latest = event->time - shown_to;
    e->ended[event->turn] = event->kind == MOTET_LIVE_TURN_END;
    *turn = *event;
}

static int hear(void *user, const motet_live_event *event)
{
    ear *e = user;
    switch (event->kind) {
    case MOTET_LIVE_SPEAKER_NEW:
        assert_int_equal(event->speaker, e->speaker_count);
        snprintf(e->names[e->speaker_count++], sizeof e->names[0], "%s", event->name ? event->name : "");
        break;
    case MOTET_LIVE_SPEAKER_MERGE:
        assert_true(!e->gone[event->speaker] && !e->gone[event->into]);
        e->gone[event->speaker] = true;
        break;
    case MOTET_LIVE_SPEAKER_NAME:
        assert_string_equal(e->names[event->speaker], ""); /* a name stays */
        snprintf(e->names[event->speaker], sizeof e->names[0], "%s", event->name);
        break;
    case MOTET_LIVE_GAP:
        e->gaps++;
        e->gap = *event;
        break;
    case MOTET_LIVE_STATS: e->stats = event->stats; return 0;
    case MOTET_LIVE_TURN_FINAL:
        e->final_turns++;
        e->final_names += event->name != NULL;
        break;
    default: hear_turn(e, event);
    }
    mt_text_add(&e->text, "%s %.3f %lld %d %d %.3f %.3f %.4f\n", motet_live_kind_name(event->kind), event->time,
                (long long)event->turn, event->speaker, event->into, event->start, event->end, event->confidence);
    return 0;
}

/* Under the thread sanitizer everything takes fifty times as long. */
#ifdef __SANITIZE_THREAD__
static const double LENGTH = 25;
#else
static const double LENGTH = 60;
#endif

static motet_live *open_live(double latency, int threads, ear *e)
{
    motet_live_options options;
    motet_live *live;
    motet_live_options_init(&options);
    options.diarize.model = model;
    options.diarize.threads = threads;
    options.latency = latency;
    options.refine = 10;
    motet_status status = motet_live_create(&options, &live);
    assert_string_equal(status == MOTET_OK ? "" : motet_error_message(), "");
    memset(e, 0, sizeof *e);
    motet_live_listen(live, hear, e);
    return live;
}

static void push(motet_live *live, double from, double until, size_t block)
{
    size_t end = (size_t)(until * 16000) < sample_count ? (size_t)(until * 16000) : sample_count;
    for (size_t at = (size_t)(from * 16000); at < end; at += block)
        assert_int_equal(motet_live_push(live, samples + at, end - at < block ? end - at : block, NULL), MOTET_OK);
}

static char *finish(motet_live *live)
{
    motet_diarization *result;
    char *text;
    assert_int_equal(motet_live_finish(live, &result), MOTET_OK);
    assert_int_equal(motet_diarization_write(result, MOTET_FORMAT_RTTM, NULL, &text, NULL), MOTET_OK);
    motet_diarization_destroy(result);
    return text;
}

static ear heard, other;

/* --- sessions -------------------------------------------------------------------------------------------------- */

static void the_same_events_however_they_come(void **state)
{
    (void)state;
    motet_live *live = open_live(1, 1, &heard);
    push(live, 0, LENGTH, 4096);
    char *expected = finish(live);
    assert_true(heard.turn_count > 2);
    for (int i = 0; i < heard.turn_count; i++) assert_true(heard.ended[i]);
    motet_live_destroy(live);
    for (int repeat = 0; repeat < (LENGTH > 30 ? 3 : 1); repeat++) {
        static const size_t blocks[] = {160, 999, 16000 * 5};
        live = open_live(1, 1 + repeat, &other);
        push(live, 0, LENGTH, blocks[repeat]);
        char *text = finish(live);
        assert_string_equal(text, expected);
        assert_string_equal(other.text.bytes, heard.text.bytes);
        motet_string_free(text);
        mt_free(other.text.bytes);
        motet_live_destroy(live);
    }
    mt_free(heard.text.bytes);
    motet_string_free(expected);
}

static void final_turns_are_those_of_a_file(void **state)
{
    (void)state;
    motet_diarize_options options;
    motet_diarizer *diarizer;
    motet_diarization *result;
    char *expected;
    motet_diarize_options_init(&options);
    options.model = model;
    options.hop = 0.5;
    assert_int_equal(motet_diarizer_create(&options, &diarizer), MOTET_OK);
    motet_live *live = open_live(1, 2, &heard);
    static const double seconds[] = {0, 0.01, 0.7, 2.9, 3, 3.2, 47.123};
    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
        assert_int_equal(motet_diarizer_push(diarizer, samples, (size_t)(seconds[i] * 16000)), MOTET_OK);
        assert_int_equal(motet_diarizer_finish(diarizer, &result), MOTET_OK);
        assert_int_equal(motet_diarization_write(result, MOTET_FORMAT_RTTM, NULL, &expected, NULL), MOTET_OK);
        heard.turn_count = heard.speaker_count = 0;
        memset(heard.ended, 0, sizeof heard.ended);
        memset(heard.gone, 0, sizeof heard.gone);
        push(live, 0, seconds[i], 1600);
        char *text = finish(live);
        assert_string_equal(text, expected);
        motet_string_free(text);
        motet_string_free(expected);
        motet_diarization_destroy(result);
    }
    mt_free(heard.text.bytes);
    motet_live_destroy(live);
    motet_diarizer_destroy(diarizer);
}

/* Prints of the conversation's own speakers, two of them of one person. */
static motet_known *make_known(const char *folder)
{
    static const char *const names[] = {"Anna", "Berta", "Anna", "Dora"};
    motet_diarize_options options;
    motet_diarizer *diarizer;
    motet_diarization *result;
    motet_known *known;
    motet_diarize_options_init(&options);
    options.model = model;
    options.speakers = 4;
    assert_int_equal(motet_diarizer_create(&options, &diarizer), MOTET_OK);
    assert_int_equal(motet_diarizer_push(diarizer, samples, sample_count), MOTET_OK);
    assert_int_equal(motet_diarizer_finish(diarizer, &result), MOTET_OK);
    assert_int_equal(result->speaker_count, 4);
    for (size_t k = 0; k < 4; k++) {
        motet_voiceprint *print;
        char path[256], *text;
        size_t length;
        snprintf(path, sizeof path, "%s/%zu.json", folder, k);
        assert_int_equal(motet_voiceprint_create(names[k], motet_diarizer_describe(diarizer), &print), MOTET_OK);
        assert_int_equal(motet_voiceprint_add(print, result, k), MOTET_OK);
        assert_int_equal(motet_voiceprint_write(print, &text, &length), MOTET_OK);
        assert_int_equal(motet_file_write(path, text, length), MOTET_OK);
        motet_string_free(text);
        motet_voiceprint_destroy(print);
    }
    assert_int_equal(motet_known_open(folder, motet_diarizer_describe(diarizer), &known), MOTET_OK);
    for (size_t k = 0; k < 4; k++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%zu.json", folder, k);
        remove(path);
    }
    motet_diarization_destroy(result);
    motet_diarizer_destroy(diarizer);
    return known;
}

/* Whoever is known is called by his name, once; two speakers of one name become one. */
static void known_voices_get_their_names(void **state)
{
    (void)state;
    char folder[] = "/tmp/test_live_XXXXXX";
    assert_non_null(mkdtemp(folder));
    motet_known *known = make_known(folder);
    remove(folder);
    motet_live *live = open_live(1, 2, &heard);
    motet_live_know(live, known, NULL);
    push(live, 0, LENGTH, 1600);
    int annas = 0, all = 0;
    for (int s = 0; s < heard.speaker_count; s++) {
        all += heard.names[s][0] != '\0' && !heard.gone[s];
        annas += !strcmp(heard.names[s], "Anna") && !heard.gone[s];
    }
    assert_int_equal(annas, 1);
    assert_int_equal(all, 3);
    motet_string_free(finish(live));
    assert_true(heard.final_turns > 2);
    assert_int_equal(heard.final_names, heard.final_turns);
    mt_free(heard.text.bytes);
    motet_live_destroy(live);
    motet_known_destroy(known);
}

/* No frame that is shown was heard longer ago than the latency, but for the end of a pause that turned out to be one.
 */
static void the_latency_is_kept(void **state)
{
    (void)state;
    static const double latencies[] = {0.5, 1, 2, 5};
    for (int i = 0; i < 4; i++) {
        motet_live *live = open_live(latencies[i], 2, &heard);
        push(live, 0, 40, 1600);
        assert_true(heard.turn_count > 2);
        assert_true(heard.latest <= latencies[i] + 0.3 + 1e-6);
        motet_string_free(finish(live));
        mt_free(heard.text.bytes);
        motet_live_destroy(live);
    }
}

static void a_gap_is_silence_and_told(void **state)
{
    (void)state;
    motet_live *live = open_live(1, 2, &heard);
    push(live, 0, 20, 1600);
    assert_int_equal(motet_live_gap(live, 1.5, "the server is gone"), MOTET_OK);
    assert_int_equal(heard.gaps, 1);
    for (int i = 0; i < 100; i++) assert_int_equal(motet_live_gap(live, 36, "the server is gone"), MOTET_OK);
    assert_true(fabs(motet_live_time(live) - 3621.5) < 1e-6);
    push(live, 20, 40, 1600);
    assert_int_equal(heard.gaps, 2);
    assert_true(heard.gap.start == 20 && fabs(heard.gap.end - 3621.5) < 1e-6);
    assert_int_equal(motet_live_tell(live, 0), MOTET_OK);
    assert_true(fabs(heard.stats.lost - 3601.5) < 1e-6);
    assert_int_equal(heard.stats.dropped, 0);
    motet_diarization *result;
    assert_int_equal(motet_live_finish(live, &result), MOTET_OK);
    for (size_t i = 0; i < result->turn_count; i++)
        assert_true(result->turns[i].end < 20.5 || result->turns[i].start > 3621);
    motet_diarization_destroy(result);
    for (int i = 0; i < heard.turn_count; i++)
        assert_true(heard.ended[i] && (heard.turns[i].end < 20.5 || heard.turns[i].start > 3621));
    mt_free(heard.text.bytes);
    motet_live_destroy(live);
}

static void windows_are_left_out_when_work_is_behind(void **state)
{
    (void)state;
    motet_live *live = open_live(1, 2, &heard);
    push(live, 0, 10, 1600);
    motet_live_behind(live, true);
    push(live, 10, 15, 1600);
    motet_live_behind(live, false);
    push(live, 15, 30, 1600);
    assert_int_equal(motet_live_tell(live, 0), MOTET_OK);
    assert_int_equal(heard.stats.dropped, 10);
    assert_true(motet_live_time(live) == 30);
    motet_string_free(finish(live));
    for (int i = 0; i < heard.turn_count; i++) assert_true(heard.ended[i]);
    mt_free(heard.text.bytes);
    motet_live_destroy(live);
}

static void settings_that_cannot_be(void **state)
{
    (void)state;
    motet_live_options options;
    motet_live *live;
    motet_live_options_init(&options);
    options.diarize.model = model;
    options.latency = 0.4;
    assert_int_equal(motet_live_create(&options, &live), MOTET_ERROR_ARGUMENT);
    options.latency = NAN;
    assert_int_equal(motet_live_create(&options, &live), MOTET_ERROR_ARGUMENT);
    options.latency = 1;
    options.refine = 1;
    assert_int_equal(motet_live_create(&options, &live), MOTET_ERROR_ARGUMENT);
}

#ifndef __SANITIZE_THREAD__
static int ignore(void *user, const motet_live_event *event)
{
    (void)user, (void)event;
    return 0;
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    motet_live *live = open_live(0.5, 1, &heard);
    motet_live_listen(live, ignore, NULL);
    for (long k = 0, step = 1;; k += step, step += k > 300 ? 7 : 0) {
        motet_diarization *result = NULL;
        mt_memory_fail_at(k);
        motet_status status = motet_live_push(live, samples, 16000 * 8, NULL), end;
        end = motet_live_finish(live, &result);
        mt_memory_fail_at(-1);
        motet_diarization_destroy(result);
        if (status == MOTET_OK && end == MOTET_OK) break;
        assert_true(status == MOTET_ERROR_MEMORY || end == MOTET_ERROR_MEMORY);
    }
    motet_live_destroy(live);
}

#endif

/* --- lines of JSON --------------------------------------------------------------------------------------------- */

static json_t *find_kind(json_t *schema, const char *name)
{
    json_t *kind, *one;
    size_t i, k;
    json_array_foreach(json_object_get(schema, "oneOf"), i, kind)
    {
        json_t *event = json_object_get(json_object_get(kind, "properties"), "event");
        const char *only = json_string_value(json_object_get(event, "const"));
        if (only && !strcmp(only, name)) return kind;
        json_array_foreach(json_object_get(event, "enum"), k,
                           one) if (!strcmp(json_string_value(one), name)) return kind;
    }
    fail_msg("the schema does not know %s", name);
    return NULL;
}

/* Every key of a line is in the schema, and every key that the schema demands is in the line. */
static void events_fit_their_schema(void **state)
{
    (void)state;
    json_t *schema = json_load_file(MOTET_SOURCE_DIR "/include/motet/live.schema.json", 0, NULL);
    assert_non_null(schema);
    for (int kind = 0; kind < MOTET_LIVE_KINDS; kind++) {
        motet_live_event event = {
            .kind = (motet_live_kind)kind, .late_ms = 3, .name = "Anna", .reason = "a \"reason\""};
        char *text;
        size_t length;
        assert_int_equal(motet_live_event_write(&event, "mic", 1e9 + 0.25, &text, &length), MOTET_OK);
        assert_int_equal(text[length - 1], '\n');
        assert_null(memchr(text, '\n', length - 1));
        json_t *line = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        json_t *expected = find_kind(schema, motet_live_kind_name((motet_live_kind)kind)), *value;
        assert_non_null(line);
        assert_string_equal(json_string_value(json_object_get(line, "wall")), "2001-09-09T01:46:40.250Z");
        const char *key;
        size_t i;
        json_object_foreach(line, key, value)
            assert_non_null(json_object_get(json_object_get(expected, "properties"), key));
        json_array_foreach(json_object_get(expected, "required"), i, value)
            assert_non_null(json_object_get(line, json_string_value(value)));
        json_decref(line);
        motet_string_free(text);
    }
    json_decref(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_events_however_they_come), cmocka_unit_test(final_turns_are_those_of_a_file),
        cmocka_unit_test(known_voices_get_their_names),      cmocka_unit_test(the_latency_is_kept),
        cmocka_unit_test(a_gap_is_silence_and_told),         cmocka_unit_test(windows_are_left_out_when_work_is_behind),
        cmocka_unit_test(settings_that_cannot_be),
#ifndef __SANITIZE_THREAD__ /* it has nothing to tell about threads */
        cmocka_unit_test(memory_may_run_out_anywhere),
#endif
        cmocka_unit_test(events_fit_their_schema),
    };
    return cmocka_run_group_tests(tests, read_conversation, free_conversation);
}
