/* A file in the place of a microphone: a thread decodes it and hands out a block when the sound of it would be over. */
#include "audio/capture.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "core/memory.h"

enum { SLOTS = 1024 };

typedef struct player {
    motet_capture capture; /* first, so that one is the other */
    motet_audio *audio;
    double speed;
    pthread_t thread;
    atomic_bool stop;
} player;

static void sleep_until(double when)
{
    double left = when - mt_monotonic();
    if (left <= 0) return;
    struct timespec t = {(time_t)left, (long)((left - (double)(time_t)left) * 1e9)};
    nanosleep(&t, NULL); /* a signal only makes a block early */
}

static void hand_out(player *p, const motet_block *block)
{
    while (mt_ring_full(p->capture.ring) && !atomic_load(&p->stop)) sleep_until(mt_monotonic() + 0.002);
    mt_ring_write(p->capture.ring, block);
}

static bool read_block(player *p, motet_block *block)
{
    size_t wanted = (size_t)(p->capture.rate / 100), count;
    if (wanted > MOTET_BLOCK_SAMPLES) wanted = MOTET_BLOCK_SAMPLES;
    motet_status status = motet_audio_read(p->audio, block->samples, wanted, &count);
    if (status != MOTET_OK) {
        snprintf(p->capture.message, sizeof p->capture.message, "%s", motet_error_message());
        atomic_store(&p->capture.status, (int)status);
        return false;
    }
    block->start += block->count;
    block->count = (int)count;
    return count > 0;
}

static void *play(void *user)
{
    player *p = user;
    motet_block block = {0};
    double began = mt_monotonic();
    while (!atomic_load(&p->stop) && read_block(p, &block)) {
        double over = (double)(block.start + block.count) / p->capture.rate / p->speed;
        sleep_until(began + over);
        block.captured = began + over;
        hand_out(p, &block);
    }
    block.count = 0;
    block.end = true;
    hand_out(p, &block);
    atomic_store(&p->capture.connected, false);
    return NULL;
}

static void close_player(motet_capture *capture)
{
    player *p = (player *)capture;
    atomic_store(&p->stop, true);
    if (p->thread) pthread_join(p->thread, NULL);
    motet_audio_close(p->audio);
    mt_capture_free(capture);
}

static motet_status start(player *p)
{
    MT_TRY(mt_ring_create(SLOTS, &p->capture.ring));
    atomic_store(&p->capture.connected, true);
    int error = pthread_create(&p->thread, NULL, play, p);
    if (error == 0) return MOTET_OK;
    p->thread = 0;
    return mt_fail(MOTET_ERROR_IO, "cannot start a thread: error %d", error);
}

motet_status motet_capture_play(const char *path, const motet_audio_options *options, double speed, motet_capture **out)
{
    *out = NULL;
    if (!(speed >= 0.1 && speed <= 1000)) return mt_fail(MOTET_ERROR_ARGUMENT, "speed %g: expected 0.1 to 1000", speed);
    player *p = mt_alloc_zero(1, sizeof *p);
    if (!p) return mt_fail_memory(sizeof *p);
    p->speed = speed;
    p->capture.plays = true;
    p->capture.close = close_player;
    p->capture.name = mt_copy_string(path);
    motet_status status = p->capture.name ? motet_audio_open(path, options, &p->audio) : mt_fail_memory(1);
    if (status == MOTET_OK) {
        p->capture.rate = motet_audio_describe(p->audio)->rate;
        status = start(p);
    }
    if (status != MOTET_OK) {
        close_player(&p->capture);
        return status;
    }
    *out = &p->capture;
    return MOTET_OK;
}
