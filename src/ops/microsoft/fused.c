/* com.microsoft operators that are a standard one with something before or after it, as ONNX Runtime's optimiser
 * leaves them: FusedMatMul, FusedGemm, FusedConv, the kinds of GELU, DynamicQuantizeMatMul. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "kernels/math.h"
#include "ops/named_activation.h"
#include "ops/inner.h"

/* --- element by element ----------------------------------------------------------------------------------------- */

#define FAST_GELU(x) (0.5f * (x) * (1 + mt_tanhf((x) * (0.035677408136300125f * (x) * (x) + 0.7978845608028654f))))

MT_SIMD static void gelu_row(float *y, int64_t n, float a)
{
    (void)a;
    for (int64_t i = 0; i < n; i++) y[i] = mt_geluf(y[i]);
}

MT_SIMD static void fast_gelu_row(float *y, int64_t n, float a)
{
    (void)a;
    for (int64_t i = 0; i < n; i++) y[i] = FAST_GELU(y[i]);
}

MT_SIMD static void quick_gelu_row(float *y, int64_t n, float a)
{
    for (int64_t i = 0; i < n; i++) y[i] *= mt_sigmoidf(a * y[i]);
}

typedef struct biased_work {
    void (*run)(float *y, int64_t n, float a);
    const float *x, *bias;
    float *y, a;
    int64_t width;
} biased_work;

static void biased_rows(void *context, int64_t begin, int64_t end)
{
    const biased_work *w = context;
    for (int64_t row = begin; row < end; row++) {
        float *y = w->y + row * w->width;
        memcpy(y, w->x + row * w->width, (size_t)w->width * sizeof *y);
        for (int64_t i = 0; i < w->width && w->bias; i++) y[i] += w->bias[i];
        w->run(y, w->width, w->a);
    }
}

/* y = run(x + bias); the bias, input 1, has the last axis's length and may be left out unless it is needed. */
static motet_status biased(mt_op_context *c, void (*run)(float *y, int64_t n, float a), float a, bool needed)
{
    const motet_tensor *in, *bias = mt_in(c, 1);
    const void *x, *b;
    mt_value_out out;
    MT_TRY(mt_need(c, 0, &in));
    if (needed) MT_TRY(mt_need(c, 1, &bias));
    if (mt_working_type(in->type) != MOTET_FLOAT) return mt_op_fail_type(c, 0);
    int64_t width = in->rank ? in->dims[in->rank - 1] : 1;
    if (bias && bias->count != width)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "a bias of %" PRId64 " for rows of %" PRId64, bias->count, width);
    MT_TRY(mt_values(c, in, MOTET_FLOAT, &x));
    MT_TRY(mt_values(c, bias, MOTET_FLOAT, &b));
    MT_TRY(mt_value_out_make(c, 0, in->type, in->rank, in->dims, &out));
    biased_work work = {run, x, b, out.values, a, width};
    if (in->count) mt_ranges(c->pool, in->count / width, mt_row_grain(width), biased_rows, &work);
    mt_value_out_store(&out);
    return MOTET_OK;
}

motet_status mt_op_bias_gelu(mt_op_context *c)
{
    return biased(c, gelu_row, 0, true);
}
motet_status mt_op_fast_gelu(mt_op_context *c)
{
    return biased(c, fast_gelu_row, 0, false);
}
motet_status mt_op_quick_gelu(mt_op_context *c)
{
    mt_op_context alone = *c;
    alone.in_count = (int)mt_min(c->in_count, 1);
    return biased(&alone, quick_gelu_row, mt_attr_float(c, "alpha", 1.702f), false);
}

/* --- FusedMatMul ------------------------------------------------------------------------------------------------ */

/* The axes of an operand in the order in which the product is to see them: trans swaps the last two; trans_batch moves
 * the first axis behind the batch axes before that. */
static void operand_order(int rank, bool trans, bool trans_batch, int *order)
{
    for (int i = 0; i < rank; i++) order[i] = i;
    if (rank < 2) return;
    if (trans_batch) {
        for (int i = 0; i < rank - 2; i++) order[i] = i + 1;
        order[rank - 2] = 0;
    }
    if (trans) {
        int last = order[rank - 1];
        order[rank - 1] = order[rank - 2];
        order[rank - 2] = last;
    }
}

/* `out` shows input i with its axes in that order, copied where that changes anything. */
static motet_status ordered(mt_op_context *c, int i, const char *trans, const char *trans_batch, motet_tensor *out)
{
    const motet_tensor *in;
    int order[MOTET_MAX_RANK];
    MT_TRY(mt_need(c, i, &in));
    bool t = mt_attr_int(c, trans, 0) != 0, tb = mt_attr_int(c, trans_batch, 0) != 0;
    if (!t && !tb) {
        *out = *in; /* a constant stays one, so that what is made of it can be kept */
        return MOTET_OK;
    }
    operand_order(in->rank, t, tb, order);
    return mt_reorder_axes(c, in, order, out);
}

static motet_status scale_output(mt_op_context *c, float factor)
{
    motet_tensor *out = c->out[0];
    if (factor == 1) return MOTET_OK;
    if (out->type != MOTET_FLOAT && out->type != MOTET_DOUBLE) return mt_op_fail_type(c, 0);
    for (int64_t i = 0; i < out->count; i++) {
        if (out->type == MOTET_FLOAT)
            ((float *)out->data)[i] *= factor;
        else
            ((double *)out->data)[i] *= (double)factor;
    }
    return MOTET_OK;
}

static motet_status scaled_product(mt_op_context *c)
{
    motet_tensor a, b;
    mt_inner inner;
    MT_TRY(ordered(c, 0, "transA", "transBatchA", &a));
    MT_TRY(ordered(c, 1, "transB", "transBatchB", &b));
    mt_inner_begin(&inner, c);
    mt_inner_feed(&inner, &a);
    mt_inner_feed(&inner, &b);
    mt_inner_into(&inner, 0, 0);
    MT_TRY(mt_inner_run(&inner, mt_op_matmul, 13, 1));
    return scale_output(c, mt_attr_float(c, "alpha", 1));
}

motet_status mt_op_fused_matmul(mt_op_context *c)
{
    return mt_inner_in_float(c, scaled_product);
}

/* --- with an activation after it -------------------------------------------------------------------------------- */

typedef struct activation_work {
    mt_named_activation activation;
    float *x;
} activation_work;

static void activate_range(void *context, int64_t begin, int64_t end)
{
    const activation_work *w = context;
    w->activation.run(w->x + begin, end - begin, w->activation.a, w->activation.b);
}

static motet_status activate(mt_op_context *c, const mt_named_activation *activation)
{
    motet_tensor *out = c->out[0];
    if (out->type != MOTET_FLOAT)
        return mt_op_fail(c, MOTET_ERROR_UNSUPPORTED, "an activation of %s", motet_type_name(out->type));
    activation_work work = {*activation, out->data};
    mt_ranges(c->pool, out->count, 16384, activate_range, &work);
    return MOTET_OK;
}

/* The attribute "activation", with parameters as a list (FusedConv) or by name (the others); none: nothing is done. */
static motet_status finish(mt_op_context *c)
{
    size_t count;
    mt_named_activation activation;
    const char *name = mt_attr_string(c, "activation", "");
    const float *parameters = mt_attr_floats(c, "activation_params", &count);
    if (!*name) return MOTET_OK;
    MT_TRY(mt_named_activation_find(c, name, &activation));
    activation.a = count > 0 ? parameters[0] : mt_attr_float(c, "activation_alpha", activation.a);
    activation.b = count > 1 ? parameters[1]
                             : mt_attr_float(c, "activation_beta", mt_attr_float(c, "activation_gamma", activation.b));
    return activate(c, &activation);
}

static motet_status matmul_activation(mt_op_context *c)
{
    MT_TRY(mt_op_refuse(c, mt_has_attr(c, "activation_axis"), "activation_axis"));
    MT_TRY(scaled_product(c));
    return finish(c);
}

motet_status mt_op_fused_matmul_activation(mt_op_context *c)
{
    return mt_inner_in_float(c, matmul_activation);
}

static motet_status gemm_activation(mt_op_context *c)
{
    MT_TRY(mt_op_gemm(c));
    return finish(c);
}

motet_status mt_op_fused_gemm(mt_op_context *c)
{
    return mt_inner_in_float(c, gemm_activation);
}

/* activation(Conv(X, W, B) + Z) */
static motet_status conv_activation(mt_op_context *c)
{
    mt_op_context conv = *c;
    conv.in_count = (int)mt_min(c->in_count, 3);
    MT_TRY(mt_op_conv(&conv));
    const motet_tensor *more = mt_in(c, 3);
    motet_tensor *out = c->out[0];
    if (more && (more->type != MOTET_FLOAT || !mt_same_shape(more, out)))
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "what is to be added is not of the output's type and shape");
    for (int64_t i = 0; i < out->count && more; i++) ((float *)out->data)[i] += ((const float *)more->data)[i];
    return finish(c);
}

motet_status mt_op_fused_conv(mt_op_context *c)
{
    return mt_inner_in_float(c, conv_activation);
}

/* --- DynamicQuantizeMatMul -------------------------------------------------------------------------------------- */

/* Inputs A, B, b_scale, b_zero, bias: MatMulIntegerToFloat of A as DynamicQuantizeLinear makes it. */
motet_status mt_op_dynamic_quantize_matmul(mt_op_context *c)
{
    const motet_tensor *a, *b;
    mt_inner quantised, product;
    MT_TRY(mt_need(c, 0, &a));
    MT_TRY(mt_need(c, 1, &b));
    mt_inner_begin(&quantised, c);
    mt_inner_feed(&quantised, a);
    MT_TRY(mt_inner_run(&quantised, mt_op_dynamic_quantize_linear, 11, 3));
    const motet_tensor *const inputs[] = {&quantised.made[0], b,           &quantised.made[1], mt_in(c, 2),
                                          &quantised.made[2], mt_in(c, 3), mt_in(c, 4)};
    mt_inner_begin(&product, c);
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) mt_inner_feed(&product, inputs[i]);
    mt_inner_into(&product, 0, 0);
    return mt_inner_run(&product, mt_op_matmul_integer_to_float, 1, 1);
}
