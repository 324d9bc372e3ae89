/* Normalisation without learned parameters: LRN (Krizhevsky et al., 2012), LpNormalization,
 * MeanVarianceNormalization. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ops/support.h"

/* Input 0 and output 0 of the same type and shape, as float64. */
static motet_status prepare(mt_op_context *c, const double **x, mt_value_out *out)
{
    const motet_tensor *in;
    const void *values;
    MT_TRY(mt_need(c, 0, &in));
    if (!mt_is_float(in->type)) return mt_op_fail_type(c, 0);
    MT_TRY(mt_values(c, in, MOTET_DOUBLE, &values));
    *x = values;
    return mt_value_out_make_in(c, 0, in->type, MOTET_DOUBLE, in->rank, in->dims, out);
}

/* y = x / (bias + alpha / size * sum of squares over `size` channels around it) ^ beta */
motet_status mt_op_lrn(mt_op_context *c)
{
    const double *x;
    mt_value_out out;
    int64_t size = mt_attr_int(c, "size", 0);
    double alpha = (double)mt_attr_float(c, "alpha", 1e-4f), beta = (double)mt_attr_float(c, "beta", 0.75f);
    double bias = (double)mt_attr_float(c, "bias", 1);
    MT_TRY(prepare(c, &x, &out));
    const motet_tensor *in = mt_in(c, 0);
    if (in->rank < 2) return mt_op_fail(c, MOTET_ERROR_SHAPE, "expected batch and channels");
    if (size < 1) return mt_op_fail(c, MOTET_ERROR_FORMAT, "a size of %" PRId64, size);
    int64_t channels = in->dims[1], inner = mt_span(in->dims, 2, in->rank);
    for (int64_t i = 0; i < in->count; i++) {
        int64_t channel = i / inner % channels, image = i - channel * inner;
        int64_t first = mt_max(0, channel - (size - 1) / 2), last = mt_min(channels - 1 - channel, size / 2) + channel;
        double sum = 0;
        for (int64_t k = first; k <= last; k++) sum += x[image + k * inner] * x[image + k * inner];
        ((double *)out.values)[i] = x[i] / pow(bias + alpha / (double)size * sum, beta);
    }
    mt_value_out_store(&out);
    return MOTET_OK;
}

/* Where everything is 0, the result is. */
motet_status mt_op_lp_normalization(mt_op_context *c)
{
    const double *x;
    mt_value_out out;
    int axis = 0;
    int64_t p = mt_attr_int(c, "p", 2);
    MT_TRY(prepare(c, &x, &out));
    const motet_tensor *in = mt_in(c, 0);
    MT_TRY(mt_axis(c, mt_attr_int(c, "axis", -1), in->rank, &axis));
    if (p != 1 && p != 2) return mt_op_fail(c, MOTET_ERROR_FORMAT, "p is %" PRId64 ": expected 1 or 2", p);
    int64_t length = in->dims[axis], inner = mt_span(in->dims, axis + 1, in->rank);
    double *y = out.values;
    for (int64_t line = 0; line < (length ? in->count / length : 0); line++) {
        int64_t start = line / inner * length * inner + line % inner;
        double norm = 0;
        for (int64_t i = 0; i < length; i++) {
            double value = x[start + i * inner];
            norm += p == 1 ? fabs(value) : value * value;
        }
        if (p == 2) norm = sqrt(norm);
        for (int64_t i = 0; i < length; i++) y[start + i * inner] = norm == 0 ? 0 : x[start + i * inner] / norm;
    }
    mt_value_out_store(&out);
    return MOTET_OK;
}

/* The group of element i: its position along the axes that are not reduced. */
static int64_t group_of(const motet_tensor *in, unsigned axes, int64_t i)
{
    int64_t group = 0, step = 1;
    for (int axis = in->rank - 1; axis >= 0; i /= in->dims[axis], axis--) {
        if (axes >> axis & 1) continue;
        group += i % in->dims[axis] * step;
        step *= in->dims[axis];
    }
    return group;
}

/* (x - mean) / (deviation + 1e-9) over the axes */
motet_status mt_op_mean_variance_normalization(mt_op_context *c)
{
    static const int64_t usual[] = {0, 2, 3};
    static const double epsilon = 1e-9;
    const double *x;
    mt_value_out out;
    size_t given;
    unsigned axes;
    void *memory;
    const int64_t *list = mt_attr_ints(c, "axes", &given);
    MT_TRY(prepare(c, &x, &out));
    const motet_tensor *in = mt_in(c, 0);
    MT_TRY(mt_axis_set(c, list ? list : usual, list ? given : 3, in->rank, &axes));
    int64_t groups = 1;
    for (int axis = 0; axis < in->rank; axis++) groups *= axes >> axis & 1 ? 1 : in->dims[axis];
    MT_TRY(mt_scratch_array(c, groups, 2 * sizeof(double), &memory));
    double *means = memory, *squares = means + groups, members = groups ? (double)in->count / (double)groups : 0;
    memset(memory, 0, (size_t)groups * 2 * sizeof(double));
    for (int64_t i = 0; i < in->count; i++) means[group_of(in, axes, i)] += x[i] / members;
    for (int64_t i = 0; i < in->count; i++) {
        double apart = x[i] - means[group_of(in, axes, i)];
        squares[group_of(in, axes, i)] += apart * apart / members;
    }
    for (int64_t i = 0; i < in->count; i++) {
        int64_t group = group_of(in, axes, i);
        ((double *)out.values)[i] = (x[i] - means[group]) / (sqrt(squares[group]) + epsilon);
    }
    mt_value_out_store(&out);
    return MOTET_OK;
}
