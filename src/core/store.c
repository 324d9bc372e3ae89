/* The address space is reserved at once and much more of it than will be needed: it costs nothing. The file grows by
 * steps, each with its blocks on the disk before it is touched, since a page for which there is no block would be a
 * SIGBUS. When the disk is full, or there is no file, memory is mapped behind what the file holds, at the same
 * addresses. */
#include "core/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const size_t MOST = (size_t)1 << 36, LEAST = (size_t)1 << 28, STEP = (size_t)1 << 20;

static int open_nameless(const char *folder)
{
    char path[4096];
    int file = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (file >= 0) return file;
    if (snprintf(path, sizeof path, "%s/.motet-XXXXXX", folder) >= (int)sizeof path) return -1;
    file = mkostemp(path, O_CLOEXEC);
    if (file >= 0) unlink(path);
    return file;
}

motet_status mt_store_open(mt_store *store)
{
    const char *set = getenv("TMPDIR"), *folder = set && *set ? set : "/var/tmp";
    *store = (mt_store){.file = open_nameless(folder)};
    for (size_t size = MOST; size >= LEAST && !store->bytes; size /= 4) {
        void *bytes = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (bytes == MAP_FAILED) continue;
        store->bytes = bytes;
        store->reserved = size;
    }
    if (store->bytes) return MOTET_OK;
    if (store->file >= 0) close(store->file);
    *store = (mt_store){0};
    return mt_fail_memory(LEAST);
}

void mt_store_close(mt_store *store)
{
    if (!store->bytes) return;
    munmap(store->bytes, store->reserved);
    if (store->file >= 0) close(store->file);
    *store = (mt_store){0};
}

/* The next step, from the file as long as the disk has room for it. */
static motet_status add_step(mt_store *store)
{
    unsigned char *at = store->bytes + store->filled;
    int protection = PROT_READ | PROT_WRITE;
    if (store->file >= 0 && store->in_file == store->filled &&
        posix_fallocate(store->file, (off_t)store->filled, (off_t)STEP) == 0 &&
        mmap(at, STEP, protection, MAP_SHARED | MAP_FIXED, store->file, (off_t)store->filled) != MAP_FAILED) {
        store->in_file += STEP;
    } else if (mmap(at, STEP, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) {
        return mt_fail_memory(STEP);
    }
    store->filled += STEP;
    return MOTET_OK;
}

motet_status mt_store_grow(mt_store *store, size_t bytes)
{
    if (bytes > store->reserved - STEP)
        return mt_fail(MOTET_ERROR_LIMIT, "the recording is too long: more than %zu MB of record",
                       store->reserved >> 20);
    while (store->filled < bytes) MT_TRY(add_step(store));
    return MOTET_OK;
}

void mt_store_let_go(mt_store *store, size_t until)
{
    until = until / STEP * STEP;
    if (until > store->in_file) until = store->in_file;
    if (until > 0) madvise(store->bytes, until, MADV_DONTNEED);
}
