/* A file mapped into memory, read-only. Pages come from disk when they are first touched. */
#ifndef MT_ONNX_MAP_H
#define MT_ONNX_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "motet/status.h"

typedef struct mt_map {
    const uint8_t *bytes;
    size_t size;
} mt_map;

/* Maps the whole of the regular file open as `descriptor`, which the caller closes. The file must not shrink while it
 * is mapped: the system answers a touch of what is gone with SIGBUS. */
motet_status mt_map_file(int descriptor, mt_map *out);

/* Whether it is the address of one of the mapped bytes. */
static inline bool mt_map_holds(const mt_map *map, const void *address)
{
    return (uintptr_t)address - (uintptr_t)map->bytes < map->size;
}

/* The pages that lie wholly within these mapped bytes need not stay in memory; a later touch reads them again. */
void mt_map_let_go(const uint8_t *bytes, size_t size);

/* An all-zero map is allowed. */
void mt_map_close(mt_map *map);

#endif
