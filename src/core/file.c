/* Writing a file so that nobody ever sees half of it: a temporary file in the same folder, fsync, rename. A symbolic
 * link stays one (its target is replaced), and a file that is there keeps its permissions. */
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/digest.h"
#include "core/status.h"

static motet_status fail_io(const char *path, const char *doing)
{
    return mt_fail(MOTET_ERROR_IO, "%s: cannot %s: %s", path, doing, strerror(errno));
}

static bool write_part(int file, const char *bytes, size_t length)
{
    while (length) {
        ssize_t written = write(file, bytes, length);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return false;
        bytes += written;
        length -= (size_t)written;
    }
    return true;
}

static bool write_all(int file, const mt_part *parts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!write_part(file, parts[i].bytes, parts[i].length)) return false;
    return true;
}

static motet_status write_in_place(const char *path, const mt_part *parts, size_t count)
{
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0) return fail_io(path, "open it for writing");
    bool written = write_all(file, parts, count);
    int saved = errno;
    if (close(file) && written) return fail_io(path, "write");
    errno = saved;
    return written ? MOTET_OK : fail_io(path, "write");
}

/* A new file in `folder`, its path in `name`; -1 with errno. Not mkstemp, which would need the umask to give the usual
 * permissions afterwards, and reading the umask means setting it for every thread. */
static int create_temporary(const char *folder, char *name, size_t size)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    for (unsigned attempt = 0; attempt < 100; attempt++) {
        unsigned tag = (unsigned)now.tv_nsec + attempt * 7919u;
        if (snprintf(name, size, "%s/.motet-%ld-%08x", folder, (long)getpid(), tag) >= (int)size) {
            errno = ENAMETOOLONG;
            return -1;
        }
        int file = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file >= 0 || errno != EEXIST) return file;
    }
    return -1;
}

/* The rename itself is safe only once the folder is on the disk; not every file system can do that, so no error. */
static void sync_folder(const char *folder)
{
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return;
    (void)!fsync(descriptor);
    close(descriptor);
}

/* `path` without links in it; `replaced` is the file it names now, NULL when there is none. */
static motet_status write_and_rename(const char *path, const struct stat *replaced, const mt_part *parts, size_t count)
{
    char folder[PATH_MAX], temporary[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int folder_length = !slash ? 1 : slash == path ? 1 : (int)(slash - path);
    if (folder_length >= PATH_MAX) return mt_fail(MOTET_ERROR_IO, "%s: the name is too long", path);
    snprintf(folder, sizeof folder, "%.*s", folder_length, slash ? path : ".");
    int file = create_temporary(folder, temporary, sizeof temporary);
    if (file < 0) return fail_io(path, "create it");
    bool written = (!replaced || fchmod(file, replaced->st_mode & 07777) == 0) && write_all(file, parts, count) &&
                   fsync(file) == 0;
    int saved = errno;
    if (close(file) && written) {
        written = false;
        saved = errno;
    }
    if (written && rename(temporary, path) == 0) {
        sync_folder(folder);
        return MOTET_OK;
    }
    if (written) saved = errno;
    unlink(temporary);
    errno = saved;
    return fail_io(path, "write");
}

static bool is_device_name(const char *path)
{
    return strncmp(path, "/dev/", 5) == 0 || strncmp(path, "/proc/", 6) == 0;
}

motet_status mt_file_write_parts(const char *path, const mt_part *parts, size_t count)
{
    struct stat at;
    if (stat(path, &at) != 0) return write_and_rename(path, NULL, parts, count);
    if (S_ISDIR(at.st_mode)) {
        errno = EISDIR;
        return fail_io(path, "write");
    }
    /* /dev/stdout may well lead to a regular file, but whoever says /dev/stdout means the open file. */
    if (!S_ISREG(at.st_mode) || is_device_name(path)) return write_in_place(path, parts, count);
    char target[PATH_MAX];
    if (!realpath(path, target)) return fail_io(path, "write");
    if (is_device_name(target)) return write_in_place(path, parts, count);
    return write_and_rename(target, &at, parts, count);
}

motet_status motet_file_write(const char *path, const char *bytes, size_t length)
{
    return mt_file_write_parts(path, &(mt_part){bytes, length}, 1);
}

/* --- reading --------------------------------------------------------------------------------------------------- */

motet_status mt_file_identity(const char *path, char identity[17])
{
    enum { BLOCK = 65536 };
    unsigned char block[BLOCK];
    uint64_t words[2];
    mt_digest digest;
    FILE *in = fopen(path, "rb");
    if (!in) return fail_io(path, "read");
    mt_digest_begin(&digest);
    for (size_t count; (count = fread(block, 1, sizeof block, in)) > 0;) mt_digest_add(&digest, block, count);
    bool failed = ferror(in);
    fclose(in);
    if (failed) return fail_io(path, "read");
    mt_digest_end(&digest, words);
    snprintf(identity, 17, "%016" PRIx64, words[0]);
    return MOTET_OK;
}
