/* Blocks of a loop are taken from one atomic counter: which is safe for determinism, because a block's work never
 * depends on who does it.
 *
 * Whoever has no work spins for a moment, as the next loop of a run mostly follows within microseconds, and then sleeps
 * on a condition variable, so that nothing runs between runs. The caller never waits for a worker that has not joined
 * its loop: when no block is left it closes the loop, and one that wakes up late finds it closed. Open or closed, how
 * many are in it and its number are one atomic word.
 *
 * A worker that has joined must be waited for, and where other processes want its processor, that can take some
 * milliseconds, loop after loop. So the caller keeps account of the time it waits longer than a block can take: where
 * that is a good part of all time, one worker fewer may join, for a while that grows as long as it happens again. */
#include "core/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "core/memory.h"
#include "core/quota.h"
#include "core/status.h"

enum { SPINS = 2000 }; /* some 25 to 100 microseconds */

/* Seconds. */
static const double window = 0.02;   /* of work, after which the account is looked at, or as soon as it is spent */
static const double part_lost = 0.2; /* of a window that makes one worker fewer */
static const double growth = 4;      /* of the next pause, each time that such a window follows one */
static const double calm = 0.8;      /* by which a window without loss shortens it */
static const double grace = 100e-6;  /* beyond what a block takes, before waiting counts as lost */
static const double first_pause = 0.05, longest_pause = 3; /* how long, at first and at last, until it may join again */

/* The word: bit 0 is set while the loop is open, then 31 bits of workers in it, then its number. */
enum { OPEN = 1, WORKER = 2 };
#define WORKERS_OF(word) ((uint32_t)(word) >> 1)
#define NUMBER_OF(word)  ((word) >> 32)

struct mt_pool {
    int threads;
    pthread_t *workers; /* threads - 1 */
    int started;

    pthread_mutex_t busy; /* held by the thread whose loop runs */
    pthread_mutex_t lock; /* for sleeping and waking */
    pthread_cond_t wake, done;
    _Atomic int sleeping; /* workers that want to be woken */
    _Atomic bool waiting; /* the caller wants to be */
    _Atomic bool stopping;
    _Atomic uint64_t word;

    void (*work)(void *, size_t);
    void *context;
    size_t blocks;
    _Atomic size_t next;

    /* The account, kept by the caller of the loop. */
    _Atomic int joining;     /* workers that may be in a loop at once */
    double worked, lost;     /* in this window */
    double backoff, back_at; /* how long the next pause is, when this one ends */
};

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Returns how many it has done. */
static size_t take_blocks(mt_pool *pool)
{
    for (size_t done = 0;; done++) {
        size_t block = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (block >= pool->blocks) return done;
        pool->work(pool->context, block);
    }
}

/* --- workers --------------------------------------------------------------------------------------------------- */

/* Joins the loop that is open, if it is not the one that was joined last. */
static bool join(mt_pool *pool, uint64_t *last)
{
    uint64_t word = atomic_load(&pool->word);
    while ((word & OPEN) && NUMBER_OF(word) != *last && (int)WORKERS_OF(word) < atomic_load(&pool->joining))
        if (atomic_compare_exchange_weak(&pool->word, &word, word + WORKER)) {
            *last = NUMBER_OF(word);
            return true;
        }
    return false;
}

static void leave(mt_pool *pool)
{
    uint64_t word = atomic_fetch_sub(&pool->word, WORKER) - WORKER;
    if ((word & OPEN) || WORKERS_OF(word) || !atomic_load(&pool->waiting)) return;
    pthread_mutex_lock(&pool->lock);
    pthread_cond_signal(&pool->done);
    pthread_mutex_unlock(&pool->lock);
}

/* Returns inside a loop, or false when the pool stops. */
static bool wait_for_loop(mt_pool *pool, uint64_t *last)
{
    for (int i = 0; i < SPINS; i++, relax())
        if (join(pool, last)) return true;
    bool joined = false;
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->sleeping, 1);
    while (!atomic_load(&pool->stopping) && !(joined = join(pool, last))) pthread_cond_wait(&pool->wake, &pool->lock);
    atomic_fetch_sub(&pool->sleeping, 1);
    pthread_mutex_unlock(&pool->lock);
    return joined;
}

static void *worker_main(void *argument)
{
    mt_pool *pool = argument;
    uint64_t last = 0;
    while (wait_for_loop(pool, &last)) {
        take_blocks(pool);
        leave(pool);
    }
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
    atomic_store(&pool->joining, pool->started);
    pool->backoff = first_pause;
    *out = pool;
    return MOTET_OK;
}

void mt_pool_destroy(mt_pool *pool)
{
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->stopping, true);
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

/* --- the caller ------------------------------------------------------------------------------------------------ */

/* A worker counts itself as sleeping before it looks for a loop for the last time, and here it is the other way round:
 * so one of the two sees the other. */
static void open_loop(mt_pool *pool)
{
    uint64_t number = NUMBER_OF(atomic_load(&pool->word)) + 1;
    atomic_store(&pool->word, number << 32 | OPEN);
    if (atomic_load(&pool->sleeping) <= pool->started - atomic_load(&pool->joining)) return; /* nobody who may join */
    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

static bool is_empty(mt_pool *pool)
{
    return WORKERS_OF(atomic_load(&pool->word)) == 0;
}

static void close_loop(mt_pool *pool)
{
    atomic_fetch_and(&pool->word, ~(uint64_t)OPEN);
    for (int i = 0; i < SPINS; i++, relax())
        if (is_empty(pool)) return;
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->waiting, true);
    while (!is_empty(pool)) pthread_cond_wait(&pool->done, &pool->lock);
    atomic_store(&pool->waiting, false);
    pthread_mutex_unlock(&pool->lock);
}

/* --- the account ----------------------------------------------------------------------------------------------- */

/* One worker fewer, until later; after windows without loss, the next time is nearly as if nothing had been. It takes
 * many of those, since beside a busy process some windows are without loss by luck. */
static void look_at_account(mt_pool *pool, double time)
{
    int joining = atomic_load(&pool->joining);
    if (pool->lost > part_lost * pool->worked && joining > 0) {
        atomic_store(&pool->joining, joining - 1);
        pool->back_at = time + pool->backoff;
        pool->backoff = pool->backoff < longest_pause / growth ? growth * pool->backoff : longest_pause;
    } else if (joining == pool->started) {
        pool->backoff = pool->backoff > first_pause / calm ? calm * pool->backoff : first_pause;
    }
    pool->worked = pool->lost = 0;
}

/* A loop has begun at `start`; the caller has done `done` blocks till `end`, and waited for the others till `time`. */
static void enter_loop(mt_pool *pool, double start, double end, double time, size_t done)
{
    double waited = time - end;
    pool->worked += time - start;
    if (done > 0 && waited > grace + 2 * (end - start) / (double)done) pool->lost += waited;
    if (pool->worked > window || pool->lost > part_lost * window) look_at_account(pool, time);
}

/* True when nobody else may join just now. */
static bool works_alone(mt_pool *pool)
{
    if (atomic_load(&pool->joining) == pool->started) return false;
    if (now() >= pool->back_at) atomic_store(&pool->joining, pool->started);
    return atomic_load(&pool->joining) == 0;
}

static void run_loop(mt_pool *pool, size_t blocks, void (*work)(void *context, size_t block), void *context)
{
    double start = now();
    pool->work = work;
    pool->context = context;
    pool->blocks = blocks;
    atomic_store(&pool->next, 0);
    open_loop(pool);
    size_t done = take_blocks(pool);
    double end = now();
    close_loop(pool);
    enter_loop(pool, start, end, now(), done);
}

void mt_parallel(mt_pool *pool, size_t blocks, void (*work)(void *context, size_t block), void *context)
{
    if (!pool || pool->started == 0 || blocks < 2 || pthread_mutex_trylock(&pool->busy)) {
        for (size_t block = 0; block < blocks; block++) work(context, block);
        return;
    }
    if (works_alone(pool))
        for (size_t block = 0; block < blocks; block++) work(context, block);
    else
        run_loop(pool, blocks, work, context);
    pthread_mutex_unlock(&pool->busy);
}

int mt_cpu_count(void)
{
    cpu_set_t set;
    int allowed = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    int quota = mt_quota_cpus("/proc/self/cgroup", "/sys/fs/cgroup");
    if (quota > 0 && quota < allowed) allowed = quota;
    return allowed > 0 ? allowed : 1;
}
