/* Workers sleep on a condition variable between loops and take block numbers from one atomic counter within a loop.
 * Blocks are claimed dynamically, which is safe for determinism because a block's work never depends on who does it. */
#include "core/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include "core/memory.h"
#include "core/status.h"

struct mt_pool {
    int threads;
    pthread_t *workers; /* threads - 1 */
    int started;

    pthread_mutex_t busy; /* held by the thread whose loop runs */
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake, done;
    unsigned long loop; /* number of the current loop; a worker that has not seen it yet joins it */
    int working;        /* workers still inside the current loop */
    bool stopping;

    void (*work)(void *, size_t);
    void *context;
    size_t blocks;
    _Atomic size_t next;
};

static void take_blocks(mt_pool *pool)
{
    for (;;) {
        size_t block = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (block >= pool->blocks) return;
        pool->work(pool->context, block);
    }
}

static void *worker_main(void *argument)
{
    mt_pool *pool = argument;
    unsigned long seen = 0;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->loop == seen && !pool->stopping) pthread_cond_wait(&pool->wake, &pool->lock);
        if (pool->stopping) break;
        seen = pool->loop;
        pthread_mutex_unlock(&pool->lock);
        take_blocks(pool);
        pthread_mutex_lock(&pool->lock);
        if (--pool->working == 0) pthread_cond_signal(&pool->done);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

motet_status mt_pool_create(int threads, mt_pool **out)
{
    *out = NULL;
    if (threads < 1 || threads > 1024) return mt_fail(MOTET_ERROR_ARGUMENT, "%d threads: expected 1 to 1024", threads);
    mt_pool *pool = mt_alloc_zero(1, sizeof *pool);
    pthread_t *workers = mt_alloc_zero((size_t)threads, sizeof *workers);
    if (!pool || !workers) {
        mt_free(pool);
        mt_free(workers);
        return mt_fail_memory(sizeof *pool);
    }
    pool->threads = threads;
    pool->workers = workers;
    pthread_mutex_init(&pool->busy, NULL);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->done, NULL);
    while (pool->started < threads - 1) {
        if (pthread_create(&pool->workers[pool->started], NULL, worker_main, pool)) {
            mt_pool_destroy(pool);
            return mt_fail(MOTET_ERROR_MEMORY, "cannot start a worker thread");
        }
        pool->started++;
    }
    *out = pool;
    return MOTET_OK;
}

void mt_pool_destroy(mt_pool *pool)
{
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->started; i++) pthread_join(pool->workers[i], NULL);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    pthread_mutex_destroy(&pool->busy);
    mt_free(pool->workers);
    mt_free(pool);
}

int mt_pool_threads(const mt_pool *pool)
{
    return pool ? pool->threads : 1;
}

void mt_parallel(mt_pool *pool, size_t blocks, void (*work)(void *context, size_t block), void *context)
{
    if (!pool || pool->started == 0 || blocks < 2 || pthread_mutex_trylock(&pool->busy)) {
        for (size_t block = 0; block < blocks; block++) work(context, block);
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->work = work;
    pool->context = context;
    pool->blocks = blocks;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    pool->working = pool->started;
    pool->loop++;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    take_blocks(pool);
    pthread_mutex_lock(&pool->lock);
    while (pool->working) pthread_cond_wait(&pool->done, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    pthread_mutex_unlock(&pool->busy);
}

/* cgroup v2: "max 100000" or "200000 100000". */
static int quota_cpus(void)
{
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "r");
    if (!file) return 0;
    long quota = 0, period = 0;
    int fields = fscanf(file, "%ld %ld", &quota, &period);
    fclose(file);
    if (fields != 2 || quota <= 0 || period <= 0) return 0;
    return (int)((quota + period - 1) / period);
}

int mt_cpu_count(void)
{
    cpu_set_t set;
    int allowed = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    int quota = quota_cpus();
    if (quota > 0 && quota < allowed) allowed = quota;
    return allowed > 0 ? allowed : 1;
}
