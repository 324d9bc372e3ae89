/* Sizes are rounded up to classes, four to a power of two, so that a run on a slightly other shape finds its buffers
 * again and at most a fifth of a new buffer is never used; where the class has none left, one a little larger does.
 * Last in, first out: the buffer that comes next is the one most likely still in the cache. Each class remembers how
 * few free buffers it ever came down to; that many nobody has needed, and every few runs they are freed.
 *
 * A buffer is an ordinary counted buffer of core/tensor.h: one that leaves with an output is simply freed by whoever
 * holds it last, and one that comes in from outside (a loop's first value) is welcome if it has the size of a class. */
#include "engine/buffers.h"

#include <string.h>

#include "core/memory.h"
#include "core/status.h"

enum {
    SMALLEST = 64,
    LARGER = 2,       /* classes up that may stand in: half as much again */
    RUNS_TO_TRIM = 16 /* runs after which what was not needed is freed */
};

/* The class of `bytes`, and its size. Classes 4k .. 4k+3 are 1, 1.25, 1.5 and 1.75 times 64 * 2^k. */
static int class_of(size_t bytes, size_t *size)
{
    if (bytes <= SMALLEST) {
        *size = SMALLEST;
        return 0;
    }
    int octave = 63 - __builtin_clzll((unsigned long long)(bytes - 1)); /* 2^octave < bytes <= 2^(octave+1) */
    size_t step = (size_t)1 << (octave - 2);
    size_t quarters = (bytes - ((size_t)1 << octave) + step - 1) / step; /* 1 to 4 */
    *size = ((size_t)1 << octave) + quarters * step;
    return (octave - 6) * 4 + (int)quarters;
}

static mt_buffer *next_of(const mt_buffer *buffer)
{
    mt_buffer *next;
    memcpy(&next, buffer->elements, sizeof next);
    return next;
}

static void destroy(mt_buffer *buffer)
{
    mt_free(buffer->elements);
    mt_free(buffer);
}

static mt_buffer *pop(mt_buffer_bin *bin)
{
    mt_buffer *buffer = bin->first;
    bin->first = next_of(buffer);
    if (--bin->count < bin->idle) bin->idle = bin->count;
    return buffer;
}

static mt_buffer *create(size_t size)
{
    mt_buffer *buffer = mt_alloc(sizeof *buffer);
    void *elements = mt_alloc_aligned(size);
    if (!buffer || !elements) {
        mt_free(buffer);
        mt_free(elements);
        return NULL;
    }
    *buffer = (mt_buffer){.bytes = size, .elements = elements};
    atomic_init(&buffer->references, 1);
    return buffer;
}

mt_buffer *mt_buffers_take(mt_buffers *buffers, size_t bytes)
{
    size_t size;
    if (bytes > PTRDIFF_MAX / 2) return NULL;
    int exact = class_of(bytes, &size);
    for (int i = exact; i <= exact + LARGER && i < MT_BUFFER_BINS; i++) {
        if (!buffers->bins[i].first) continue;
        mt_buffer *buffer = pop(&buffers->bins[i]);
        atomic_store_explicit(&buffer->references, 1, memory_order_relaxed);
        return buffer;
    }
    return create(size);
}

void mt_buffers_give(mt_buffers *buffers, mt_buffer *buffer)
{
    size_t size;
    mt_buffer_bin *bin = &buffers->bins[class_of(buffer->bytes, &size)];
    if (size != buffer->bytes) {
        destroy(buffer);
        return;
    }
    memcpy(buffer->elements, &bin->first, sizeof bin->first);
    bin->first = buffer;
    bin->count++;
}

motet_status mt_buffers_tensor(mt_buffers *buffers, motet_tensor *tensor, motet_type type, int rank,
                               const int64_t *dims)
{
    static const char none;
    char text[MT_SHAPE_TEXT];
    if (type == MOTET_STRING) return mt_tensor_alloc(tensor, type, rank, dims);
    motet_tensor shaped = {0};
    MT_TRY(mt_tensor_wrap(&shaped, type, rank, dims, &none));
    size_t bytes;
    if (!mt_mul((size_t)shaped.count, motet_type_size(type), &bytes) || bytes > PTRDIFF_MAX / 2)
        return mt_fail(MOTET_ERROR_LIMIT, "%s does not fit into memory",
                       mt_tensor_describe(&shaped, text, sizeof text));
    shaped.buffer = mt_buffers_take(buffers, bytes);
    if (!shaped.buffer) return mt_fail_memory(bytes);
    shaped.data = shaped.buffer->elements;
    *tensor = shaped;
    return MOTET_OK;
}

void mt_buffers_clear(mt_buffers *buffers, motet_tensor *tensor)
{
    mt_buffer *buffer = tensor->buffer;
    /* A buffer with one reference is ours alone: nobody else can be about to take another. */
    if (buffer && !buffer->strings && atomic_load_explicit(&buffer->references, memory_order_acquire) == 1) {
        for (size_t i = 0; i < buffer->items; i++) mt_buffers_clear(buffers, (motet_tensor *)buffer->elements + i);
        if (!buffer->items) {
            mt_buffers_give(buffers, buffer);
            tensor->buffer = NULL;
        }
    }
    mt_tensor_clear(tensor);
}

/* Frees `count` buffers of a bin, and starts to watch the rest anew. */
static void shrink(mt_buffer_bin *bin, int count)
{
    while (count-- > 0) destroy(pop(bin));
    bin->idle = bin->count;
}

void mt_buffers_trim(mt_buffers *buffers)
{
    if (++buffers->runs % RUNS_TO_TRIM) return;
    for (int i = 0; i < MT_BUFFER_BINS; i++) shrink(&buffers->bins[i], buffers->bins[i].idle);
}

void mt_buffers_drop(mt_buffers *buffers)
{
    for (int i = 0; i < MT_BUFFER_BINS; i++) shrink(&buffers->bins[i], buffers->bins[i].count);
}
