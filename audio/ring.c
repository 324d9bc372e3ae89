/* A block is copied word by word with atomics, since reader and writer may meet in one slot; the slot's number makes
 * such a copy void. Words are stored with release and loaded with acquire, so that whoever has read a word of a newer
 * block also sees that the number has moved on. Numbers: block n is in slot n % slots; 2n + 1 while it is being
 * written, 2n + 2 when it is there. */
#include "audio/ring.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/status.h"

enum { WORDS = (sizeof(motet_block) + 7) / 8 };

typedef struct slot {
    _Atomic uint64_t number;
    _Atomic uint64_t words[WORDS];
} slot;

struct mt_ring {
    size_t slots;
    int descriptor;
    slot *ring;
    _Alignas(64) _Atomic uint64_t written; /* blocks; the writer's */
    _Atomic int64_t written_to;            /* sample: where the newest block ends */
    _Alignas(64) _Atomic uint64_t taken;   /* the reader's: blocks taken or overwritten */
    _Atomic int64_t taken_to; /* sample: where the block taken last ends; at first where the first begins */
    _Atomic int64_t overwritten;
};

motet_status mt_ring_create(size_t slots, mt_ring **out)
{
    *out = NULL;
    mt_ring *ring = mt_alloc_aligned(sizeof *ring);
    if (!ring) return mt_fail_memory(sizeof *ring);
    memset(ring, 0, sizeof *ring);
    ring->slots = slots;
    ring->ring = mt_alloc_zero(slots, sizeof *ring->ring);
    ring->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!ring->ring || ring->descriptor < 0) {
        motet_status status = ring->ring ? mt_fail(MOTET_ERROR_IO, "cannot make an eventfd: %s", strerror(errno))
                                         : mt_fail_memory(slots * sizeof *ring->ring);
        mt_ring_destroy(ring);
        return status;
    }
    *out = ring;
    return MOTET_OK;
}

void mt_ring_destroy(mt_ring *ring)
{
    if (!ring) return;
    if (ring->descriptor >= 0) close(ring->descriptor);
    mt_free(ring->ring);
    mt_free(ring);
}

/* --- the writer ------------------------------------------------------------------------------------------------ */

bool mt_ring_full(const mt_ring *ring)
{
    return atomic_load_explicit(&ring->written, memory_order_relaxed) -
               atomic_load_explicit(&ring->taken, memory_order_acquire) >=
           ring->slots;
}

/* The words that hold `count` samples: what is behind them need not be copied. */
static size_t words_of(int count)
{
    return (offsetof(motet_block, samples) + (size_t)count * sizeof(float) + 7) / 8;
}

void mt_ring_write(mt_ring *ring, const motet_block *block)
{
    uint64_t n = atomic_load_explicit(&ring->written, memory_order_relaxed);
    slot *s = &ring->ring[n % ring->slots];
    size_t words = words_of(block->count);
    atomic_store_explicit(&s->number, 2 * n + 1, memory_order_relaxed);
    for (size_t i = 0; i < words; i++) {
        uint64_t word;
        memcpy(&word, (const char *)block + i * 8, 8);
        atomic_store_explicit(&s->words[i], word, memory_order_release);
    }
    atomic_store_explicit(&s->number, 2 * n + 2, memory_order_release);
    if (n == 0) atomic_store_explicit(&ring->taken_to, block->start, memory_order_relaxed);
    atomic_store_explicit(&ring->written_to, block->start + block->count, memory_order_relaxed);
    atomic_store_explicit(&ring->written, n + 1, memory_order_release);
    (void)!write(ring->descriptor, &(uint64_t){1}, sizeof(uint64_t));
}

/* --- the reader ------------------------------------------------------------------------------------------------ */

static void copy_words(slot *s, size_t from, size_t to, motet_block *block)
{
    for (size_t i = from; i < to; i++) {
        uint64_t word = atomic_load_explicit(&s->words[i], memory_order_acquire);
        memcpy((char *)block + i * 8, &word, 8);
    }
}

/* False when the slot holds another block by now. */
static bool copy_out(slot *s, uint64_t n, motet_block *block)
{
    if (atomic_load_explicit(&s->number, memory_order_acquire) != 2 * n + 2) return false;
    copy_words(s, 0, words_of(0), block);
    if (block->count > 0 && block->count <= MOTET_BLOCK_SAMPLES) /* it may be torn, and is void then */
        copy_words(s, words_of(0), words_of(block->count), block);
    return atomic_load_explicit(&s->number, memory_order_relaxed) == 2 * n + 2;
}

static bool take(mt_ring *ring, motet_block *block)
{
    uint64_t taken = atomic_load_explicit(&ring->taken, memory_order_relaxed), written;
    while (taken < (written = atomic_load_explicit(&ring->written, memory_order_acquire))) {
        uint64_t oldest = written > ring->slots ? written - ring->slots : 0;
        bool there = taken >= oldest && copy_out(&ring->ring[taken % ring->slots], taken, block);
        uint64_t next = taken < oldest ? oldest : taken + 1;
        if (!there) atomic_fetch_add_explicit(&ring->overwritten, (int64_t)(next - taken), memory_order_relaxed);
        taken = next;
        atomic_store_explicit(&ring->taken, taken, memory_order_release);
        if (there) {
            atomic_store_explicit(&ring->taken_to, block->start + block->count, memory_order_relaxed);
            return true;
        }
    }
    return false;
}

bool mt_ring_read(mt_ring *ring, motet_block *block)
{
    uint64_t count;
    if (take(ring, block)) return true;
    (void)!read(ring->descriptor, &count, sizeof count);
    return take(ring, block); /* one may have come before the descriptor was cleared */
}

int mt_ring_descriptor(const mt_ring *ring)
{
    return ring->descriptor;
}

int64_t mt_ring_waiting(const mt_ring *ring)
{
    return atomic_load_explicit(&ring->written_to, memory_order_relaxed) -
           atomic_load_explicit(&ring->taken_to, memory_order_relaxed);
}

int64_t mt_ring_overwritten(const mt_ring *ring)
{
    return atomic_load_explicit(&ring->overwritten, memory_order_relaxed);
}
