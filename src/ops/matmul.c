/* MatMul (numpy's rules, batches broadcast) and Gemm. float and double go to the BLAS kernels, 16-bit floats through
 * float, integers through a plain loop that wraps. */
#include <inttypes.h>
#include <string.h>

#include "kernels/gemm.h"
#include "ops/support.h"

/* --- integers ------------------------------------------------------------------------------------------------- */

typedef void (*int_product)(const mt_gemm *shape, const void *a, const void *b, void *c);

#define INT_PRODUCT(TYPE, tag, S, T, LOAD, STORE, SIMD, ...)                                                           \
    static void product_##tag(const mt_gemm *s, const void *a, const void *b, void *c)                                 \
    {                                                                                                                  \
        for (int64_t i = 0; i < s->m; i++) {                                                                           \
            T *restrict row = (T *)c + i * s->ldc;                                                                     \
            memset(row, 0, (size_t)s->n * sizeof(T));                                                                  \
            for (int64_t k = 0; k < s->k; k++) {                                                                       \
                uint64_t x = (uint64_t)((const T *)a)[i * s->lda + k];                                                 \
                const T *y = (const T *)b + k * s->ldb;                                                                \
                for (int64_t j = 0; j < s->n; j++) row[j] = (T)((uint64_t)row[j] + x * (uint64_t)y[j]);                \
            }                                                                                                          \
        }                                                                                                              \
    }
MT_INTS(INT_PRODUCT)
static const int_product int_products[MT_TYPES] = {MT_INTS(MT_ENTRY, product)};

/* --- MatMul --------------------------------------------------------------------------------------------------- */

/* A product of stacks of matrices as the standard lays it out. */
typedef struct matmul_plan {
    mt_gemm shape;
    mt_broadcast batch;
    int rank;
    int64_t dims[MOTET_MAX_RANK]; /* of the output */
} matmul_plan;

/* A vector on the left is a row, on the right a column; the axis it lacks is left out of the result. */
static motet_status plan_matmul(mt_op_context *c, const motet_tensor *a, const motet_tensor *b, matmul_plan *p)
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
static void join_rows(matmul_plan *p)
{
    mt_broadcast *batch = &p->batch;
    if (batch->axes != 1 || batch->step[0][0] != 1 || batch->step[1][0] != 0) return;
    mt_gemm joined = p->shape;
    joined.m *= batch->count;
    if (!mt_gemm_fits(&joined)) return;
    p->shape = joined;
    batch->count = batch->extent[0] = 1;
}

typedef struct batch_lists {
    const char *a, *b;
    char *c;
    size_t a_bytes, b_bytes, c_bytes; /* of one matrix */
    const void **a_list, **b_list;
    void **c_list;
} batch_lists;

static void list_row(void *context, int64_t at, const int64_t *from, const int64_t *steps, int64_t n)
{
    const batch_lists *lists = context;
    for (int64_t i = 0; i < n; i++) {
        lists->a_list[at + i] = lists->a + (size_t)(from[0] + i * steps[0]) * lists->a_bytes;
        lists->b_list[at + i] = lists->b + (size_t)(from[1] + i * steps[1]) * lists->b_bytes;
        lists->c_list[at + i] = lists->c + (size_t)(at + i) * lists->c_bytes;
    }
}

static motet_status run_matmul(mt_op_context *c, const matmul_plan *p, motet_type type, const void *a, const void *b,
                               void *result)
{
    const mt_gemm *s = &p->shape;
    int64_t count = p->batch.count;
    size_t size = motet_type_size(type);
    void *memory;
    MT_TRY(mt_scratch_array(c, count, 3 * sizeof(void *), &memory));
    batch_lists lists = {a,
                         b,
                         result,
                         (size_t)(s->m * s->k) * size,
                         (size_t)(s->k * s->n) * size,
                         (size_t)(s->m * s->n) * size,
                         memory,
                         (const void **)memory + count,
                         (void **)memory + 2 * count};
    mt_broadcast_rows(NULL, &p->batch, list_row, &lists);
    if (type == MOTET_FLOAT)
        mt_sgemm_batch(c->pool, s, count, (const float *const *)lists.a_list, (const float *const *)lists.b_list,
                       (float *const *)lists.c_list);
    else if (type == MOTET_DOUBLE)
        mt_dgemm_batch(c->pool, s, count, (const double *const *)lists.a_list, (const double *const *)lists.b_list,
                       (double *const *)lists.c_list);
    else
        for (int64_t i = 0; i < count; i++) int_products[type](s, lists.a_list[i], lists.b_list[i], lists.c_list[i]);
    return MOTET_OK;
}

motet_status mt_op_matmul(mt_op_context *c)
{
    const motet_tensor *a, *b;
    MT_TRY(mt_need(c, 0, &a));
    MT_TRY(mt_need(c, 1, &b));
    MT_TRY(mt_need_same_type(c, 0, 1));
    motet_type type = a->type;
    if (!mt_is_float(type) && ((unsigned)type >= MT_TYPES || !int_products[type])) return mt_op_fail_type(c, 0);
    matmul_plan plan;
    MT_TRY(plan_matmul(c, a, b, &plan));
    motet_type working = mt_working_type(type);
    const void *x, *y;
    MT_TRY(mt_values(c, a, working, &x));
    MT_TRY(mt_values(c, b, working, &y));
    mt_value_out out;
    MT_TRY(mt_value_out_make(c, 0, type, plan.rank, plan.dims, &out));
    join_rows(&plan);
    MT_TRY(run_matmul(c, &plan, working, x, y, out.values));
    mt_value_out_store(&out);
    return MOTET_OK;
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
    mt_copy box = {.rank = plan.axes};
    memcpy(box.dims, plan.extent, sizeof plan.extent);
    memcpy(box.from, plan.step[0], sizeof plan.step[0]);
    mt_strides(box.rank, box.dims, box.to);
    return mt_copy_box(c, out, bias, &box);
}

/* Computes in double for double, in float32 for the other floats, and for integers in double as well: alpha and beta
 * are floats, and the result is rounded towards zero. */
static motet_status run_gemm(mt_op_context *c, const mt_gemm *shape, motet_tensor *out)
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
    if (single)
        mt_sgemm(c->pool, shape, values[0], values[1], values[2]);
    else
        mt_dgemm(c->pool, shape, values[0], values[1], values[2]);
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
    mt_gemm shape = {ta, tb, m, n, k, a->dims[1], b->dims[1], n, (double)mt_attr_float(c, "alpha", 1), 0};
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
