/* The folder is opened once; a name is walked from it component by component with O_NOFOLLOW, so that what is checked
 * is what is opened, whatever others do to the folder meanwhile. */
#include "onnx/external.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/status.h"

enum { MAX_FILES = 1024, MAX_NAME = 1024, COMPONENT_BYTES = 256 };

typedef struct external_file {
    char *name;
    mt_map map;
} external_file;

struct mt_external {
    int folder;
    external_file *files;
    size_t count, capacity;
};

motet_status mt_external_open(const char *path, mt_external **out)
{
    *out = NULL;
    const char *slash = strrchr(path, '/');
    char *name = slash ? mt_copy_bytes(path, (size_t)(slash - path) + 1) : mt_copy_string(".");
    mt_external *external = mt_alloc_zero(1, sizeof *external);
    if (!name || !external) {
        mt_free(name);
        mt_free(external);
        return mt_fail_memory(sizeof *external);
    }
    external->folder = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int error = errno;
    mt_free(name);
    if (external->folder < 0) {
        mt_free(external);
        return mt_fail(MOTET_ERROR_IO, "its folder cannot be opened: %s", strerror(error));
    }
    *out = external;
    return MOTET_OK;
}

void mt_external_leave_folder(mt_external *external)
{
    if (!external || external->folder < 0) return;
    close(external->folder);
    external->folder = -1;
}

void mt_external_close(mt_external *external)
{
    if (!external) return;
    for (size_t i = 0; i < external->count; i++) {
        mt_map_close(&external->files[i].map);
        mt_free(external->files[i].name);
    }
    mt_free(external->files);
    mt_external_leave_folder(external);
    mt_free(external);
}

/* --- finding the file ----------------------------------------------------------------------------------------- */

/* Opens one component of a name below `folder`, which it closes unless it is the model's own. */
static motet_status step_into(const mt_external *external, int folder, const char *component, bool last, int *out)
{
    int flags = O_CLOEXEC | O_NOFOLLOW | (last ? O_RDONLY | O_NONBLOCK : O_PATH | O_DIRECTORY);
    *out = openat(folder, component, flags);
    int error = errno;
    if (folder != external->folder) close(folder);
    if (*out >= 0) return MOTET_OK;
    /* With O_DIRECTORY a link is "not a directory", without it "too many links". */
    if (error == ELOOP || (!last && error == ENOTDIR))
        return mt_fail(MOTET_ERROR_IO, "'%s' is a symbolic link or no folder: links are not followed", component);
    return mt_fail(MOTET_ERROR_IO, "%s", strerror(error));
}

static motet_status open_inside(const mt_external *external, const char *name, int *out)
{
    int current = external->folder;
    if (*name == '/') return mt_fail(MOTET_ERROR_FORMAT, "an absolute path is not allowed");
    for (const char *at = name;;) {
        char component[COMPONENT_BYTES];
        size_t length = strcspn(at, "/");
        bool last = at[length] == '\0';
        motet_status status = MOTET_OK;
        if (length == 0 || length >= sizeof component)
            status = mt_fail(MOTET_ERROR_FORMAT, "not a path");
        else if (length == 2 && memcmp(at, "..", 2) == 0)
            status = mt_fail(MOTET_ERROR_FORMAT, "a path out of the model's folder is not allowed");
        if (status != MOTET_OK) {
            if (current != external->folder) close(current);
            return status;
        }
        memcpy(component, at, length);
        component[length] = '\0';
        MT_TRY(step_into(external, current, component, last, &current));
        if (last) {
            *out = current;
            return MOTET_OK;
        }
        at += length + 1;
    }
}

static motet_status map_inside(const mt_external *external, const char *name, mt_map *out)
{
    int descriptor = -1;
    MT_TRY(open_inside(external, name, &descriptor));
    motet_status status = mt_map_file(descriptor, out);
    close(descriptor);
    return status;
}

static motet_status find_file(mt_external *external, const char *name, const external_file **out)
{
    for (size_t i = 0; i < external->count; i++) {
        *out = &external->files[i];
        if (strcmp((*out)->name, name) == 0) return MOTET_OK;
    }
    if (external->count == MAX_FILES) return mt_fail(MOTET_ERROR_LIMIT, "more than %d external files", MAX_FILES);
    if (strlen(name) > MAX_NAME) return mt_fail(MOTET_ERROR_FORMAT, "a path of more than %d bytes", MAX_NAME);
    if (!mt_reserve((void **)&external->files, external->count, &external->capacity, sizeof *external->files))
        return mt_fail_memory(sizeof *external->files);
    external_file *file = &external->files[external->count];
    *file = (external_file){.name = mt_copy_string(name)};
    if (!file->name) return mt_fail_memory(strlen(name));
    motet_status status = map_inside(external, name, &file->map);
    if (status != MOTET_OK) {
        mt_free(file->name);
        return status;
    }
    external->count++;
    *out = file;
    return MOTET_OK;
}

bool mt_external_holds(const mt_external *external, const void *address)
{
    for (size_t i = 0; external && i < external->count; i++)
        if (mt_map_holds(&external->files[i].map, address)) return true;
    return false;
}

void mt_external_let_go(const mt_external *external)
{
    for (size_t i = 0; external && i < external->count; i++)
        mt_map_let_go(external->files[i].map.bytes, external->files[i].map.size);
}

/* --- finding the bytes ---------------------------------------------------------------------------------------- */

static const char *entry(const Onnx__TensorProto *tensor, const char *key)
{
    for (size_t i = 0; i < tensor->n_external_data; i++) {
        const Onnx__StringStringEntryProto *pair = tensor->external_data[i];
        if (pair->key && pair->value && strcmp(pair->key, key) == 0) return pair->value;
    }
    return NULL;
}

/* The entry as a number of bytes; `fallback` when it is not there. */
static motet_status number_entry(const Onnx__TensorProto *tensor, const char *key, uint64_t fallback, uint64_t *out)
{
    const char *text = entry(tensor, key);
    *out = fallback;
    if (!text) return MOTET_OK;
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    if (errno || end == text || *end || *text < '0' || *text > '9')
        return mt_fail(MOTET_ERROR_FORMAT, "the %s \"%.32s\" is not a number of bytes", key, text);
    return MOTET_OK;
}

static motet_status bytes_of(mt_external *external, const char *name, const Onnx__TensorProto *tensor, size_t needed,
                             const uint8_t **out)
{
    uint64_t offset, length;
    MT_TRY(number_entry(tensor, "offset", 0, &offset));
    MT_TRY(number_entry(tensor, "length", needed, &length));
    if (length != needed)
        return mt_fail(MOTET_ERROR_FORMAT, "the tensor takes %zu bytes, but %" PRIu64 " are declared", needed, length);
    const external_file *file = NULL;
    MT_TRY(find_file(external, name, &file));
    if (offset > file->map.size || needed > file->map.size - offset)
        return mt_fail(MOTET_ERROR_FORMAT, "bytes %" PRIu64 " to %" PRIu64 " are declared, but the file has %zu",
                       offset, offset + needed, file->map.size);
    *out = file->map.bytes + offset;
    return MOTET_OK;
}

motet_status mt_external_find(mt_external *external, const Onnx__TensorProto *tensor, size_t needed,
                              const uint8_t **out)
{
    const char *name = entry(tensor, "location");
    if (!name) return mt_fail(MOTET_ERROR_FORMAT, "external data without a location");
    if (!external)
        return mt_fail(MOTET_ERROR_FORMAT, "external data \"%.128s\": a model from memory cannot have any", name);
    MT_TRY_AS(bytes_of(external, name, tensor, needed, out), "external data \"%.128s\"", name);
    return MOTET_OK;
}
