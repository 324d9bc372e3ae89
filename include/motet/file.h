/* Files that are whole or not there: written under a temporary name, flushed to the disk, renamed. */
#ifndef MOTET_FILE_H
#define MOTET_FILE_H

#include <stddef.h>

#include "motet/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Writes `length` bytes to `path`, replacing a file of that name only once all of it is safely written. A symbolic link
 * is followed, and a file that is there keeps its permissions. What is not a regular file (a device, a pipe), or is
 * named below /dev or /proc, is written in place. Errors: IO, naming the path and why. */
MOTET_API MOTET_CHECKED motet_status motet_file_write(const char *path, const char *bytes, size_t length);

#ifdef __cplusplus
}
#endif
#endif
