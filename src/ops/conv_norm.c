/* motet's own ConvNormalization and ConvIntegerNormalization, which graph/passes/stem.c makes of a convolution and a
 * normalisation of each of its channels. Inputs are those of Conv (X, W, B) or of ConvIntegerToFloat (X, W, x_scale,
 * w_scale, x_zero, w_zero, B), then scale and shift, a value for each filter.
 *
 * Products of bytes less their zero points are below 2^17, and float32 holds integers up to 2^24: so the float kernel
 * sums up to 128 of them without rounding, and more than that are refused. */
#include "kernels/conv_norm.h"

#include <inttypes.h>

#include "ops/convolution.h"

enum { EXACT = 128 /* products of bytes */ };

/* Input i as float32 values, one for each filter. */
static motet_status for_filters(mt_op_context *c, int i, int64_t filters, const float **out)
{
    const motet_tensor *in;
    MT_TRY(mt_need(c, i, &in));
    if (in->type != MOTET_FLOAT) return mt_op_fail_type(c, i);
    if (in->count != filters)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d has %" PRId64 " values for %" PRId64 " filters", i, in->count,
                          filters);
    *out = in->data;
    return MOTET_OK;
}

static motet_status read_shapes(mt_op_context *c, mt_conv *conv, const motet_tensor **x, const motet_tensor **w)
{
    MT_TRY(mt_need(c, 0, x));
    MT_TRY(mt_need(c, 1, w));
    MT_TRY(mt_conv_read(c, *x, *w, conv));
    if (conv->window.axes != 1) return mt_op_fail(c, MOTET_ERROR_UNSUPPORTED, "only one spatial axis is supported");
    return MOTET_OK;
}

/* Output 1 (graph/passes/range.c). */
static motet_status make_ranges(mt_op_context *c, mt_conv_norm *norm)
{
    motet_tensor *out;
    int64_t channels = norm->conv->batch * norm->conv->groups * norm->conv->out_channels;
    if (!mt_wanted(c, 1)) return MOTET_OK;
    MT_TRY(mt_out(c, 1, MOTET_FLOAT, 2, (int64_t[]){norm->conv->window.out_count ? channels : 0, 2}, &out));
    norm->ranges = out->data;
    return MOTET_OK;
}

/* With x, weights and factors in `norm`; bias, scale and shift are the inputs from `first` on. */
static motet_status normalise(mt_op_context *c, mt_conv_norm *norm, int first)
{
    int64_t dims[MOTET_MAX_RANK], filters = norm->conv->groups * norm->conv->out_channels;
    int rank = mt_conv_dims(norm->conv, dims);
    motet_tensor *out;
    void *room;
    if (mt_in(c, first)) MT_TRY(for_filters(c, first, filters, &norm->bias));
    MT_TRY(for_filters(c, first + 1, filters, &norm->scale));
    MT_TRY(for_filters(c, first + 2, filters, &norm->shift));
    MT_TRY(mt_fused_activation(c, &norm->activate));
    norm->epsilon = (double)mt_attr_float(c, "epsilon", 1e-5f);
    MT_TRY(mt_out(c, 0, MOTET_FLOAT, rank, dims, &out));
    int64_t size = mt_conv_norm_room(norm->conv);
    if (size < 0) return mt_op_fail(c, MOTET_ERROR_LIMIT, "the input is too long");
    MT_TRY(mt_scratch_array(c, size, sizeof(float), &room));
    norm->y = out->data;
    MT_TRY(make_ranges(c, norm));
    mt_conv_norm_run(c->pool, norm, room);
    return MOTET_OK;
}

motet_status mt_op_conv_normalization(mt_op_context *c)
{
    const motet_tensor *x, *w;
    mt_conv conv;
    MT_TRY(read_shapes(c, &conv, &x, &w));
    if (x->type != MOTET_FLOAT) return mt_op_fail_type(c, 0);
    if (w->type != MOTET_FLOAT) return mt_op_fail_type(c, 1);
    return normalise(c, &(mt_conv_norm){.conv = &conv, .x = x->data, .weights = w->data}, 2);
}

/* Bytes less the zero points of input `zero`, of which there are one or `rows`. */
static motet_status centred_bytes(mt_op_context *c, int i, int zero, int64_t rows, const float **out)
{
    const motet_tensor *in = mt_in(c, i), *zeros = mt_in(c, zero);
    const void *offsets;
    void *memory;
    if (in->type != MOTET_INT8 && in->type != MOTET_UINT8) return mt_op_fail_type(c, i);
    if (zeros && (zeros->type != in->type || (zeros->count != 1 && zeros->count != rows)))
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d does not hold the zero points of input %d", zero, i);
    MT_TRY(mt_values(c, zeros, MOTET_FLOAT, &offsets));
    MT_TRY(mt_scratch_array(c, in->count, sizeof(float), &memory));
    float *values = memory;
    mt_convert(values, MOTET_FLOAT, in->data, in->type, in->count);
    int64_t each = rows ? in->count / rows : 0;
    for (int64_t at = 0, row = 0; offsets && row < rows; row++)
        for (int64_t j = 0; j < each; j++, at++) values[at] -= ((const float *)offsets)[zeros->count > 1 ? row : 0];
    *out = values;
    return MOTET_OK;
}

/* x_scale * w_scale for every filter; where x_scale is left out, w_scale is the product already. */
static motet_status read_factors(mt_op_context *c, int64_t filters, const float **out)
{
    const motet_tensor *x_scale = mt_in(c, 2), *w_scale;
    void *memory;
    MT_TRY(mt_need(c, 3, &w_scale));
    if (x_scale && x_scale->type != MOTET_FLOAT) return mt_op_fail_type(c, 2);
    if (w_scale->type != MOTET_FLOAT) return mt_op_fail_type(c, 3);
    if ((x_scale && x_scale->count != 1) || (w_scale->count != 1 && w_scale->count != filters))
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%" PRId64 " and %" PRId64 " scales for %" PRId64 " filters",
                          x_scale ? x_scale->count : 1, w_scale->count, filters);
    MT_TRY(mt_scratch_array(c, filters, sizeof(float), &memory));
    float *factors = memory, x = x_scale ? *(const float *)x_scale->data : 1;
    for (int64_t i = 0; i < filters; i++) factors[i] = x * ((const float *)w_scale->data)[w_scale->count > 1 ? i : 0];
    *out = factors;
    return MOTET_OK;
}

motet_status mt_op_conv_integer_normalization(mt_op_context *c)
{
    const motet_tensor *x, *w;
    mt_conv conv;
    mt_conv_norm norm = {.conv = &conv};
    MT_TRY(read_shapes(c, &conv, &x, &w));
    if (conv.in_channels * conv.window.taps > EXACT)
        return mt_op_fail(c, MOTET_ERROR_UNSUPPORTED, "filters of more than %d weights are not supported", EXACT);
    MT_TRY(centred_bytes(c, 0, 4, 1, &norm.x));
    MT_TRY(centred_bytes(c, 1, 5, w->dims[0], &norm.weights));
    MT_TRY(read_factors(c, w->dims[0], &norm.factors));
    return normalise(c, &norm, 6);
}
