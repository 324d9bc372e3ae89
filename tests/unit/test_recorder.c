/* audio/record: what goes in comes out of the file; channels in step; a disk that is full; a process that dies. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "motet/audio.h"

enum { RATE = 16000 };

static char path[] = "/tmp/test_recorder_XXXXXX";

static float tone(int64_t n, int channel)
{
    return 0.5f * sinf((float)n * (0.02f + 0.03f * (float)channel));
}

static void record(motet_recorder *recorder, int channel, int64_t from, int64_t until)
{
    float block[1000];
    for (int64_t at = from; at < until; at += 1000) {
        int count = (int)(until - at < 1000 ? until - at : 1000);
        for (int i = 0; i < count; i++) block[i] = tone(at + i, channel);
        assert_int_equal(motet_recorder_write(recorder, channel, block, (size_t)count), MOTET_OK);
    }
}

/* Reads the channel back; the number of samples, all of which are right. A broken end counts for nothing. */
static int64_t read_back(int channel, int64_t sound)
{
    motet_audio_options options;
    motet_audio *audio;
    float block[4096];
    size_t count;
    int64_t n = 0;
    motet_audio_options_init(&options);
    options.channel = channel;
    assert_int_equal(motet_audio_open(path, &options, &audio), MOTET_OK);
    while (motet_audio_read(audio, block, 4096, &count) == MOTET_OK && count)
        for (size_t i = 0; i < count; i++, n++)
            assert_true(fabsf(block[i] - (n < sound ? tone(n, channel) : 0)) < 1e-4f);
    motet_audio_close(audio);
    return n;
}

static void two_channels_in_step(void **state)
{
    (void)state;
    motet_recorder *recorder;
    assert_int_equal(motet_recorder_create(path, RATE, 2, &recorder), MOTET_OK);
    for (int64_t at = 0; at < 5 * RATE; at += RATE) {
        record(recorder, 0, at, at + RATE);
        record(recorder, 1, at / 2, at / 2 + RATE / 2);
    }
    assert_int_equal(motet_recorder_close(recorder), MOTET_OK);
    assert_int_equal(read_back(0, 5 * RATE), 5 * RATE);
    assert_int_equal(read_back(1, 5 * RATE / 2), 5 * RATE);
}

static void a_full_disk_is_told(void **state)
{
    (void)state;
    motet_recorder *recorder;
    float block[RATE] = {0};
    if (motet_recorder_create("/dev/full", RATE, 1, &recorder) != MOTET_OK) return; /* told at once */
    for (int i = 0; i < RATE; i++) block[i] = (float)(rand() % 1000) / 1000;
    motet_status status = MOTET_OK;
    for (int i = 0; i < 30 && status == MOTET_OK; i++) status = motet_recorder_write(recorder, 0, block, RATE);
    assert_int_equal(motet_recorder_close(recorder), MOTET_ERROR_IO);
}

/* A file that was never closed is readable up to the last seconds. */
static void a_process_that_dies(void **state)
{
    (void)state;
    int ends[2];
    char ready;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        motet_recorder *recorder;
        if (motet_recorder_create(path, RATE, 1, &recorder) != MOTET_OK) _exit(1);
        record(recorder, 0, 0, 20 * RATE);
        struct timespec wait = {1, 0};
        nanosleep(&wait, NULL); /* for the thread that writes */
        (void)!write(ends[1], "x", 1);
        pause();
    }
    assert_int_equal(read(ends[0], &ready, 1), 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(ends[0]);
    close(ends[1]);
    assert_true(read_back(0, 20 * RATE) >= 17 * RATE);
}

static void what_cannot_be_made_is_told(void **state)
{
    (void)state;
    motet_recorder *recorder;
    assert_int_equal(motet_recorder_create("/nonexistent/x.flac", RATE, 1, &recorder), MOTET_ERROR_IO);
    assert_int_equal(motet_recorder_create(path, RATE, 9, &recorder), MOTET_ERROR_ARGUMENT);
    assert_int_equal(motet_recorder_close(NULL), MOTET_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_that_dies), /* first: it forks, and no thread may run yet */
        cmocka_unit_test(two_channels_in_step),
        cmocka_unit_test(a_full_disk_is_told),
        cmocka_unit_test(what_cannot_be_made_is_told),
    };
    int file = mkstemp(path);
    if (file < 0) return 1;
    close(file);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
