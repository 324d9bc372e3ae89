/* The tensor inside the library, and lists of tensors, which are made of the same structure: the elements of a list are
 * tensors, its items. A tensor's elements are in one of three places: a counted buffer shared with other tensors
 * (so that Reshape and Identity cost nothing), the mapped model file, or the caller's memory. Only the first is freed.
 */
#ifndef MT_CORE_TENSOR_H
#define MT_CORE_TENSOR_H

#include <stdatomic.h>
#include <stdbool.h>

#include "motet/tensor.h"

typedef struct mt_string {
    char *bytes; /* length bytes and a NUL; NULL for the empty string */
    size_t length;
} mt_string;

/* Elements start at a 64-byte boundary. `strings` > 0: the elements are that many mt_string, freed with the buffer;
 * `items` > 0: that many tensors, likewise. */
typedef struct mt_buffer mt_buffer;

struct mt_buffer {
    _Atomic int references;
    size_t bytes;
    size_t strings, items;
    void *elements;
    void (*release)(mt_buffer *buffer); /* what takes it back with its last reference; NULL: it is freed */
    void *home;                         /* whose it is, for release */
    size_t place;                       /* where there, likewise */
    motet_tensor *handle;               /* a tensor that is part of the buffer's own memory, and not freed; or NULL */
};

struct motet_tensor {
    motet_kind kind;
    motet_type type; /* of a list MOTET_UNDEFINED, so that what looks at types never takes it for a tensor */
    int rank;
    int64_t dims[MOTET_MAX_RANK];
    int64_t count;
    void *data;        /* never NULL, even for 0 elements */
    mt_buffer *buffer; /* the owner of data, NULL when it is borrowed */
    bool constant;     /* a weight: the same elements in every run */
};

/* The number of elements, or -1 when a dimension is negative or the product overflows int64. */
int64_t mt_shape_count(int rank, const int64_t *dims);

/* Sets type and shape and allocates uncleared elements (cleared for strings). The tensor must be empty (all zero). */
motet_status mt_tensor_alloc(motet_tensor *tensor, motet_type type, int rank, const int64_t *dims);

/* Makes the empty tensor a list of empty tensors: to be filled, and then checked by mt_list_check. */
motet_status mt_list_alloc(motet_tensor *list, motet_kind kind, int64_t count);

/* Fails unless the items are what the kind of the list allows (see motet_kind). Lists nest no deeper than that. */
motet_status mt_list_check(const motet_tensor *list);

static inline motet_tensor *mt_items(const motet_tensor *list)
{
    return list->data;
}

/* Makes the empty item show all of `source`. Unlike a view of a weight, an item is not constant: which one is read from
 * a list can change between runs. */
void mt_item_share(motet_tensor *item, const motet_tensor *source);

/* Bytes of memory that elements take, those of items included; strings without their text. */
size_t mt_tensor_bytes(const motet_tensor *tensor);

/* A copy that shares nothing. */
motet_status mt_tensor_copy(motet_tensor *out, const motet_tensor *source);

/* Makes the empty tensor `out` show `source`'s elements in another shape of the same count. */
void mt_tensor_share(motet_tensor *out, const motet_tensor *source, int rank, const int64_t *dims);

/* Whether elements of the type may lie at this address: at a multiple of their size, of 8 bytes for larger ones. */
bool mt_is_aligned(motet_type type, const void *data);

/* A float32 at any address. */
typedef float mt_loose_float __attribute__((aligned(1)));

/* Elements that lie elsewhere at an address where their type may not lie become the tensor's own. Such are only found
 * in models of a file that allows it (mt_file.loose). */
motet_status mt_tensor_settle(motet_tensor *tensor);

/* Makes the empty tensor `out` show borrowed elements. */
motet_status mt_tensor_wrap(motet_tensor *out, motet_type type, int rank, const int64_t *dims, const void *data);

/* Lets go of the elements; the tensor is empty again. An empty tensor is allowed. */
void mt_tensor_clear(motet_tensor *tensor);

/* "float32[1,149,7]", for messages; writes at most `size` bytes and returns `text`. */
char *mt_tensor_describe(const motet_tensor *tensor, char *text, size_t size);
char *mt_shape_text(int rank, const int64_t *dims, char *text, size_t size); /* "[1,149,7]" */

enum { MT_SHAPE_TEXT = 160 }; /* bytes that hold any description */

#endif
