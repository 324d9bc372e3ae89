/* Allocation with overflow checks: everything motet allocates goes through these, so that tests can make the k-th
 * allocation fail for every k. All return NULL on failure or overflow and set no message: use mt_fail_memory. */
#ifndef MT_CORE_MEMORY_H
#define MT_CORE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

void *mt_alloc(size_t bytes);                        /* not cleared; at least 1 byte */
void *mt_alloc_zero(size_t count, size_t size);      /* cleared */
void *mt_alloc_array(size_t count, size_t size);     /* not cleared */
void *mt_alloc_aligned(size_t bytes);                /* 64-byte aligned, not cleared; freed by mt_free */
void *mt_alloc_huge(size_t bytes);                   /* the same, in huge pages where it is large */
void *mt_grow(void *old, size_t count, size_t size); /* realloc; on failure the old block stays */
void *mt_copy_array(const void *from, size_t count, size_t size);
char *mt_copy_string(const char *text);
char *mt_copy_bytes(const void *bytes, size_t length); /* with a NUL after them */
void mt_free(void *block);

/* Makes room for one more element in a growing array: doubles `*capacity` when count has reached it. */
bool mt_reserve(void **array, size_t count, size_t *capacity, size_t size);

/* a * b and a + b into *out; false when the result does not fit. */
static inline bool mt_mul(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool mt_add(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

/* For tests: the n-th allocation from now (0: the next) and all after it fail; a negative n lifts that. */
void mt_memory_fail_at(long n);

#endif
