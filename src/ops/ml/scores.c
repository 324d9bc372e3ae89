#include "ops/ml/scores.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* --- rows ----------------------------------------------------------------------------------------------------- */

motet_status mt_rows_read(mt_op_context *c, mt_rows *out)
{
    const motet_tensor *in;
    MT_TRY(mt_need(c, 0, &in));
    if (!mt_is_number(in->type)) return mt_op_fail_type(c, 0);
    if (in->rank < 1 || in->rank > 2)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "an input of %d axes: expected rows of features", in->rank);
    out->rows = in->rank == 2 ? in->dims[0] : 1;
    out->columns = in->dims[in->rank - 1];
    out->wide = in->type == MOTET_DOUBLE;
    return mt_values(c, in, out->wide ? MOTET_DOUBLE : MOTET_FLOAT, &out->values);
}

/* --- scores --------------------------------------------------------------------------------------------------- */

motet_status mt_transform_read(mt_op_context *c, mt_transform *out)
{
    static const char *const names[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
    const char *name = mt_attr_string(c, "post_transform", "NONE");
    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++) {
        *out = (mt_transform)i;
        if (strcmp(name, names[i]) == 0) return MOTET_OK;
    }
    return mt_op_fail(c, MOTET_ERROR_FORMAT, "post_transform \"%.64s\" is not known", name);
}

static float logistic(float x)
{
    float y = 1 / (1 + expf(-fabsf(x)));
    return x < 0 ? 1 - y : y;
}

/* Winitzki, "A handy approximation for the error function and its inverse" (2008), with the constants in use. */
static float probit(float p)
{
    float x = 2 * p - 1, logarithm = logf((1 - x) * (1 + x));
    float v = 2 / (3.14159f * 0.147f) + 0.5f * logarithm;
    float root = sqrtf(-v + sqrtf(v * v - 1 / 0.147f * logarithm));
    return 1.41421356f * (x < 0 ? -root : root);
}

static void softmax(float *scores, int64_t count, bool skip_zeros)
{
    float most = -FLT_MAX, sum = 0;
    for (int64_t i = 0; i < count; i++) most = scores[i] > most ? scores[i] : most;
    for (int64_t i = 0; i < count; i++) {
        if (skip_zeros && fabsf(scores[i]) <= 1e-7f) {
            scores[i] *= expf(-most);
        } else {
            scores[i] = expf(scores[i] - most);
            sum += scores[i];
        }
    }
    for (int64_t i = 0; i < count; i++) scores[i] /= sum;
}

void mt_transform_scores(mt_transform transform, float *scores, int64_t count)
{
    if (count < 2 && transform != MT_TRANSFORM_PROBIT) return;
    switch (transform) {
    case MT_TRANSFORM_NONE: return;
    case MT_TRANSFORM_SOFTMAX: softmax(scores, count, false); return;
    case MT_TRANSFORM_SOFTMAX_ZERO: softmax(scores, count, true); return;
    case MT_TRANSFORM_LOGISTIC:
        for (int64_t i = 0; i < count; i++) scores[i] = logistic(scores[i]);
        return;
    case MT_TRANSFORM_PROBIT:
        for (int64_t i = 0; i < count; i++) scores[i] = probit(scores[i]);
        return;
    }
}

void mt_two_scores(mt_transform transform, bool probabilities, float *z)
{
    float score = z[0];
    z[1] = score;
    if (transform == MT_TRANSFORM_PROBIT) {
        mt_transform_scores(transform, z, 1);
        z[1] = 0;
    } else if (transform == MT_TRANSFORM_LOGISTIC) {
        z[0] = logistic(-score);
        z[1] = logistic(score);
    } else if (probabilities) {
        z[0] = 1 - score;
    } else {
        z[0] = -score;
    }
}

/* --- labels --------------------------------------------------------------------------------------------------- */

motet_status mt_labels_read(mt_op_context *c, const char *strings, const char *ints, mt_labels *out)
{
    size_t count;
    out->strings = mt_attr_strings(c, strings, &count);
    out->ints = NULL;
    if (!count) {
        out->strings = NULL;
        out->ints = mt_attr_ints(c, ints, &count);
    }
    out->count = (int64_t)count;
    if (count) return MOTET_OK;
    return mt_op_fail(c, MOTET_ERROR_FORMAT, "neither %s nor %s is there", strings, ints);
}

motet_status mt_labels_out(mt_op_context *c, int i, const mt_labels *labels, int64_t rows, motet_tensor **out)
{
    return mt_out(c, i, labels->strings ? MOTET_STRING : MOTET_INT64, 1, &rows, out);
}

motet_status mt_label_put(motet_tensor *out, int64_t row, const mt_labels *labels, int64_t which)
{
    if (labels->strings)
        return motet_tensor_set_string(out, row, labels->strings[which].bytes, labels->strings[which].length);
    ((int64_t *)out->data)[row] = labels->ints[which];
    return MOTET_OK;
}

/* --- attributes ----------------------------------------------------------------------------------------------- */

motet_status mt_attr_doubles(mt_op_context *c, const char *name, const char *tensor_name, const double **out,
                             int64_t *count)
{
    size_t given;
    void *memory;
    const void *source = mt_attr_floats(c, name, &given);
    motet_type type = MOTET_FLOAT;
    const motet_tensor *tensor = tensor_name ? mt_attr_tensor(c, tensor_name) : NULL;
    if (tensor) {
        if (!mt_is_number(tensor->type))
            return mt_op_fail(c, MOTET_ERROR_FORMAT, "%s does not hold numbers", tensor_name);
        source = tensor->data;
        type = tensor->type;
        given = (size_t)tensor->count;
    }
    *count = (int64_t)given;
    MT_TRY(mt_scratch_array(c, *count, sizeof(double), &memory));
    if (given) mt_convert(memory, MOTET_DOUBLE, source, type, *count);
    *out = memory;
    return MOTET_OK;
}
