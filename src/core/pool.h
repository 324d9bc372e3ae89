/* A thread pool for parallel loops. The caller works too, so a pool of n has n - 1 threads of its own.
 *
 * A loop runs over blocks numbered 0 .. blocks-1. What a block is must depend on the problem alone, never on the number
 * of threads: then every sum is made in the same order, and the same bytes come out of 1 thread and of 16. */
#ifndef MT_CORE_POOL_H
#define MT_CORE_POOL_H

#include <stddef.h>

#include "motet/status.h"

typedef struct mt_pool mt_pool;

/* threads >= 1, the caller's included. */
motet_status mt_pool_create(int threads, mt_pool **out);
void mt_pool_destroy(mt_pool *pool);      /* NULL is allowed */
int mt_pool_threads(const mt_pool *pool); /* 1 for NULL */

/* Calls work(context, block) once for every block and returns when all are done. Runs in the calling thread alone when
 * pool is NULL, when blocks is 1, when another thread is using the pool just now (never waits for it), or while other
 * processes want the workers' processors. Loops do not nest. */
void mt_parallel(mt_pool *pool, size_t blocks, void (*work)(void *context, size_t block), void *context);

/* How many threads this process may use: the affinity mask, and the cgroup's CPU quota rounded up; at least 1. */
int mt_cpu_count(void);

#endif
