/* Sizes are rounded up to classes, four to a power of two; each class remembers how few free items it ever came down
 * to. That many nobody has needed, and every few runs they are freed. An item is one block of memory: the buffer, a
 * tensor for the caller to hold it by, and the elements. */
#include "engine/stock.h"

#include <pthread.h>

#include "core/memory.h"
#include "core/status.h"

enum {
    BINS = 256,
    SMALLEST = 64,
    ELEMENTS = 256,    /* where they begin in an item */
    RUNS_TO_TRIM = 16, /* runs after which what was not needed is freed */
};

typedef struct item {
    mt_buffer buffer;
    motet_tensor tensor;
    struct item *next; /* of the free ones in its bin */
} item;

_Static_assert(sizeof(item) <= ELEMENTS, "an item does not fit before its elements");

typedef struct bin {
    item *first;
    int count;
    int idle; /* how many have not been needed since the last look */
} bin;

struct mt_stock {
    pthread_mutex_t lock;
    bool open;     /* the session is there */
    size_t lent;   /* items that are out */
    unsigned runs; /* since it was made */
    bin bins[BINS];
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

motet_status mt_stock_create(mt_stock **out)
{
    *out = mt_alloc_zero(1, sizeof **out);
    if (!*out) return mt_fail_memory(sizeof **out);
    pthread_mutex_init(&(*out)->lock, NULL);
    (*out)->open = true;
    return MOTET_OK;
}

static item *pop(bin *b)
{
    item *i = b->first;
    if (!i) return NULL;
    b->first = i->next;
    if (--b->count < b->idle) b->idle = b->count;
    return i;
}

/* Frees `count` items of a bin, and starts to watch the rest anew. */
static void shrink(bin *b, int count)
{
    while (count-- > 0) mt_free(pop(b));
    b->idle = b->count;
}

static void destroy(mt_stock *stock)
{
    for (int i = 0; i < BINS; i++) shrink(&stock->bins[i], stock->bins[i].count);
    pthread_mutex_destroy(&stock->lock);
    mt_free(stock);
}

void mt_stock_leave(mt_stock *stock)
{
    if (!stock) return;
    pthread_mutex_lock(&stock->lock);
    stock->open = false;
    bool last = stock->lent == 0;
    pthread_mutex_unlock(&stock->lock);
    if (last) destroy(stock);
}

static void take_back(mt_buffer *buffer)
{
    item *back = (item *)buffer;
    mt_stock *stock = buffer->home;
    pthread_mutex_lock(&stock->lock);
    bin *b = &stock->bins[buffer->place];
    back->next = b->first;
    b->first = back;
    b->count++;
    bool last = --stock->lent == 0 && !stock->open;
    pthread_mutex_unlock(&stock->lock);
    if (last) destroy(stock);
}

/* An item for at least `bytes`, or NULL. */
static item *take(mt_stock *stock, size_t bytes)
{
    size_t size;
    int place = class_of(bytes, &size);
    pthread_mutex_lock(&stock->lock);
    item *i = pop(&stock->bins[place]);
    stock->lent++;
    pthread_mutex_unlock(&stock->lock);
    if (!i) i = mt_alloc_aligned(ELEMENTS + size);
    if (!i) {
        pthread_mutex_lock(&stock->lock);
        stock->lent--;
        pthread_mutex_unlock(&stock->lock);
        return NULL;
    }
    i->buffer = (mt_buffer){.bytes = size, .elements = (char *)i + ELEMENTS, .release = take_back, .home = stock};
    i->buffer.place = (size_t)place;
    i->buffer.handle = &i->tensor;
    atomic_init(&i->buffer.references, 1);
    return i;
}

motet_status mt_stock_tensor(mt_stock *stock, motet_tensor *tensor, motet_type type, int rank, const int64_t *dims)
{
    static const char none;
    char text[MT_SHAPE_TEXT];
    motet_tensor shaped = {0};
    MT_TRY(mt_tensor_wrap(&shaped, type, rank, dims, &none));
    size_t bytes;
    if (!mt_mul((size_t)shaped.count, motet_type_size(type), &bytes) || bytes > PTRDIFF_MAX / 4)
        return mt_fail(MOTET_ERROR_LIMIT, "%s does not fit into memory",
                       mt_tensor_describe(&shaped, text, sizeof text));
    item *taken = take(stock, bytes);
    if (!taken) return mt_fail_memory(bytes);
    shaped.buffer = &taken->buffer;
    shaped.data = taken->buffer.elements;
    *tensor = shaped;
    return MOTET_OK;
}

void mt_stock_trim(mt_stock *stock)
{
    pthread_mutex_lock(&stock->lock);
    if (++stock->runs % RUNS_TO_TRIM == 0)
        for (int i = 0; i < BINS; i++) shrink(&stock->bins[i], stock->bins[i].idle);
    pthread_mutex_unlock(&stock->lock);
}
