/* Blocks of 64 KiB, filled from the front; a request that is large for a block gets one of its own, put behind the
 * current block so that its room is not lost. */
#include "core/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#include "core/memory.h"

typedef struct mt_arena_block {
    struct mt_arena_block *next;
    size_t used, size;
    alignas(max_align_t) unsigned char bytes[];
} mt_arena_block;

enum { BLOCK_BYTES = 64 * 1024, LARGE_BYTES = BLOCK_BYTES / 4 };

static mt_arena_block *new_block(size_t size)
{
    size_t bytes;
    if (!mt_add(size, sizeof(mt_arena_block), &bytes)) return NULL;
    mt_arena_block *block = mt_alloc(bytes);
    if (block) *block = (mt_arena_block){.size = size};
    return block;
}

static void *large(mt_arena *arena, size_t bytes)
{
    mt_arena_block *block = new_block(bytes);
    if (!block) return NULL;
    block->used = bytes;
    mt_arena_block **place = arena->blocks ? &arena->blocks->next : &arena->blocks;
    block->next = *place;
    *place = block;
    return block->bytes;
}

void *mt_arena_alloc(mt_arena *arena, size_t bytes)
{
    if (bytes > LARGE_BYTES) return large(arena, bytes);
    bytes = (bytes + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    mt_arena_block *block = arena->blocks;
    if (!block || block->size - block->used < bytes) {
        block = new_block(BLOCK_BYTES);
        if (!block) return NULL;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *place = block->bytes + block->used;
    block->used += bytes;
    return place;
}

void *mt_arena_zero(mt_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (!mt_mul(count, size, &bytes)) return NULL;
    void *place = mt_arena_alloc(arena, bytes);
    if (place) memset(place, 0, bytes);
    return place;
}

char *mt_arena_bytes(mt_arena *arena, const void *bytes, size_t length)
{
    if (length == SIZE_MAX) return NULL;
    char *copy = mt_arena_alloc(arena, length + 1);
    if (!copy) return NULL;
    if (length) memcpy(copy, bytes, length);
    copy[length] = '\0';
    return copy;
}

char *mt_arena_string(mt_arena *arena, const char *text)
{
    return mt_arena_bytes(arena, text, strlen(text));
}

void mt_arena_clear(mt_arena *arena)
{
    while (arena->blocks) {
        mt_arena_block *block = arena->blocks;
        arena->blocks = block->next;
        mt_free(block);
    }
}
