/* threads: four of them run the shipped network in one session, on inputs of several shapes, while others share its
 * workers; every result is the one that a thread alone gets. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "motet/session.h"

#define MODEL MOTET_SOURCE_DIR "/models/motet-cnn.onnx"

enum { THREADS = 4, ROUNDS = 6, FRAMES = 300, BINS = 80 };

static motet_tensor *features(int windows, int seed)
{
    motet_tensor *made;
    assert_int_equal(motet_tensor_create(MOTET_FLOAT, 3, (int64_t[]){windows, FRAMES, BINS}, &made), MOTET_OK);
    float *values = motet_tensor_data(made);
    for (int64_t i = 0; i < motet_tensor_count(made); i++) values[i] = (float)((i * 31 + seed * 17) % 97) / 48 - 1;
    return made;
}

static motet_status run(motet_session *session, const motet_run_options *options, int windows, int seed,
                        motet_tensor **activity)
{
    const char *in[] = {"features"}, *out[] = {"activity"};
    motet_tensor *fed = features(windows, seed);
    motet_status status =
        motet_session_run_with(session, options, in, (const motet_tensor *const *)&fed, 1, out, activity, 1);
    motet_tensor_destroy(fed);
    return status;
}

typedef struct job {
    motet_session *session;
    motet_tensor *const *expected; /* by round */
    int first;                     /* round; they take turns in different orders */
    bool right;
} job;

/* Round r: 1 to 3 windows, seed r. */
static int windows_of(int round)
{
    return 1 + round % 3;
}

static void *run_rounds(void *argument)
{
    job *j = argument;
    j->right = true;
    for (int i = 0; i < ROUNDS; i++) {
        int round = (j->first + i) % ROUNDS;
        motet_tensor *got;
        if (run(j->session, NULL, windows_of(round), round, &got) != MOTET_OK) {
            j->right = false;
            break;
        }
        size_t bytes = (size_t)motet_tensor_count(got) * sizeof(float);
        j->right &= memcmp(motet_tensor_const_data(got), motet_tensor_const_data(j->expected[round]), bytes) == 0;
        motet_tensor_destroy(got);
    }
    return NULL;
}

static void run_all(motet_session *const *sessions, motet_tensor *const *expected)
{
    pthread_t threads[THREADS];
    job jobs[THREADS];
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = (job){sessions[i], expected, i, false};
        assert_int_equal(pthread_create(&threads[i], NULL, run_rounds, &jobs[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_true(jobs[i].right);
    }
}

static void threads_get_what_one_alone_gets(void **state)
{
    (void)state;
    motet_tensor *expected[ROUNDS];
    motet_session *alone, *sessions[THREADS];
    motet_session_options options;
    motet_threads *shared;
    motet_session_options_init(&options);
    options.threads = 1;
    assert_int_equal(motet_session_open(MODEL, &options, &alone), MOTET_OK);
    for (int i = 0; i < ROUNDS; i++) assert_int_equal(run(alone, NULL, windows_of(i), i, &expected[i]), MOTET_OK);
    motet_session_close(alone);

    options.threads = 2; /* all in one session */
    assert_int_equal(motet_session_open(MODEL, &options, &sessions[0]), MOTET_OK);
    for (int i = 1; i < THREADS; i++) sessions[i] = sessions[0];
    run_all(sessions, expected);
    motet_session_close(sessions[0]);

    assert_int_equal(motet_threads_create(3, &shared), MOTET_OK); /* each in its own, with the same workers */
    options.shared = shared;
    for (int i = 0; i < THREADS; i++) assert_int_equal(motet_session_open(MODEL, &options, &sessions[i]), MOTET_OK);
    run_all(sessions, expected);
    for (int i = 0; i < THREADS; i++) motet_session_close(sessions[i]);
    motet_threads_destroy(shared);
    for (int i = 0; i < ROUNDS; i++) motet_tensor_destroy(expected[i]);
}

typedef struct endless {
    motet_session *session;
    motet_cancel *cancel;
    motet_status status;
} endless;

static void *run_until_cancelled(void *argument)
{
    endless *e = argument;
    motet_run_options options;
    motet_run_options_init(&options);
    options.cancel = e->cancel;
    do {
        motet_tensor *got;
        e->status = run(e->session, &options, 1, 0, &got);
        motet_tensor_destroy(got);
    } while (e->status == MOTET_OK);
    return NULL;
}

static void one_request_stops_them_all(void **state)
{
    (void)state;
    endless jobs[THREADS];
    pthread_t threads[THREADS];
    motet_session *session;
    motet_cancel *cancel;
    motet_tensor *got;
    assert_int_equal(motet_session_open(MODEL, NULL, &session), MOTET_OK);
    assert_int_equal(motet_cancel_create(&cancel), MOTET_OK);
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = (endless){session, cancel, MOTET_OK};
        assert_int_equal(pthread_create(&threads[i], NULL, run_until_cancelled, &jobs[i]), 0);
    }
    motet_cancel_request(cancel);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(jobs[i].status, MOTET_ERROR_CANCELLED);
    }
    assert_int_equal(run(session, NULL, 1, 0, &got), MOTET_OK); /* the session is as good as before */
    motet_tensor_destroy(got);
    motet_cancel_destroy(cancel);
    motet_session_close(session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_get_what_one_alone_gets),
        cmocka_unit_test(one_request_stops_them_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
