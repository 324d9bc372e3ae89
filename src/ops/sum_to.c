/* motet.SumTo: the first input summed up to the shape of the second, which broadcasting had stretched. For gradients.
 */
#include <string.h>

#include "ops/support.h"

motet_status mt_op_sum_to(mt_op_context *c)
{
    const motet_tensor *in, *like;
    mt_value_out out;
    const void *values;
    int64_t steps[MOTET_MAX_RANK] = {0}, strides[MOTET_MAX_RANK];
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_need(c, 1, &like));
    if (mt_same_shape(in, like)) return mt_out_view(c, 0, in, in->rank, in->dims);
    bool fits = like->rank <= in->rank;
    mt_strides(like->rank, like->dims, strides);
    for (int i = 0; i < like->rank && fits; i++) {
        int axis = in->rank - like->rank + i;
        fits = like->dims[i] == in->dims[axis] || like->dims[i] == 1;
        steps[axis] = like->dims[i] == 1 ? 0 : strides[i];
    }
    if (!fits) return mt_op_fail(c, MOTET_ERROR_SHAPE, "the shape cannot have been stretched to this one");
    MT_TRY(mt_values(c, in, MOTET_DOUBLE, &values));
    MT_TRY(mt_value_out_make_in(c, 0, in->type, MOTET_DOUBLE, like->rank, like->dims, &out));
    double *sums = out.values;
    for (int64_t i = 0; i < out.tensor->count; i++) sums[i] = 0;
    for (int64_t i = 0; i < in->count; i++) {
        int64_t rest = i, to = 0;
        for (int axis = in->rank - 1; axis >= 0; rest /= in->dims[axis], axis--)
            to += rest % in->dims[axis] * steps[axis];
        sums[to] += ((const double *)values)[i];
    }
    mt_value_out_store(&out);
    return MOTET_OK;
}
