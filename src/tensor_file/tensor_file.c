/* Which format a file is in: reading goes by its first bytes, writing by its name. */
#include "motet/tensor_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/status.h"
#include "onnx/map.h"
#include "tensor_file/formats.h"

/* Lists come in .pb alone. A .pb of a tensor is mapped again by its own reader, and so read once. */
static motet_status read_map(const char *path, mt_map map, motet_kind kind, motet_tensor *out)
{
    if (kind != MOTET_TENSOR) return mt_pb_read_list(map.bytes, map.size, kind, out);
    return mt_npy_is(map.bytes, map.size) ? mt_npy_read(map.bytes, map.size, out) : mt_pb_read(path, out);
}

static motet_status read_path(const char *path, motet_kind kind, motet_tensor *out)
{
    mt_map map;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) return mt_fail(MOTET_ERROR_IO, "%s", strerror(errno));
    motet_status status = mt_map_file(descriptor, &map);
    close(descriptor);
    if (status != MOTET_OK) return status;
    status = read_map(path, map, kind, out);
    mt_map_close(&map);
    return status;
}

static motet_status read_value(const char *path, motet_kind kind, motet_tensor **out)
{
    *out = NULL;
    motet_tensor *tensor = mt_alloc_zero(1, sizeof *tensor);
    if (!tensor) return mt_fail_memory(sizeof *tensor);
    motet_status status = read_path(path, kind, tensor);
    if (status == MOTET_OK) {
        *out = tensor;
        return MOTET_OK;
    }
    mt_free(tensor);
    return mt_fail_in(status, "%s", path);
}

motet_status motet_tensor_read(const char *path, motet_tensor **out)
{
    return read_value(path, MOTET_TENSOR, out);
}

motet_status motet_tensor_read_list(const char *path, motet_kind kind, motet_tensor **out)
{
    *out = NULL;
    if (kind != MOTET_SEQUENCE && kind != MOTET_OPTIONAL)
        return mt_fail(MOTET_ERROR_ARGUMENT, "%s: expected a sequence or an optional to be asked for", path);
    return read_value(path, kind, out);
}

motet_status motet_tensor_write(const char *path, const motet_tensor *tensor)
{
    const char *end = strrchr(path, '.');
    if (motet_tensor_kind(tensor) != MOTET_TENSOR)
        return mt_fail(MOTET_ERROR_UNSUPPORTED, "%s: a %s is not written", path,
                       motet_kind_name(motet_tensor_kind(tensor)));
    if (end && strcmp(end, ".npy") == 0) return mt_npy_write(path, tensor);
    if (end && strcmp(end, ".pb") == 0) return mt_pb_write(path, tensor);
    return mt_fail(MOTET_ERROR_ARGUMENT, "%s: expected a name that ends in .npy or .pb", path);
}
