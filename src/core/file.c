/* Writing a file so that nobody ever sees half of it: a temporary file in the same folder, fsync, rename. */
#include "motet/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/status.h"
#include "core/text.h"

static motet_status fail_io(const char *path, const char *doing)
{
    return mt_fail(MOTET_ERROR_IO, "%s: cannot %s: %s", path, doing, strerror(errno));
}

static bool write_all(int file, const char *bytes, size_t length)
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

static motet_status write_in_place(const char *path, const char *bytes, size_t length)
{
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0) return fail_io(path, "open it for writing");
    bool written = write_all(file, bytes, length);
    int saved = errno;
    if (close(file) && written) return fail_io(path, "write");
    errno = saved;
    return written ? MOTET_OK : fail_io(path, "write");
}

/* mkstemp makes files of mode 0600; a result should be as readable as any other file its owner makes. */
static void relax_mode(int file)
{
    mode_t mask = umask(0);
    umask(mask);
    (void)!fchmod(file, 0666 & ~mask);
}

static motet_status write_and_rename(const char *path, char *temporary, const char *bytes, size_t length)
{
    int file = mkostemp(temporary, O_CLOEXEC);
    if (file < 0) return fail_io(path, "create it");
    relax_mode(file);
    bool written = write_all(file, bytes, length) && fsync(file) == 0;
    int saved = errno;
    if (close(file) && written) {
        written = false;
        saved = errno;
    }
    if (written && rename(temporary, path) == 0) return MOTET_OK;
    if (written) saved = errno;
    unlink(temporary);
    errno = saved;
    return fail_io(path, "write");
}

motet_status motet_file_write(const char *path, const char *bytes, size_t length)
{
    struct stat at;
    if (stat(path, &at) == 0 && S_ISDIR(at.st_mode)) {
        errno = EISDIR;
        return fail_io(path, "write");
    }
    if (stat(path, &at) == 0 && !S_ISREG(at.st_mode)) return write_in_place(path, bytes, length);
    mt_text temporary = {0};
    mt_text_add(&temporary, "%s.XXXXXX", path);
    char *name;
    MT_TRY(mt_text_take(&temporary, &name, NULL));
    motet_status status = write_and_rename(path, name, bytes, length);
    mt_free(name);
    return status;
}
