/* An array that grows for hours without taking memory: its bytes are those of a nameless file, mapped once and for all
 * at one address, so that what nobody looks at can leave memory and comes back when somebody does, and another thread
 * may read what is there while it grows. */
#ifndef MT_CORE_STORE_H
#define MT_CORE_STORE_H

#include <stddef.h>

#include "core/status.h"

typedef struct mt_store {
    unsigned char *bytes; /* does not move */
    size_t reserved, filled;
    size_t in_file; /* of the filled bytes; the rest is memory, because the disk is full */
    int file;
} mt_store;

/* The file goes to $TMPDIR, or /var/tmp; where none can be made, everything is memory. Errors: MEMORY. */
motet_status mt_store_open(mt_store *store);
void mt_store_close(mt_store *store); /* what has not been opened must be all zeros */

/* Makes the first `bytes` of the store usable. Errors: LIMIT: more than can be reserved; MEMORY. */
motet_status mt_store_grow(mt_store *store, size_t bytes);

/* Bytes before `until` will not be looked at for a while. */
void mt_store_let_go(mt_store *store, size_t until);

#endif
