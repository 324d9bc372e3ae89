/* diarize: windows, agglomerative clustering against a naive one, folding, cuts, assignment. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/memory.h"
#include "diarize/speakers.h"
#include "diarize/windows.h"

enum { DIMS = 24 };

static unsigned long long seed;

static float uniform(void) /* (0, 1) */
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return ((float)(seed >> 40) + 0.5f) / 16777216.0f;
}

static float gaussian(void)
{
    return sqrtf(-2 * logf(uniform())) * cosf(6.2831853f * uniform());
}

static void unit_vector(float *v, const float *center, float spread)
{
    float norm = 0;
    for (int d = 0; d < DIMS; d++) {
        v[d] = (center ? center[d] : 0) + spread * gaussian();
        norm += v[d] * v[d];
    }
    for (int d = 0; d < DIMS; d++) v[d] /= sqrtf(norm);
}

/* --- windows --------------------------------------------------------------------------------------------------- */

static void every_row_is_in_a_window(void **state)
{
    (void)state;
    for (int total = 0; total < 90; total++)
        for (int piece = 1; piece < 40; piece += 6) {
            mt_windows w = {.width = 1, .length = 20, .hop = 8, .grid = 4, .padding = -1};
            int covered = 0;
            int64_t start, expected = 0;
            const float *rows;
            for (int at = 0; at < total; at += piece) {
                float block[40];
                int count = total - at < piece ? total - at : piece;
                for (int i = 0; i < count; i++) block[i] = (float)(at + i);
                assert_int_equal(mt_windows_push(&w, block, (size_t)count), MOTET_OK);
                while (mt_windows_take(&w, &rows, &start)) {
                    assert_int_equal(start, expected);
                    expected += 8;
                    for (int i = 0; i < 20; i++) assert_true(rows[i] == (float)(start + i));
                    covered = (int)start + 20;
                }
            }
            bool last;
            assert_int_equal(mt_windows_finish(&w, &last, &rows, &start), MOTET_OK);
            assert_int_equal(last, covered < total);
            if (last) {
                assert_int_equal(start % 4, 0);
                assert_true(start + 20 >= total && (start == 0 || start + 20 < total + 4));
                for (int i = 0; i < 20; i++) assert_true(rows[i] == (start + i < total ? (float)(start + i) : -1));
            }
            mt_windows_reset(&w);
        }
}

/* --- the dendrogram -------------------------------------------------------------------------------------------- */

/* Average linkage from its definition: the mean distance of all pairs, each times the weights of its two points. */
static double naive_distance(const mt_points *p, const int *labels, int a, int b)
{
    double sum = 0, pairs = 0, weights[2] = {0}, link = 0;
    for (int i = 0; i < p->count; i++) {
        if (labels[i] == a) weights[0] += p->weights[i];
        if (labels[i] == b) weights[1] += p->weights[i];
        for (int j = 0; j < p->count && labels[i] == a; j++) {
            if (labels[j] != b) continue;
            double pair = p->weights[i] * p->weights[j], dot = 0;
            for (int d = 0; d < DIMS; d++) dot += p->sums[i * DIMS + d] * p->sums[j * DIMS + d];
            sum += pair - dot; /* the sums are unit vectors times their weights */
            pairs += pair;
        }
    }
    for (size_t k = 0; k < p->link_count; k++) {
        int la = labels[p->links[k].a], lb = labels[p->links[k].b];
        if ((la == a && lb == b) || (la == b && lb == a)) link += p->links[k].weight;
    }
    return sum / pairs + 0.5 * link / fmin(weights[0], weights[1]);
}

static void merges_are_those_of_the_definition(void **state)
{
    (void)state;
    for (int round = 0; round < 8; round++) {
        seed = (unsigned long long)round + 1;
        mt_points p = {.dims = DIMS};
        for (int i = 0; i < 24; i++) {
            float v[DIMS];
            unit_vector(v, NULL, 1);
            assert_int_equal(mt_points_add(&p, v, 0.5f + uniform()), MOTET_OK);
        }
        for (int k = 0; k < 6; k++) {
            int a = (int)(uniform() * 24), b = (int)(uniform() * 24);
            if (a != b) assert_int_equal(mt_points_link(&p, a, b, 0.3f), MOTET_OK);
        }
        mt_merge merges[24];
        int labels[24];
        assert_int_equal(mt_agglomerate(&p, merges), MOTET_OK);
        for (int i = 0; i < 24; i++) labels[i] = i;
        for (int step = 0; step < 23; step++) {
            double least = 1e9;
            for (int a = 0; a < 24; a++)
                for (int b = 0; b < a; b++)
                    if (labels[a] == a && labels[b] == b) least = fmin(least, naive_distance(&p, labels, a, b));
            assert_true(fabs(least - (double)merges[step].distance) < 1e-4);
            assert_true(fabs(naive_distance(&p, labels, merges[step].kept, merges[step].gone) - least) < 1e-4);
            for (int i = 0; i < 24; i++)
                if (labels[i] == merges[step].gone) labels[i] = merges[step].kept;
            int cut[24], clusters;
            mt_cut(merges, step + 1, 24, cut, &clusters);
            assert_int_equal(clusters, 23 - step);
            for (int i = 0; i < 24; i++)
                for (int j = 0; j < i; j++) assert_int_equal(cut[i] == cut[j], labels[i] == labels[j]);
        }
        mt_points_free(&p);
    }
}

/* --- speakers -------------------------------------------------------------------------------------------------- */

enum { FRAMES = 10 };

static const mt_speaker_rules rules = {
    .threshold = 0.5f, .min_clean = 0.4f, .min_speech = 3, .min_share = 0.05f, .same_penalty = 0.5f};

typedef struct scene {
    mt_record record;
    mt_points points;
    int *truth;
    float centers[8][DIMS];
} scene;

static void scene_free(scene *s)
{
    mt_record_free(&s->record);
    mt_points_free(&s->points);
    free(s->truth);
}

/* Windows of one or two of `people`, each voice near its person's center. */
static motet_status scene_make(scene *s, int people, int windows, const mt_speaker_rules *r)
{
    float active[FRAMES];
    memset(s, 0, sizeof *s);
    mt_record_init(&s->record, FRAMES, DIMS);
    s->points.dims = DIMS;
    s->truth = malloc(sizeof(int) * 2 * (size_t)windows);
    for (int t = 0; t < FRAMES; t++) active[t] = 1;
    for (int k = 0; k < people; k++) unit_vector(s->centers[k], NULL, 1);
    for (int w = 0; w < windows; w++) {
        int a = (int)(uniform() * (float)people), b = (int)(uniform() * (float)people);
        motet_status status = mt_record_window_begin(&s->record, w * FRAMES);
        for (int k = 0; k < (a == b ? 1 : 2) && status == MOTET_OK; k++) {
            float v[DIMS];
            int who = k ? b : a;
            unit_vector(v, s->centers[who], 0.08f);
            s->truth[s->record.voice_count] = who;
            status = mt_record_voice(&s->record, v, active, 1, uniform() < 0.2f ? 0.2f : 1.0f);
        }
        if (status == MOTET_OK) status = mt_speakers_window(&s->record, (size_t)w, &s->points, r);
        if (status != MOTET_OK) return status;
    }
    return MOTET_OK;
}

static void check_against_truth(const scene *s)
{
    int speaker_of[8];
    for (int k = 0; k < 8; k++) speaker_of[k] = -1;
    for (size_t v = 0; v < s->record.voice_count; v++) {
        int *expected = &speaker_of[s->truth[v]];
        if (*expected < 0) *expected = s->record.voices[v].speaker;
        assert_int_equal(s->record.voices[v].speaker, *expected);
    }
}

static void voices_find_their_speakers(void **state)
{
    (void)state;
    for (int people = 1; people <= 6; people++) {
        scene s;
        int count;
        seed = 40 + (unsigned long long)people;
        assert_int_equal(scene_make(&s, people, 120, &rules), MOTET_OK);
        assert_int_equal(mt_speakers_assign(&s.record, &s.points, &rules, &count), MOTET_OK);
        assert_int_equal(count, people);
        check_against_truth(&s);
        scene_free(&s);
    }
}

static void long_recordings_are_folded(void **state)
{
    (void)state;
    scene s;
    int count;
    seed = 7;
    assert_int_equal(scene_make(&s, 5, 6000, &rules), MOTET_OK);
    assert_true(s.points.count <= 2048 && s.record.voice_count > 8000);
    assert_int_equal(mt_speakers_assign(&s.record, &s.points, &rules, &count), MOTET_OK);
    assert_int_equal(count, 5);
    check_against_truth(&s);
    scene_free(&s);
}

static void the_number_of_speakers_is_obeyed(void **state)
{
    (void)state;
    for (int asked = 1; asked <= 7; asked++) {
        scene s;
        mt_speaker_rules r = rules;
        int count;
        r.min = r.max = asked;
        seed = 99;
        assert_int_equal(scene_make(&s, 4, 200, &r), MOTET_OK);
        assert_int_equal(mt_speakers_assign(&s.record, &s.points, &r, &count), MOTET_OK);
        assert_int_equal(count, asked);
        scene_free(&s);
    }
}

/* A third person who says hardly anything is rather the third than half of somebody else. */
static void who_says_little_is_found_when_asked_for(void **state)
{
    (void)state;
    scene s;
    int count, speaker[3];
    mt_speaker_rules r = rules;
    seed = 12;
    assert_int_equal(scene_make(&s, 3, 0, &rules), MOTET_OK);
    float active[FRAMES] = {1, 1, 1, 1, 1}, v[DIMS];
    for (int w = 0; w < 60; w++) {
        int who = w == 40 ? 2 : w % 2;
        unit_vector(v, s.centers[who], 0.08f);
        assert_int_equal(mt_record_window_begin(&s.record, w * FRAMES), MOTET_OK);
        assert_int_equal(mt_record_voice(&s.record, v, active, 1, 1), MOTET_OK);
        assert_int_equal(mt_speakers_window(&s.record, (size_t)w, &s.points, &rules), MOTET_OK);
    }
    r.min = r.max = 3;
    assert_int_equal(mt_speakers_assign(&s.record, &s.points, &r, &count), MOTET_OK);
    assert_int_equal(count, 3);
    for (int k = 0; k < 3; k++) speaker[k] = s.record.voices[k == 2 ? 40 : k].speaker;
    for (int w = 0; w < 60; w++) assert_int_equal(s.record.voices[w].speaker, speaker[w == 40 ? 2 : w % 2]);
    assert_true(speaker[0] != speaker[1] && speaker[0] != speaker[2] && speaker[1] != speaker[2]);
    scene_free(&s);
}

/* A third voice in `strays` of many windows in which two people take turns. Returns how many speakers there are. */
static int speakers_beside_strays(int windows, int strays)
{
    scene s;
    int count;
    seed = 21;
    assert_int_equal(scene_make(&s, 3, 0, &rules), MOTET_OK);
    float active[FRAMES] = {1, 1, 1, 1, 1}, v[DIMS];
    for (int w = 0; w < windows; w++) {
        unit_vector(v, s.centers[w % (windows / strays) == 7 ? 2 : w % 2], 0.08f);
        assert_int_equal(mt_record_window_begin(&s.record, w * FRAMES), MOTET_OK);
        assert_int_equal(mt_record_voice(&s.record, v, active, 1, 1), MOTET_OK);
        assert_int_equal(mt_speakers_window(&s.record, (size_t)w, &s.points, &rules), MOTET_OK);
    }
    assert_int_equal(mt_speakers_assign(&s.record, &s.points, &rules, &count), MOTET_OK);
    scene_free(&s);
    return count;
}

/* The longer a recording, the more it takes to be somebody in it. */
static void strays_of_long_recordings_are_nobody(void **state)
{
    (void)state;
    assert_int_equal(speakers_beside_strays(500, 5), 3);
    assert_int_equal(speakers_beside_strays(6000, 8), 2);
    assert_int_equal(speakers_beside_strays(6000, 30), 3);
}

/* Two voices well within the threshold of each other, but both in every window, are two people. */
static void people_heard_together_stay_apart(void **state)
{
    (void)state;
    scene s;
    int count;
    seed = 5;
    assert_int_equal(scene_make(&s, 1, 0, &rules), MOTET_OK);
    unit_vector(s.centers[1], s.centers[0], 0.07f);
    assert_true(mt_dot(s.centers[0], s.centers[1], DIMS) > 0.8f);
    float active[FRAMES] = {1, 1, 1, 1, 1}, a[DIMS], b[DIMS];
    for (int w = 0; w < 20; w++) {
        unit_vector(a, s.centers[0], 0.02f);
        unit_vector(b, s.centers[1], 0.02f);
        assert_int_equal(mt_record_window_begin(&s.record, w * FRAMES), MOTET_OK);
        assert_int_equal(mt_record_voice(&s.record, a, active, 1, 1), MOTET_OK);
        assert_int_equal(mt_record_voice(&s.record, b, active, 1, 1), MOTET_OK);
        assert_int_equal(mt_speakers_window(&s.record, (size_t)w, &s.points, &rules), MOTET_OK);
    }
    assert_int_equal(mt_speakers_assign(&s.record, &s.points, &rules, &count), MOTET_OK);
    assert_int_equal(count, 2);
    for (int w = 0; w < 20; w++)
        assert_int_not_equal(s.record.voices[2 * w].speaker, s.record.voices[2 * w + 1].speaker);
    scene_free(&s);
}

static void voices_too_short_to_cluster_are_one_speaker(void **state)
{
    (void)state;
    scene s;
    int count;
    mt_speaker_rules r = rules;
    r.min_clean = 100;
    assert_int_equal(scene_make(&s, 3, 10, &r), MOTET_OK);
    assert_int_equal(mt_speakers_assign(&s.record, &s.points, &r, &count), MOTET_OK);
    assert_int_equal(count, 1);
    scene_free(&s);
    assert_int_equal(scene_make(&s, 3, 0, &r), MOTET_OK);
    assert_int_equal(mt_speakers_assign(&s.record, &s.points, &r, &count), MOTET_OK);
    assert_int_equal(count, 0);
    scene_free(&s);
}

static void every_failing_allocation_is_an_error(void **state)
{
    (void)state;
    for (long k = 0;; k++) {
        scene s;
        int count;
        seed = 3;
        mt_memory_fail_at(k);
        motet_status status = scene_make(&s, 3, 40, &rules);
        if (status == MOTET_OK) status = mt_speakers_assign(&s.record, &s.points, &rules, &count);
        mt_memory_fail_at(-1);
        scene_free(&s);
        if (status == MOTET_OK) {
            assert_true(k > 10);
            return;
        }
        assert_int_equal(status, MOTET_ERROR_MEMORY);
    }
}

enum { SCATTER = 7, EACH = 2 * SCATTER };

/* Voices that scatter by 0.9 around a direction in the first two dimensions, to either side of each of `SCATTER` others
 * from `first` on. */
static void add_scattered(mt_points *points, float x, float y, int first)
{
    for (int i = 0; i < EACH; i++) {
        float vector[DIMS] = {x, y};
        vector[first + i / 2] = i % 2 ? 0.9f : -0.9f;
        mt_normalize(vector, DIMS);
        assert_int_equal(mt_points_add(points, vector, 2), MOTET_OK);
    }
}

/* Two ways of one person, whose means are 0.6 alike and whose voices are 0.33 alike on average. */
static void means_tell_what_voices_do_not(void **state)
{
    (void)state;
    mt_points points = {.dims = DIMS};
    int labels[3 * EACH], clusters;
    mt_speaker_rules r = rules;
    r.threshold = 0.63f;
    add_scattered(&points, 1, 0, 2);
    add_scattered(&points, 0.6f, 0.8f, 2 + SCATTER);
    add_scattered(&points, 0, -1, 2 + 2 * SCATTER);
    r.one_person = 0.3f;
    assert_int_equal(mt_speakers_cut(&points, &r, labels, &clusters), MOTET_OK);
    assert_int_equal(clusters, 3);
    r.one_person = 0.45f;
    assert_int_equal(mt_speakers_cut(&points, &r, labels, &clusters), MOTET_OK);
    assert_int_equal(clusters, 2);
    for (int i = 1; i < 2 * EACH; i++) assert_int_equal(labels[i], labels[0]);
    assert_int_not_equal(labels[0], labels[2 * EACH]);
    mt_points_free(&points);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_in_a_window),
        cmocka_unit_test(merges_are_those_of_the_definition),
        cmocka_unit_test(voices_find_their_speakers),
        cmocka_unit_test(long_recordings_are_folded),
        cmocka_unit_test(the_number_of_speakers_is_obeyed),
        cmocka_unit_test(who_says_little_is_found_when_asked_for),
        cmocka_unit_test(strays_of_long_recordings_are_nobody),
        cmocka_unit_test(people_heard_together_stay_apart),
        cmocka_unit_test(voices_too_short_to_cluster_are_one_speaker),
        cmocka_unit_test(every_failing_allocation_is_an_error),
        cmocka_unit_test(means_tell_what_voices_do_not),
    };
    return cmocka_run_group_tests_name("cluster", tests, NULL, NULL);
}
