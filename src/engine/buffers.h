/* Buffers that are used again: what a run lets go of, the next node or the next run takes, so that a warm run hardly
 * touches the allocator and works in memory that is already in the cache and in the page table. For one thread. */
#ifndef MT_ENGINE_BUFFERS_H
#define MT_ENGINE_BUFFERS_H

#include "core/tensor.h"

enum { MT_BUFFER_BINS = 256 };

typedef struct mt_buffer_bin {
    mt_buffer *first; /* free buffers of one size; each one's elements hold the pointer to the next */
    int count;
    int idle; /* how many have not been needed since the last look */
} mt_buffer_bin;

typedef struct mt_buffers {
    mt_buffer_bin bins[MT_BUFFER_BINS];
    unsigned runs;
} mt_buffers; /* all zero: empty */

/* A buffer of at least `bytes`, with one reference, elements not cleared; NULL when memory is short. */
mt_buffer *mt_buffers_take(mt_buffers *buffers, size_t bytes);

/* Gives back a buffer that has no other reference. */
void mt_buffers_give(mt_buffers *buffers, mt_buffer *buffer);

/* As mt_tensor_alloc, with elements from here. */
motet_status mt_buffers_tensor(mt_buffers *buffers, motet_tensor *tensor, motet_type type, int rank,
                               const int64_t *dims);

/* As mt_tensor_clear; elements that nobody else holds come back here. */
void mt_buffers_clear(mt_buffers *buffers, motet_tensor *tensor);

/* To be called after every run: now and then frees what the runs since the last time did not need. */
void mt_buffers_trim(mt_buffers *buffers);

/* Frees everything that is free. */
void mt_buffers_drop(mt_buffers *buffers);

#endif
