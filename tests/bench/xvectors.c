/* Files are read whole; a cursor that never passes the end walks them. */
#include "bench/xvectors.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"

typedef struct bytes {
    char path[PATH_MAX];
    uint8_t *data;
    size_t length, at;
} bytes;

static motet_status read_whole(bytes *b, const char *folder, const char *name)
{
    snprintf(b->path, sizeof b->path, "%s/%s", folder, name);
    b->data = NULL;
    b->at = b->length = 0;
    FILE *in = fopen(b->path, "rb");
    if (!in) return mt_fail(MOTET_ERROR_IO, "%s: %s", b->path, strerror(errno));
    long size = fseek(in, 0, SEEK_END) ? -1 : ftell(in);
    rewind(in);
    b->data = size >= 0 ? mt_alloc((size_t)size + 1) : NULL;
    if (b->data) b->length = fread(b->data, 1, (size_t)size, in);
    fclose(in);
    if (!b->data || b->length != (size_t)size) return mt_fail(MOTET_ERROR_IO, "%s: cannot be read", b->path);
    b->data[b->length] = '\0';
    return MOTET_OK;
}

static motet_status damaged(const bytes *b, const char *expected)
{
    return mt_fail(MOTET_ERROR_FORMAT, "%s: byte %zu: expected %s", b->path, b->at, expected);
}

static motet_status take(bytes *b, void *to, size_t count, const char *what)
{
    if (b->length - b->at < count) return damaged(b, what);
    memcpy(to, b->data + b->at, count);
    b->at += count;
    return MOTET_OK;
}

static motet_status take_text(bytes *b, const char *text)
{
    if (b->length - b->at < strlen(text) || memcmp(b->data + b->at, text, strlen(text))) return damaged(b, text);
    b->at += strlen(text);
    return MOTET_OK;
}

/* --- Kaldi ----------------------------------------------------------------------------------------------------- */

/* A size: one byte 4 and an int32. */
static motet_status take_size(bytes *b, int *size)
{
    int32_t value;
    MT_TRY(take_text(b, "\4"));
    MT_TRY(take(b, &value, sizeof value, "a size"));
    *size = value;
    return value > 0 ? MOTET_OK : damaged(b, "a size above 0");
}

static motet_status take_doubles(bytes *b, float *to, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        double value;
        MT_TRY(take(b, &value, sizeof value, "more numbers"));
        to[i] = (float)value;
    }
    return MOTET_OK;
}

static motet_status take_vector(bytes *b, float *to, int dims)
{
    int size;
    MT_TRY(take_text(b, "DV "));
    MT_TRY(take_size(b, &size));
    if (size != dims) return damaged(b, "a vector as long as the transform is wide");
    return take_doubles(b, to, (size_t)dims);
}

static motet_status read_plda(bytes *b, mt_plda *plda)
{
    int rows, columns;
    b->at = 2; /* "\0B": binary */
    MT_TRY(take_text(b, "<Plda> "));
    MT_TRY(take_vector(b, plda->mean, plda->dims));
    MT_TRY(take_text(b, "DM "));
    MT_TRY(take_size(b, &rows));
    MT_TRY(take_size(b, &columns));
    if (rows != plda->dims || columns != plda->dims) return damaged(b, "a square matrix");
    MT_TRY(take_doubles(b, plda->transform, (size_t)rows * (size_t)columns));
    return take_vector(b, plda->psi, plda->dims);
}

static motet_status read_ark(bytes *b, xvectors *x)
{
    size_t capacity = 0;
    for (; b->at < b->length; x->count++) {
        int dims;
        while (b->at < b->length && b->data[b->at] != ' ') b->at++; /* the key; NAME.seg has the same */
        b->at += 2;                                                 /* " \0" */
        MT_TRY(take_text(b, "BFV "));
        MT_TRY(take_size(b, &dims));
        if (x->count && dims != x->dims) return damaged(b, "vectors of one length");
        x->dims = dims;
        size_t size = (size_t)dims * sizeof(float);
        if (!mt_reserve((void **)&x->vectors, (size_t)x->count, &capacity, size)) return mt_fail_memory(size);
        MT_TRY(take(b, x->vectors + (size_t)x->count * (size_t)dims, size, "a vector"));
    }
    return x->count ? MOTET_OK : damaged(b, "vectors");
}

static motet_status read_times(bytes *b, xvectors *x)
{
    x->start = mt_alloc_zero((size_t)x->count, sizeof(double));
    x->end = mt_alloc_zero((size_t)x->count, sizeof(double));
    if (!x->start || !x->end) return mt_fail_memory((size_t)x->count * sizeof(double));
    for (int i = 0; i < x->count; i++) {
        int used = 0;
        if (sscanf((const char *)b->data + b->at, "%*s %*s %lf %lf%n", &x->start[i], &x->end[i], &used) != 2)
            return damaged(b, "KEY FILE START END for every vector");
        b->at += (size_t)used;
    }
    return MOTET_OK;
}

/* --- HDF5 ------------------------------------------------------------------------------------------------------ */

/* HDF5 file format 2.0, superblock of version 0: a root group of one B-tree leaf and one symbol node, data sets that
 * lie in one piece. */
enum { ROOT_TREE = 56 + 24, ROOT_HEAP = 56 + 32, TREE_CHILD = 32, HEAP_DATA = 24, NODE_ENTRIES = 8, ENTRY = 40 };
enum { MESSAGE_LAYOUT = 8 };

static motet_status number_at(bytes *b, uint64_t at, size_t size, uint64_t *value)
{
    *value = 0;
    b->at = at < b->length ? (size_t)at : b->length;
    return take(b, value, size, "a number");
}

/* Where the values of the object with this header lie. */
static motet_status find_values(bytes *b, uint64_t header, uint64_t *address, uint64_t *size)
{
    uint64_t messages, type, length, at = header + 16;
    MT_TRY(number_at(b, header + 2, 2, &messages));
    for (; messages; messages--, at += 8 + length) {
        MT_TRY(number_at(b, at, 2, &type));
        MT_TRY(number_at(b, at + 2, 2, &length));
        if (type != MESSAGE_LAYOUT) continue;
        MT_TRY(number_at(b, at + 8 + 2, 8, address));
        return number_at(b, at + 8 + 10, 8, size);
    }
    return damaged(b, "a data layout");
}

static motet_status find_data_set(bytes *b, const char *name, size_t count)
{
    uint64_t tree, heap, node, names, entries, offset, header, address, size;
    MT_TRY(number_at(b, ROOT_TREE, 8, &tree));
    MT_TRY(number_at(b, ROOT_HEAP, 8, &heap));
    MT_TRY(number_at(b, tree + TREE_CHILD, 8, &node));
    MT_TRY(number_at(b, heap + HEAP_DATA, 8, &names));
    MT_TRY(number_at(b, node + 6, 2, &entries));
    for (uint64_t i = 0, entry = node + NODE_ENTRIES; i < entries; i++, entry += ENTRY) {
        MT_TRY(number_at(b, entry, 8, &offset));
        MT_TRY(number_at(b, entry + 8, 8, &header));
        b->at = names + offset < b->length ? (size_t)(names + offset) : b->length;
        if (strcmp((const char *)b->data + b->at, name)) continue;
        MT_TRY(find_values(b, header, &address, &size));
        b->at = address < b->length ? (size_t)address : b->length;
        return size == count * sizeof(double) ? MOTET_OK : damaged(b, "another number of values");
    }
    return mt_fail(MOTET_ERROR_FORMAT, "%s: has no data set %s", b->path, name);
}

static motet_status read_transform(bytes *b, mt_plda *plda)
{
    size_t in = (size_t)plda->in, dims = (size_t)plda->dims;
    MT_TRY(find_data_set(b, "mean1", in));
    MT_TRY(take_doubles(b, plda->center, in));
    MT_TRY(find_data_set(b, "mean2", dims));
    MT_TRY(take_doubles(b, plda->offset, dims));
    MT_TRY(find_data_set(b, "lda", in * dims));
    for (size_t i = 0; i < in; i++)
        for (size_t d = 0; d < dims; d++) MT_TRY(take_doubles(b, &plda->reduce[d * in + i], 1));
    return MOTET_OK;
}

/* --- all of it ------------------------------------------------------------------------------------------------- */

enum { PLDA_SIZE_AT = 2 + 7 + 3 + 1 }; /* "\0B<Plda> DV \4": the dimensions are known before the mean is read */

static motet_status read_models(const char *folder, xvectors *x)
{
    bytes plda, transform = {.data = NULL};
    uint64_t dims;
    motet_status status = read_whole(&plda, folder, "plda");
    if (status == MOTET_OK) status = number_at(&plda, PLDA_SIZE_AT, 4, &dims);
    if (status == MOTET_OK) status = mt_plda_create(x->dims, (int)dims, &x->plda);
    if (status == MOTET_OK) status = read_plda(&plda, &x->plda);
    if (status == MOTET_OK) status = read_whole(&transform, folder, "transform.h5");
    if (status == MOTET_OK) status = read_transform(&transform, &x->plda);
    mt_free(plda.data);
    mt_free(transform.data);
    return status;
}

static motet_status read_part(xvectors *x, const char *folder, const char *name, const char *ending,
                              motet_status (*read)(bytes *, xvectors *))
{
    bytes b;
    char file[NAME_MAX];
    snprintf(file, sizeof file, "%s.%s", name, ending);
    motet_status status = read_whole(&b, folder, file);
    if (status == MOTET_OK) status = read(&b, x);
    mt_free(b.data);
    return status;
}

motet_status xvectors_read(const char *folder, const char *name, xvectors *out)
{
    *out = (xvectors){0};
    motet_status status = read_part(out, folder, name, "ark", read_ark);
    if (status == MOTET_OK) status = read_part(out, folder, name, "seg", read_times);
    if (status == MOTET_OK) status = read_models(folder, out);
    if (status != MOTET_OK) xvectors_free(out);
    return status;
}

void xvectors_free(xvectors *x)
{
    mt_free(x->vectors);
    mt_free(x->start);
    mt_free(x->end);
    mt_plda_free(&x->plda);
    *x = (xvectors){0};
}
