/* TopK: an index sort of each row, ties in the order of their indices, NaN counted as the largest. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ops/support.h"

/* An element as a key that compares as an unsigned integer: floats with their sign folded in, integers offset. */
typedef struct entry {
    uint64_t key;
    int64_t index;
} entry;

static uint64_t double_key(double value)
{
    uint64_t bits;
    if (value == 0) value = 0; /* -0 ties with 0 */
    memcpy(&bits, &value, sizeof bits);
    if (value != value) return UINT64_MAX;
    return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}

static void read_keys(const motet_tensor *in, int64_t start, int64_t step, int64_t n, bool largest, entry *out)
{
    for (int64_t i = 0; i < n; i++) {
        const char *element = mt_at(in, start + i * step);
        uint64_t key;
        if (mt_is_float(in->type)) {
            double value;
            mt_convert(&value, MOTET_DOUBLE, element, in->type, 1);
            key = double_key(value);
        } else if (in->type == MOTET_UINT64) {
            memcpy(&key, element, sizeof key);
        } else {
            int64_t value;
            mt_convert(&value, MOTET_INT64, element, in->type, 1);
            key = (uint64_t)value ^ UINT64_C(1) << 63;
        }
        out[i] = (entry){largest ? ~key : key, i};
    }
}

static int compare_entries(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static motet_status read_count(mt_op_context *c, int64_t *k)
{
    int count = 1;
    if (c->version < 10)
        *k = mt_attr_int(c, "k", -1);
    else
        MT_TRY(mt_in_ints(c, 1, k, 1, &count));
    return count == 1 ? MOTET_OK : mt_op_fail(c, MOTET_ERROR_SHAPE, "k must be one number");
}

motet_status mt_op_top_k(mt_op_context *c)
{
    const motet_tensor *in;
    int64_t k, dims[MOTET_MAX_RANK];
    int axis = 0;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(read_count(c, &k));
    if (!mt_is_number(in->type)) return mt_op_fail_type(c, 0);
    MT_TRY(mt_axis(c, mt_attr_int(c, "axis", -1), in->rank, &axis));
    int64_t length = in->dims[axis], inner = mt_span(in->dims, axis + 1, in->rank);
    if (k < 0 || k > length)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "the %" PRId64 " largest of %" PRId64 " elements", k, length);
    bool largest = mt_attr_int(c, "largest", 1) != 0;
    memcpy(dims, in->dims, sizeof dims);
    dims[axis] = k;
    motet_tensor *values, *indices = NULL;
    void *memory;
    MT_TRY(mt_out(c, 0, in->type, in->rank, dims, &values));
    if (mt_wanted(c, 1)) MT_TRY(mt_out(c, 1, MOTET_INT64, in->rank, dims, &indices));
    MT_TRY(mt_scratch_array(c, length, sizeof(entry), &memory));
    entry *entries = memory;
    for (int64_t row = 0; row < (k ? values->count / k : 0); row++) {
        int64_t from = row / inner * length * inner + row % inner, to = row / inner * k * inner + row % inner;
        read_keys(in, from, inner, length, largest, entries);
        qsort(entries, (size_t)length, sizeof *entries, compare_entries);
        for (int64_t i = 0; i < k; i++) {
            MT_TRY(mt_copy_row(values, to + i * inner, in, from + entries[i].index * inner, 1));
            if (indices) ((int64_t *)indices->data)[to + i * inner] = entries[i].index;
        }
    }
    return MOTET_OK;
}
