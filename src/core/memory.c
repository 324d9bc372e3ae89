/* The only file that calls malloc. The failure countdown is one relaxed atomic: it costs nothing that can be measured
 * and lets the out-of-memory sweep reach every path without a special build. */
#include "core/memory.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "motet/status.h"

enum { HUGE_PAGE = 2 << 20, LARGE = 2 * HUGE_PAGE };

static _Atomic long countdown = -1; /* -1: off; 0: failing */

void mt_memory_fail_at(long n)
{
    atomic_store(&countdown, n < 0 ? -1 : n);
}

static bool failing(void)
{
    long n = atomic_load_explicit(&countdown, memory_order_relaxed);
    while (n > 0) {
        if (atomic_compare_exchange_weak(&countdown, &n, n - 1)) return false;
    }
    return n == 0;
}

void *mt_alloc(size_t bytes)
{
    return failing() ? NULL : malloc(bytes ? bytes : 1);
}

void *mt_alloc_zero(size_t count, size_t size)
{
    return failing() ? NULL : calloc(count ? count : 1, size ? size : 1);
}

void *mt_alloc_array(size_t count, size_t size)
{
    size_t bytes;
    return mt_mul(count, size, &bytes) ? mt_alloc(bytes) : NULL;
}

void *mt_alloc_aligned(size_t bytes)
{
    size_t rounded = (bytes + 63) & ~(size_t)63;
    if (failing() || rounded < bytes) return NULL;
    return aligned_alloc(64, rounded ? rounded : 64);
}

/* Fewer pages to look up ever after; but a large one can cost more to be had than all the small ones in its place:
 * where the host of a virtual machine has taken back what was free, it brings memory in page by page. */
void *mt_alloc_huge(size_t bytes)
{
    if (bytes < LARGE) return mt_alloc_aligned(bytes);
    if (failing() || bytes > SIZE_MAX - HUGE_PAGE) return NULL;
    size_t rounded = (bytes + HUGE_PAGE - 1) & ~(size_t)(HUGE_PAGE - 1);
    void *block = aligned_alloc(HUGE_PAGE, rounded);
    if (block) madvise(block, rounded, MADV_HUGEPAGE);
    return block;
}

void *mt_grow(void *old, size_t count, size_t size)
{
    size_t bytes;
    if (failing() || !mt_mul(count, size, &bytes)) return NULL;
    return realloc(old, bytes ? bytes : 1);
}

void *mt_copy_array(const void *from, size_t count, size_t size)
{
    void *to = mt_alloc_array(count, size);
    if (to && count) memcpy(to, from, count * size);
    return to;
}

char *mt_copy_bytes(const void *bytes, size_t length)
{
    if (length == SIZE_MAX) return NULL;
    char *copy = mt_alloc(length + 1);
    if (!copy) return NULL;
    if (length) memcpy(copy, bytes, length);
    copy[length] = '\0';
    return copy;
}

char *mt_copy_string(const char *text)
{
    return mt_copy_bytes(text, strlen(text));
}

void mt_free(void *block)
{
    free(block);
}

bool mt_reserve(void **array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) return true;
    size_t wanted = *capacity ? *capacity * 2 : 16;
    if (wanted < *capacity) return false;
    void *grown = mt_grow(*array, wanted, size);
    if (!grown) return false;
    *array = grown;
    *capacity = wanted;
    return true;
}

void motet_string_free(char *text)
{
    mt_free(text);
}
