/* MatMul (numpy's rules, batches broadcast) and Gemm. float and double go to the BLAS kernels, 16-bit floats through
 * float. The plain loops are for integers, which wrap, and for the reference. */
#include "ops/matmul.h"

#include <inttypes.h>
#include <string.h>

#include "kernels/strassen.h"

/* --- plain loops ---------------------------------------------------------------------------------------------- */

/* Rows begin .. end-1 of one product of dense matrices. */
typedef void (*plain_product)(const mt_gemm *shape, const void *a, const void *b, void *c, int64_t begin, int64_t end);

#define PLAIN_PRODUCT(TYPE, tag, S, T, LOAD, STORE, SIMD, A)                                                           \
    static void product_##tag(const mt_gemm *s, const void *a, const void *b, void *c, int64_t begin, int64_t end)     \
    {                                                                                                                  \
        for (int64_t i = begin; i < end; i++) {                                                                        \
            T *restrict row = (T *)c + i * s->n;                                                                       \
            memset(row, 0, (size_t)s->n * sizeof(T));                                                                  \
            for (int64_t k = 0; k < s->k; k++) {                                                                       \
                const A x = (A)((const T *)a)[i * s->k + k];                                                           \
                const T *y = (const T *)b + k * s->n;                                                                  \
                for (int64_t j = 0; j < s->n; j++) row[j] = (T)((A)row[j] + x * (A)y[j]);                              \
            }                                                                                                          \
        }                                                                                                              \
    }
MT_F32(PLAIN_PRODUCT, float)
MT_F64(PLAIN_PRODUCT, double)
MT_I8(PLAIN_PRODUCT, uint32_t)
MT_I16(PLAIN_PRODUCT, uint32_t)
MT_I32(PLAIN_PRODUCT, uint32_t)
MT_I64(PLAIN_PRODUCT, uint64_t)
MT_U8(PLAIN_PRODUCT, uint32_t)
MT_U16(PLAIN_PRODUCT, uint32_t)
MT_U32(PLAIN_PRODUCT, uint32_t)
MT_U64(PLAIN_PRODUCT, uint64_t)
static const plain_product plain_products[MT_TYPES] = {MT_WIDE_FLOATS(MT_ENTRY, product) MT_INTS(MT_ENTRY, product)};

/* --- stacks --------------------------------------------------------------------------------------------------- */

motet_status mt_matmul_plan(mt_op_context *c, const motet_tensor *a, const motet_tensor *b, mt_matmul *p)
{
    char left[MT_SHAPE_TEXT], right[MT_SHAPE_TEXT];
    if (a->rank == 0 || b->rank == 0) return mt_op_fail(c, MOTET_ERROR_SHAPE, "a scalar has no matrix product");
    int64_t m = a->rank > 1 ? a->dims[a->rank - 2] : 1, k = a->dims[a->rank - 1];
    int64_t inner = b->dims[b->rank > 1 ? b->rank - 2 : 0], n = b->rank > 1 ? b->dims[b->rank - 1] : 1;
    p->shape = mt_gemm_plain(m, n, k);
    if (k != inner)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%s times %s: the inner dimensions differ",
                          mt_tensor_describe(a, left, sizeof left), mt_tensor_describe(b, right, sizeof right));
    if (!mt_gemm_fits(&p->shape)) return mt_op_fail(c, MOTET_ERROR_LIMIT, "the matrices are too large");
    motet_tensor a_batch = *a, b_batch = *b;
    a_batch.rank = a->rank > 2 ? a->rank - 2 : 0;
    b_batch.rank = b->rank > 2 ? b->rank - 2 : 0;
    MT_TRY(mt_broadcast_plan(c, (const motet_tensor *[]){&a_batch, &b_batch}, 2, &p->batch));
    p->rank = p->batch.rank;
    memcpy(p->dims, p->batch.dims, sizeof p->dims);
    if (a->rank > 1) p->dims[p->rank++] = m;
    if (b->rank > 1) p->dims[p->rank++] = n;
    return MOTET_OK;
}

/* One b for all of a's matrices, which lie in a row: then they are one tall matrix. */
static void join_rows(mt_matmul *p)
{
    mt_broadcast *batch = &p->batch;
    if (batch->axes != 1 || batch->step[0][0] != 1 || batch->step[1][0] != 0) return;
    mt_gemm joined = p->shape;
    joined.m *= batch->count;
    if (!mt_gemm_fits(&joined)) return;
    p->shape = joined;
    batch->count = batch->extent[0] = 1;
}

/* Where each matrix of the stacks begins. */
typedef struct stacks {
    const char *a, *b;
    char *c;
    size_t a_bytes, b_bytes, c_bytes; /* of one matrix */
    const void **a_list, **b_list;
    void **c_list;
    const mt_gemm *shape;
    plain_product plain;
} stacks;

static void list_row(void *context, int64_t at, const int64_t *from, const int64_t *steps, int64_t n)
{
    const stacks *s = context;
    for (int64_t i = 0; i < n; i++) {
        s->a_list[at + i] = s->a + (size_t)(from[0] + i * steps[0]) * s->a_bytes;
        s->b_list[at + i] = s->b + (size_t)(from[1] + i * steps[1]) * s->b_bytes;
        s->c_list[at + i] = s->c + (size_t)(at + i) * s->c_bytes;
    }
}

/* Rows begin .. end-1, counted through all matrices. */
static void plain_rows(void *context, int64_t begin, int64_t end)
{
    const stacks *s = context;
    for (int64_t i = begin; i < end; i++) {
        int64_t matrix = i / s->shape->m, row = i % s->shape->m;
        s->plain(s->shape, s->a_list[matrix], s->b_list[matrix], s->c_list[matrix], row, row + 1);
    }
}

motet_status mt_matmul_run(mt_op_context *c, const mt_matmul *plan, motet_type type, const void *a, const void *b,
                           void *result)
{
    mt_matmul p = *plan;
    join_rows(&p);
    const mt_gemm *shape = &p.shape;
    int64_t count = p.batch.count;
    size_t size = motet_type_size(type);
    void *memory;
    MT_TRY(mt_scratch_array(c, count, 3 * sizeof(void *), &memory));
    stacks s = {.a = a, .b = b, .c = result, .shape = shape, .plain = plain_products[type]};
    s.a_bytes = (size_t)(shape->m * shape->k) * size;
    s.b_bytes = (size_t)(shape->k * shape->n) * size;
    s.c_bytes = (size_t)(shape->m * shape->n) * size;
    s.a_list = memory;
    s.b_list = (const void **)memory + count;
    s.c_list = (void **)memory + 2 * count;
    mt_broadcast_rows(NULL, &p.batch, list_row, &s);
    if (type == MOTET_FLOAT && !c->reference)
        mt_sgemm_batch(c->pool, shape, count, (const float *const *)s.a_list, (const float *const *)s.b_list,
                       (float *const *)s.c_list);
    else if (type == MOTET_DOUBLE && !c->reference)
        mt_dgemm_batch(c->pool, shape, count, (const double *const *)s.a_list, (const double *const *)s.b_list,
                       (double *const *)s.c_list);
    else
        mt_ranges(c->pool, count * shape->m, mt_row_grain(shape->n * shape->k), plain_rows, &s);
    return MOTET_OK;
}

/* --- packed weights ------------------------------------------------------------------------------------------- */

typedef struct packing {
    mt_gemm shape;
    int64_t count;
    const float *b;
} packing;

static void pack(const void *context, mt_pool *pool, void *memory)
{
    const packing *p = context;
    for (int64_t i = 0; i < p->count; i++)
        mt_sgemm_pack(pool, &p->shape, p->b + i * p->shape.n * p->shape.k,
                      (float *)memory + i * mt_sgemm_packed_size(&p->shape));
}

static motet_status lay_out(mt_op_context *c, const packing *p, mt_layout *layout)
{
    const mt_gemm *shape = &p->shape;
    int64_t each = mt_sgemm_packed_size(shape);
    *layout = (mt_layout){.fill = pack,
                          .context = p,
                          .name = MT_SGEMM_LAYOUT,
                          .numbers = {p->count, shape->n, shape->k, shape->ldb, shape->b_transposed}};
    if (each < 0 || !mt_mul((size_t)each, (size_t)p->count * sizeof(float), &layout->bytes))
        return mt_op_fail(c, MOTET_ERROR_LIMIT, "the matrices are too large");
    return MOTET_OK;
}

motet_status mt_matmul_pack(mt_op_context *c, int i, const mt_gemm *shape, int64_t count, const float **b)
{
    packing p = {*shape, count, *b};
    mt_layout layout;
    const void *kept;
    void *fresh;
    MT_TRY(lay_out(c, &p, &layout));
    if (mt_in(c, i)->constant) {
        MT_TRY(mt_keep(c, i, &layout, &kept));
        *b = kept;
    } else {
        MT_TRY(mt_scratch(c, layout.bytes, &fresh));
        pack(&p, c->pool, fresh);
        *b = fresh;
    }
    return MOTET_OK;
}

/* Only what lies in the model itself is still there when a run is over. */
motet_status mt_matmul_weights(mt_op_context *c, int i, mt_gemm *shape, const float **b)
{
    packing p = {*shape, 1, *b};
    mt_layout layout;
    const void *kept;
    bool stays = mt_in(c, i)->constant && (const void *)*b == mt_in(c, i)->data && !shape->b_transposed;
    shape->b_packed = true;
    if (!stays) return mt_matmul_pack(c, i, shape, 1, b);
    MT_TRY(lay_out(c, &p, &layout));
    layout.later = sizeof p;
    MT_TRY(mt_keep(c, i, &layout, &kept));
    shape->b_packed = kept;
    if (kept) *b = kept;
    return MOTET_OK;
}

enum { MOST_PROJECTIONS = 3 };

/* --- MatMul --------------------------------------------------------------------------------------------------- */

/* `count` products of the same rows, B packed or as it lies. */
static motet_status multiply_rows(mt_op_context *c, const mt_gemm *shape, int64_t count, const float *a,
                                  const float *const *b, float *const *out)
{
    const float *rows[MOST_PROJECTIONS];
    void *room;
    if (mt_attr_int(c, "strassen", 0) && mt_strassen_fits(shape)) {
        MT_TRY(mt_scratch_array(c, mt_strassen_room(shape), sizeof(float), &room));
        mt_strassen_run(c->pool, shape, count, a, b, room, out);
        return MOTET_OK;
    }
    for (int64_t i = 0; i < count; i++) rows[i] = a;
    mt_sgemm_batch(c->pool, shape, count, rows, b, out);
    return MOTET_OK;
}

/* Any stack of rows times one matrix of weights: one tall product. */
static motet_status multiply_weights(mt_op_context *c, const mt_matmul *plan, const void *a, const float *b,
                                     const mt_epilogue *epilogue, void *out)
{
    mt_gemm shape = plan->shape;
    shape.epilogue = *epilogue;
    shape.m = mt_shape_count(plan->rank, plan->dims) / mt_max(1, shape.n);
    if (!mt_gemm_fits(&shape)) return mt_op_fail(c, MOTET_ERROR_LIMIT, "the matrices are too large");
    MT_TRY(mt_matmul_weights(c, 1, &shape, &b));
    return multiply_rows(c, &shape, 1, a, &b, (float *[]){out});
}

motet_status mt_op_matmul(mt_op_context *c)
{
    const motet_tensor *a, *b;
    MT_TRY(mt_need(c, 0, &a));
    MT_TRY(mt_need(c, 1, &b));
    MT_TRY(mt_need_same_type(c, 0, 1));
    motet_type type = mt_working_type(a->type);
    if (!MT_PICK(plain_products, type)) return mt_op_fail_type(c, 0);
    mt_matmul plan;
    mt_value_out out;
    const void *x, *y;
    MT_TRY(mt_matmul_plan(c, a, b, &plan));
    MT_TRY(mt_value_out_make(c, 0, a->type, plan.rank, plan.dims, &out));
    MT_TRY(mt_values(c, a, type, &x));
    MT_TRY(mt_values(c, b, type, &y));
    bool weights = type == MOTET_FLOAT && b->constant && b->rank == 2 && plan.shape.k > 0 && !c->reference;
    MT_TRY(weights ? multiply_weights(c, &plan, x, y, &(mt_epilogue){0}, out.values)
                   : mt_matmul_run(c, &plan, type, x, y, out.values));
    mt_value_out_store(&out);
    return MOTET_OK;
}

/* Input i as a bias for `count` columns; NULL: none. */
static motet_status read_bias(mt_op_context *c, int i, int64_t count, const float **out)
{
    const motet_tensor *bias = mt_in(c, i);
    *out = bias ? bias->data : NULL;
    MT_TRY(mt_need_same_type(c, 0, i));
    if (bias && bias->count != count)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%" PRId64 " bias values for %" PRId64 " columns", bias->count, count);
    return MOTET_OK;
}

/* motet's own: A, a matrix B of weights, a bias for every column or none, and an activation; all of it float32. */
motet_status mt_op_matmul_fused(mt_op_context *c)
{
    const motet_tensor *a, *b;
    mt_matmul plan;
    const float *bias;
    mt_epilogue epilogue = {0};
    motet_tensor *out;
    MT_TRY(mt_need(c, 0, &a));
    MT_TRY(mt_need(c, 1, &b));
    MT_TRY(mt_need_same_type(c, 0, 1));
    if (a->type != MOTET_FLOAT) return mt_op_fail_type(c, 0);
    MT_TRY(mt_need_rank(c, 1, 2));
    MT_TRY(mt_matmul_plan(c, a, b, &plan));
    MT_TRY(read_bias(c, 2, plan.shape.n, &bias));
    epilogue.column_bias = bias;
    MT_TRY(mt_fused_activation(c, &epilogue.activate));
    MT_TRY(mt_out(c, 0, a->type, plan.rank, plan.dims, &out));
    return multiply_weights(c, &plan, a->data, b->data, &epilogue, out->data);
}

/* motet's own: A times some matrices of weights of one shape, which follow each with its bias or none; an output for
 * each, all of it float32. What attention takes its queries, keys and values from is one product so. */
motet_status mt_op_projections(mt_op_context *c)
{
    const motet_tensor *a, *w;
    const float *plain[MOST_PROJECTIONS], *packed[MOST_PROJECTIONS], *bias[MOST_PROJECTIONS];
    bool all_packed = true;
    float *made[MOST_PROJECTIONS];
    mt_gemm shape = {0};
    int count = c->in_count / 2;
    MT_TRY(mt_need(c, 0, &a));
    if (a->type != MOTET_FLOAT) return mt_op_fail_type(c, 0);
    if (count > MOST_PROJECTIONS)
        return mt_op_fail(c, MOTET_ERROR_LIMIT, "%d products: at most %d are supported", count, MOST_PROJECTIONS);
    for (int i = 0; i < count; i++) {
        mt_matmul plan;
        motet_tensor *out;
        MT_TRY(mt_need(c, 1 + 2 * i, &w));
        MT_TRY(mt_need_same_type(c, 0, 1 + 2 * i));
        MT_TRY(mt_need_rank(c, 1 + 2 * i, 2));
        MT_TRY(mt_matmul_plan(c, a, w, &plan));
        if (i > 0 && plan.shape.n != shape.n)
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "products of %" PRId64 " and %" PRId64 " columns", shape.n,
                              plan.shape.n);
        MT_TRY(read_bias(c, 2 + 2 * i, plan.shape.n, &bias[i]));
        shape = plan.shape;
        shape.m = mt_shape_count(plan.rank, plan.dims) / mt_max(1, shape.n);
        if (!mt_gemm_fits(&shape)) return mt_op_fail(c, MOTET_ERROR_LIMIT, "the matrices are too large");
        MT_TRY(mt_out(c, i, MOTET_FLOAT, plan.rank, plan.dims, &out));
        plain[i] = packed[i] = w->data;
        MT_TRY(mt_matmul_weights(c, 1 + 2 * i, &shape, &packed[i]));
        all_packed = all_packed && shape.b_packed;
        made[i] = out->data;
    }
    shape.b_packed = all_packed;
    shape.epilogue.column_biases = bias;
    return multiply_rows(c, &shape, count, a->data, all_packed ? packed : plain, made);
}

/* --- Gemm ----------------------------------------------------------------------------------------------------- */

/* The bias, stretched over the output in the output's type, which beta then scales. */
static motet_status spread_bias(mt_op_context *c, const motet_tensor *bias, motet_tensor *out)
{
    mt_broadcast plan;
    MT_TRY(mt_broadcast_plan(c, (const motet_tensor *[]){bias, out}, 2, &plan));
    if (plan.count != out->count || plan.rank > 2)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "the bias does not broadcast to the %" PRId64 " x %" PRId64 " result",
                          out->dims[0], out->dims[1]);
    return mt_broadcast_copy(c, &plan, out, bias);
}

/* Computes in double for double, in float32 for the other floats, and for integers in double as well: alpha and beta
 * are floats, and the result is rounded towards zero. */
static motet_status run_gemm(mt_op_context *c, mt_gemm *shape, motet_tensor *out)
{
    bool single = out->type == MOTET_FLOAT || out->type == MOTET_FLOAT16 || out->type == MOTET_BFLOAT16;
    motet_type type = single ? MOTET_FLOAT : MOTET_DOUBLE;
    const motet_tensor *tensors[3] = {mt_in(c, 0), mt_in(c, 1), out};
    void *values[3];
    for (int i = 0; i < 3; i++) {
        values[i] = tensors[i]->data;
        if (tensors[i]->type == type) continue;
        MT_TRY(mt_scratch_array(c, tensors[i]->count, motet_type_size(type), &values[i]));
        mt_convert(values[i], type, tensors[i]->data, tensors[i]->type, tensors[i]->count);
    }
    if (single && tensors[1]->constant) {
        const float *b = values[1];
        MT_TRY(mt_matmul_weights(c, 1, shape, &b));
        mt_sgemm(c->pool, shape, values[0], b, values[2]);
    } else if (single) {
        mt_sgemm(c->pool, shape, values[0], values[1], values[2]);
    } else {
        mt_dgemm(c->pool, shape, values[0], values[1], values[2]);
    }
    if (out->type != type) mt_convert(out->data, out->type, values[2], type, out->count);
    return MOTET_OK;
}

motet_status mt_op_gemm(mt_op_context *c)
{
    const motet_tensor *a, *b, *bias = mt_in(c, 2);
    MT_TRY(mt_need(c, 0, &a));
    MT_TRY(mt_need(c, 1, &b));
    for (int i = 0; i < 2; i++) MT_TRY(mt_need_rank(c, i, 2));
    for (int i = 1; i < 3; i++) MT_TRY(mt_need_same_type(c, 0, i));
    if (!mt_is_number(a->type)) return mt_op_fail_type(c, 0);
    bool ta = mt_attr_int(c, "transA", 0) != 0, tb = mt_attr_int(c, "transB", 0) != 0;
    int64_t m = a->dims[ta], k = a->dims[!ta], n = b->dims[!tb];
    if (b->dims[tb] != k)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "the inner dimensions are %" PRId64 " and %" PRId64, k, b->dims[tb]);
    mt_gemm shape = mt_gemm_plain(m, n, k);
    shape.a_transposed = ta;
    shape.b_transposed = tb;
    shape.lda = a->dims[1];
    shape.ldb = b->dims[1];
    shape.alpha = (double)mt_attr_float(c, "alpha", 1);
    if (!mt_gemm_fits(&shape)) return mt_op_fail(c, MOTET_ERROR_LIMIT, "the matrices are too large");
    motet_tensor *out;
    MT_TRY(mt_out(c, 0, a->type, 2, (int64_t[]){m, n}, &out));
    if (bias) {
        shape.beta = (double)mt_attr_float(c, "beta", 1);
        MT_TRY(spread_bias(c, bias, out));
    } else {
        memset(out->data, 0, (size_t)out->count * motet_type_size(out->type));
    }
    return run_gemm(c, &shape, out);
}
