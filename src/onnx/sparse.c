/* Sparse tensors: the elements that are not 0 with their places, which are either numbers within the whole or one
 * number an axis, ascending and none twice. No operator works on them as they are, so they are written out in full.
 * https://github.com/onnx/onnx/blob/main/docs/IR.md (SparseTensorProto) */
#include <inttypes.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "onnx/tensor.h"

/* Reads values [n] and indices [n] or [n, axes], and checks that they go together. */
static motet_status read_parts(mt_file *file, const Onnx__SparseTensorProto *proto, motet_tensor *values,
                               motet_tensor *indices)
{
    if (!proto->values || !proto->indices) return mt_fail(MOTET_ERROR_FORMAT, "its values or their places are missing");
    MT_TRY(mt_file_tensor(file, proto->values, values));
    MT_TRY(mt_file_tensor(file, proto->indices, indices));
    if (indices->type != MOTET_INT64 || values->rank != 1 || indices->rank < 1 || indices->rank > 2 ||
        indices->dims[0] != values->count || (indices->rank == 2 && indices->dims[1] != (int64_t)proto->n_dims)) {
        char text[2][MT_SHAPE_TEXT];
        return mt_fail(MOTET_ERROR_FORMAT, "values %s at places %s do not make a sparse tensor of %zu axes",
                       mt_tensor_describe(values, text[0], MT_SHAPE_TEXT),
                       mt_tensor_describe(indices, text[1], MT_SHAPE_TEXT), proto->n_dims);
    }
    return MOTET_OK;
}

/* Where value i belongs among all elements; -1 when that is outside. */
static int64_t place_of(const motet_tensor *indices, int64_t i, const motet_tensor *whole)
{
    const int64_t *index = indices->data;
    if (indices->rank == 1) return index[i] < whole->count ? index[i] : -1;
    int64_t place = 0;
    for (int axis = 0; axis < whole->rank; axis++) {
        int64_t at = index[i * whole->rank + axis];
        if (at < 0 || at >= whole->dims[axis]) return -1;
        place = place * whole->dims[axis] + at;
    }
    return place;
}

static motet_status put_value(motet_tensor *whole, int64_t place, const motet_tensor *values, int64_t i)
{
    size_t size = motet_type_size(values->type);
    if (values->type == MOTET_STRING) {
        size_t length;
        const char *text = motet_tensor_string(values, i, &length);
        return motet_tensor_set_string(whole, place, text, length);
    }
    memcpy((char *)whole->data + (size_t)place * size, (const char *)values->data + (size_t)i * size, size);
    return MOTET_OK;
}

static motet_status spread(const motet_tensor *values, const motet_tensor *indices, motet_tensor *whole)
{
    int64_t last = -1;
    for (int64_t i = 0; i < values->count; i++) {
        int64_t place = place_of(indices, i, whole);
        if (place <= last)
            return mt_fail(MOTET_ERROR_FORMAT,
                           "the place of value %" PRId64 " is outside, or not behind the one before", i);
        MT_TRY(put_value(whole, place, values, i));
        last = place;
    }
    return MOTET_OK;
}

/* All zeros, of the type of `values`. */
static motet_status make_whole(const Onnx__SparseTensorProto *proto, const motet_tensor *values, motet_tensor *whole)
{
    size_t size = values->type == MOTET_STRING ? sizeof(mt_string) : motet_type_size(values->type), bytes;
    if (proto->n_dims > MOTET_MAX_RANK)
        return mt_fail(MOTET_ERROR_LIMIT, "%zu axes: at most %d are supported", proto->n_dims, MOTET_MAX_RANK);
    int64_t count = mt_shape_count((int)proto->n_dims, proto->dims);
    if (count < 0 || !mt_mul((size_t)count, size, &bytes) || bytes > MT_MAX_SPARSE_BYTES)
        return mt_fail(MOTET_ERROR_LIMIT, "a sparse tensor that takes more than %zu bytes written out",
                       MT_MAX_SPARSE_BYTES);
    MT_TRY(mt_tensor_alloc(whole, values->type, (int)proto->n_dims, proto->dims));
    if (bytes) memset(whole->data, 0, bytes); /* which is the empty string too */
    return MOTET_OK;
}

motet_status mt_file_sparse_tensor(mt_file *file, const Onnx__SparseTensorProto *proto, motet_tensor *out)
{
    motet_tensor values = {0}, indices = {0};
    motet_status status = read_parts(file, proto, &values, &indices);
    if (status == MOTET_OK) status = make_whole(proto, &values, out);
    if (status == MOTET_OK) status = spread(&values, &indices, out);
    mt_tensor_clear(&values);
    mt_tensor_clear(&indices);
    if (status != MOTET_OK) {
        mt_tensor_clear(out);
        const char *name = proto->values && proto->values->name ? proto->values->name : "";
        return mt_fail_in(status, "sparse tensor '%.128s'", name);
    }
    out->constant = true;
    return MOTET_OK;
}
