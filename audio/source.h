/* Bytes by position, from a regular file or from a pipe.
 *
 * libsndfile asks for bytes at offsets and seeks about while it looks at a header; a pipe has no offsets. A source
 * remembers the last stretch of what came through the pipe, so that looking back a little works, and going far ahead
 * finds nothing instead of failing: decoders then take the stream for one of unknown length. */
#ifndef MT_AUDIO_SOURCE_H
#define MT_AUDIO_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "motet/status.h"

typedef struct mt_source mt_source;

/* Opens `path`, "-" for standard input. When a signal comes while a read waits, interrupted(user) is asked whether to
 * give up (read fails with EINTR); NULL: never. Errors: IO (with the name and the system's reason), CANCELLED, MEMORY.
 */
motet_status mt_source_open(const char *path, int (*interrupted)(void *user), void *user, mt_source **out);

/* The status for a read that failed with `error`: CANCELLED for EINTR, else IO. */
motet_status mt_source_status(int error);
void mt_source_close(mt_source *source); /* NULL is allowed */

const char *mt_source_name(const mt_source *source); /* for messages */
int64_t mt_source_size(const mt_source *source);     /* bytes; -1 for a pipe */
int64_t mt_source_reach(const mt_source *source);    /* the end of what is known to be there */
int mt_source_error(const mt_source *source);        /* errno of a read that failed, or 0 */

/* Copies up to `count` bytes from `offset`. Fewer come at the end, after a failed read, or where a pipe cannot go. */
size_t mt_source_read(mt_source *source, int64_t offset, void *bytes, size_t count);

#endif
