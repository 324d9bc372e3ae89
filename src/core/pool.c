/* The blocks of a loop are cut into as many ranges as threads may work on it, and each thread begins with its own: loop
 * after loop the same part of what they work on falls to the same thread, whose caches hold it. That counts where
 * processors share none, as on one with several dies. Whoever has finished its own helps with the others. All of that
 * is safe for determinism, because a block's work never depends on who does it.
 *
 * Whoever has no work spins for a moment, as the next loop of a run mostly follows within microseconds, and then sleeps
 * on a condition variable, so that nothing runs between runs. The caller never waits for a worker that has not joined
 * its loop: when no block is left it closes the loop, and one that wakes up late finds it closed. Open or closed, how
 * many are in it and its number are one atomic word.
 *
 * How many may join is kept down where other processes want their processors (core/crew.h says how). */
#include "core/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 35)
#include <sys/rseq.h>
#endif
#include <time.h>

#include "core/crew.h"
#include "core/memory.h"
#include "core/quota.h"
#include "core/status.h"

enum { SPINS = 2000 }; /* some 25 to 100 microseconds */

/* The word: bit 0 is set while the loop is open, then 31 bits of workers in it, then its number. */
enum { OPEN = 1, WORKER = 2 };
#define WORKERS_OF(word) ((uint32_t)(word) >> 1)
#define NUMBER_OF(word)  ((word) >> 32)

/* The caller asks for a trial, a worker takes it and leaves what came of it, the caller fetches that. */
enum { NO_TRIAL, ASKED, TAKEN, PASSED, FAILED };

/* Blocks of a loop that are not taken yet: `next` goes on beyond the end. */
typedef struct range {
    alignas(64) _Atomic size_t next;
    size_t end;
} range;

typedef struct worker {
    struct mt_pool *pool;
    int number; /* 1 up; the caller is 0 */
    pthread_t thread;
} worker;

struct mt_pool {
    int threads;
    worker *workers; /* threads - 1 */
    int started;

    pthread_mutex_t busy; /* held by the thread whose loop runs */
    pthread_mutex_t lock; /* for sleeping and waking */
    pthread_cond_t wake, done;
    _Atomic int sleeping; /* workers that want to be woken, and the one on trial */
    _Atomic bool waiting; /* the caller wants to be */
    _Atomic bool stopping;
    _Atomic uint64_t word;

    void (*work)(void *, size_t);
    void *context;
    range *ranges; /* one a thread */
    int range_count;
    _Atomic int processor; /* of the caller, when the loop began */
    _Atomic bool crowded;  /* a worker stayed out of it, as it had come to the same one */

    mt_crew crew;        /* by the caller of the loop */
    _Atomic int joining; /* what it says */
    _Atomic int trial;
    double asked; /* for it, when */
};

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* On which the thread runs, where the kernel writes that down for it (restartable sequences); elsewhere -1. */
static int processor(void)
{
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 35)
    return __rseq_size > 0 ? sched_getcpu() : -1;
#else
    return -1;
#endif
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Returns how many the thread with this number has done. */
static size_t take_blocks(mt_pool *pool, int number)
{
    size_t done = 0;
    for (int i = 0; i < pool->range_count; i++) {
        range *r = &pool->ranges[(number + i) % pool->range_count];
        for (size_t block; (block = atomic_fetch_add_explicit(&r->next, 1, memory_order_relaxed)) < r->end; done++)
            pool->work(pool->context, block);
    }
    return done;
}

static void share_out(mt_pool *pool, size_t blocks)
{
    size_t count = (size_t)pool->joining + 1, begin = 0;
    pool->range_count = (int)count;
    for (size_t i = 0; i < count; i++) {
        atomic_store_explicit(&pool->ranges[i].next, begin, memory_order_relaxed);
        begin += blocks / count + (i < blocks % count);
        pool->ranges[i].end = begin;
    }
}

/* --- workers --------------------------------------------------------------------------------------------------- */

/* A worker that runs where the caller wants to only holds it up. */
static bool shares_processor(mt_pool *pool)
{
    int own = processor();
    return own >= 0 && own == atomic_load_explicit(&pool->processor, memory_order_relaxed);
}

/* Joins the loop that is open, if it is not the one that was joined last. */
static bool join(mt_pool *pool, uint64_t *last)
{
    uint64_t word = atomic_load(&pool->word);
    while ((word & OPEN) && NUMBER_OF(word) != *last && (int)WORKERS_OF(word) < atomic_load(&pool->joining)) {
        if (shares_processor(pool)) {
            atomic_store(&pool->crowded, true);
            return false;
        }
        if (atomic_compare_exchange_weak(&pool->word, &word, word + WORKER)) {
            *last = NUMBER_OF(word);
            return true;
        }
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

static bool take_trial(mt_pool *pool)
{
    int asked = ASKED;
    return atomic_compare_exchange_strong(&pool->trial, &asked, TAKEN);
}

static void undergo_trial(mt_pool *pool)
{
    mt_trial trial;
    mt_trial_init(&trial, pool->asked);
    mt_trial_state state;
    do {
        relax();
        state = shares_processor(pool) ? MT_TRIAL_FAILED : mt_trial_look(&trial, now());
    } while (state == MT_TRIAL_GOES_ON && !atomic_load(&pool->stopping));
    atomic_store(&pool->trial, state == MT_TRIAL_PASSED ? PASSED : FAILED);
}

/* Returns inside a loop, or false when the pool stops. */
static bool wait_for_loop(mt_pool *pool, uint64_t *last)
{
    for (int i = 0; i < SPINS && !shares_processor(pool); i++, relax())
        if (join(pool, last)) return true;
    bool joined = false;
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->sleeping, 1);
    while (!atomic_load(&pool->stopping) && !(joined = join(pool, last))) {
        if (take_trial(pool)) {
            pthread_mutex_unlock(&pool->lock);
            undergo_trial(pool);
            pthread_mutex_lock(&pool->lock);
        } else {
            pthread_cond_wait(&pool->wake, &pool->lock);
        }
    }
    atomic_fetch_sub(&pool->sleeping, 1);
    pthread_mutex_unlock(&pool->lock);
    return joined;
}

static void *worker_main(void *argument)
{
    const worker *self = argument;
    mt_pool *pool = self->pool;
    uint64_t last = 0;
    while (wait_for_loop(pool, &last)) {
        take_blocks(pool, self->number);
        leave(pool);
    }
    return NULL;
}

motet_status mt_pool_create(int threads, mt_pool **out)
{
    *out = NULL;
    if (threads < 1 || threads > 1024) return mt_fail(MOTET_ERROR_ARGUMENT, "%d threads: expected 1 to 1024", threads);
    mt_pool *pool = mt_alloc_zero(1, sizeof *pool);
    worker *workers = mt_alloc_zero((size_t)threads, sizeof *workers);
    range *ranges = mt_alloc_aligned((size_t)threads * sizeof *ranges);
    if (!pool || !workers || !ranges) {
        mt_free(pool);
        mt_free(workers);
        mt_free(ranges);
        return mt_fail_memory(sizeof *pool);
    }
    pool->threads = threads;
    pool->workers = workers;
    pool->ranges = ranges;
    pthread_mutex_init(&pool->busy, NULL);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->done, NULL);
    while (pool->started < threads - 1) {
        worker *w = &workers[pool->started];
        *w = (worker){.pool = pool, .number = pool->started + 1};
        if (pthread_create(&w->thread, NULL, worker_main, w)) {
            mt_pool_destroy(pool);
            return mt_fail(MOTET_ERROR_MEMORY, "cannot start a worker thread");
        }
        pool->started++;
    }
    mt_crew_init(&pool->crew, pool->started);
    atomic_store(&pool->joining, pool->started);
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
    for (int i = 0; i < pool->started; i++) pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    pthread_mutex_destroy(&pool->busy);
    mt_free(pool->workers);
    mt_free(pool->ranges);
    mt_free(pool);
}

int mt_pool_threads(const mt_pool *pool)
{
    return pool ? pool->threads : 1;
}

/* --- the caller ------------------------------------------------------------------------------------------------ */

static void wake_workers(mt_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

/* A worker counts itself as sleeping before it looks for a loop for the last time, and here it is the other way round:
 * so one of the two sees the other. */
static void open_loop(mt_pool *pool)
{
    uint64_t number = NUMBER_OF(atomic_load(&pool->word)) + 1;
    atomic_store(&pool->word, number << 32 | OPEN);
    if (atomic_load(&pool->sleeping) > pool->started - pool->crew.joining) wake_workers(pool); /* who may join */
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

/* What has come of a trial, or a new one. Returns how many may join. */
static int choose_crew(mt_pool *pool)
{
    atomic_store_explicit(&pool->processor, processor(), memory_order_relaxed);
    if (pool->crew.joining == pool->crew.size) return pool->crew.joining;
    int trial = atomic_load(&pool->trial);
    double time = now();
    if (trial == PASSED || trial == FAILED) {
        mt_crew_judge(&pool->crew, trial == PASSED, time);
        atomic_store(&pool->trial, NO_TRIAL);
    } else if (trial == NO_TRIAL && mt_crew_wants_trial(&pool->crew, time)) {
        pool->asked = time;
        atomic_store(&pool->trial, ASKED);
        wake_workers(pool);
    }
    atomic_store(&pool->joining, pool->crew.joining);
    return pool->crew.joining;
}

static void run_loop(mt_pool *pool, size_t blocks, void (*work)(void *context, size_t block), void *context)
{
    double start = now();
    pool->work = work;
    pool->context = context;
    share_out(pool, blocks);
    open_loop(pool);
    size_t done = take_blocks(pool, 0);
    double end = now();
    close_loop(pool);
    bool crowded = atomic_exchange(&pool->crowded, false);
    mt_crew_account(&pool->crew, &(mt_loop_account){start, end, now(), done, crowded});
    atomic_store(&pool->joining, pool->crew.joining);
}

void mt_parallel(mt_pool *pool, size_t blocks, void (*work)(void *context, size_t block), void *context)
{
    if (!pool || pool->started == 0 || blocks < 2 || pthread_mutex_trylock(&pool->busy)) {
        for (size_t block = 0; block < blocks; block++) work(context, block);
        return;
    }
    if (choose_crew(pool) > 0)
        run_loop(pool, blocks, work, context);
    else
        for (size_t block = 0; block < blocks; block++) work(context, block);
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
