/* Attention (opset 23 and later) and RotaryEmbedding.
 *
 * The products are those of kernels/attention.h; what happens to a row of them between - capping, masks, bounds,
 * softmax - is here. Heads that lie side by side in [batch, length, heads * size] are read and written there by their
 * row stride, so nothing is transposed. float64 is computed in float32 too. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "kernels/attention.h"
#include "kernels/rows.h"
#include "ops/support.h"

/* --- operands ------------------------------------------------------------------------------------------------- */

/* Heads of queries, keys or values: row `s` of head h of batch item b begins at
 * data + b * batch_step + h * head_step + s * row_step. */
typedef struct heads {
    const float *data;
    int64_t batch, heads, length, size;
    int64_t batch_step, head_step, row_step;
} heads;

enum { AFTER_PRODUCT, AFTER_CAP, AFTER_BIAS, AFTER_SOFTMAX }; /* qk_matmul_output_mode */

typedef struct attention {
    heads q, k, v;
    float scale, cap;
    bool causal;
    int64_t left, right; /* how far a query may look; -1: no bound */
    const float *mask;   /* NULL: none */
    bool mask_is_bool;
    int64_t mask_dims[4], mask_steps[4];
    const int64_t *valid; /* keys of each batch item that count (nonpad_kv_seqlen), or NULL */
    int64_t past;
    float *y, *scores; /* scores: the optional output, or NULL */
    int64_t y_batch_step, y_head_step, y_row_step;
    int scores_after;
} attention;

static motet_status read_heads(mt_op_context *c, int i, const char *count_name, heads *h)
{
    const motet_tensor *in;
    const void *data;
    MT_TRY(mt_need(c, i, &in));
    if (!mt_is_float(in->type)) return mt_op_fail_type(c, i);
    MT_TRY(mt_values(c, in, MOTET_FLOAT, &data));
    h->data = data;
    h->batch = in->dims[0];
    if (in->rank == 4) {
        h->heads = in->dims[1];
        h->length = in->dims[2];
        h->size = in->dims[3];
        h->row_step = h->size;
        h->head_step = h->length * h->size;
        h->batch_step = h->heads * h->head_step;
        return MOTET_OK;
    }
    int64_t count = mt_attr_int(c, count_name, 0);
    if (in->rank != 3 || count < 1 || in->dims[2] % count)
        return mt_op_fail(c, MOTET_ERROR_SHAPE,
                          "input %d has %d axes and %s is %" PRId64 ": expected 4 axes, or 3 and "
                          "heads that divide the last",
                          i, in->rank, count_name, count);
    h->heads = count;
    h->length = in->dims[1];
    h->size = in->dims[2] / count;
    h->row_step = in->dims[2];
    h->head_step = h->size;
    h->batch_step = h->length * h->row_step;
    return MOTET_OK;
}

/* Puts what came before (input `past_input`) and the new rows one after the other, as [batch, heads, length, size] in
 * output `output`, and makes `h` show that. */
static motet_status append_past(mt_op_context *c, int past_input, int output, heads *h)
{
    const motet_tensor *past = mt_in(c, past_input);
    if (!past && !mt_wanted(c, output)) return MOTET_OK;
    const void *before = NULL;
    int64_t past_length = 0;
    if (past) {
        MT_TRY(mt_need_rank(c, past_input, 4));
        past_length = past->dims[2];
        if (past->dims[0] != h->batch || past->dims[1] != h->heads || past->dims[3] != h->size)
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d does not fit the keys and values", past_input);
        MT_TRY(mt_values(c, past, MOTET_FLOAT, &before));
    }
    int64_t length = past_length + h->length, dims[4] = {h->batch, h->heads, length, h->size};
    int64_t row_count = mt_shape_count(4, dims);
    void *joined;
    mt_value_out out = {0};
    if (mt_wanted(c, output)) {
        MT_TRY(mt_value_out_make_in(c, output, mt_in(c, output)->type, MOTET_FLOAT, 4, dims, &out));
        joined = out.values;
    } else {
        MT_TRY(mt_scratch_array(c, row_count, sizeof(float), &joined));
    }
    size_t row = (size_t)h->size * sizeof(float);
    for (int64_t i = 0; i < h->batch * h->heads; i++) {
        float *to = (float *)joined + i * length * h->size;
        const float *from = h->data + i / h->heads * h->batch_step + i % h->heads * h->head_step;
        if (past_length) memcpy(to, (const float *)before + i * past_length * h->size, (size_t)past_length * row);
        for (int64_t s = 0; s < h->length; s++) memcpy(to + (past_length + s) * h->size, from + s * h->row_step, row);
    }
    if (out.tensor) mt_value_out_store(&out);
    *h = (heads){joined, h->batch, h->heads, length, h->size, h->heads * length * h->size, length * h->size, h->size};
    return MOTET_OK;
}

static motet_status read_mask(mt_op_context *c, attention *a)
{
    const motet_tensor *mask = mt_in(c, 3), *valid = mt_in(c, 6);
    if (valid) {
        if (valid->type != MOTET_INT64) return mt_op_fail_type(c, 6);
        if (valid->count != a->q.batch)
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "input 6 has %" PRId64 " values for %" PRId64 " batch items",
                              valid->count, a->q.batch);
        a->valid = valid->data;
        for (int64_t b = 0; b < a->q.batch; b++)
            if (a->valid[b] < 0 || a->valid[b] > a->k.length)
                return mt_op_fail(c, MOTET_ERROR_SHAPE, "%" PRId64 " of %" PRId64 " keys are to count", a->valid[b],
                                  a->k.length);
    }
    if (!mask) return MOTET_OK;
    if (mask->rank < 1 || mask->rank > 4) return mt_op_fail(c, MOTET_ERROR_SHAPE, "a mask of %d axes", mask->rank);
    int64_t wanted[4] = {a->q.batch, a->q.heads, a->q.length, a->k.length}, strides[MOTET_MAX_RANK];
    mt_strides(mask->rank, mask->dims, strides);
    for (int i = 0; i < 4; i++) {
        int own = i - (4 - mask->rank);
        a->mask_dims[i] = own < 0 ? 1 : mask->dims[own];
        a->mask_steps[i] = own < 0 || (i < 3 && mask->dims[own] == 1) ? 0 : strides[own];
        bool fits = i < 3 ? a->mask_dims[i] == 1 || a->mask_dims[i] == wanted[i] : a->mask_dims[i] <= wanted[i];
        if (!fits)
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "axis %d of the mask has %" PRId64 " elements: expected %" PRId64,
                              own, a->mask_dims[i], wanted[i]);
    }
    const void *values;
    MT_TRY(mt_values(c, mask, MOTET_FLOAT, &values));
    a->mask = values;
    a->mask_is_bool = mask->type == MOTET_BOOL;
    return MOTET_OK;
}

/* --- one row -------------------------------------------------------------------------------------------------- */

/* The keys [*low, *high) that query i of batch item b may see at all. */
static void visible(const attention *a, int64_t b, int64_t i, int64_t *low, int64_t *high)
{
    int64_t place = i + (a->valid ? a->valid[b] - a->q.length : a->past);
    *low = a->left >= 0 ? mt_max(0, place - a->left) : 0;
    *high = a->k.length;
    if (a->causal) *high = mt_min(*high, place + 1);
    if (a->right >= 0) *high = mt_min(*high, place + a->right + 1);
    if (a->valid) *high = mt_min(*high, a->valid[b]);
    *high = mt_max(*high, 0);
    *low = mt_min(*low, *high);
}

/* Adds mask and bounds to a row of scores; false when no key is left. */
static bool add_bias(const attention *a, float *row, int64_t b, int64_t h, int64_t i)
{
    int64_t low, high, mask_length = a->mask ? a->mask_dims[3] : a->k.length;
    bool any = false;
    visible(a, b, i, &low, &high);
    high = mt_min(high, mask_length);
    for (int64_t j = 0; j < mt_min(low, a->k.length); j++) row[j] = -INFINITY;
    if (a->mask) {
        const float *mask = a->mask + b * a->mask_steps[0] + h * a->mask_steps[1] + i * a->mask_steps[2];
        for (int64_t j = low; j < high; j++) {
            float bias = a->mask_is_bool ? (mask[j] != 0 ? 0 : -INFINITY) : mask[j];
            row[j] += bias;
            any = any || bias != -INFINITY;
        }
    } else {
        any = low < high;
    }
    for (int64_t j = mt_max(low, high); j < a->k.length; j++) row[j] = -INFINITY;
    return any;
}

static void cap_scores(const attention *a, float *row)
{
    for (int64_t j = 0; j < a->k.length; j++) row[j] = a->cap * tanhf(row[j] / a->cap);
}

/* From products to probabilities. */
static void finish_row(const void *context, float *row, int64_t b, int64_t h, int64_t i)
{
    const attention *a = context;
    size_t bytes = (size_t)a->k.length * sizeof *row;
    float *record = a->scores ? a->scores + ((b * a->q.heads + h) * a->q.length + i) * a->k.length : NULL;
    if (record && a->scores_after == AFTER_PRODUCT) memcpy(record, row, bytes);
    if (a->cap > 0) cap_scores(a, row);
    if (record && a->scores_after == AFTER_CAP) memcpy(record, row, bytes);
    bool any = add_bias(a, row, b, h, i);
    if (record && a->scores_after == AFTER_BIAS) memcpy(record, row, bytes);
    if (any)
        mt_softmax_row(row, row, a->k.length);
    else
        memset(row, 0, bytes);
    if (record && a->scores_after == AFTER_SOFTMAX) memcpy(record, row, bytes);
}

static mt_heads place_of(const heads *h)
{
    return (mt_heads){(float *)(uintptr_t)h->data, h->batch_step, h->head_step, h->row_step};
}

static motet_status run_attention(mt_op_context *c, const attention *a)
{
    mt_attention work = {.batch = a->q.batch, .heads = a->q.heads, .queries = a->q.length, .keys = a->k.length};
    work.size = a->q.size;
    work.value_size = a->v.size;
    work.sharing = a->q.heads / a->k.heads;
    work.q = place_of(&a->q);
    work.k = place_of(&a->k);
    work.v = place_of(&a->v);
    work.y = (mt_heads){a->y, a->y_batch_step, a->y_head_step, a->y_row_step};
    work.scale = a->scale;
    work.finish = finish_row;
    work.context = a;
    void *scratch;
    int64_t size = mt_attention_scratch(&work);
    if (size < 0) return mt_op_fail(c, MOTET_ERROR_LIMIT, "the sequences are too long");
    MT_TRY(mt_scratch_array(c, size, sizeof(float), &scratch));
    mt_attention_run(c->pool, &work, scratch);
    return MOTET_OK;
}

/* --- the operator --------------------------------------------------------------------------------------------- */

static motet_status check_heads(mt_op_context *c, const attention *a)
{
    const heads *q = &a->q, *k = &a->k, *v = &a->v;
    if (k->batch != q->batch || v->batch != q->batch || k->length != v->length || k->heads != v->heads ||
        k->size != q->size || k->heads < 1 || q->heads % k->heads)
        return mt_op_fail(c, MOTET_ERROR_SHAPE,
                          "queries [%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 "], keys [%" PRId64 ",%" PRId64
                          ",%" PRId64 ",%" PRId64 "] and values [%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64
                          "] (batch, heads, length, size) do not fit together",
                          q->batch, q->heads, q->length, q->size, k->batch, k->heads, k->length, k->size, v->batch,
                          v->heads, v->length, v->size);
    if (q->length > INT32_MAX || k->length > INT32_MAX || q->row_step > INT32_MAX || k->row_step > INT32_MAX ||
        v->row_step > INT32_MAX)
        return mt_op_fail(c, MOTET_ERROR_LIMIT, "the sequences are too long");
    return MOTET_OK;
}

static void read_attributes(mt_op_context *c, attention *a)
{
    a->scale = mt_has_attr(c, "scale") ? mt_attr_float(c, "scale", 1) : 1 / sqrtf((float)a->q.size);
    a->cap = mt_attr_float(c, "softcap", 0);
    a->causal = mt_attr_int(c, "is_causal", 0) != 0;
    a->left = mt_min(mt_attr_int(c, "left_window_size", -1), INT64_MAX / 4); /* added to positions */
    a->right = mt_min(mt_attr_int(c, "right_window_size", -1), INT64_MAX / 4);
    a->scores_after = (int)mt_attr_int(c, "qk_matmul_output_mode", AFTER_PRODUCT);
}

/* The output in the queries' layout. */
static motet_status make_output(mt_op_context *c, attention *a, mt_value_out *out)
{
    const motet_tensor *q = mt_in(c, 0);
    int64_t width;
    if (__builtin_mul_overflow(a->q.heads, a->v.size, &width) || width > INT32_MAX)
        return mt_op_fail(c, MOTET_ERROR_LIMIT, "the heads are too wide");
    if (q->rank == 4) {
        int64_t dims[] = {a->q.batch, a->q.heads, a->q.length, a->v.size};
        MT_TRY(mt_value_out_make_in(c, 0, q->type, MOTET_FLOAT, 4, dims, out));
        a->y_row_step = a->v.size;
        a->y_head_step = a->q.length * a->v.size;
    } else {
        int64_t dims[] = {a->q.batch, a->q.length, width};
        MT_TRY(mt_value_out_make_in(c, 0, q->type, MOTET_FLOAT, 3, dims, out));
        a->y_row_step = width;
        a->y_head_step = a->v.size;
    }
    a->y_batch_step = a->q.length * width;
    a->y = out->values;
    return MOTET_OK;
}

motet_status mt_op_attention(mt_op_context *c)
{
    attention a = {0};
    mt_value_out y, scores = {0};
    MT_TRY(read_heads(c, 0, "q_num_heads", &a.q));
    MT_TRY(read_heads(c, 1, "kv_num_heads", &a.k));
    MT_TRY(read_heads(c, 2, "kv_num_heads", &a.v));
    MT_TRY(check_heads(c, &a));
    if (mt_in(c, 4)) a.past = mt_in(c, 4)->rank == 4 ? mt_in(c, 4)->dims[2] : 0;
    MT_TRY(append_past(c, 4, 1, &a.k));
    MT_TRY(append_past(c, 5, 2, &a.v));
    MT_TRY(check_heads(c, &a));
    MT_TRY(read_mask(c, &a));
    read_attributes(c, &a);
    MT_TRY(make_output(c, &a, &y));
    if (mt_wanted(c, 3)) {
        int64_t dims[] = {a.q.batch, a.q.heads, a.q.length, a.k.length};
        MT_TRY(mt_value_out_make_in(c, 3, mt_in(c, 0)->type, MOTET_FLOAT, 4, dims, &scores));
        a.scores = scores.values;
    }
    if (y.tensor->count) MT_TRY(run_attention(c, &a));
    mt_value_out_store(&y);
    if (scores.tensor) mt_value_out_store(&scores);
    return MOTET_OK;
}

/* --- RotaryEmbedding ------------------------------------------------------------------------------------------ */

typedef struct rotary {
    heads x;
    int64_t half; /* pairs that are turned; what is left of a head stays */
    bool interleaved;
    const float *cos, *sin; /* [positions, half], or [batch, length, half] without positions */
    const void *positions;  /* [batch, length], or NULL */
    float *y;
} rotary;

static void rotate_head(const rotary *r, const float *x, float *y, const float *cosine, const float *sine)
{
    int64_t step = r->interleaved ? 2 : 1, other = r->interleaved ? 1 : r->half;
    for (int64_t i = 0; i < r->half; i++) {
        float a = x[i * step], b = x[i * step + other];
        y[i * step] = cosine[i] * a - sine[i] * b;
        y[i * step + other] = sine[i] * a + cosine[i] * b;
    }
    memcpy(y + 2 * r->half, x + 2 * r->half, (size_t)(r->x.size - 2 * r->half) * sizeof *y);
}

static motet_status rotate_all(mt_op_context *c, const rotary *r, int64_t cached)
{
    const heads *x = &r->x;
    const int64_t *positions = r->positions;
    for (int64_t b = 0; b < x->batch; b++)
        for (int64_t s = 0; s < x->length; s++) {
            int64_t place = positions ? positions[b * x->length + s] : b * x->length + s;
            if (place < 0 || place >= cached)
                return mt_op_fail(c, MOTET_ERROR_SHAPE, "position %" PRId64 " in a cache of %" PRId64, place, cached);
            for (int64_t h = 0; h < x->heads; h++) {
                int64_t at = b * x->batch_step + h * x->head_step + s * x->row_step;
                rotate_head(r, x->data + at, r->y + at, r->cos + place * r->half, r->sin + place * r->half);
            }
        }
    return MOTET_OK;
}

motet_status mt_op_rotary_embedding(mt_op_context *c)
{
    rotary r = {0};
    const motet_tensor *in, *cosine, *sine, *positions = mt_in(c, 3);
    mt_value_out out;
    const void *cos_values, *sin_values;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_need(c, 1, &cosine));
    MT_TRY(mt_need(c, 2, &sine));
    MT_TRY(read_heads(c, 0, "num_heads", &r.x));
    int64_t turned = mt_attr_int(c, "rotary_embedding_dim", 0);
    if (turned == 0) turned = r.x.size;
    if (turned < 2 || turned % 2 || turned > r.x.size)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "rotary_embedding_dim %" PRId64 " of heads of %" PRId64, turned,
                          r.x.size);
    r.half = turned / 2;
    r.interleaved = mt_attr_int(c, "interleaved", 0) != 0;
    if (!mt_same_shape(cosine, sine) || cosine->rank < 1 || cosine->dims[cosine->rank - 1] != r.half)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "the caches must agree and have %" PRId64 " columns", r.half);
    if (positions && positions->type != MOTET_INT64) return mt_op_fail_type(c, 3);
    if (positions && positions->count != r.x.batch * r.x.length)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%" PRId64 " positions for %" PRId64 " rows", positions->count,
                          r.x.batch * r.x.length);
    MT_TRY(mt_values(c, cosine, MOTET_FLOAT, &cos_values));
    MT_TRY(mt_values(c, sine, MOTET_FLOAT, &sin_values));
    MT_TRY(mt_value_out_make_in(c, 0, in->type, MOTET_FLOAT, in->rank, in->dims, &out));
    r.cos = cos_values;
    r.sin = sin_values;
    r.positions = positions ? positions->data : NULL;
    r.y = out.values;
    MT_TRY(rotate_all(c, &r, cosine->count / r.half));
    mt_value_out_store(&out);
    return MOTET_OK;
}
