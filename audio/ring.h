/* A ring of blocks between one thread that writes and one that reads, without locks.
 *
 * Every slot has a number of its own that says which block is in it and whether it is being written, so that the writer
 * never waits: when the ring is full it writes over the oldest block, and a reader who was just copying that one sees
 * it by the number and takes the next (Boehm 2012, "Can seqlocks get along with programming language memory models?").
 * An eventfd tells the reader that there is something. */
#ifndef MT_AUDIO_RING_H
#define MT_AUDIO_RING_H

#include "motet/capture.h"

typedef struct mt_ring mt_ring;

/* slots: a power of 2. */
motet_status mt_ring_create(size_t slots, mt_ring **out);
void mt_ring_destroy(mt_ring *ring); /* NULL is allowed */

/* The writer's. */
void mt_ring_write(mt_ring *ring, const motet_block *block);
bool mt_ring_full(const mt_ring *ring); /* the next write would overwrite */

/* The reader's. False when there is nothing. */
bool mt_ring_read(mt_ring *ring, motet_block *block);
int mt_ring_descriptor(const mt_ring *ring);
int64_t mt_ring_waiting(const mt_ring *ring);     /* samples, from the last block taken to the newest one's end */
int64_t mt_ring_overwritten(const mt_ring *ring); /* of those that the reader should have had */

#endif
