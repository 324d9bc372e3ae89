/* Blocks double in size up to largest_block: a small model takes little, and of a large block only what has been
 * written is in memory.
 *
 * A place is empty, or waits (it holds the address of `waiting`), or holds what was made. Jobs stay in their list when
 * they are done, so that the thread neither allocates nor frees. */
#include "engine/keeper.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"

enum { ALIGNMENT = 64 };

static const size_t first_block = (size_t)1 << 18, largest_block = (size_t)1 << 25;

static const size_t worth_a_job = (size_t)1 << 20;

static const char waiting;

typedef struct block {
    struct block *next;
    char *bytes;
    size_t used, size;
} block;

typedef struct blocks {
    block *newest;
    size_t size; /* of the next */
    void *(*alloc)(size_t bytes);
} blocks;

/* What is to be made by the thread. */
typedef struct job {
    struct job *next;
    void (*fill)(const void *context, mt_pool *pool, void *memory);
    void *memory;
    _Atomic(const void *) *place;
    const void *constant;
    size_t constant_bytes;
    alignas(max_align_t) char context[];
} job;

struct mt_keeper {
    const mt_file *file;
    mt_cache *cache;      /* or NULL */
    pthread_mutex_t lock; /* guards all that follows */
    blocks now, later;    /* for what is made at once, and for jobs */
    job *jobs, **end;     /* in the order in which they came; where the next belongs */
    job *next;            /* the first that nobody has begun */
    bool working, stop;   /* the thread will look for another job; it must not begin one */
    bool started;         /* there is a thread, which may have ended */
    pthread_t thread;
    atomic_bool fresh; /* a job has come since mt_keeper_go_on last looked: read without the lock */
};

motet_status mt_keeper_create(const mt_file *file, mt_cache *cache, mt_keeper **out)
{
    *out = mt_alloc_zero(1, sizeof **out);
    if (!*out) return mt_fail_memory(sizeof **out);
    (*out)->file = file;
    (*out)->cache = cache;
    (*out)->now = (blocks){.size = first_block, .alloc = mt_alloc_aligned};
    (*out)->later = (blocks){.size = first_block, .alloc = mt_alloc_huge};
    (*out)->end = &(*out)->jobs;
    pthread_mutex_init(&(*out)->lock, NULL);
    return MOTET_OK;
}

static void stop(mt_keeper *keeper)
{
    pthread_mutex_lock(&keeper->lock);
    keeper->stop = true;
    pthread_mutex_unlock(&keeper->lock);
    if (keeper->started) pthread_join(keeper->thread, NULL);
}

static void free_blocks(blocks *all)
{
    while (all->newest) {
        block *old = all->newest;
        all->newest = old->next;
        mt_free(old->bytes);
        mt_free(old);
    }
}

void mt_keeper_destroy(mt_keeper *keeper)
{
    if (!keeper) return;
    stop(keeper);
    while (keeper->jobs) {
        job *old = keeper->jobs;
        keeper->jobs = old->next;
        mt_free(old);
    }
    free_blocks(&keeper->now);
    free_blocks(&keeper->later);
    pthread_mutex_destroy(&keeper->lock);
    mt_free(keeper);
}

static block *add_block(blocks *all, size_t least)
{
    block *made = mt_alloc_zero(1, sizeof *made);
    if (!made) return NULL;
    made->size = least > all->size ? least : all->size;
    made->bytes = all->alloc(made->size);
    if (!made->bytes) {
        mt_free(made);
        return NULL;
    }
    if (all->size < largest_block) all->size *= 2;
    made->next = all->newest;
    return all->newest = made;
}

static void *take(blocks *all, size_t bytes)
{
    size_t rounded;
    if (!mt_add(bytes, ALIGNMENT - 1, &rounded)) return NULL;
    rounded -= rounded % ALIGNMENT;
    block *from = all->newest;
    if (!from || from->size - from->used < rounded) from = add_block(all, rounded);
    if (!from) return NULL;
    void *taken = from->bytes + from->used;
    from->used += rounded;
    return taken;
}

static motet_status make(mt_keeper *keeper, mt_pool *pool, const mt_layout *layout, void **out)
{
    *out = take(&keeper->now, layout->bytes);
    if (!*out) return mt_fail_memory(layout->bytes);
    layout->fill(layout->context, pool, *out);
    return MOTET_OK;
}

static void let_go(const mt_keeper *keeper, const void *constant, size_t bytes)
{
    if (keeper->file && constant) mt_file_let_go(keeper->file, constant, bytes);
}

/* --- what can wait -------------------------------------------------------------------------------------------- */

static motet_status put_off(mt_keeper *keeper, const motet_tensor *constant, const mt_layout *layout,
                            _Atomic(const void *) *place)
{
    job *made = mt_alloc_zero(1, sizeof *made + layout->later);
    if (!made) return mt_fail_memory(sizeof *made + layout->later);
    made->memory = take(&keeper->later, layout->bytes);
    if (!made->memory) {
        mt_free(made);
        return mt_fail_memory(layout->bytes);
    }
    made->fill = layout->fill;
    made->place = place;
    made->constant = constant->data;
    made->constant_bytes = mt_tensor_bytes(constant);
    memcpy(made->context, layout->context, layout->later);
    *keeper->end = made;
    keeper->end = &made->next;
    if (!keeper->next) keeper->next = made;
    atomic_store(&keeper->fresh, true);
    atomic_store_explicit(place, &waiting, memory_order_relaxed);
    return MOTET_OK;
}

/* The next job; NULL: there is none, or none is wanted any more, and the thread ends. */
static job *begin_job(mt_keeper *keeper)
{
    pthread_mutex_lock(&keeper->lock);
    job *begun = keeper->stop ? NULL : keeper->next;
    if (begun) keeper->next = begun->next;
    keeper->working = begun;
    pthread_mutex_unlock(&keeper->lock);
    return begun;
}

/* A run may still be reading what the last jobs have packed, and would bring it back: those are let go of LAG jobs
 * later. */
static void *work_off(void *context)
{
    enum { LAG = 2 };
    mt_keeper *keeper = context;
    const job *done[LAG] = {NULL};
    int at = 0;
    for (job *begun; (begun = begin_job(keeper)); at = (at + 1) % LAG) {
        begun->fill(begun->context, NULL, begun->memory);
        atomic_store_explicit(begun->place, begun->memory, memory_order_release);
        if (done[at]) let_go(keeper, done[at]->constant, done[at]->constant_bytes);
        done[at] = begun;
    }
    for (int i = 0; i < LAG; i++)
        if (done[i]) let_go(keeper, done[i]->constant, done[i]->constant_bytes);
    return NULL;
}

/* Where no thread can be had, the next run tries again. */
void mt_keeper_go_on(mt_keeper *keeper)
{
    if (!atomic_load_explicit(&keeper->fresh, memory_order_relaxed)) return;
    pthread_mutex_lock(&keeper->lock);
    if (keeper->next && !keeper->working) {
        if (keeper->started) pthread_join(keeper->thread, NULL); /* it asks for the lock no more */
        keeper->started = keeper->working = pthread_create(&keeper->thread, NULL, work_off, keeper) == 0;
    }
    atomic_store(&keeper->fresh, keeper->next && !keeper->working);
    pthread_mutex_unlock(&keeper->lock);
}

/* --- finding -------------------------------------------------------------------------------------------------- */

static motet_status find_or_make(mt_keeper *keeper, mt_pool *pool, const motet_tensor *constant,
                                 const mt_layout *layout, const void **out)
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
        MT_TRY(make(keeper, pool, layout, &made));
        if (cached) mt_cache_store(keeper->cache, name, made, layout->bytes);
        *out = made;
    }
    if (constant) let_go(keeper, constant->data, mt_tensor_bytes(constant));
    return MOTET_OK;
}

/* Alone with the keeper, when nobody has asked for it before. */
static motet_status answer(mt_keeper *keeper, mt_pool *pool, const motet_tensor *constant, const mt_layout *layout,
                           _Atomic(const void *) *place, const void **out)
{
    bool later = layout->later && layout->bytes >= worth_a_job && constant && !keeper->cache;
    if (later && mt_pool_threads(pool) > 1) return put_off(keeper, constant, layout, place);
    MT_TRY(find_or_make(keeper, pool, constant, layout, out));
    atomic_store_explicit(place, *out, memory_order_release);
    return MOTET_OK;
}

const void *mt_keeper_look(_Atomic(const void *) *place)
{
    const void *made = atomic_load_explicit(place, memory_order_acquire);
    return made == &waiting ? NULL : made;
}

motet_status mt_keeper_find(mt_keeper *keeper, mt_pool *pool, const motet_tensor *constant, const mt_layout *layout,
                            _Atomic(const void *) *place, const void **out)
{
    motet_status status = MOTET_OK;
    *out = mt_keeper_look(place);
    if (*out || atomic_load_explicit(place, memory_order_relaxed)) return MOTET_OK;
    pthread_mutex_lock(&keeper->lock);
    *out = mt_keeper_look(place);
    if (!atomic_load_explicit(place, memory_order_relaxed)) status = answer(keeper, pool, constant, layout, place, out);
    pthread_mutex_unlock(&keeper->lock);
    return status;
}
