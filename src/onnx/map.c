/* mmap and what can be wrong with a file before it. */
#include "onnx/map.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/status.h"

motet_status mt_map_file(int descriptor, mt_map *out)
{
    struct stat about;
    if (fstat(descriptor, &about)) return mt_fail(MOTET_ERROR_IO, "%s", strerror(errno));
    if (S_ISDIR(about.st_mode)) return mt_fail(MOTET_ERROR_IO, "is a folder, not a file");
    if (!S_ISREG(about.st_mode)) return mt_fail(MOTET_ERROR_IO, "is not a regular file, so it cannot be mapped");
    if (about.st_size == 0) return mt_fail(MOTET_ERROR_FORMAT, "the file is empty");
    if ((uintmax_t)about.st_size > PTRDIFF_MAX) return mt_fail(MOTET_ERROR_LIMIT, "the file is too large to map");
    void *bytes = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (bytes == MAP_FAILED) return mt_fail(MOTET_ERROR_IO, "cannot be mapped: %s", strerror(errno));
    *out = (mt_map){bytes, (size_t)about.st_size};
    return MOTET_OK;
}

void mt_map_let_go(const uint8_t *bytes, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uintptr_t first = ((uintptr_t)bytes + page - 1) / page * page, end = ((uintptr_t)bytes + size) / page * page;
    if (first < end) madvise((void *)first, end - first, MADV_DONTNEED); /* advice: it may be ignored */
}

void mt_map_close(mt_map *map)
{
    if (map->bytes) munmap((void *)(uintptr_t)map->bytes, map->size);
    *map = (mt_map){0};
}
