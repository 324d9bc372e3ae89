/* com.microsoft operators from quantised tensors to quantised tensors: QLinearAdd, QLinearMul, QLinearSigmoid,
 * QLinearLeakyRelu, QLinearSoftmax, QLinearConcat, QLinearWhere, QLinearAveragePool, QLinearGlobalAveragePool,
 * QLinearReduceMean, QLinearConv, QGemm, NhwcMaxPool.
 *
 * Their meaning is to dequantise, compute and quantise. Where that leaves the last bit open, sums and factors are
 * taken in ONNX Runtime's order, so that the integers are its integers. */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ops/inner.h"

/* --- quantised tensors ------------------------------------------------------------------------------------------ */

/* The scale at input `scale` and the zero point after it (0 when left out), one of each. */
typedef struct quantisation {
    float scale;
    int32_t zero;
    motet_type type; /* of the zero point; MOTET_UNDEFINED when it is left out */
} quantisation;

static motet_status read_quantisation(mt_op_context *c, int scale, quantisation *q)
{
    const motet_tensor *scales, *zero = mt_in(c, scale + 1);
    *q = (quantisation){0};
    MT_TRY(mt_need(c, scale, &scales));
    if (scales->count != 1 || !mt_is_float(scales->type) || (zero && zero->count != 1))
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "inputs %d and %d must be one scale and one zero point", scale,
                          scale + 1);
    mt_convert(&q->scale, MOTET_FLOAT, scales->data, scales->type, 1);
    if (!zero) return MOTET_OK;
    if (zero->type != MOTET_INT8 && zero->type != MOTET_UINT8) return mt_op_fail_type(c, scale + 1);
    mt_convert(&q->zero, MOTET_INT32, zero->data, zero->type, 1);
    q->type = zero->type;
    return MOTET_OK;
}

static motet_status need_bytes(mt_op_context *c, int i, const motet_tensor **out)
{
    MT_TRY(mt_need(c, i, out));
    return (*out)->type == MOTET_INT8 || (*out)->type == MOTET_UINT8 ? MOTET_OK : mt_op_fail_type(c, i);
}

static int32_t byte_at(const motet_tensor *tensor, int64_t i)
{
    return tensor->type == MOTET_INT8 ? ((const int8_t *)tensor->data)[i] : ((const uint8_t *)tensor->data)[i];
}

/* Rounds to even and keeps to the type's range. */
static void put_byte(motet_tensor *out, int64_t i, float value)
{
    int32_t least = out->type == MOTET_INT8 ? INT8_MIN : 0, most = least + UINT8_MAX;
    float whole = rintf(value);
    int32_t byte = whole >= (float)most ? most : whole > (float)least ? (int32_t)whole : least;
    ((uint8_t *)out->data)[i] = (uint8_t)byte;
}

/* Input i, with its scale and zero point after it, as float32 in scratch. */
static motet_status dequantised(mt_op_context *c, int i, motet_tensor *out)
{
    const motet_tensor *in;
    quantisation q;
    void *memory;
    MT_TRY(need_bytes(c, i, &in));
    MT_TRY(read_quantisation(c, i + 1, &q));
    MT_TRY(mt_scratch_array(c, in->count, sizeof(float), &memory));
    for (int64_t k = 0; k < in->count; k++) ((float *)memory)[k] = (float)(byte_at(in, k) - q.zero) * q.scale;
    return mt_tensor_wrap(out, MOTET_FLOAT, in->rank, in->dims, memory);
}

/* Output 0 from float32, in `type`, with the scale and zero point at input `scale`. */
static motet_status quantise(mt_op_context *c, const motet_tensor *values, int scale, motet_type type)
{
    quantisation q;
    motet_tensor *out;
    MT_TRY(read_quantisation(c, scale, &q));
    MT_TRY(mt_out(c, 0, type, values->rank, values->dims, &out));
    for (int64_t i = 0; i < out->count; i++)
        put_byte(out, i, rintf(((const float *)values->data)[i] / q.scale) + (float)q.zero);
    return MOTET_OK;
}

/* Output 0 = quantised function(dequantised input 0), with the result's scale at input 3. */
static motet_status through_floats(mt_op_context *c, mt_op_function function, int version)
{
    motet_tensor in;
    mt_inner inner;
    MT_TRY(dequantised(c, 0, &in));
    mt_inner_begin(&inner, c);
    mt_inner_feed(&inner, &in);
    MT_TRY(mt_inner_run(&inner, function, version, 1));
    return quantise(c, &inner.made[0], 3, mt_in(c, 0)->type);
}

motet_status mt_op_qlinear_sigmoid(mt_op_context *c)
{
    return through_floats(c, mt_op_sigmoid, 13);
}
motet_status mt_op_qlinear_leaky_relu(mt_op_context *c)
{
    return through_floats(c, mt_op_leaky_relu, 13);
}
motet_status mt_op_qlinear_reduce_mean(mt_op_context *c)
{
    return through_floats(c, mt_op_reduce_mean, 13);
}

/* --- QLinearAdd and QLinearMul ---------------------------------------------------------------------------------- */

typedef struct pair_work {
    const motet_tensor *a, *b;
    motet_tensor *out;
    bool product;
    float by_a, by_b, fixed; /* sum: fixed + a * by_a + b * by_b; product: (a - zero) * (b - zero) * by_a + fixed */
    int32_t zero_a, zero_b;
} pair_work;

static void pair_row(void *context, int64_t at, const int64_t *from, const int64_t *steps, int64_t n)
{
    const pair_work *w = context;
    bool a_repeats = steps[0] == 0; /* an operand that is the same all along comes first */
    for (int64_t i = 0; i < n; i++) {
        int32_t a = byte_at(w->a, from[0] + i * steps[0]), b = byte_at(w->b, from[1] + i * steps[1]);
        float value;
        if (w->product)
            value = (float)((a - w->zero_a) * (b - w->zero_b)) * w->by_a + w->fixed;
        else if (a_repeats)
            value = fmaf((float)b, w->by_b, fmaf((float)a, w->by_a, w->fixed));
        else
            value = fmaf((float)a, w->by_a, fmaf((float)b, w->by_b, w->fixed));
        put_byte(w->out, at + i, value);
    }
}

static motet_status pairwise(mt_op_context *c, bool product)
{
    const motet_tensor *a, *b;
    quantisation qa, qb, qc;
    mt_broadcast plan;
    pair_work w = {.product = product};
    MT_TRY(need_bytes(c, 0, &a));
    MT_TRY(need_bytes(c, 3, &b));
    MT_TRY(mt_need_same_type(c, 0, 3));
    MT_TRY(read_quantisation(c, 1, &qa));
    MT_TRY(read_quantisation(c, 4, &qb));
    MT_TRY(read_quantisation(c, 6, &qc));
    MT_TRY(mt_broadcast_plan(c, (const motet_tensor *[]){a, b}, 2, &plan));
    MT_TRY(mt_out(c, 0, a->type, plan.rank, plan.dims, &w.out));
    w.a = a;
    w.b = b;
    w.zero_a = qa.zero;
    w.zero_b = qb.zero;
    w.by_a = product ? qa.scale * qb.scale / qc.scale : qa.scale / qc.scale;
    w.by_b = qb.scale / qc.scale;
    w.fixed = (float)qc.zero;
    if (!product) w.fixed -= w.by_a * (float)qa.zero + w.by_b * (float)qb.zero;
    mt_broadcast_rows(c->pool, &plan, pair_row, &w);
    return MOTET_OK;
}

motet_status mt_op_qlinear_add(mt_op_context *c)
{
    return pairwise(c, false);
}
motet_status mt_op_qlinear_mul(mt_op_context *c)
{
    return pairwise(c, true);
}

/* --- QLinearSoftmax --------------------------------------------------------------------------------------------- */

/* exp of every distance from a row's largest element, which stands at 255. They are raised as far as float32 allows for
 * a sum of `length`, for the sake of the small ones. */
static void exp_table(float scale, int64_t length, float *table)
{
    double room = fmax(0, log((double)(FLT_MAX / (float)length)) - 5) / (double)scale;
    for (int i = 0; i < 256; i++) table[i] = (float)exp(((double)i - 255 + room) * (double)scale);
}

static void softmax_row(const motet_tensor *in, motet_tensor *out, int64_t start, int64_t step, int64_t length,
                        const float *table, const quantisation *result)
{
    int32_t most = INT8_MIN;
    float sum = 0, levels = floorf(1 / result->scale);
    for (int64_t i = 0; i < length; i++) most = (int32_t)mt_max(most, byte_at(in, start + i * step));
    for (int64_t i = 0; i < length; i++) sum += table[255 - most + byte_at(in, start + i * step)];
    for (int64_t i = 0; i < length; i++) {
        float value = table[255 - most + byte_at(in, start + i * step)];
        put_byte(out, start + i * step, sum > 0 ? rintf(value * levels / sum) + (float)result->zero : 0);
    }
}

/* Attribute opset: before 13, the axis and all after it are one. */
motet_status mt_op_qlinear_softmax(mt_op_context *c)
{
    const motet_tensor *in;
    motet_tensor *out;
    quantisation q, result;
    float table[256];
    int axis = 0;
    bool flat = mt_attr_int(c, "opset", 13) < 13;
    MT_TRY(need_bytes(c, 0, &in));
    MT_TRY(read_quantisation(c, 1, &q));
    MT_TRY(read_quantisation(c, 3, &result));
    MT_TRY(mt_axis(c, mt_attr_int(c, "axis", flat ? 1 : -1), in->rank, &axis));
    MT_TRY(mt_out(c, 0, in->type, in->rank, in->dims, &out));
    if (in->count == 0) return MOTET_OK;
    int64_t length = mt_span(in->dims, axis, flat ? in->rank : axis + 1), step = in->count / length;
    step /= mt_span(in->dims, 0, axis);
    exp_table(q.scale, length, table);
    for (int64_t row = 0; row < in->count / length; row++)
        softmax_row(in, out, row / step * length * step + row % step, step, length, table, &result);
    return MOTET_OK;
}

/* --- QLinearConcat and QLinearWhere ----------------------------------------------------------------------------- */

/* Input `i` (with its scale and zero point after it) as it is in the result's scale and zero point. */
static motet_status rescaled(mt_op_context *c, int i, const quantisation *result, motet_tensor *out)
{
    const motet_tensor *in;
    quantisation q;
    void *memory;
    MT_TRY(need_bytes(c, i, &in));
    MT_TRY(read_quantisation(c, i + 1, &q));
    MT_TRY(mt_scratch_array(c, in->count, 1, &memory));
    MT_TRY(mt_tensor_wrap(out, in->type, in->rank, in->dims, memory));
    bool same = q.scale == result->scale && q.zero == result->zero;
    if (same && in->count) memcpy(memory, in->data, (size_t)in->count);
    for (int64_t k = 0; k < in->count && !same; k++)
        put_byte(out, k, rintf((float)(byte_at(in, k) - q.zero) * q.scale / result->scale) + (float)result->zero);
    return MOTET_OK;
}

/* Inputs: the result's scale and zero point, then tensor, scale and zero point of each part. */
motet_status mt_op_qlinear_concat(mt_op_context *c)
{
    quantisation result;
    const motet_tensor *first;
    motet_tensor *out, part;
    int axis = 0;
    int64_t start = 0, dims[MOTET_MAX_RANK];
    MT_TRY(read_quantisation(c, 0, &result));
    MT_TRY(need_bytes(c, 2, &first));
    MT_TRY(mt_axis(c, mt_attr_int(c, "axis", 0), first->rank, &axis));
    memcpy(dims, first->dims, sizeof dims);
    dims[axis] = 0;
    for (int i = 2; i < c->in_count; i += 3) {
        const motet_tensor *in;
        MT_TRY(need_bytes(c, i, &in));
        MT_TRY(mt_need_same_type(c, 2, i));
        bool fits = in->rank == first->rank && !__builtin_add_overflow(dims[axis], in->dims[axis], &dims[axis]);
        for (int k = 0; k < first->rank && fits; k++) fits = k == axis || in->dims[k] == first->dims[k];
        if (!fits) return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d does not fit the others", i);
    }
    MT_TRY(mt_out(c, 0, first->type, first->rank, dims, &out));
    int64_t inner = mt_span(dims, axis + 1, first->rank), outer = mt_span(dims, 0, axis);
    for (int i = 2; i < c->in_count; i += 3) {
        MT_TRY(rescaled(c, i, &result, &part));
        int64_t own = part.dims[axis] * inner, whole = dims[axis] * inner;
        for (int64_t k = 0; k < outer && own; k++)
            memcpy((char *)out->data + k * whole + start, (const char *)part.data + k * own, (size_t)own);
        start += own;
    }
    return MOTET_OK;
}

motet_status mt_op_qlinear_where(mt_op_context *c)
{
    quantisation result;
    const motet_tensor *condition;
    motet_tensor x, y;
    mt_inner inner;
    MT_TRY(mt_need(c, 0, &condition));
    MT_TRY(read_quantisation(c, 7, &result));
    MT_TRY(rescaled(c, 1, &result, &x));
    MT_TRY(rescaled(c, 4, &result, &y));
    mt_inner_begin(&inner, c);
    mt_inner_feed(&inner, condition);
    mt_inner_feed(&inner, &x);
    mt_inner_feed(&inner, &y);
    mt_inner_into(&inner, 0, 0);
    return mt_inner_run(&inner, mt_op_where, 16, 1);
}

/* --- channels last ---------------------------------------------------------------------------------------------- */

/* [batch, positions..., channels] to [batch, channels, positions...], or back. */
static motet_status move_channels(mt_op_context *c, const motet_tensor *in, bool to_front, motet_tensor *out)
{
    int order[MOTET_MAX_RANK];
    if (in->rank < 3) return mt_op_fail(c, MOTET_ERROR_SHAPE, "an input of %d axes has no positions", in->rank);
    order[0] = 0;
    for (int i = 1; i < in->rank; i++) order[i] = to_front ? i - 1 : i + 1;
    order[to_front ? 1 : in->rank - 1] = to_front ? in->rank - 1 : 1;
    return mt_reorder_axes(c, in, order, out);
}

/* Output 0 from a result with its channels in front. */
static motet_status put_channels_last(mt_op_context *c, const motet_tensor *result)
{
    motet_tensor moved, *out;
    MT_TRY(move_channels(c, result, false, &moved));
    MT_TRY(mt_out(c, 0, moved.type, moved.rank, moved.dims, &out));
    if (moved.count) memcpy(out->data, moved.data, (size_t)moved.count * mt_element_size(moved.type));
    return MOTET_OK;
}

/* Runs an operator whose input 0 and output 0 have their channels last as the one that has them in front. */
static motet_status with_channels_last(mt_op_context *c, mt_op_function function, int version)
{
    const motet_tensor *in;
    motet_tensor moved;
    const motet_tensor *inputs[16];
    mt_inner inner;
    MT_TRY(mt_need(c, 0, &in));
    if (c->in_count > 16) return mt_op_fail(c, MOTET_ERROR_FORMAT, "%d inputs are too many", c->in_count);
    MT_TRY(move_channels(c, in, true, &moved));
    mt_inner_begin(&inner, c);
    for (int i = 0; i < c->in_count; i++) inputs[i] = i ? mt_in(c, i) : &moved;
    inner.context.in = inputs;
    inner.context.in_count = c->in_count;
    MT_TRY(mt_inner_run(&inner, function, version, 1));
    return put_channels_last(c, &inner.made[0]);
}

static bool channels_last(const mt_op_context *c)
{
    return mt_attr_int(c, "channels_last", 0) != 0;
}

motet_status mt_op_nhwc_max_pool(mt_op_context *c)
{
    return with_channels_last(c, mt_op_max_pool, 12);
}

motet_status mt_op_qlinear_conv_microsoft(mt_op_context *c)
{
    return channels_last(c) ? with_channels_last(c, mt_op_qlinear_conv, 10) : mt_op_qlinear_conv(c);
}

static motet_status average_in_front(mt_op_context *c)
{
    return through_floats(c, mt_op_average_pool, 19);
}

motet_status mt_op_qlinear_average_pool(mt_op_context *c)
{
    return channels_last(c) ? with_channels_last(c, average_in_front, 1) : average_in_front(c);
}

static motet_status global_average_in_front(mt_op_context *c)
{
    const motet_tensor *in;
    motet_tensor *out;
    quantisation q, result;
    int64_t dims[MOTET_MAX_RANK];
    MT_TRY(need_bytes(c, 0, &in));
    MT_TRY(read_quantisation(c, 1, &q));
    MT_TRY(read_quantisation(c, 3, &result));
    if (in->rank < 3) return mt_op_fail(c, MOTET_ERROR_SHAPE, "an input of %d axes has no positions", in->rank);
    for (int i = 0; i < in->rank; i++) dims[i] = i < 2 ? in->dims[i] : 1;
    int64_t size = mt_span(in->dims, 2, in->rank);
    MT_TRY(mt_out(c, 0, in->type, in->rank, dims, &out));
    float by = q.scale / (result.scale * (float)size);
    for (int64_t i = 0; i < out->count; i++) {
        int64_t sum = 0;
        for (int64_t k = 0; k < size; k++) sum += byte_at(in, i * size + k) - q.zero;
        put_byte(out, i, rintf((float)sum * by) + (float)result.zero);
    }
    return MOTET_OK;
}

motet_status mt_op_qlinear_global_average_pool(mt_op_context *c)
{
    return channels_last(c) ? with_channels_last(c, global_average_in_front, 1) : global_average_in_front(c);
}

/* --- QGemm ------------------------------------------------------------------------------------------------------ */

/* Input i, transposed where the attribute says so. */
static motet_status gemm_operand(mt_op_context *c, int i, const char *trans, motet_tensor *out)
{
    const motet_tensor *in;
    MT_TRY(need_bytes(c, i, &in));
    MT_TRY(mt_need_rank(c, i, 2));
    if (!mt_attr_int(c, trans, 0)) return mt_tensor_wrap(out, in->type, 2, in->dims, in->data);
    return mt_reorder_axes(c, in, (const int[]){1, 0}, out);
}

static motet_status integer_product(mt_op_context *c, mt_inner *inner)
{
    motet_tensor a, b;
    MT_TRY(gemm_operand(c, 0, "transA", &a));
    MT_TRY(gemm_operand(c, 3, "transB", &b));
    mt_inner_begin(inner, c);
    mt_inner_feed(inner, &a);
    mt_inner_feed(inner, &b);
    mt_inner_feed(inner, mt_in(c, 2));
    mt_inner_feed(inner, mt_in(c, 5));
    return mt_inner_run(inner, mt_op_matmul_integer, 10, 1);
}

/* Adds input 6, int32 that stretches over the sums. */
static motet_status add_bias(mt_op_context *c, motet_tensor *sums)
{
    const motet_tensor *bias = mt_in(c, 6);
    mt_broadcast plan;
    void *memory;
    motet_tensor spread;
    if (!bias) return MOTET_OK;
    if (bias->type != MOTET_INT32) return mt_op_fail_type(c, 6);
    MT_TRY(mt_broadcast_plan(c, (const motet_tensor *[]){bias, sums}, 2, &plan));
    if (plan.count != sums->count || plan.rank != 2)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "the bias does not stretch over the result");
    MT_TRY(mt_scratch_array(c, sums->count, sizeof(int32_t), &memory));
    MT_TRY(mt_tensor_wrap(&spread, MOTET_INT32, 2, sums->dims, memory));
    MT_TRY(mt_broadcast_copy(c, &plan, &spread, bias));
    uint32_t *sum = sums->data;
    for (int64_t i = 0; i < sums->count; i++) sum[i] += ((const uint32_t *)memory)[i];
    return MOTET_OK;
}

/* alpha * A * B + C: float32, or quantised where a scale for the result is given. */
motet_status mt_op_qgemm(mt_op_context *c)
{
    mt_inner product;
    quantisation a, result = {0};
    const motet_tensor *b_scale;
    motet_tensor *out;
    const void *scales;
    MT_TRY(integer_product(c, &product));
    motet_tensor *sums = &product.made[0];
    MT_TRY(add_bias(c, sums));
    MT_TRY(read_quantisation(c, 1, &a));
    MT_TRY(mt_need(c, 4, &b_scale));
    MT_TRY(mt_values(c, b_scale, MOTET_FLOAT, &scales));
    int64_t columns = sums->dims[1];
    if (b_scale->count != 1 && b_scale->count != columns)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%" PRId64 " scales for %" PRId64 " columns", b_scale->count, columns);
    bool quantises = mt_in(c, 7) != NULL;
    if (quantises) MT_TRY(read_quantisation(c, 7, &result));
    motet_type type = result.type ? result.type : mt_in(c, 0)->type;
    MT_TRY(mt_out(c, 0, quantises ? type : MOTET_FLOAT, 2, sums->dims, &out));
    float alpha = mt_attr_float(c, "alpha", 1);
    for (int64_t i = 0; i < sums->count; i++) {
        float by = alpha * a.scale * ((const float *)scales)[b_scale->count > 1 ? i % columns : 0];
        float sum = (float)((const int32_t *)sums->data)[i];
        if (quantises)
            put_byte(out, i, rintf(sum * (by / result.scale)) + (float)result.zero);
        else
            ((float *)out->data)[i] = sum * by;
    }
    return MOTET_OK;
}
