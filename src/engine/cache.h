/* Packed weights kept in a folder from one process to the next: a file for each, named after the digest of all that it
 * was made of - the constant, the layout, the processor's level - so that what has become stale is simply never looked
 * for. A file is written under another name and renamed, so any number of writers may be at it; one that is not whole,
 * or not what it was, is found out by the digest in it and made anew. */
#ifndef MT_ENGINE_CACHE_H
#define MT_ENGINE_CACHE_H

#include "core/digest.h"
#include "ops/op.h"

typedef struct mt_cache mt_cache;

/* Makes the folder if it is not there, though not those above it. Errors: IO, MEMORY. */
motet_status mt_cache_open(const char *folder, mt_cache **out);
void mt_cache_close(mt_cache *cache); /* and what it found goes; NULL is allowed */

/* The name of what a layout makes of a constant. */
void mt_cache_name(const motet_tensor *constant, const mt_layout *layout, char name[MT_DIGEST_TEXT]);

/* The `bytes` of that name, mapped and 64-byte aligned; NULL when they are not there. */
const void *mt_cache_find(mt_cache *cache, const char *name, size_t bytes);

/* Keeps them, if that can be done: a full disk is no failure. */
void mt_cache_store(mt_cache *cache, const char *name, const void *made, size_t bytes);

#endif
