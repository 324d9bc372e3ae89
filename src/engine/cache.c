/* A file is a header of one cache line and the packed weights, to be mapped. The digest of the constant is taken for
 * every look-up: that reads it once, where packing would read and write it. */
#include "engine/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cpu.h"
#include "core/digest.h"
#include "core/file.h"
#include "core/memory.h"
#include "core/status.h"
#include "onnx/map.h"

typedef struct header {
    char magic[8];
    uint64_t bytes;      /* of what follows */
    uint64_t content[2]; /* its digest */
    uint64_t zeros[4];
} header;

_Static_assert(sizeof(header) == 64, "what follows is aligned to a cache line");

static const char magic[8] = "motetpw1";

struct mt_cache {
    char *folder;
    mt_map *maps;
    size_t count, capacity;
};

motet_status mt_cache_open(const char *folder, mt_cache **out)
{
    struct stat about;
    *out = NULL;
    bool there = mkdir(folder, 0777) == 0 || errno == EEXIST;
    if (there && (stat(folder, &about) || !S_ISDIR(about.st_mode))) {
        there = false;
        errno = ENOTDIR;
    }
    if (!there) return mt_fail(MOTET_ERROR_IO, "%s: cannot keep packed weights there: %s", folder, strerror(errno));
    mt_cache *cache = mt_alloc_zero(1, sizeof *cache);
    char *copy = mt_copy_string(folder);
    if (!cache || !copy) {
        mt_free(cache);
        mt_free(copy);
        return mt_fail_memory(sizeof *cache);
    }
    cache->folder = copy;
    *out = cache;
    return MOTET_OK;
}

void mt_cache_close(mt_cache *cache)
{
    if (!cache) return;
    for (size_t i = 0; i < cache->count; i++) mt_map_close(&cache->maps[i]);
    mt_free(cache->maps);
    mt_free(cache->folder);
    mt_free(cache);
}

/* --- names ---------------------------------------------------------------------------------------------------- */

void mt_cache_name(const motet_tensor *constant, const mt_layout *layout, char name[MT_DIGEST_TEXT])
{
    const char *level = mt_cpu_name(mt_cpu_level());
    int64_t about[] = {constant->type, constant->rank, (int64_t)layout->bytes};
    mt_digest d;
    mt_digest_begin(&d);
    mt_digest_add(&d, about, sizeof about);
    mt_digest_add(&d, constant->dims, (size_t)constant->rank * sizeof *constant->dims);
    mt_digest_add(&d, constant->data, mt_tensor_bytes(constant));
    mt_digest_add(&d, layout->name, strlen(layout->name));
    mt_digest_add(&d, layout->numbers, sizeof layout->numbers);
    mt_digest_add(&d, level, strlen(level));
    mt_digest_text(&d, name);
}

static char *path_of(const mt_cache *cache, const char *name)
{
    size_t size = strlen(cache->folder) + strlen(name) + sizeof "/.packed";
    char *path = mt_alloc(size);
    if (path) snprintf(path, size, "%s/%s.packed", cache->folder, name);
    return path;
}

static void digest_content(const void *bytes, size_t size, uint64_t out[2])
{
    mt_digest d;
    mt_digest_begin(&d);
    mt_digest_add(&d, bytes, size);
    mt_digest_end(&d, out);
}

/* --- finding -------------------------------------------------------------------------------------------------- */

static bool is_whole(const mt_map *map, size_t bytes)
{
    header h;
    uint64_t content[2];
    if (map->size != sizeof h + bytes) return false;
    memcpy(&h, map->bytes, sizeof h);
    if (memcmp(h.magic, magic, sizeof magic) || h.bytes != bytes) return false;
    digest_content(map->bytes + sizeof h, bytes, content);
    return content[0] == h.content[0] && content[1] == h.content[1];
}

static bool map_path(const char *path, mt_map *map)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (descriptor < 0) return false;
    bool mapped = mt_map_file(descriptor, map) == MOTET_OK;
    close(descriptor);
    return mapped;
}

const void *mt_cache_find(mt_cache *cache, const char *name, size_t bytes)
{
    mt_map map = {0};
    char *path = path_of(cache, name);
    bool found = path && map_path(path, &map) && is_whole(&map, bytes) &&
                 mt_reserve((void **)&cache->maps, cache->count, &cache->capacity, sizeof *cache->maps);
    mt_free(path);
    if (!found) {
        mt_map_close(&map);
        return NULL;
    }
    cache->maps[cache->count++] = map;
    return map.bytes + sizeof(header);
}

/* --- storing -------------------------------------------------------------------------------------------------- */

void mt_cache_store(mt_cache *cache, const char *name, const void *made, size_t bytes)
{
    header h = {.bytes = bytes};
    memcpy(h.magic, magic, sizeof magic);
    digest_content(made, bytes, h.content);
    char *path = path_of(cache, name);
    const mt_part parts[] = {{&h, sizeof h}, {made, bytes}};
    motet_status written = path ? mt_file_write_parts(path, parts, 2) : MOTET_ERROR_MEMORY;
    (void)written; /* next time it is made again */
    mt_free(path);
}
