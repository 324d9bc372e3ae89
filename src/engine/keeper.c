/* Blocks double in size up to LARGEST_BLOCK: a small model takes little, and of a large block only what has been
 * written is in memory. */
#include "engine/keeper.h"

#include <pthread.h>
#include <stdatomic.h>

#include "core/memory.h"
#include "core/status.h"

enum { ALIGNMENT = 64 };

static const size_t first_block = (size_t)1 << 18, largest_block = (size_t)1 << 25;

typedef struct block {
    struct block *next;
    char *bytes;
    size_t used, size;
} block;

struct mt_keeper {
    const mt_file *file;
    mt_cache *cache;      /* or NULL */
    pthread_mutex_t lock; /* guards the cache and the blocks */
    block *blocks;        /* the newest first */
    size_t size;          /* of the next block */
};

motet_status mt_keeper_create(const mt_file *file, mt_cache *cache, mt_keeper **out)
{
    *out = mt_alloc_zero(1, sizeof **out);
    if (!*out) return mt_fail_memory(sizeof **out);
    (*out)->file = file;
    (*out)->cache = cache;
    (*out)->size = first_block;
    pthread_mutex_init(&(*out)->lock, NULL);
    return MOTET_OK;
}

void mt_keeper_destroy(mt_keeper *keeper)
{
    if (!keeper) return;
    while (keeper->blocks) {
        block *old = keeper->blocks;
        keeper->blocks = old->next;
        mt_free(old->bytes);
        mt_free(old);
    }
    pthread_mutex_destroy(&keeper->lock);
    mt_free(keeper);
}

static block *add_block(mt_keeper *keeper, size_t least)
{
    block *made = mt_alloc_zero(1, sizeof *made);
    if (!made) return NULL;
    made->size = least > keeper->size ? least : keeper->size;
    made->bytes = mt_alloc_aligned(made->size);
    if (!made->bytes) {
        mt_free(made);
        return NULL;
    }
    if (keeper->size < largest_block) keeper->size *= 2;
    made->next = keeper->blocks;
    return keeper->blocks = made;
}

static void *take(mt_keeper *keeper, size_t bytes)
{
    size_t rounded;
    if (!mt_add(bytes, ALIGNMENT - 1, &rounded)) return NULL;
    rounded -= rounded % ALIGNMENT;
    block *from = keeper->blocks;
    if (!from || from->size - from->used < rounded) from = add_block(keeper, rounded);
    if (!from) return NULL;
    void *taken = from->bytes + from->used;
    from->used += rounded;
    return taken;
}

static motet_status make(mt_keeper *keeper, const mt_layout *layout, void **out)
{
    *out = take(keeper, layout->bytes);
    if (!*out) return mt_fail_memory(layout->bytes);
    layout->fill(layout->context, *out);
    return MOTET_OK;
}

static motet_status find_or_make(mt_keeper *keeper, const motet_tensor *constant, const mt_layout *layout,
                                 const void **out)
{
    enum { SMALLEST = 64 * 1024 };
    char name[MT_DIGEST_TEXT];
    void *made;
    bool cached = keeper->cache && constant && layout->name && layout->bytes >= SMALLEST;
    if (cached) {
        mt_cache_name(constant, layout, name);
        *out = mt_cache_find(keeper->cache, name, layout->bytes);
    }
    if (!*out) {
        MT_TRY(make(keeper, layout, &made));
        if (cached) mt_cache_store(keeper->cache, name, made, layout->bytes);
        *out = made;
    }
    if (keeper->file && constant) mt_file_let_go(keeper->file, constant->data, mt_tensor_bytes(constant));
    return MOTET_OK;
}

motet_status mt_keeper_find(mt_keeper *keeper, const motet_tensor *constant, const mt_layout *layout,
                            _Atomic(const void *) *place, const void **out)
{
    *out = atomic_load_explicit(place, memory_order_acquire);
    if (*out) return MOTET_OK;
    pthread_mutex_lock(&keeper->lock);
    motet_status status = MOTET_OK;
    *out = atomic_load_explicit(place, memory_order_relaxed);
    if (!*out) {
        status = find_or_make(keeper, constant, layout, out);
        if (status == MOTET_OK) atomic_store_explicit(place, *out, memory_order_release);
    }
    pthread_mutex_unlock(&keeper->lock);
    return status;
}
