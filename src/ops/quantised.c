/* Products of quantised tensors: MatMulInteger, QLinearMatMul, ConvInteger, QLinearConv, and the two that go on to
 * float32: MatMulIntegerToFloat (as ONNX Runtime's) and ConvIntegerToFloat, which stand for a product, the Cast after
 * it, the Mul with both scales and the Add of a bias.
 *
 * All are exact: sums of (a - zero) * (b - zero) modulo 2^32, by the byte kernels where the operands are bytes and zero
 * points are one for all, or one for each row or column, and else by plain loops over int32. */
#include "ops/quant.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "graph/graph.h"
#include "kernels/bytes.h"
#include "kernels/simd.h"
#include "ops/convolution.h"
#include "ops/matmul.h"

/* Where a product's operands and their zero points are among the inputs. */
typedef struct slots {
    int a, a_zero, b, b_zero;
} slots;

/* --- parameters ----------------------------------------------------------------------------------------------- */

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
    if (!mt_is_quantised(in->type) || (zeros && zeros->type != in->type))
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

/* --- zero points for the byte kernels ------------------------------------------------------------------------- */

static bool is_bytes(const motet_tensor *tensor)
{
    return tensor->type == MOTET_INT8 || tensor->type == MOTET_UINT8;
}

/* The zero points of input `zero_input`, plus `shift`, as a list, of one where they are all the same; left out, they
 * are one 0. */
static motet_status zero_list(mt_op_context *c, int zero_input, int32_t shift, const int32_t **out, int64_t *count)
{
    const motet_tensor *zeros = mt_in(c, zero_input);
    const void *values;
    void *memory;
    *count = zeros ? zeros->count : 1;
    MT_TRY(mt_values(c, zeros, MOTET_INT32, &values));
    MT_TRY(mt_scratch_array(c, *count, sizeof(int32_t), &memory));
    int32_t *list = memory;
    bool differ = false;
    for (int64_t i = 0; i < *count; i++) {
        list[i] = (values ? ((const int32_t *)values)[i] : 0) + shift;
        differ |= list[i] != list[0];
    }
    if (*count > 1 && !differ) *count = 1;
    *out = list;
    return MOTET_OK;
}

static bool any(const int32_t *values, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (values[i]) return true;
    return false;
}

/* What a byte of this operand is flipped by to be unsigned (or signed), and how that moves its zero point. */
static uint8_t flip_to(bool is_signed, const motet_tensor *tensor, int32_t *shift)
{
    bool flips = (tensor->type == MOTET_INT8) != is_signed;
    *shift = !flips ? 0 : is_signed ? -128 : 128;
    return flips ? 0x80 : 0;
}

/* --- matrices on the byte kernels ----------------------------------------------------------------------------- */

/* One matrix on the right, and parameters of whole rows or columns. */
static bool suits_bytes(const mt_op_context *c, const slots *s, const mt_matmul *plan)
{
    const motet_tensor *a = mt_in(c, s->a), *b = mt_in(c, s->b), *za = mt_in(c, s->a_zero), *zb = mt_in(c, s->b_zero);
    if (c->reference || !is_bytes(a) || !is_bytes(b) || b->rank != 2 || plan->shape.k == 0 || a->count == 0)
        return false;
    if ((za && za->type != a->type) || (zb && zb->type != b->type)) return false;
    if (za && za->count != 1 && (za->count != plan->shape.m || a->rank != 2)) return false;
    return (!zb || zb->count == 1 || zb->count == plan->shape.n) && a->count / plan->shape.k <= INT32_MAX;
}

typedef struct packing {
    int64_t k, n;
    const void *b;
    uint8_t flip;
} packing;

static void pack(const void *context, mt_pool *pool, void *memory)
{
    const packing *p = context;
    mt_byte_pack(pool, p->k, p->n, p->b, p->flip, memory);
}

/* Made once for a constant, else in every run. */
static motet_status keep_or_make(mt_op_context *c, int input, int64_t size, mt_layout *layout, const void **out)
{
    void *memory;
    if (size < 0) return mt_op_fail(c, MOTET_ERROR_LIMIT, "input %d is too large", input);
    layout->bytes = (size_t)size;
    if (mt_in(c, input)->constant) return mt_keep(c, input, layout, out);
    MT_TRY(mt_scratch(c, layout->bytes, &memory));
    layout->fill(layout->context, c->pool, memory);
    *out = memory;
    return MOTET_OK;
}

typedef struct rows_work {
    const uint8_t *from;
    uint8_t *to;     /* NULL: only the sums */
    int32_t *sums;   /* or NULL */
    int64_t k, step; /* bytes of a row before and after */
    uint8_t flip;
} rows_work;

MT_SIMD static void flip_row(uint8_t *to, const uint8_t *from, int64_t n, uint8_t flip)
{
    for (int64_t i = 0; i < n; i++) to[i] = from[i] ^ flip;
}

MT_SIMD static int32_t sum_row(const uint8_t *from, int64_t n)
{
    uint32_t sum = 0;
    for (int64_t i = 0; i < n; i++) sum += from[i];
    return (int32_t)sum;
}

static void prepare_rows(void *context, int64_t begin, int64_t end)
{
    const rows_work *w = context;
    for (int64_t i = begin; i < end; i++) {
        const uint8_t *row = w->from + i * w->k;
        if (w->to) {
            flip_row(w->to + i * w->step, row, w->k, w->flip);
            memset(w->to + i * w->step + w->k, 0, (size_t)(w->step - w->k));
            row = w->to + i * w->step;
        }
        if (w->sums) w->sums[i] = sum_row(row, w->k);
    }
}

/* Rows of A as the kernel wants them: unsigned, whole words; and their sums if those are needed. */
static motet_status prepare_a(mt_op_context *c, const motet_tensor *a, uint8_t flip, bool with_sums, mt_byte_gemm *g,
                              const uint8_t **out)
{
    rows_work w = {.from = a->data, .k = g->k, .step = mt_byte_row(g->k), .flip = flip};
    void *memory;
    *out = a->data;
    g->lda = w.step;
    if (flip || w.step != w.k) {
        MT_TRY(mt_scratch_array(c, g->m, (size_t)w.step, &memory));
        *out = w.to = memory;
    }
    if (with_sums) {
        MT_TRY(mt_scratch_array(c, g->m, sizeof(int32_t), &memory));
        g->a_sums = w.sums = memory;
    }
    if (w.to || w.sums) mt_ranges(c->pool, g->m, mt_row_grain(g->k), prepare_rows, &w);
    return MOTET_OK;
}

/* `result` may have a scale and a bias. */
static motet_status multiply_bytes(mt_op_context *c, const slots *s, const mt_matmul *plan,
                                   const mt_byte_result *result, void *out)
{
    const motet_tensor *a = mt_in(c, s->a), *b = mt_in(c, s->b);
    mt_byte_gemm g = {.n = plan->shape.n, .k = plan->shape.k, .result = *result};
    int32_t a_shift, b_shift;
    const int32_t *a_zeros, *b_zeros;
    int64_t a_count, b_count;
    const uint8_t *rows;
    const void *packed;
    g.m = a->count / g.k;
    uint8_t a_flip = flip_to(false, a, &a_shift);
    packing p = {g.k, g.n, b->data, flip_to(true, b, &b_shift)};
    MT_TRY(zero_list(c, s->a_zero, a_shift, &a_zeros, &a_count));
    MT_TRY(zero_list(c, s->b_zero, b_shift, &b_zeros, &b_count));
    g.result.a_zero = (mt_byte_list){a_zeros, a_count > 1, 0};
    g.result.b_zero = (mt_byte_list){b_zeros, 0, b_count > 1};
    MT_TRY(prepare_a(c, a, a_flip, any(b_zeros, b_count), &g, &rows));
    mt_layout layout = {.fill = pack, .context = &p, .name = MT_BYTE_LAYOUT, .numbers = {g.k, g.n, p.flip}};
    MT_TRY(keep_or_make(c, s->b, mt_byte_packed_size(g.k, g.n), &layout, &packed));
    mt_byte_gemm_run(c->pool, &g, 1, &rows, &packed, &out);
    return MOTET_OK;
}

/* --- matrix products ------------------------------------------------------------------------------------------ */

static motet_status plan_matrices(mt_op_context *c, const slots *s, mt_matmul *plan)
{
    const motet_tensor *left, *right;
    MT_TRY(mt_need(c, s->a, &left));
    MT_TRY(mt_need(c, s->b, &right));
    return mt_matmul_plan(c, left, right, plan);
}

/* The int32 sums. */
static motet_status multiply(mt_op_context *c, const slots *s, const mt_matmul *plan, void *out)
{
    const int32_t *x, *y;
    if (suits_bytes(c, s, plan)) return multiply_bytes(c, s, plan, &(mt_byte_result){0}, out);
    const mt_gemm *g = &plan->shape;
    MT_TRY(centred(c, mt_in(c, s->a), s->a_zero, (parameters){.rows = g->m, .columns = g->k, .by_row = true}, &x));
    MT_TRY(centred(c, mt_in(c, s->b), s->b_zero, (parameters){.rows = g->k, .columns = g->n}, &y));
    return mt_matmul_run(c, plan, MOTET_INT32, x, y, out);
}

motet_status mt_op_matmul_integer(mt_op_context *c)
{
    static const slots s = {0, 2, 1, 3};
    mt_matmul plan;
    motet_tensor *out;
    MT_TRY(plan_matrices(c, &s, &plan));
    MT_TRY(mt_out(c, 0, MOTET_INT32, plan.rank, plan.dims, &out));
    return multiply(c, &s, &plan, out->data);
}

/* --- images --------------------------------------------------------------------------------------------------- */

typedef struct filters_work {
    const mt_conv *conv;
    const void *w;
    uint8_t flip;
} filters_work;

static void prepare_filters(const void *context, mt_pool *pool, void *memory)
{
    const filters_work *f = context;
    (void)pool;
    mt_byte_filters(f->conv, f->w, f->flip, memory);
}

/* a: the images, with one zero point; b: the filters, with one or one each. */
static motet_status convolve_bytes(mt_op_context *c, const slots *s, const mt_conv *conv, const mt_byte_result *result,
                                   void *out)
{
    const motet_tensor *x = mt_in(c, s->a), *w = mt_in(c, s->b);
    mt_byte_result r = *result;
    int32_t x_shift, w_shift;
    const int32_t *x_zeros, *w_zeros;
    int64_t x_count, w_count;
    const void *filters;
    void *room;
    uint8_t x_flip = flip_to(true, x, &x_shift);
    filters_work f = {conv, w->data, flip_to(false, w, &w_shift)};
    MT_TRY(zero_list(c, s->a_zero, x_shift, &x_zeros, &x_count));
    MT_TRY(zero_list(c, s->b_zero, w_shift, &w_zeros, &w_count));
    r.a_zero = (mt_byte_list){w_zeros, w_count > 1, 0};
    r.b_zero = (mt_byte_list){x_zeros, 0, 0};
    mt_layout layout = {.fill = prepare_filters, .context = &f, .name = MT_BYTE_FILTER_LAYOUT};
    layout.numbers[0] = conv->groups;
    layout.numbers[1] = f.flip;
    layout.numbers[2] = conv->window.dilation[0];
    MT_TRY(keep_or_make(c, s->b, mt_byte_filters_size(conv), &layout, &filters));
    int64_t room_size = mt_byte_conv_room(conv);
    if (room_size < 0) return mt_op_fail(c, MOTET_ERROR_LIMIT, "input %d is too large", s->a);
    MT_TRY(mt_scratch(c, (size_t)room_size, &room));
    mt_byte_conv_run(c->pool, conv, x->data, x_flip, filters, &r, room, out);
    return MOTET_OK;
}

static bool conv_suits_bytes(const mt_op_context *c, const slots *s)
{
    const motet_tensor *x = mt_in(c, s->a), *w = mt_in(c, s->b), *zx = mt_in(c, s->a_zero), *zw = mt_in(c, s->b_zero);
    if (c->reference || !is_bytes(x) || !is_bytes(w)) return false;
    if ((zx && (zx->type != x->type || zx->count != 1)) || (zw && zw->type != w->type)) return false;
    return !zw || zw->count == 1 || zw->count == w->dims[0];
}

static motet_status plan_images(mt_op_context *c, const slots *s, mt_conv *conv)
{
    const motet_tensor *images, *filters;
    MT_TRY(mt_need(c, s->a, &images));
    MT_TRY(mt_need(c, s->b, &filters));
    return mt_conv_read(c, images, filters, conv);
}

/* The int32 sums. */
static motet_status convolve(mt_op_context *c, const slots *s, const mt_conv *conv, void *out)
{
    const int32_t *x, *w;
    if (conv_suits_bytes(c, s)) return convolve_bytes(c, s, conv, &(mt_byte_result){0}, out);
    const motet_tensor *filters = mt_in(c, s->b);
    parameters by_filter = {.rows = filters->dims[0], .columns = conv->in_channels * conv->window.taps, .by_row = true};
    MT_TRY(centred(c, mt_in(c, s->a), s->a_zero, (parameters){.rows = 1, .columns = 1}, &x));
    MT_TRY(centred(c, filters, s->b_zero, by_filter, &w));
    mt_conv_plain(c->pool, conv, MOTET_INT32, x, w, NULL, out);
    return MOTET_OK;
}

motet_status mt_op_conv_integer(mt_op_context *c)
{
    static const slots s = {0, 2, 1, 3};
    mt_conv conv;
    motet_tensor *out;
    int64_t dims[MOTET_MAX_RANK];
    MT_TRY(plan_images(c, &s, &conv));
    int rank = mt_conv_dims(&conv, dims);
    MT_TRY(mt_out(c, 0, MOTET_INT32, rank, dims, &out));
    return convolve(c, &s, &conv, out->data);
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
    if (result_scale->count != 1 || zero->count != 1 || !mt_is_float(result_scale->type) ||
        !mt_is_quantised(zero->type))
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "the result needs one scale and one zero point");
    mt_convert(&r->result_scale, MOTET_FLOAT, result_scale->data, result_scale->type, 1);
    mt_convert(&offset, MOTET_INT32, zero->data, zero->type, 1);
    MT_TRY(mt_out(c, 0, zero->type, rank, dims, &out));
    for (int64_t i = 0; i < out->count; i++) {
        float factor = r->left_scales[parameter_of(&r->left, i)] * r->right_scales[parameter_of(&r->right, i)];
        int32_t value = mt_quantised((float)sums[i] * (factor / r->result_scale), offset, out->type);
        mt_convert(mt_at(out, i), out->type, &value, MOTET_INT32, 1);
    }
    return MOTET_OK;
}

motet_status mt_op_qlinear_matmul(mt_op_context *c)
{
    static const slots s = {0, 2, 3, 5};
    mt_matmul plan;
    void *sums;
    MT_TRY(plan_matrices(c, &s, &plan));
    int64_t count = mt_shape_count(plan.rank, plan.dims);
    MT_TRY(mt_scratch_array(c, count, sizeof(int32_t), &sums));
    MT_TRY(multiply(c, &s, &plan, sums));
    rescaling r = {.left = {.rows = plan.shape.m, .columns = plan.shape.n, .by_row = true},
                   .right = {.rows = plan.shape.m, .columns = plan.shape.n}};
    MT_TRY(read_scales(c, 1, count, &r.left, &r.left_scales));
    MT_TRY(read_scales(c, 4, count, &r.right, &r.right_scales));
    return put_quantised(c, sums, plan.rank, plan.dims, 6, &r);
}

static void add_to_channels(int32_t *sums, const int32_t *bias, int64_t count, int64_t channels, int64_t positions)
{
    for (int64_t i = 0; i < count; i++)
        sums[i] = (int32_t)((uint32_t)sums[i] + (uint32_t)bias[i / positions % channels]);
}

motet_status mt_op_qlinear_conv(mt_op_context *c)
{
    static const slots s = {0, 2, 3, 5};
    mt_conv conv;
    void *sums;
    int64_t dims[MOTET_MAX_RANK];
    const motet_tensor *bias = mt_in(c, 8);
    MT_TRY(plan_images(c, &s, &conv));
    int rank = mt_conv_dims(&conv, dims);
    if (bias && (bias->type != MOTET_INT32 || bias->count != dims[1]))
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "the bias must be int32, a value for each of %" PRId64 " filters",
                          dims[1]);
    int64_t count = mt_shape_count(rank, dims);
    MT_TRY(mt_scratch_array(c, count, sizeof(int32_t), &sums));
    MT_TRY(convolve(c, &s, &conv, sums));
    if (bias) add_to_channels(sums, bias->data, count, dims[1], conv.window.out_count);
    rescaling r = {.left = {.rows = dims[1], .columns = conv.window.out_count, .by_row = true},
                   .right = {.rows = dims[1], .columns = conv.window.out_count, .by_row = true}};
    MT_TRY(read_scales(c, 1, count, &r.left, &r.left_scales));
    MT_TRY(read_scales(c, 4, count, &r.right, &r.right_scales));
    return put_quantised(c, sums, rank, dims, 6, &r);
}

/* --- and on to float32 ---------------------------------------------------------------------------------------- */

/* Rows of `columns` sums that share a row's parameters. */
typedef struct to_floats {
    const int32_t *sums;
    float *out;
    int64_t rows, columns;
    const mt_byte_result *result;
    int64_t period; /* rows after which the parameters of rows begin again */
} to_floats;

static void float_rows(void *context, int64_t begin, int64_t end)
{
    const to_floats *w = context;
    const mt_byte_list *scale = &w->result->scale, *bias = &w->result->bias;
    for (int64_t i = begin; i < end; i++)
        for (int64_t j = 0; j < w->columns; j++) {
            int64_t at = i * w->columns + j, row = i % w->period;
            float value = (float)w->sums[at] * ((const float *)scale->values)[row * scale->row + j * scale->column];
            if (bias->values) value += ((const float *)bias->values)[row * bias->row + j * bias->column];
            w->out[at] = value;
        }
    if (w->result->activate) w->result->activate(w->out + begin * w->columns, (end - begin) * w->columns);
}

/* The product of both scales, one or `each`, and a bias, if there is one, of `each` values, in a list by row or by
 * column. A node of motet's own may have that product in the place of b's scales, and none of a. */
static motet_status read_result(mt_op_context *c, int a_scale, int b_scale, int bias, int64_t each, bool by_row,
                                mt_byte_result *result)
{
    const motet_tensor *a = mt_in(c, a_scale), *b, *offsets = mt_in(c, bias);
    void *memory;
    if (strcmp(c->node->domain, "motet")) MT_TRY(mt_need(c, a_scale, &a));
    MT_TRY(mt_need(c, b_scale, &b));
    if ((a && a->type != MOTET_FLOAT) || b->type != MOTET_FLOAT || (offsets && offsets->type != MOTET_FLOAT))
        return mt_op_fail(c, MOTET_ERROR_UNSUPPORTED, "scales and bias must be float32");
    if ((a && a->count != 1) || (b->count != 1 && b->count != each) || (offsets && offsets->count != each))
        return mt_op_fail(c, MOTET_ERROR_SHAPE,
                          "%" PRId64 " and %" PRId64 " scales: expected 1, and 1 or %" PRId64
                          ", as many as bias values",
                          a ? a->count : 1, b->count, each);
    MT_TRY(mt_scratch_array(c, b->count, sizeof(float), &memory));
    float *scales = memory;
    for (int64_t i = 0; i < b->count; i++) scales[i] = (a ? *(const float *)a->data : 1) * ((const float *)b->data)[i];
    bool many = b->count > 1;
    result->scale = (mt_byte_list){scales, many && by_row, many && !by_row};
    if (offsets) result->bias = (mt_byte_list){offsets->data, by_row, !by_row};
    return mt_fused_activation(c, &result->activate);
}

/* Inputs A, B, a_scale, b_scale, a_zero, b_zero, bias; the scale of A is one, those of B one or one for each column. */
motet_status mt_op_matmul_integer_to_float(mt_op_context *c)
{
    static const slots s = {0, 4, 1, 5};
    mt_matmul plan;
    mt_byte_result result = {0};
    motet_tensor *out;
    void *sums;
    MT_TRY(plan_matrices(c, &s, &plan));
    MT_TRY(read_result(c, 2, 3, 6, plan.shape.n, false, &result));
    MT_TRY(mt_out(c, 0, MOTET_FLOAT, plan.rank, plan.dims, &out));
    if (suits_bytes(c, &s, &plan)) return multiply_bytes(c, &s, &plan, &result, out->data);
    MT_TRY(mt_scratch_array(c, out->count, sizeof(int32_t), &sums));
    MT_TRY(multiply(c, &s, &plan, sums));
    int64_t columns = plan.shape.n, rows = columns ? out->count / columns : 0;
    to_floats work = {sums, out->data, rows, columns, &result, mt_max(1, rows)};
    mt_ranges(c->pool, rows, mt_row_grain(columns), float_rows, &work);
    return MOTET_OK;
}

/* Inputs X, W, x_scale, w_scale, x_zero, w_zero, bias, attributes of ConvInteger; scales of W one or one a filter. */
motet_status mt_op_conv_integer_to_float(mt_op_context *c)
{
    static const slots s = {0, 4, 1, 5};
    mt_conv conv;
    mt_byte_result result = {0};
    motet_tensor *out;
    int64_t dims[MOTET_MAX_RANK];
    void *sums;
    MT_TRY(plan_images(c, &s, &conv));
    int rank = mt_conv_dims(&conv, dims);
    MT_TRY(read_result(c, 2, 3, 6, dims[1], true, &result));
    MT_TRY(mt_out(c, 0, MOTET_FLOAT, rank, dims, &out));
    if (conv_suits_bytes(c, &s)) return convolve_bytes(c, &s, &conv, &result, out->data);
    MT_TRY(mt_scratch_array(c, out->count, sizeof(int32_t), &sums));
    MT_TRY(convolve(c, &s, &conv, sums));
    to_floats work = {sums, out->data, dims[0] * dims[1], conv.window.out_count, &result, mt_max(1, dims[1])};
    mt_ranges(c->pool, work.rows, mt_row_grain(work.columns), float_rows, &work);
    return MOTET_OK;
}
