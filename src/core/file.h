/* Files that are whole or not there, written from several places in memory. */
#ifndef MT_CORE_FILE_H
#define MT_CORE_FILE_H

#include "motet/file.h"

typedef struct mt_part {
    const void *bytes;
    size_t length;
} mt_part;

/* As motet_file_write, with the parts one after the other. */
motet_status mt_file_write_parts(const char *path, const mt_part *parts, size_t count);

/* 16 hexadecimal digits and a NUL into `identity`, from the digest of a file's bytes (core/digest.h). Voiceprints keep
 * it: it must stay as it is. Errors: IO. */
motet_status mt_file_identity(const char *path, char identity[17]);

#endif
