/* See source.h. A pipe fills one buffer from its front; when that is full, the older half is let go. Only reading on
 * does that: a jump ahead that would push the header out is a look for the end of the file, and finds nothing. */
#include "audio/source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/status.h"

enum { KEPT_BYTES = 1 << 20 }; /* what a pipe remembers: room for a header with a cover picture in it */

struct mt_source {
    char *name;
    int fd;
    bool owned; /* opened here, so closed here */
    int error;
    int (*interrupted)(void *user);
    void *user;
    int64_t size;        /* -1: a pipe */
    unsigned char *kept; /* a pipe's bytes start .. start + length */
    int64_t start;
    size_t length;
};

static motet_status examine(mt_source *source)
{
    struct stat about;
    if (fstat(source->fd, &about) != 0) {
        return mt_fail(MOTET_ERROR_IO, "%s: %s", source->name, strerror(errno));
    }
    if (S_ISDIR(about.st_mode)) return mt_fail(MOTET_ERROR_IO, "%s: is a directory", source->name);
    if (isatty(source->fd)) return mt_fail(MOTET_ERROR_IO, "%s: is a terminal, not audio", source->name);
    if (S_ISREG(about.st_mode)) {
        source->size = about.st_size;
        return MOTET_OK;
    }
    source->size = -1;
    source->kept = mt_alloc(KEPT_BYTES);
    return source->kept ? MOTET_OK : mt_fail_memory(KEPT_BYTES);
}

motet_status mt_source_status(int error)
{
    return error == EINTR ? MOTET_ERROR_CANCELLED : MOTET_ERROR_IO;
}

/* True when a call that failed with EINTR should be tried again. */
static bool goes_on(const mt_source *source)
{
    return !source->interrupted || !source->interrupted(source->user);
}

static motet_status open_descriptor(mt_source *source, const char *path)
{
    if (strcmp(path, "-") == 0) {
        source->fd = STDIN_FILENO;
        return MOTET_OK;
    }
    do { /* opening a named pipe waits for its writer */
        source->fd = open(path, O_RDONLY | O_CLOEXEC);
    } while (source->fd < 0 && errno == EINTR && goes_on(source));
    source->owned = source->fd >= 0;
    return source->owned ? MOTET_OK : mt_fail(mt_source_status(errno), "%s: %s", path, strerror(errno));
}

motet_status mt_source_open(const char *path, int (*interrupted)(void *user), void *user, mt_source **out)
{
    *out = NULL;
    mt_source *source = mt_alloc_zero(1, sizeof *source);
    if (!source) return mt_fail_memory(sizeof *source);
    source->interrupted = interrupted;
    source->user = user;
    source->name = mt_copy_string(strcmp(path, "-") == 0 ? "standard input" : path);
    motet_status status = source->name ? open_descriptor(source, path) : mt_fail_memory(strlen(path));
    if (status == MOTET_OK) status = examine(source);
    if (status != MOTET_OK) {
        mt_source_close(source);
        return status;
    }
    *out = source;
    return MOTET_OK;
}

void mt_source_close(mt_source *source)
{
    if (!source) return;
    if (source->owned) close(source->fd);
    mt_free(source->name);
    mt_free(source->kept);
    mt_free(source);
}

const char *mt_source_name(const mt_source *source)
{
    return source->name;
}

int64_t mt_source_size(const mt_source *source)
{
    return source->size;
}

int64_t mt_source_reach(const mt_source *source)
{
    return source->size < 0 ? source->start + (int64_t)source->length : source->size;
}

int mt_source_error(const mt_source *source)
{
    return source->error;
}

/* True when reading may be tried again: after a signal, or once a non-blocking pipe has something. */
static bool wait_for_more(const mt_source *source)
{
    if (errno == EAGAIN) {
        struct pollfd ready = {.fd = source->fd, .events = POLLIN};
        if (poll(&ready, 1, -1) >= 0) return true;
    }
    return errno == EINTR && goes_on(source);
}

/* One read, from the pipe's front or at a file's offset (`offset` >= 0). 0 at the end and after a failure, which is final. */
static size_t read_some(mt_source *source, int64_t offset, void *bytes, size_t count)
{
    ssize_t got;
    if (source->error) return 0;
    do {
        got = offset < 0 ? read(source->fd, bytes, count) : pread(source->fd, bytes, count, offset);
    } while (got < 0 && wait_for_more(source));
    if (got < 0) source->error = errno;
    return got > 0 ? (size_t)got : 0;
}

static size_t read_file(mt_source *source, int64_t offset, unsigned char *bytes, size_t count)
{
    size_t done = 0, got;
    while (done < count && (got = read_some(source, offset + (int64_t)done, bytes + done, count - done)) > 0)
        done += got;
    return done;
}

/* Brings up to `count` more bytes into the kept stretch. */
static size_t advance(mt_source *source, size_t count)
{
    if (source->length == KEPT_BYTES) {
        size_t half = KEPT_BYTES / 2;
        memcpy(source->kept, source->kept + half, half);
        source->start += (int64_t)half;
        source->length = half;
    }
    size_t room = KEPT_BYTES - source->length;
    size_t got = read_some(source, -1, source->kept + source->length, count < room ? count : room);
    source->length += got;
    return got;
}

/* A jump must land inside the buffer as it stands. */
static bool within_reach(const mt_source *source, int64_t offset)
{
    int64_t end = source->start + (int64_t)source->length;
    return offset >= source->start && (offset <= end || offset < source->start + KEPT_BYTES);
}

/* Takes no more from the pipe than is asked for, so that live audio is handed on as soon as it is there. */
static size_t read_pipe(mt_source *source, int64_t offset, unsigned char *bytes, size_t count)
{
    size_t done = 0;
    if (!within_reach(source, offset)) return 0;
    while (done < count) {
        int64_t end = source->start + (int64_t)source->length, wanted = offset + (int64_t)done;
        if (wanted >= end) {
            if (advance(source, (size_t)(wanted - end) + (count - done)) == 0) break;
            continue;
        }
        size_t have = (size_t)(end - wanted), take = have < count - done ? have : count - done;
        memcpy(bytes + done, source->kept + (wanted - source->start), take);
        done += take;
    }
    return done;
}

size_t mt_source_read(mt_source *source, int64_t offset, void *bytes, size_t count)
{
    if (offset < 0) return 0;
    return source->size < 0 ? read_pipe(source, offset, bytes, count) : read_file(source, offset, bytes, count);
}
