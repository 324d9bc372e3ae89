/* The working memory of a run: buffers placed in one arena. Once it has seen a run, the same run again finds all its
 * buffers in the same places, and asks the system for nothing. For one thread. */
#ifndef MT_ENGINE_BUFFERS_H
#define MT_ENGINE_BUFFERS_H

#include "core/tensor.h"

/* Places [begin, end) of the arena. */
typedef struct mt_range {
    size_t begin, end;
} mt_range;

/* The memory behind some places. */
typedef struct mt_extent {
    mt_range range;
    char *memory;
} mt_extent;

typedef struct mt_buffers {
    mt_range *taken; /* by buffers that are in use, in order */
    size_t taken_count, taken_capacity;
    mt_extent *memory; /* one after a run, more while the first run of its size goes on */
    size_t memory_count, memory_capacity;
    size_t high;   /* places that this run has come to need */
    size_t needed; /* the most that any has since the last look */
    unsigned runs;
} mt_buffers; /* all zero: empty */

/* A buffer of at least `bytes`, with one reference, elements not cleared; NULL when memory is short. It comes back with
 * its last reference, which must be before mt_buffers_drop. */
mt_buffer *mt_buffers_take(mt_buffers *buffers, size_t bytes);

/* Gives back a buffer that has no other reference. */
void mt_buffers_give(mt_buffer *buffer);

/* As mt_tensor_alloc, with elements from here. */
motet_status mt_buffers_tensor(mt_buffers *buffers, motet_tensor *tensor, motet_type type, int rank,
                               const int64_t *dims);

/* True when the buffer's memory is a run's own: nobody may keep it beyond the run. */
bool mt_buffers_own(const mt_buffer *buffer);

/* To be called after every run, when all buffers are back: makes one arena, touched already, of what the run has
 * needed, and now and then a smaller one where the last runs needed less. */
void mt_buffers_trim(mt_buffers *buffers);

/* Frees everything. */
void mt_buffers_drop(mt_buffers *buffers);

#endif
