/* Quantised operators: QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear, MatMulInteger, QLinearMatMul,
 * ConvInteger, QLinearConv.
 *
 * The integer ones are exact: both operands become int32 less their zero points (of a tensor, a row or a column), are
 * multiplied modulo 2^32, and where the result is quantised again, scaled as one float32 factor and rounded to even. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ops/convolution.h"
#include "ops/matmul.h"

static bool is_quantised(motet_type type)
{
    return type == MOTET_INT8 || type == MOTET_UINT8 || type == MOTET_INT16 || type == MOTET_UINT16;
}

/* round(x) + zero, held within the type; NaN becomes the least value. */
static int32_t saturate(float x, int32_t zero, motet_type type)
{
    bool is_signed = type == MOTET_INT8 || type == MOTET_INT16, wide = type == MOTET_INT16 || type == MOTET_UINT16;
    int32_t least = is_signed ? (wide ? INT16_MIN : INT8_MIN) : 0;
    int32_t most = least + (wide ? UINT16_MAX : UINT8_MAX);
    float value = rintf(x) + (float)zero;
    return value >= (float)most ? most : value > (float)least ? (int32_t)value : least;
}

/* --- scales and zero points along a tensor -------------------------------------------------------------------- */

/* One parameter for the whole tensor, for each position of an axis, or for each block of positions of an axis. Rows are
 * `inner` elements that share an axis position. */
typedef struct spread {
    int64_t rows, inner, size, block; /* size: of the axis */
    enum { WHOLE, AXIS, BLOCKS } kind;
} spread;

static motet_status find_spread(mt_op_context *c, const motet_tensor *in, const motet_tensor *scale, spread *s)
{
    *s = (spread){.rows = 1, .inner = in->count, .size = 1, .block = 1, .kind = WHOLE};
    int64_t block = mt_attr_int(c, "block_size", 0);
    if (scale->count == 1 && block == 0) return MOTET_OK;
    int axis = 0;
    MT_TRY(mt_axis(c, mt_attr_int(c, "axis", 1), in->rank, &axis));
    s->size = in->dims[axis];
    s->inner = mt_span(in->dims, axis + 1, in->rank);
    s->rows = mt_span(in->dims, 0, axis + 1);
    s->kind = block ? BLOCKS : AXIS;
    bool fits = scale->rank == (block ? in->rank : 1) && block >= 0;
    for (int i = 0; i < in->rank && fits && block; i++)
        fits = scale->dims[i] == (i == axis ? mt_blocks(in->dims[i], block) : in->dims[i]);
    if (fits && !block) fits = scale->dims[0] == s->size;
    s->block = block ? block : 1;
    if (fits) return MOTET_OK;
    char input[MT_SHAPE_TEXT], scales[MT_SHAPE_TEXT];
    return mt_op_fail(c, MOTET_ERROR_SHAPE, "scales %s do not fit axis %d of %s",
                      mt_tensor_describe(scale, scales, sizeof scales), axis,
                      mt_tensor_describe(in, input, sizeof input));
}

/* The first parameter of a row; along it they move by *step. */
static int64_t row_parameter(const spread *s, int64_t row, int64_t *step)
{
    int64_t at = row % s->size;
    *step = s->kind == BLOCKS;
    if (s->kind == WHOLE) return 0;
    return s->kind == AXIS ? at : (row / s->size * mt_blocks(s->size, s->block) + at / s->block) * s->inner;
}

/* The zero points as int32, or NULL where they are left out (all 0). */
static motet_status read_zeros(mt_op_context *c, int i, const motet_tensor *scale, const int32_t **out)
{
    const motet_tensor *zeros = mt_in(c, i);
    const void *values;
    if (zeros && zeros->count != scale->count)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%" PRId64 " zero points for %" PRId64 " scales", zeros->count,
                          scale->count);
    MT_TRY(mt_values(c, zeros, MOTET_INT32, &values));
    *out = values;
    return MOTET_OK;
}

/* --- QuantizeLinear and DequantizeLinear ---------------------------------------------------------------------- */

/* The type of the zero points, or the attribute's, or uint8. */
static motet_status quantised_type(mt_op_context *c, motet_type *type)
{
    int64_t wanted = mt_attr_int(c, "output_dtype", 0);
    *type = mt_in(c, 2) ? mt_in(c, 2)->type : wanted ? (motet_type)mt_min(wanted, MT_TYPES) : MOTET_UINT8;
    if (is_quantised(*type)) return MOTET_OK;
    return mt_op_fail(c, MOTET_ERROR_UNSUPPORTED, "quantising to type %d (%s) is not supported", (int)*type,
                      motet_type_name(*type));
}

motet_status mt_op_quantize_linear(mt_op_context *c)
{
    const motet_tensor *in, *scale;
    motet_tensor *out;
    motet_type type;
    spread s;
    const int32_t *zeros;
    const void *x, *scales;
    void *memory;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_need(c, 1, &scale));
    MT_TRY(quantised_type(c, &type));
    MT_TRY(find_spread(c, in, scale, &s));
    MT_TRY(read_zeros(c, 2, scale, &zeros));
    MT_TRY(mt_values(c, in, MOTET_FLOAT, &x));
    MT_TRY(mt_values(c, scale, MOTET_FLOAT, &scales));
    MT_TRY(mt_out(c, 0, type, in->rank, in->dims, &out));
    MT_TRY(mt_scratch_array(c, s.inner, sizeof(int32_t), &memory));
    int32_t *quantised = memory;
    for (int64_t row = 0; row < (in->count ? s.rows : 0); row++) {
        int64_t step, first = row_parameter(&s, row, &step);
        for (int64_t i = 0; i < s.inner; i++) {
            float value = ((const float *)x)[row * s.inner + i] / ((const float *)scales)[first + i * step];
            quantised[i] = saturate(value, zeros ? zeros[first + i * step] : 0, type);
        }
        mt_convert(mt_at(out, row * s.inner), type, quantised, MOTET_INT32, s.inner);
    }
    return MOTET_OK;
}

motet_status mt_op_dequantize_linear(mt_op_context *c)
{
    const motet_tensor *in, *scale;
    mt_value_out out;
    spread s;
    const int32_t *zeros;
    const void *x, *scales;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_need(c, 1, &scale));
    if (!is_quantised(in->type) && in->type != MOTET_INT32) return mt_op_fail_type(c, 0);
    if (mt_working_type(scale->type) != MOTET_FLOAT) return mt_op_fail_type(c, 1);
    MT_TRY(find_spread(c, in, scale, &s));
    MT_TRY(read_zeros(c, 2, scale, &zeros));
    MT_TRY(mt_values(c, in, MOTET_INT32, &x));
    MT_TRY(mt_values(c, scale, MOTET_FLOAT, &scales));
    MT_TRY(mt_value_out_make(c, 0, scale->type, in->rank, in->dims, &out));
    for (int64_t row = 0; row < (in->count ? s.rows : 0); row++) {
        int64_t step, first = row_parameter(&s, row, &step);
        for (int64_t i = 0; i < s.inner; i++) {
            int64_t value = ((const int32_t *)x)[row * s.inner + i];
            if (zeros) value -= zeros[first + i * step];
            ((float *)out.values)[row * s.inner + i] = (float)value * ((const float *)scales)[first + i * step];
        }
    }
    mt_value_out_store(&out);
    return MOTET_OK;
}

/* Scale and zero point from the range of the input, which is made to include 0. All zeros take the scale 1, as ONNX
 * Runtime does, where the standard's formula divides 0 by 0. */
motet_status mt_op_dynamic_quantize_linear(mt_op_context *c)
{
    const motet_tensor *in;
    motet_tensor *out, *scale_out, *zero_out;
    MT_TRY(mt_need(c, 0, &in));
    if (in->type != MOTET_FLOAT) return mt_op_fail_type(c, 0);
    const float *x = in->data;
    float least = 0, most = 0;
    for (int64_t i = 0; i < in->count; i++) {
        least = x[i] < least ? x[i] : least;
        most = x[i] > most ? x[i] : most;
    }
    float scale = most > least ? (most - least) / 255 : 1;
    int32_t zero = saturate(-least / scale, 0, MOTET_UINT8);
    MT_TRY(mt_out(c, 0, MOTET_UINT8, in->rank, in->dims, &out));
    MT_TRY(mt_out(c, 1, MOTET_FLOAT, 0, NULL, &scale_out));
    MT_TRY(mt_out(c, 2, MOTET_UINT8, 0, NULL, &zero_out));
    for (int64_t i = 0; i < in->count; i++)
        ((uint8_t *)out->data)[i] = (uint8_t)saturate(x[i] / scale, zero, MOTET_UINT8);
    *(float *)scale_out->data = scale;
    *(uint8_t *)zero_out->data = (uint8_t)zero;
    return MOTET_OK;
}

/* --- integer products ----------------------------------------------------------------------------------------- */

/* Parameter (a scale or a zero point) of element i of a [..., rows, columns] stack: one for all, one a row or column
 * (`by_row`), or one a row or column of every matrix. */
typedef struct parameters {
    int64_t count, rows, columns;
    bool by_row;
} parameters;

static int64_t parameter_of(const parameters *p, int64_t i)
{
    if (p->count == 1) return 0;
    int64_t each = p->by_row ? p->rows : p->columns, matrix = i / (p->rows * p->columns);
    int64_t own = p->by_row ? i / p->columns % p->rows : i % p->columns;
    return p->count == each ? own : matrix * each + own;
}

static motet_status need_parameters(mt_op_context *c, int i, const parameters *p, int64_t elements)
{
    int64_t each = p->by_row ? p->rows : p->columns;
    if (p->count == 1 || p->count == each) return MOTET_OK;
    if (elements && p->count == elements / (p->rows * p->columns) * each) return MOTET_OK;
    return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d has %" PRId64 " values: expected 1 or %" PRId64, i, p->count,
                      each);
}

/* Operand `in`, a stack of rows x columns, as int32 less the zero points of input `zero_input`, which are of its type.
 */
static motet_status centred(mt_op_context *c, const motet_tensor *in, int zero_input, parameters p, const int32_t **out)
{
    const motet_tensor *zeros = mt_in(c, zero_input);
    if (!is_quantised(in->type) || (zeros && zeros->type != in->type))
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "an operand of type %s with zero points of type %s",
                          motet_type_name(in->type), zeros ? motet_type_name(zeros->type) : "undefined");
    const void *offsets;
    void *memory;
    p.count = zeros ? zeros->count : 1;
    MT_TRY(need_parameters(c, zero_input, &p, in->count));
    MT_TRY(mt_values(c, zeros, MOTET_INT32, &offsets));
    MT_TRY(mt_scratch_array(c, in->count, sizeof(int32_t), &memory));
    int32_t *values = memory;
    mt_convert(values, MOTET_INT32, in->data, in->type, in->count);
    for (int64_t i = 0; i < in->count && offsets; i++) values[i] -= ((const int32_t *)offsets)[parameter_of(&p, i)];
    *out = values;
    return MOTET_OK;
}

/* Both operands of a matrix product at inputs `a` and `b`, whose zero points are a row's and a column's. */
static motet_status centred_matrices(mt_op_context *c, int a, int a_zero, int b, int b_zero, mt_matmul *plan,
                                     const int32_t **x, const int32_t **y)
{
    const motet_tensor *left, *right;
    MT_TRY(mt_need(c, a, &left));
    MT_TRY(mt_need(c, b, &right));
    MT_TRY(mt_matmul_plan(c, left, right, plan));
    const mt_gemm *s = &plan->shape;
    MT_TRY(centred(c, left, a_zero, (parameters){.rows = s->m, .columns = s->k, .by_row = true}, x));
    return centred(c, right, b_zero, (parameters){.rows = s->k, .columns = s->n}, y);
}

motet_status mt_op_matmul_integer(mt_op_context *c)
{
    mt_matmul plan;
    motet_tensor *out;
    const int32_t *x, *y;
    MT_TRY(centred_matrices(c, 0, 2, 1, 3, &plan, &x, &y));
    MT_TRY(mt_out(c, 0, MOTET_INT32, plan.rank, plan.dims, &out));
    return mt_matmul_run(c, &plan, MOTET_INT32, x, y, out->data);
}

/* Pixels share one zero point, filters may have one each. */
static motet_status centred_images(mt_op_context *c, int x_input, int x_zero, int w_input, int w_zero, mt_conv *conv,
                                   const int32_t **x, const int32_t **w)
{
    const motet_tensor *images, *filters;
    MT_TRY(mt_need(c, x_input, &images));
    MT_TRY(mt_need(c, w_input, &filters));
    MT_TRY(mt_conv_read(c, images, filters, conv));
    parameters by_filter = {.rows = filters->dims[0], .columns = conv->in_channels * conv->window.taps, .by_row = true};
    MT_TRY(centred(c, images, x_zero, (parameters){.rows = 1, .columns = 1}, x));
    return centred(c, filters, w_zero, by_filter, w);
}

motet_status mt_op_conv_integer(mt_op_context *c)
{
    mt_conv conv;
    motet_tensor *out;
    const int32_t *x, *w;
    int64_t dims[MOTET_MAX_RANK];
    MT_TRY(centred_images(c, 0, 2, 1, 3, &conv, &x, &w));
    int rank = mt_conv_dims(&conv, dims);
    MT_TRY(mt_out(c, 0, MOTET_INT32, rank, dims, &out));
    mt_conv_plain(c->pool, &conv, MOTET_INT32, x, w, NULL, out->data);
    return MOTET_OK;
}

/* --- and back to quantised ------------------------------------------------------------------------------------ */

/* The scales that a sum of products is multiplied with: left * right / result. */
typedef struct rescaling {
    parameters left, right;
    const float *left_scales, *right_scales;
    float result_scale;
} rescaling;

static motet_status read_scales(mt_op_context *c, int i, int64_t elements, parameters *p, const float **out)
{
    const motet_tensor *scales;
    const void *values;
    MT_TRY(mt_need(c, i, &scales));
    MT_TRY(mt_values(c, scales, MOTET_FLOAT, &values));
    p->count = scales->count;
    *out = values;
    return need_parameters(c, i, p, elements);
}

/* Output 0 from `sums`, with the result's scale and zero point at inputs `scale` and `scale` + 1. */
static motet_status put_quantised(mt_op_context *c, const int32_t *sums, int rank, const int64_t *dims, int scale,
                                  rescaling *r)
{
    const motet_tensor *result_scale, *zero;
    motet_tensor *out;
    int32_t offset;
    MT_TRY(mt_need(c, scale, &result_scale));
    MT_TRY(mt_need(c, scale + 1, &zero));
    if (result_scale->count != 1 || zero->count != 1 || !mt_is_float(result_scale->type) || !is_quantised(zero->type))
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "the result needs one scale and one zero point");
    mt_convert(&r->result_scale, MOTET_FLOAT, result_scale->data, result_scale->type, 1);
    mt_convert(&offset, MOTET_INT32, zero->data, zero->type, 1);
    MT_TRY(mt_out(c, 0, zero->type, rank, dims, &out));
    for (int64_t i = 0; i < out->count; i++) {
        float factor = r->left_scales[parameter_of(&r->left, i)] * r->right_scales[parameter_of(&r->right, i)];
        int32_t value = saturate((float)sums[i] * (factor / r->result_scale), offset, out->type);
        mt_convert(mt_at(out, i), out->type, &value, MOTET_INT32, 1);
    }
    return MOTET_OK;
}

motet_status mt_op_qlinear_matmul(mt_op_context *c)
{
    mt_matmul plan;
    const int32_t *x, *y;
    void *sums;
    MT_TRY(centred_matrices(c, 0, 2, 3, 5, &plan, &x, &y));
    int64_t count = mt_shape_count(plan.rank, plan.dims);
    MT_TRY(mt_scratch_array(c, count, sizeof(int32_t), &sums));
    MT_TRY(mt_matmul_run(c, &plan, MOTET_INT32, x, y, sums));
    rescaling r = {.left = {.rows = plan.shape.m, .columns = plan.shape.n, .by_row = true},
                   .right = {.rows = plan.shape.m, .columns = plan.shape.n}};
    MT_TRY(read_scales(c, 1, count, &r.left, &r.left_scales));
    MT_TRY(read_scales(c, 4, count, &r.right, &r.right_scales));
    return put_quantised(c, sums, plan.rank, plan.dims, 6, &r);
}

motet_status mt_op_qlinear_conv(mt_op_context *c)
{
    mt_conv conv;
    const int32_t *x, *w;
    void *sums;
    int64_t dims[MOTET_MAX_RANK];
    const motet_tensor *bias = mt_in(c, 8);
    MT_TRY(centred_images(c, 0, 2, 3, 5, &conv, &x, &w));
    int rank = mt_conv_dims(&conv, dims);
    if (bias && (bias->type != MOTET_INT32 || bias->count != dims[1]))
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "the bias must be int32, a value for each of %" PRId64 " filters",
                          dims[1]);
    int64_t count = mt_shape_count(rank, dims);
    MT_TRY(mt_scratch_array(c, count, sizeof(int32_t), &sums));
    mt_conv_plain(c->pool, &conv, MOTET_INT32, x, w, bias ? bias->data : NULL, sums);
    rescaling r = {.left = {.rows = dims[1], .columns = conv.window.out_count, .by_row = true},
                   .right = {.rows = dims[1], .columns = conv.window.out_count, .by_row = true}};
    MT_TRY(read_scales(c, 1, count, &r.left, &r.left_scales));
    MT_TRY(read_scales(c, 4, count, &r.right, &r.right_scales));
    return put_quantised(c, sums, rank, dims, 6, &r);
}
