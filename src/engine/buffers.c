/* Places are numbers on an endless line, and a buffer takes the first gap that is wide enough. Where that is depends on
 * nothing but the sizes that were asked for and given back before: so a run of the same shapes puts every buffer where
 * the last one did, and the highest place that it came to is exactly what the arena has to have.
 *
 * While that is not yet known, memory is put under the line piece by piece; when the run is over, one piece takes
 * their place: in huge pages, and touched, so that no later run waits for the kernel. A buffer begins with its own
 * description (HEADER bytes), and its elements follow.
 *
 * Looking for a gap takes as many steps as buffers are in use, a few dozen in any real network. A graph that keeps
 * thousands at once gets the others from the allocator. */
#include "engine/buffers.h"

#include <string.h>

#include "core/memory.h"
#include "core/status.h"

enum {
    ALIGNMENT = 64,
    HEADER = 128,
    MOST_TAKEN = 2048,
    SMALLEST = 64 * 1024, /* pieces of memory */
    PAGE = 4096,
    RUNS_TO_TRIM = 16, /* runs between looks at what was needed */
    SPARE = 1 << 20    /* bytes that are not worth giving back */
};

_Static_assert(sizeof(mt_buffer) <= HEADER, "a buffer's description does not fit before its elements");

/* --- places --------------------------------------------------------------------------------------------------- */

/* Takes the first gap of `size` places; false when memory is short. */
static bool take_range(mt_buffers *b, size_t size, mt_range *out)
{
    size_t begin = 0, at = 0;
    if (!mt_reserve((void **)&b->taken, b->taken_count, &b->taken_capacity, sizeof *b->taken)) return false;
    while (at < b->taken_count && b->taken[at].begin - begin < size) begin = b->taken[at++].end;
    *out = (mt_range){begin, begin + size};
    memmove(b->taken + at + 1, b->taken + at, (b->taken_count - at) * sizeof *b->taken);
    b->taken[at] = *out;
    b->taken_count++;
    if (out->end > b->high) b->high = out->end;
    return true;
}

static void give_range(mt_buffers *b, size_t begin)
{
    size_t low = 0, high = b->taken_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (b->taken[middle].begin < begin)
            low = middle + 1;
        else
            high = middle;
    }
    b->taken_count--;
    memmove(b->taken + low, b->taken + low + 1, (b->taken_count - low) * sizeof *b->taken);
}

/* --- the memory behind them ----------------------------------------------------------------------------------- */

static char *add_memory(mt_buffers *b, mt_range range, void *(*allocate)(size_t bytes))
{
    if (!mt_reserve((void **)&b->memory, b->memory_count, &b->memory_capacity, sizeof *b->memory)) return NULL;
    char *memory = allocate(range.end - range.begin);
    if (memory) b->memory[b->memory_count++] = (mt_extent){range, memory};
    return memory;
}

/* NULL when memory is short. Pieces grow with what there is, so that there are never many. */
static char *find_memory(mt_buffers *b, mt_range range)
{
    for (size_t i = 0; i < b->memory_count; i++) {
        const mt_extent *m = &b->memory[i];
        if (m->range.begin <= range.begin && range.end <= m->range.end)
            return m->memory + (range.begin - m->range.begin);
    }
    size_t more = b->high / 4 > SMALLEST ? b->high / 4 : SMALLEST;
    if (range.end - range.begin < more) range.end = range.begin + (more + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return add_memory(b, range, mt_alloc_aligned);
}

static void free_memory(mt_buffers *b)
{
    while (b->memory_count > 0) mt_free(b->memory[--b->memory_count].memory);
}

/* Memory short is no failure here: the next run asks again. */
static void make_arena(mt_buffers *b, size_t size)
{
    free_memory(b);
    char *memory = size ? add_memory(b, (mt_range){0, size}, mt_alloc_huge) : NULL;
    for (size_t i = 0; memory && i < size; i += PAGE) ((volatile char *)memory)[i] = 0;
}

/* --- buffers -------------------------------------------------------------------------------------------------- */

static void give_back(mt_buffer *buffer)
{
    give_range(buffer->home, buffer->place);
}

static void free_alone(mt_buffer *buffer)
{
    mt_free(buffer);
}

static mt_buffer *describe(char *memory, size_t bytes, void (*release)(mt_buffer *buffer))
{
    mt_buffer *buffer = (mt_buffer *)memory;
    *buffer = (mt_buffer){.bytes = bytes, .elements = memory + HEADER, .release = release};
    atomic_init(&buffer->references, 1);
    return buffer;
}

static mt_buffer *take_alone(size_t bytes)
{
    char *memory = mt_alloc_aligned(bytes + HEADER);
    return memory ? describe(memory, bytes, free_alone) : NULL;
}

mt_buffer *mt_buffers_take(mt_buffers *buffers, size_t bytes)
{
    if (bytes > PTRDIFF_MAX / 4) return NULL;
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (buffers->taken_count == MOST_TAKEN || buffers->high > PTRDIFF_MAX / 2) return take_alone(bytes);
    mt_range range;
    if (!take_range(buffers, HEADER + bytes, &range)) return NULL;
    char *memory = find_memory(buffers, range);
    if (!memory) {
        give_range(buffers, range.begin);
        return NULL;
    }
    mt_buffer *buffer = describe(memory, bytes, give_back);
    buffer->home = buffers;
    buffer->place = range.begin;
    return buffer;
}

void mt_buffers_give(mt_buffer *buffer)
{
    buffer->release(buffer);
}

bool mt_buffers_own(const mt_buffer *buffer)
{
    return buffer->release == give_back || buffer->release == free_alone;
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
    if (!mt_mul((size_t)shaped.count, motet_type_size(type), &bytes) || bytes > PTRDIFF_MAX / 4)
        return mt_fail(MOTET_ERROR_LIMIT, "%s does not fit into memory",
                       mt_tensor_describe(&shaped, text, sizeof text));
    shaped.buffer = mt_buffers_take(buffers, bytes);
    if (!shaped.buffer) return mt_fail_memory(bytes);
    shaped.data = shaped.buffer->elements;
    *tensor = shaped;
    return MOTET_OK;
}

/* --- between runs --------------------------------------------------------------------------------------------- */

void mt_buffers_trim(mt_buffers *b)
{
    if (b->high > b->needed) b->needed = b->high;
    b->high = 0;
    if (b->taken_count > 0) return; /* somebody still holds one: not now */
    size_t size = b->memory_count ? b->memory[0].range.end : 0;
    bool look = ++b->runs % RUNS_TO_TRIM == 0;
    if (b->memory_count > 1 || b->needed > size || (look && size / 2 > b->needed + SPARE)) make_arena(b, b->needed);
    if (look) b->needed = 0;
}

void mt_buffers_drop(mt_buffers *b)
{
    free_memory(b);
    mt_free(b->memory);
    mt_free(b->taken);
    *b = (mt_buffers){0};
}
