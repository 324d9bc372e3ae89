/* Samples wait, channel by channel, under a lock that is held for a copy and no longer; the thread takes what all
 * channels have, and writes it without the lock. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sndfile.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/status.h"
#include "motet/audio.h"

enum { MOST_CHANNELS = 8, BLOCK = 4096, MOST_SECONDS = 60, SYNC_SECONDS = 3 };

struct motet_recorder {
    char *path;
    int rate, channels, file;
    SNDFILE *encoder;
    pthread_t thread;
    bool runs;
    pthread_mutex_t lock;
    pthread_cond_t more;
    /* under the lock: */
    float *waiting[MOST_CHANNELS];
    size_t counts[MOST_CHANNELS], capacities[MOST_CHANNELS];
    bool closing;
    char trouble[256]; /* "": none */
};

static motet_status fail(const motet_recorder *r)
{
    return mt_fail(MOTET_ERROR_IO, "%s: %s", r->path, r->trouble);
}

/* --- the thread ------------------------------------------------------------------------------------------------ */

static size_t common_count(const motet_recorder *r)
{
    size_t least = r->counts[0];
    for (int c = 1; c < r->channels; c++)
        if (r->counts[c] < least) least = r->counts[c];
    return least;
}

/* Waits for a block, or for the end, and takes it out; interleaved. 0 at the end. */
static size_t take_block(motet_recorder *r, float *block)
{
    pthread_mutex_lock(&r->lock);
    while (!r->closing && common_count(r) < BLOCK) pthread_cond_wait(&r->more, &r->lock);
    size_t count = common_count(r) < BLOCK ? common_count(r) : BLOCK;
    for (int c = 0; c < r->channels; c++) {
        for (size_t i = 0; i < count; i++) block[i * (size_t)r->channels + (size_t)c] = r->waiting[c][i];
        r->counts[c] -= count;
        memmove(r->waiting[c], r->waiting[c] + count, r->counts[c] * sizeof(float));
    }
    pthread_mutex_unlock(&r->lock);
    return count;
}

static void note_trouble(motet_recorder *r, const char *what, const char *why)
{
    pthread_mutex_lock(&r->lock);
    if (!r->trouble[0]) snprintf(r->trouble, sizeof r->trouble, "%s: %s", what, why);
    pthread_mutex_unlock(&r->lock);
}

static void *work(void *user)
{
    motet_recorder *r = user;
    static _Thread_local float block[BLOCK * MOST_CHANNELS];
    size_t count, since_sync = 0;
    while ((count = take_block(r, block)) > 0) {
        errno = 0;
        if (sf_writef_float(r->encoder, block, (sf_count_t)count) != (sf_count_t)count) {
            note_trouble(r, "cannot write", errno ? strerror(errno) : sf_strerror(r->encoder));
            return NULL;
        }
        since_sync += count;
        if (since_sync < (size_t)r->rate * SYNC_SECONDS) continue;
        since_sync = 0;
        if (fdatasync(r->file) && errno != EINVAL && errno != EROFS) note_trouble(r, "cannot write", strerror(errno));
    }
    return NULL;
}

/* --- from outside ---------------------------------------------------------------------------------------------- */

static void recorder_free(motet_recorder *r)
{
    for (int c = 0; c < MOST_CHANNELS; c++) mt_free(r->waiting[c]);
    if (r->encoder) sf_close(r->encoder);
    if (r->file >= 0) close(r->file);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->more);
    mt_free(r->path);
    mt_free(r);
}

static motet_status open_file(motet_recorder *r)
{
    SF_INFO info = {.samplerate = r->rate, .channels = r->channels, .format = SF_FORMAT_FLAC | SF_FORMAT_PCM_16};
    r->file = open(r->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (r->file < 0) return mt_fail(MOTET_ERROR_IO, "%s: cannot create it: %s", r->path, strerror(errno));
    r->encoder = sf_open_fd(r->file, SFM_WRITE, &info, SF_FALSE);
    if (!r->encoder) return mt_fail(MOTET_ERROR_IO, "%s: cannot record to it: %s", r->path, sf_strerror(NULL));
    sf_command(r->encoder, SFC_SET_CLIPPING, NULL, SF_TRUE);
    return MOTET_OK;
}

motet_status motet_recorder_create(const char *path, int rate, int channels, motet_recorder **out)
{
    *out = NULL;
    if (channels < 1 || channels > MOST_CHANNELS)
        return mt_fail(MOTET_ERROR_ARGUMENT, "%s: %d channels: expected 1 to %d", path, channels, MOST_CHANNELS);
    motet_recorder *r = mt_alloc_zero(1, sizeof *r);
    if (!r) return mt_fail_memory(sizeof *r);
    r->rate = rate;
    r->channels = channels;
    r->file = -1;
    r->path = mt_copy_string(path);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->more, NULL);
    motet_status status = r->path ? open_file(r) : mt_fail_memory(strlen(path));
    if (status == MOTET_OK) {
        r->runs = pthread_create(&r->thread, NULL, work, r) == 0;
        if (!r->runs) status = mt_fail(MOTET_ERROR_IO, "%s: cannot start a thread", path);
    }
    if (status != MOTET_OK) {
        recorder_free(r);
        return status;
    }
    *out = r;
    return MOTET_OK;
}

/* Under the lock. */
static motet_status add(motet_recorder *r, int channel, const float *samples, size_t count)
{
    size_t wanted = r->counts[channel] + count;
    if (r->trouble[0]) return fail(r);
    if (wanted > (size_t)r->rate * MOST_SECONDS) {
        snprintf(r->trouble, sizeof r->trouble, "cannot keep up: writing is a minute behind");
        return fail(r);
    }
    if (wanted > r->capacities[channel]) {
        float *grown = mt_grow(r->waiting[channel], 2 * wanted, sizeof *grown);
        if (!grown) return mt_fail_memory(2 * wanted * sizeof *grown);
        r->waiting[channel] = grown;
        r->capacities[channel] = 2 * wanted;
    }
    if (samples)
        memcpy(r->waiting[channel] + r->counts[channel], samples, count * sizeof *samples);
    else
        memset(r->waiting[channel] + r->counts[channel], 0, count * sizeof *samples);
    r->counts[channel] = wanted;
    return MOTET_OK;
}

motet_status motet_recorder_write(motet_recorder *r, int channel, const float *samples, size_t count)
{
    pthread_mutex_lock(&r->lock);
    motet_status status = add(r, channel, samples, count);
    bool enough = common_count(r) >= BLOCK;
    pthread_mutex_unlock(&r->lock);
    if (enough) pthread_cond_signal(&r->more);
    return status;
}

/* Channels end together. Under the lock. */
static void level_out(motet_recorder *r)
{
    size_t most = 0;
    for (int c = 0; c < r->channels; c++)
        if (r->counts[c] > most) most = r->counts[c];
    for (int c = 0; c < r->channels; c++)
        if (add(r, c, NULL, most - r->counts[c]) != MOTET_OK) return;
}

motet_status motet_recorder_close(motet_recorder *r)
{
    if (!r) return MOTET_OK;
    pthread_mutex_lock(&r->lock);
    level_out(r);
    r->closing = true;
    pthread_mutex_unlock(&r->lock);
    pthread_cond_signal(&r->more);
    pthread_join(r->thread, NULL);
    if (sf_close(r->encoder)) note_trouble(r, "cannot write", "the end of the file");
    r->encoder = NULL;
    if (fsync(r->file) && errno != EINVAL && errno != EROFS) note_trouble(r, "cannot write", strerror(errno));
    motet_status status = r->trouble[0] ? fail(r) : MOTET_OK;
    recorder_free(r);
    return status;
}
