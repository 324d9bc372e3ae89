/* MatMulNBits and GatherBlockQuantized: weights of a few bits, with a scale (and a zero point) for every block of them
 * along one axis. They are widened to float32 a panel at a time, never as a whole. */
#include <inttypes.h>
#include <string.h>

#include "kernels/gemm.h"
#include "ops/support.h"

/* Value `i` of a row of packed values, the low bits of a byte first. */
static uint8_t packed_at(const uint8_t *row, int64_t i, int64_t bits)
{
    int64_t each = 8 / bits;
    return (uint8_t)(row[i / each] >> (i % each * bits) & ((1 << bits) - 1));
}

static motet_status need_bits(mt_op_context *c, int64_t *bits)
{
    *bits = mt_attr_int(c, "bits", 4);
    if (*bits == 2 || *bits == 4 || *bits == 8) return MOTET_OK;
    return mt_op_fail(c, MOTET_ERROR_UNSUPPORTED, "weights of %" PRId64 " bits are not supported", *bits);
}

static motet_status need_block(mt_op_context *c, int64_t fallback, int64_t *block)
{
    *block = mt_attr_int(c, "block_size", fallback);
    if (*block >= 16 && *block <= INT32_MAX && (*block & (*block - 1)) == 0) return MOTET_OK;
    return mt_op_fail(c, MOTET_ERROR_FORMAT, "blocks of %" PRId64, *block);
}

/* --- MatMulNBits ------------------------------------------------------------------------------------------------ */

enum { PANEL = 64, LANES = 16 }; /* rows of weights that are widened at a time, and how many panels at once */

typedef struct blocked {
    int64_t n, k, bits, block, blocks; /* blocks of a row */
    const uint8_t *weights;            /* [n, blocks, block * bits / 8] */
    const float *scales;               /* [n, blocks] */
    const uint8_t *packed_zeros;       /* [n, blocks * bits / 8 rounded up], or NULL */
    const float *zeros;                /* [n, blocks], or NULL */
    const float *a, *bias;
    float *y, *panels;
    int64_t rows, lanes;
} blocked;

static float zero_of(const blocked *w, int64_t row, int64_t block)
{
    if (w->zeros) return w->zeros[row * w->blocks + block];
    if (w->packed_zeros) return packed_at(w->packed_zeros + row * mt_blocks(w->blocks * w->bits, 8), block, w->bits);
    return (float)(1 << (w->bits - 1));
}

static void widen_row(const blocked *w, int64_t row, float *to)
{
    int64_t bytes = w->block * w->bits / 8;
    for (int64_t block = 0; block < w->blocks; block++) {
        float scale = w->scales[row * w->blocks + block], zero = zero_of(w, row, block);
        const uint8_t *from = w->weights + (row * w->blocks + block) * bytes;
        int64_t first = block * w->block, count = mt_min(w->block, w->k - first);
        for (int64_t i = 0; i < count; i++) to[first + i] = ((float)packed_at(from, i, w->bits) - zero) * scale;
    }
}

static void run_panels(void *context, size_t lane)
{
    const blocked *w = context;
    float *panel = w->panels + (int64_t)lane * PANEL * w->k;
    for (int64_t first = (int64_t)lane * PANEL; first < w->n; first += w->lanes * PANEL) {
        int64_t count = mt_min(PANEL, w->n - first);
        for (int64_t i = 0; i < count; i++) widen_row(w, first + i, panel + i * w->k);
        for (int64_t row = 0; row < w->rows; row++)
            for (int64_t i = 0; i < count; i++) w->y[row * w->n + first + i] = w->bias ? w->bias[first + i] : 0;
        mt_gemm shape = mt_gemm_plain(w->rows, count, w->k);
        shape.b_transposed = true;
        shape.ldb = w->k;
        shape.ldc = w->n;
        shape.beta = 1;
        mt_sgemm(NULL, &shape, w->a, panel, w->y + first);
    }
}

static motet_status need_count(mt_op_context *c, int i, int64_t count)
{
    const motet_tensor *in;
    MT_TRY(mt_need(c, i, &in));
    if (in->count == count) return MOTET_OK;
    return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d has %" PRId64 " elements: expected %" PRId64, i, in->count,
                      count);
}

static motet_status read_weights(mt_op_context *c, blocked *w)
{
    const void *values;
    w->n = mt_attr_int(c, "N", 0);
    w->k = mt_attr_int(c, "K", 0);
    MT_TRY(need_bits(c, &w->bits));
    MT_TRY(need_block(c, 0, &w->block));
    if (w->n < 1 || w->k < 1 || w->n > INT32_MAX || w->k > INT32_MAX)
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "N is %" PRId64 " and K is %" PRId64, w->n, w->k);
    w->blocks = mt_blocks(w->k, w->block);
    int64_t scales = w->n * w->blocks, bytes;
    if (__builtin_mul_overflow(scales, w->block * w->bits / 8, &bytes)) bytes = -1;
    MT_TRY(mt_op_refuse(c, mt_attr_int(c, "weight_prepacked", 0) != 0, "weight_prepacked"));
    MT_TRY(mt_op_refuse(c, mt_in(c, 4), "g_idx"));
    MT_TRY(need_count(c, 1, bytes));
    MT_TRY(need_count(c, 2, scales));
    if (mt_in(c, 1)->type != MOTET_UINT8) return mt_op_fail_type(c, 1);
    w->weights = mt_in(c, 1)->data;
    MT_TRY(mt_values(c, mt_in(c, 2), MOTET_FLOAT, &values));
    w->scales = values;
    const motet_tensor *zeros = mt_in(c, 3);
    if (!zeros) return MOTET_OK;
    bool packed = zeros->type == MOTET_UINT8;
    MT_TRY(need_count(c, 3, packed ? w->n * mt_blocks(w->blocks * w->bits, 8) : scales));
    if (packed) {
        w->packed_zeros = zeros->data;
        return MOTET_OK;
    }
    MT_TRY(mt_values(c, zeros, MOTET_FLOAT, &values));
    w->zeros = values;
    return MOTET_OK;
}

/* Y = A * dequantised(B)^T + bias, computed in float32 whatever accuracy_level allows. */
motet_status mt_op_matmul_nbits(mt_op_context *c)
{
    blocked w = {0};
    const motet_tensor *a;
    const void *values;
    void *panels;
    mt_value_out out;
    int64_t dims[MOTET_MAX_RANK];
    MT_TRY(mt_need(c, 0, &a));
    if (mt_working_type(a->type) != MOTET_FLOAT) return mt_op_fail_type(c, 0);
    MT_TRY(read_weights(c, &w));
    if (a->rank < 1 || a->dims[a->rank - 1] != w.k)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "rows of the input do not have %" PRId64 " elements", w.k);
    w.rows = a->count / w.k;
    if (w.rows > INT32_MAX) return mt_op_fail(c, MOTET_ERROR_LIMIT, "the matrices are too large");
    memcpy(dims, a->dims, sizeof dims);
    dims[a->rank - 1] = w.n;
    MT_TRY(mt_values(c, a, MOTET_FLOAT, &values));
    w.a = values;
    if (mt_in(c, 5)) MT_TRY(need_count(c, 5, w.n));
    MT_TRY(mt_values(c, mt_in(c, 5), MOTET_FLOAT, &values));
    w.bias = values;
    MT_TRY(mt_value_out_make(c, 0, a->type, a->rank, dims, &out));
    w.y = out.values;
    w.lanes = mt_min(LANES, mt_blocks(w.n, PANEL));
    MT_TRY(mt_scratch_array(c, w.lanes * PANEL * w.k, sizeof(float), &panels));
    w.panels = panels;
    if (w.rows) mt_parallel(c->pool, (size_t)w.lanes, run_panels, &w);
    mt_value_out_store(&out);
    return MOTET_OK;
}

/* --- GatherBlockQuantized --------------------------------------------------------------------------------------- */

/* Rows of [rows, width] values that were gathered, in packed bytes. */
typedef struct packed_rows {
    int64_t rows, width, bits, block, blocks;
    const uint8_t *data, *zeros; /* zeros may be NULL */
    const float *scales;
} packed_rows;

static motet_status read_rows(mt_op_context *c, packed_rows *p)
{
    const motet_tensor *data, *scales, *zeros = mt_in(c, 3);
    const void *values;
    int gather = 0, along = 0;
    MT_TRY(mt_need(c, 0, &data));
    MT_TRY(mt_need(c, 2, &scales));
    if (data->type != MOTET_UINT8 || (zeros && zeros->type != MOTET_UINT8)) return mt_op_fail_type(c, 0);
    MT_TRY(mt_need_rank(c, 0, 2));
    MT_TRY(mt_axis(c, mt_attr_int(c, "gather_axis", 0), 2, &gather));
    MT_TRY(mt_axis(c, mt_attr_int(c, "quantize_axis", 1), 2, &along));
    if (gather != 0 || along != 1)
        return mt_op_fail(c, MOTET_ERROR_UNSUPPORTED, "only rows can be gathered, quantised along themselves");
    MT_TRY(need_bits(c, &p->bits));
    MT_TRY(need_block(c, 128, &p->block));
    p->rows = data->dims[0];
    if (__builtin_mul_overflow(data->dims[1], 8 / p->bits, &p->width))
        return mt_op_fail(c, MOTET_ERROR_LIMIT, "the rows are too long");
    p->blocks = mt_blocks(p->width, p->block);
    MT_TRY(need_count(c, 2, p->rows * p->blocks));
    if (zeros) MT_TRY(need_count(c, 3, p->rows * mt_blocks(p->blocks * p->bits, 8)));
    MT_TRY(mt_values(c, scales, MOTET_FLOAT, &values));
    p->data = data->data;
    p->zeros = zeros ? zeros->data : NULL;
    p->scales = values;
    return MOTET_OK;
}

static void widen_gathered(const packed_rows *p, int64_t row, float *to)
{
    const uint8_t *from = p->data + row * (p->width * p->bits / 8);
    const uint8_t *zeros = p->zeros ? p->zeros + row * mt_blocks(p->blocks * p->bits, 8) : NULL;
    for (int64_t i = 0; i < p->width; i++) {
        int64_t block = i / p->block;
        int32_t zero = zeros ? packed_at(zeros, block, p->bits) : 1 << (p->bits - 1);
        to[i] = (float)(packed_at(from, i, p->bits) - zero) * p->scales[row * p->blocks + block];
    }
}

/* An index that is out of range makes a row of zeros. */
motet_status mt_op_gather_block_quantized(mt_op_context *c)
{
    packed_rows p = {0};
    const motet_tensor *indices;
    const void *values;
    mt_value_out out;
    int64_t dims[MOTET_MAX_RANK + 1];
    MT_TRY(read_rows(c, &p));
    MT_TRY(mt_need(c, 1, &indices));
    if (indices->type != MOTET_INT32 && indices->type != MOTET_INT64) return mt_op_fail_type(c, 1);
    MT_TRY(mt_values(c, indices, MOTET_INT64, &values));
    memcpy(dims, indices->dims, (size_t)indices->rank * sizeof *dims);
    dims[indices->rank] = p.width;
    MT_TRY(mt_value_out_make(c, 0, mt_in(c, 2)->type, indices->rank + 1, dims, &out));
    for (int64_t i = 0; i < indices->count; i++) {
        int64_t row = ((const int64_t *)values)[i];
        float *to = (float *)out.values + i * p.width;
        if (row < 0) row += p.rows;
        if (row < 0 || row >= p.rows)
            memset(to, 0, (size_t)p.width * sizeof *to);
        else
            widen_gathered(&p, row, to);
    }
    mt_value_out_store(&out);
    return MOTET_OK;
}
