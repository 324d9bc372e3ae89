/* An arena: many small allocations that end together. What a model is made of (names, nodes, attributes) is built once
 * at load and let go when the session closes, so nothing in it is freed on its own. */
#ifndef MT_CORE_ARENA_H
#define MT_CORE_ARENA_H

#include <stddef.h>

typedef struct mt_arena {
    struct mt_arena_block *blocks; /* the newest first */
} mt_arena;                        /* all zero: empty */

/* Suited for any type, not cleared; NULL when memory is short, as in core/memory.h. */
void *mt_arena_alloc(mt_arena *arena, size_t bytes);
void *mt_arena_zero(mt_arena *arena, size_t count, size_t size); /* cleared */
char *mt_arena_string(mt_arena *arena, const char *text);
char *mt_arena_bytes(mt_arena *arena, const void *bytes, size_t length); /* with a NUL after them */

/* Frees everything; the arena is empty again. */
void mt_arena_clear(mt_arena *arena);

#endif
