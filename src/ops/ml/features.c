/* What prepares rows of features: Scaler, Normalizer, Imputer, Binarizer, ArrayFeatureExtractor, FeatureVectorizer. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ops/ml/scores.h"

/* Output 0 in float32, of the input's shape. */
static motet_status float_out(mt_op_context *c, const motet_tensor *in, float **out)
{
    motet_tensor *tensor;
    MT_TRY(mt_out(c, 0, MOTET_FLOAT, in->rank, in->dims, &tensor));
    *out = tensor->data;
    return MOTET_OK;
}

static int64_t width_of(const motet_tensor *in)
{
    return in->rank ? in->dims[in->rank - 1] : 1;
}

/* --- Scaler ----------------------------------------------------------------------------------------------------- */

/* y = (x - offset) * scale; one value of each a feature, or one for all. */
motet_status mt_op_scaler(mt_op_context *c)
{
    const motet_tensor *in;
    const void *values;
    float *y;
    size_t offsets, scales;
    const float *offset = mt_attr_floats(c, "offset", &offsets), *scale = mt_attr_floats(c, "scale", &scales);
    MT_TRY(mt_need(c, 0, &in));
    int64_t width = width_of(in);
    bool fits = (offsets == 1 || (int64_t)offsets == width) && (scales == 1 || (int64_t)scales == width);
    if (!fits)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%zu offsets and %zu scales for %" PRId64 " features", offsets, scales,
                          width);
    bool wide = in->type == MOTET_DOUBLE;
    MT_TRY(mt_values(c, in, wide ? MOTET_DOUBLE : MOTET_FLOAT, &values));
    MT_TRY(float_out(c, in, &y));
    for (int64_t i = 0; i < in->count; i++) {
        float o = offset[offsets == 1 ? 0 : i % width], s = scale[scales == 1 ? 0 : i % width];
        y[i] = wide ? (float)((((const double *)values)[i] - (double)o) * (double)s)
                    : (((const float *)values)[i] - o) * s;
    }
    return MOTET_OK;
}

/* --- Normalizer ------------------------------------------------------------------------------------------------- */

enum { BY_MAX, BY_L1, BY_L2 };

/* What a row is divided by: its largest element, sum of magnitudes, or length. */
static double divisor(const float *x, int64_t n, int norm)
{
    double value = norm == BY_MAX ? -(double)INFINITY : 0;
    for (int64_t i = 0; i < n; i++) {
        double element = (double)x[i];
        value = norm == BY_MAX ? fmax(value, element) : value + (norm == BY_L1 ? fabs(element) : element * element);
    }
    return norm == BY_L2 ? sqrt(value) : value;
}

motet_status mt_op_normalizer(mt_op_context *c)
{
    const motet_tensor *in;
    const void *values;
    float *y;
    const char *name = mt_attr_string(c, "norm", "MAX");
    int norm = strcmp(name, "MAX") == 0 ? BY_MAX : strcmp(name, "L1") == 0 ? BY_L1 : BY_L2;
    if (norm == BY_L2 && strcmp(name, "L2") != 0)
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "the norm \"%.64s\" is not known", name);
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_values(c, in, MOTET_FLOAT, &values));
    MT_TRY(float_out(c, in, &y));
    int64_t width = width_of(in);
    for (int64_t row = 0; width && row < in->count / width; row++) {
        const float *x = (const float *)values + row * width;
        double by = divisor(x, width, norm);
        for (int64_t i = 0; i < width; i++) y[row * width + i] = by != 0 ? (float)((double)x[i] / by) : x[i];
    }
    return MOTET_OK;
}

/* --- Imputer ---------------------------------------------------------------------------------------------------- */

/* Elements equal to a given one (which may be NaN) get another value: one a feature, or one for all. Floats have float
 * attributes, integers their own. */
motet_status mt_op_imputer(mt_op_context *c)
{
    const motet_tensor *in;
    motet_tensor *out;
    size_t count;
    MT_TRY(mt_need(c, 0, &in));
    if (!mt_is_number(in->type)) return mt_op_fail_type(c, 0);
    bool floats = mt_is_float(in->type);
    const float *f = floats ? mt_attr_floats(c, "imputed_value_floats", &count) : NULL;
    const int64_t *k = floats ? NULL : mt_attr_ints(c, "imputed_value_int64s", &count);
    double missing = (double)mt_attr_float(c, "replaced_value_float", 0);
    int64_t missing_int = mt_attr_int(c, "replaced_value_int64", 0), width = width_of(in);
    if (!count || (count != 1 && (int64_t)count != width))
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%zu imputed values for %" PRId64 " features", count, width);
    MT_TRY(mt_out(c, 0, in->type, in->rank, in->dims, &out));
    for (int64_t i = 0; i < in->count; i++) {
        int64_t at = count == 1 ? 0 : i % width, integer = 0;
        double value = 0;
        mt_convert(floats ? (void *)&value : &integer, floats ? MOTET_DOUBLE : MOTET_INT64, mt_at(in, i), in->type, 1);
        bool hit = floats ? value == missing || (isnan(missing) && isnan(value)) : integer == missing_int;
        if (hit)
            mt_convert(mt_at(out, i), out->type, floats ? (const void *)&f[at] : &k[at],
                       floats ? MOTET_FLOAT : MOTET_INT64, 1);
        else
            memcpy(mt_at(out, i), mt_at(in, i), mt_element_size(in->type));
    }
    return MOTET_OK;
}

/* --- Binarizer -------------------------------------------------------------------------------------------------- */

motet_status mt_op_binarizer(mt_op_context *c)
{
    const motet_tensor *in;
    motet_tensor *out;
    const void *values;
    double threshold = (double)mt_attr_float(c, "threshold", 0);
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_values(c, in, MOTET_DOUBLE, &values));
    MT_TRY(mt_out(c, 0, in->type, in->rank, in->dims, &out));
    for (int64_t i = 0; i < in->count; i++) {
        uint8_t over = ((const double *)values)[i] > threshold;
        mt_convert(mt_at(out, i), out->type, &over, MOTET_UINT8, 1);
    }
    return MOTET_OK;
}

/* --- ArrayFeatureExtractor -------------------------------------------------------------------------------------- */

/* Columns of X by number. A vector counts as one row. */
motet_status mt_op_array_feature_extractor(mt_op_context *c)
{
    const motet_tensor *in, *columns;
    motet_tensor *out;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_need(c, 1, &columns));
    if (columns->type != MOTET_INT64) return mt_op_fail_type(c, 1);
    if (in->rank == 0) return mt_op_fail(c, MOTET_ERROR_SHAPE, "a scalar has no features");
    int64_t width = width_of(in), dims[MOTET_MAX_RANK] = {1}, rows = mt_span(in->dims, 0, in->rank - 1);
    int rank = in->rank == 1 ? 2 : in->rank;
    for (int i = 0; i < in->rank - 1; i++) dims[i] = in->dims[i];
    dims[rank - 1] = columns->count;
    const int64_t *wanted = columns->data;
    for (int64_t i = 0; i < columns->count; i++)
        if (wanted[i] < 0 || wanted[i] >= width)
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "feature %" PRId64 " of %" PRId64, wanted[i], width);
    MT_TRY(mt_out(c, 0, in->type, rank, dims, &out));
    for (int64_t row = 0; row < rows; row++)
        for (int64_t i = 0; i < columns->count; i++)
            MT_TRY(mt_copy_row(out, row * columns->count + i, in, row * width + wanted[i], 1));
    return MOTET_OK;
}

/* --- FeatureVectorizer ------------------------------------------------------------------------------------------ */

/* The inputs' columns side by side as float32. inputdimensions says how many each has: what is there beyond is left
 * out, what is missing is 0. */
motet_status mt_op_feature_vectorizer(mt_op_context *c)
{
    size_t count;
    const int64_t *sizes = mt_attr_ints(c, "inputdimensions", &count);
    const motet_tensor *in;
    motet_tensor *out;
    int64_t rows = 0, width = 0;
    if (count && (int)count != c->in_count)
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "%zu inputdimensions for %d inputs", count, c->in_count);
    for (int i = 0; i < c->in_count; i++) {
        MT_TRY(mt_need(c, i, &in));
        if (!mt_is_number(in->type)) return mt_op_fail_type(c, i);
        int64_t own = in->rank > 1 ? in->dims[0] : 1,
                columns = count ? sizes[i] : mt_span(in->dims, in->rank > 1, in->rank);
        if (i == 0) rows = own;
        if (own != rows || columns < 0 || __builtin_add_overflow(width, columns, &width))
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d does not fit the others", i);
    }
    MT_TRY(mt_out(c, 0, MOTET_FLOAT, 2, (int64_t[]){rows, width}, &out));
    memset(out->data, 0, (size_t)out->count * sizeof(float));
    int64_t start = 0;
    for (int i = 0; i < c->in_count; i++) {
        in = mt_in(c, i);
        int64_t there = mt_span(in->dims, in->rank > 1, in->rank), columns = count ? sizes[i] : there;
        for (int64_t row = 0; row < rows; row++)
            mt_convert((float *)out->data + row * width + start, MOTET_FLOAT, mt_at(in, row * there), in->type,
                       mt_min(there, columns));
        start += columns;
    }
    return MOTET_OK;
}
