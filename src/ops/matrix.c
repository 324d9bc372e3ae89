/* Det and EyeLike. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ops/support.h"

/* By elimination with the greatest pivot of each column; destroys the matrix. */
static double determinant(double *m, int64_t n)
{
    double product = 1;
    for (int64_t k = 0; k < n; k++) {
        int64_t pivot = k;
        for (int64_t i = k + 1; i < n; i++)
            if (fabs(m[i * n + k]) > fabs(m[pivot * n + k])) pivot = i;
        if (m[pivot * n + k] == 0) return 0;
        for (int64_t j = k; j < n && pivot != k; j++) {
            double other = m[pivot * n + j];
            m[pivot * n + j] = m[k * n + j];
            m[k * n + j] = other;
        }
        product *= pivot == k ? m[k * n + k] : -m[k * n + k];
        for (int64_t i = k + 1; i < n; i++) {
            double factor = m[i * n + k] / m[k * n + k];
            for (int64_t j = k; j < n; j++) m[i * n + j] -= factor * m[k * n + j];
        }
    }
    return product;
}

motet_status mt_op_det(mt_op_context *c)
{
    const motet_tensor *in;
    mt_value_out out;
    const void *values;
    void *memory;
    MT_TRY(mt_need(c, 0, &in));
    if (!mt_is_float(in->type)) return mt_op_fail_type(c, 0);
    if (in->rank < 2 || in->dims[in->rank - 1] != in->dims[in->rank - 2])
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "expected square matrices");
    int64_t n = in->dims[in->rank - 1];
    MT_TRY(mt_values(c, in, MOTET_DOUBLE, &values));
    MT_TRY(mt_value_out_make_in(c, 0, in->type, MOTET_DOUBLE, in->rank - 2, in->dims, &out));
    MT_TRY(mt_scratch_array(c, n, (size_t)n * sizeof(double), &memory));
    for (int64_t i = 0; i < out.tensor->count; i++) {
        if (n) memcpy(memory, (const double *)values + i * n * n, (size_t)(n * n) * sizeof(double));
        ((double *)out.values)[i] = determinant(memory, n);
    }
    mt_value_out_store(&out);
    return MOTET_OK;
}

motet_status mt_op_eye_like(mt_op_context *c)
{
    const motet_tensor *in;
    motet_tensor *out;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_need_rank(c, 0, 2));
    int64_t type = mt_attr_int(c, "dtype", in->type), k = mt_attr_int(c, "k", 0);
    if (!mt_is_number((motet_type)type))
        return mt_op_fail(c, MOTET_ERROR_UNSUPPORTED, "ones of type %" PRId64 " are not supported", type);
    MT_TRY(mt_out(c, 0, (motet_type)type, 2, in->dims, &out));
    if (out->count) memset(out->data, 0, mt_tensor_bytes(out)); /* 0 is all zeros in every type of numbers but one */
    if (out->type == MOTET_FLOAT8E8M0) return mt_op_fail(c, MOTET_ERROR_UNSUPPORTED, "float8e8m0 has no zero");
    for (int64_t row = 0; row < in->dims[0]; row++)
        if (k > -in->dims[0] && k < in->dims[1] && row + k >= 0 && row + k < in->dims[1])
            mt_convert(mt_at(out, row * in->dims[1] + row + k), out->type, &(uint8_t){1}, MOTET_BOOL, 1);
    return MOTET_OK;
}
