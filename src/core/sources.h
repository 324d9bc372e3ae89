/* Where inputs of a kind come from: one file, or all the files of a folder that have the right extension, by name. */
#ifndef MT_CORE_SOURCES_H
#define MT_CORE_SOURCES_H

#include "core/status.h"

/* Calls read(target, file) for `path` itself, or when that is a folder for each file in it whose name ends in
 * `extension` (".rttm"), in the order of their names. Stops at the first failure. Errors: IO: nothing there, or a
 * folder that cannot be read; FORMAT: a folder without such files; those of `read`. */
motet_status mt_each_source(const char *path, const char *extension,
                            motet_status (*read)(void *target, const char *file), void *target);

#endif
