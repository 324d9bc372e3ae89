/* com.microsoft's attention: Attention, QAttention, MultiHeadAttention, GroupQueryAttention, and its RotaryEmbedding.
 *
 * They differ from the standard's Attention in how queries, keys and values come in and how masks are said. Here all of
 * that is brought to the standard's form - tensors of [batch, length, heads * size], one additive mask - and the
 * standard operator does the rest. A masked key gets mask_filter_value (-10000) added to its score, not minus infinity:
 * rows without any key left are then what ONNX Runtime makes of them. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ops/inner.h"

/* The attention at work, all in float32. */
typedef struct attention {
    int64_t batch, length, heads, kv_heads;
    int64_t total; /* keys, with those of the past */
    motet_tensor q, k, v;
    motet_tensor past[2]; /* rank 0: there is none */
    bool has_past, causal;
    const float *mask; /* [batch or 1, heads or 1, length or 1, total], or NULL */
    int64_t mask_dims[4];
    float filter;
    int present[2]; /* the outputs for keys and values so far, -1: not asked for */
} attention;

static motet_status need_float(mt_op_context *c, int i)
{
    const motet_tensor *in = mt_in(c, i);
    return !in || in->type == MOTET_FLOAT ? MOTET_OK : mt_op_fail_type(c, i);
}

static motet_status need_heads(mt_op_context *c, const char *name, int64_t *out)
{
    *out = mt_attr_int(c, name, 0);
    if (*out >= 1 && *out <= INT32_MAX) return MOTET_OK;
    return mt_op_fail(c, MOTET_ERROR_FORMAT, "%s is %" PRId64, name, *out);
}

/* --- masks ------------------------------------------------------------------------------------------------------ */

/* A mask of these dimensions in scratch, all 0. */
static motet_status make_mask(mt_op_context *c, attention *a, int64_t batch, int64_t heads, int64_t rows, float **out)
{
    int64_t dims[] = {batch, heads, rows, a->total}, count = mt_shape_count(4, dims);
    void *memory;
    MT_TRY(mt_scratch_array(c, count, sizeof(float), &memory));
    memset(memory, 0, (size_t)count * sizeof(float));
    memcpy(a->mask_dims, dims, sizeof dims);
    *out = memory;
    a->mask = memory;
    return MOTET_OK;
}

/* The keys of each item that count, by their number alone or from a start to an end. */
static motet_status mask_by_ends(mt_op_context *c, attention *a, const int32_t *ends, const int32_t *starts)
{
    float *mask;
    MT_TRY(make_mask(c, a, a->batch, 1, 1, &mask));
    for (int64_t b = 0; b < a->batch; b++)
        for (int64_t j = 0; j < a->total; j++)
            if (j >= ends[b] || (starts && j < starts[b])) mask[b * a->total + j] = a->filter;
    return MOTET_OK;
}

/* Input i, int32: [batch] lengths, [2 * batch] ends and starts, [batch, total] or [batch, length, total] of 0 and 1. */
static motet_status read_key_mask(mt_op_context *c, int i, attention *a)
{
    const motet_tensor *in = mt_in(c, i);
    const void *values;
    float *mask;
    a->filter = mt_attr_float(c, "mask_filter_value", -10000);
    if (!in) return MOTET_OK;
    MT_TRY(mt_values(c, in, MOTET_INT32, &values));
    const int32_t *given = values;
    if (in->rank == 1 && in->count == a->batch) return mask_by_ends(c, a, given, NULL);
    if (in->rank == 1 && in->count == 2 * a->batch) return mask_by_ends(c, a, given, given + a->batch);
    int64_t rows = in->rank == 3 ? a->length : 1;
    bool fits = (in->rank == 2 || in->rank == 3) && in->dims[0] == a->batch && in->dims[in->rank - 1] == a->total &&
                (in->rank == 2 || in->dims[1] == rows);
    char text[MT_SHAPE_TEXT];
    if (!fits)
        return mt_op_fail(c, MOTET_ERROR_UNSUPPORTED, "a mask %s for %" PRId64 " x %" PRId64 " x %" PRId64 " scores",
                          mt_tensor_describe(in, text, sizeof text), a->batch, a->length, a->total);
    MT_TRY(make_mask(c, a, a->batch, 1, rows, &mask));
    for (int64_t k = 0; k < in->count; k++) mask[k] = given[k] > 0 ? 0 : a->filter;
    return MOTET_OK;
}

/* Adds input i, [batch or 1, heads or 1, length, total], to the mask. */
static motet_status add_attention_bias(mt_op_context *c, int i, attention *a)
{
    const motet_tensor *in = mt_in(c, i);
    if (!in) return MOTET_OK;
    MT_TRY(need_float(c, i));
    MT_TRY(mt_need_rank(c, i, 4));
    const int64_t wanted[] = {a->batch, a->heads, a->length, a->total};
    for (int k = 0; k < 4; k++)
        if (in->dims[k] != wanted[k] && !(k < 3 && in->dims[k] == 1))
            return mt_op_fail(c, MOTET_ERROR_SHAPE,
                              "axis %d of the attention bias has %" PRId64 " elements, not %" PRId64, k, in->dims[k],
                              wanted[k]);
    if (!a->mask) {
        a->mask = in->data;
        memcpy(a->mask_dims, in->dims, sizeof a->mask_dims);
        return MOTET_OK;
    }
    motet_tensor mask, sum = {0};
    MT_TRY(mt_tensor_wrap(&mask, MOTET_FLOAT, 4, a->mask_dims, a->mask));
    mt_inner inner;
    mt_inner_begin(&inner, c);
    mt_inner_feed(&inner, &mask);
    mt_inner_feed(&inner, in);
    MT_TRY(mt_inner_run(&inner, mt_op_add, 14, 1));
    sum = inner.made[0];
    memcpy(a->mask_dims, sum.dims, sizeof a->mask_dims);
    a->mask = sum.data;
    return MOTET_OK;
}

/* --- the standard operator -------------------------------------------------------------------------------------- */

/* Output 0 from what has been gathered, and the present keys and values where they are wanted. */
static motet_status attend(mt_op_context *c, attention *a)
{
    mt_inner inner;
    motet_tensor mask;
    mt_inner_begin(&inner, c);
    mt_inner_feed(&inner, &a->q);
    mt_inner_feed(&inner, &a->k);
    mt_inner_feed(&inner, &a->v);
    if (a->mask) MT_TRY(mt_tensor_wrap(&mask, MOTET_FLOAT, 4, a->mask_dims, a->mask));
    mt_inner_feed(&inner, a->mask ? &mask : NULL);
    for (int i = 0; i < 2; i++) mt_inner_feed(&inner, a->has_past ? &a->past[i] : NULL);
    mt_inner_int(&inner, "q_num_heads", a->heads);
    mt_inner_int(&inner, "kv_num_heads", a->kv_heads);
    mt_inner_int(&inner, "is_causal", a->causal);
    mt_inner_float(&inner, "softcap", mt_attr_float(c, "softcap", 0));
    float scale = mt_attr_float(c, "scale", 0);
    if (scale != 0) mt_inner_float(&inner, "scale", scale);
    mt_inner_into(&inner, 0, 0);
    for (int i = 0; i < 2; i++) {
        if (a->present[i] < 0)
            mt_inner_unwanted(&inner, i + 1);
        else
            mt_inner_into(&inner, i + 1, a->present[i]);
    }
    return mt_inner_run(&inner, mt_op_attention, 23, 3);
}

/* --- Attention and QAttention ----------------------------------------------------------------------------------- */

/* Columns `first` .. of the projected rows as a tensor of its own, [batch, length, width]. */
static motet_status take_columns(mt_op_context *c, const motet_tensor *rows, int64_t first, int64_t width,
                                 const attention *a, motet_tensor *out)
{
    int64_t dims[] = {a->batch, a->length, width}, all = rows->dims[rows->rank - 1];
    void *memory;
    MT_TRY(mt_scratch_array(c, mt_shape_count(3, dims), sizeof(float), &memory));
    MT_TRY(mt_tensor_wrap(out, MOTET_FLOAT, 3, dims, memory));
    for (int64_t row = 0; row < a->batch * a->length && width; row++)
        memcpy((float *)memory + row * width, (const float *)rows->data + row * all + first,
               (size_t)width * sizeof(float));
    return MOTET_OK;
}

/* Input i, [2, batch, heads, length, size], as past keys and values. */
static motet_status read_joint_past(mt_op_context *c, int i, attention *a)
{
    const motet_tensor *in = mt_in(c, i);
    if (!in) return MOTET_OK;
    MT_TRY(need_float(c, i));
    MT_TRY(mt_need_rank(c, i, 5));
    if (in->dims[0] != 2) return mt_op_fail(c, MOTET_ERROR_SHAPE, "the past must be keys and values");
    a->has_past = true;
    a->total += in->dims[3];
    for (int k = 0; k < 2; k++)
        MT_TRY(mt_tensor_wrap(&a->past[k], MOTET_FLOAT, 4, in->dims + 1, (const float *)in->data + k * in->count / 2));
    return MOTET_OK;
}

/* Output 1: past and new keys and values, [2, batch, heads, total, size]. */
static motet_status put_joint_present(mt_op_context *c, const attention *a)
{
    motet_tensor *out;
    if (!mt_wanted(c, 1)) return MOTET_OK;
    if (a->k.dims[2] != a->v.dims[2]) return mt_op_fail(c, MOTET_ERROR_SHAPE, "keys and values differ in width");
    int64_t size = a->k.dims[2] / a->heads, dims[] = {2, a->batch, a->heads, a->total, size},
            before = a->total - a->length;
    MT_TRY(mt_out(c, 1, MOTET_FLOAT, 5, dims, &out));
    size_t row = (size_t)size * sizeof(float);
    for (int k = 0; k < 2; k++)
        for (int64_t unit = 0; unit < a->batch * a->heads && row; unit++) {
            float *to = (float *)out->data + (k * a->batch * a->heads + unit) * a->total * size;
            const float *fresh = (const float *)(k ? a->v : a->k).data;
            if (before) memcpy(to, (const float *)a->past[k].data + unit * before * size, (size_t)before * row);
            for (int64_t s = 0; s < a->length; s++)
                memcpy(to + (before + s) * size,
                       fresh + ((unit / a->heads * a->length + s) * a->heads + unit % a->heads) * size, row);
        }
    return MOTET_OK;
}

/* Splits `rows`, [batch, length, queries + keys + values], and attends. */
static motet_status attend_projected(mt_op_context *c, const motet_tensor *rows, attention *a, int mask, int past,
                                     int bias)
{
    size_t given;
    const int64_t *sizes = mt_attr_ints(c, "qkv_hidden_sizes", &given);
    int64_t all = rows->dims[rows->rank - 1], width[3] = {all / 3, all / 3, all / 3}, sum = 0, first = 0;
    motet_tensor *to[] = {&a->q, &a->k, &a->v};
    MT_TRY(mt_op_refuse(c, mt_attr_int(c, "do_rotary", 0) != 0, "do_rotary"));
    MT_TRY(mt_op_refuse(c, mt_attr_int(c, "past_present_share_buffer", 0) != 0, "past_present_share_buffer"));
    for (int i = 0; i < 3; i++) {
        if (given == 3) width[i] = sizes[i];
        if (width[i] < 0 || width[i] % a->heads || __builtin_add_overflow(sum, width[i], &sum)) sum = -1;
    }
    if (sum != all)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "weights of %" PRId64 " columns do not divide into %" PRId64 " heads",
                          all, a->heads);
    for (int i = 0; i < 3; i++) {
        MT_TRY(take_columns(c, rows, first, width[i], a, to[i]));
        first += width[i];
    }
    a->kv_heads = a->heads;
    a->total = a->length;
    a->causal = mt_attr_int(c, "unidirectional", 0) != 0;
    a->present[0] = a->present[1] = -1;
    MT_TRY(read_joint_past(c, past, a));
    MT_TRY(read_key_mask(c, mask, a));
    MT_TRY(add_attention_bias(c, bias, a));
    MT_TRY(put_joint_present(c, a));
    return attend(c, a);
}

static motet_status read_projected(mt_op_context *c, attention *a)
{
    const motet_tensor *in;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_need_rank(c, 0, 3));
    MT_TRY(need_heads(c, "num_heads", &a->heads));
    a->batch = in->dims[0];
    a->length = in->dims[1];
    return MOTET_OK;
}

/* Inputs: rows, merged weights, bias, mask, past, attention bias. */
static motet_status attention_projected(mt_op_context *c)
{
    attention a = {0};
    mt_inner inner;
    const motet_tensor *weights, *bias = mt_in(c, 2);
    MT_TRY(read_projected(c, &a));
    MT_TRY(mt_need(c, 1, &weights));
    MT_TRY(need_float(c, 0));
    MT_TRY(need_float(c, 2));
    mt_inner_begin(&inner, c);
    mt_inner_feed(&inner, mt_in(c, 0));
    mt_inner_feed(&inner, weights);
    MT_TRY(mt_inner_run(&inner, mt_op_matmul, 13, 1));
    motet_tensor *rows = &inner.made[0];
    int64_t width = rows->dims[rows->rank - 1];
    if (rows->rank != 3 || (bias && bias->count != width))
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "the weights or the bias do not fit the input");
    for (int64_t i = 0; i < rows->count && bias; i++)
        ((float *)rows->data)[i] += ((const float *)bias->data)[i % width];
    return attend_projected(c, rows, &a, 3, 4, 5);
}

motet_status mt_op_attention_microsoft(mt_op_context *c)
{
    return mt_inner_in_float(c, attention_projected);
}

/* Inputs: rows, merged weights, bias, their scales, mask, zero points, past. */
motet_status mt_op_qattention(mt_op_context *c)
{
    attention a = {0};
    mt_inner inner;
    static const int order[] = {0, 1, 3, 4, 6, 7, 2}; /* as MatMulIntegerToFloat has them */
    MT_TRY(read_projected(c, &a));
    mt_inner_begin(&inner, c);
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) mt_inner_feed(&inner, mt_in(c, order[i]));
    MT_TRY(mt_inner_run(&inner, mt_op_matmul_integer_to_float, 1, 1));
    if (inner.made[0].rank != 3) return mt_op_fail(c, MOTET_ERROR_SHAPE, "the weights do not fit the input");
    return attend_projected(c, &inner.made[0], &a, 5, 8, -1);
}

/* --- MultiHeadAttention ----------------------------------------------------------------------------------------- */

/* Part `part` of a packed [batch, length, heads, parts, size] as [batch, length, heads * size]. */
static motet_status unpack(mt_op_context *c, const motet_tensor *in, int64_t part, motet_tensor *out)
{
    int64_t heads = in->dims[2], parts = in->dims[3], size = in->dims[4];
    int64_t dims[] = {in->dims[0], in->dims[1], heads * size}, units = mt_span(in->dims, 0, 3);
    void *memory;
    if (in->type != MOTET_FLOAT)
        return mt_op_fail(c, MOTET_ERROR_UNSUPPORTED, "packed heads of %s", motet_type_name(in->type));
    MT_TRY(mt_scratch_array(c, units * size, sizeof(float), &memory));
    for (int64_t i = 0; i < units && size; i++)
        memcpy((float *)memory + i * size, (const float *)in->data + (i * parts + part) * size,
               (size_t)size * sizeof(float));
    return mt_tensor_wrap(out, MOTET_FLOAT, 3, dims, memory);
}

/* Input i: [batch, length, width], or already [batch, heads, length, size]. */
static motet_status plain_heads(mt_op_context *c, int i, motet_tensor *out)
{
    const motet_tensor *in;
    MT_TRY(mt_need(c, i, &in));
    MT_TRY(need_float(c, i));
    if (in->rank != 3 && in->rank != 4)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d has %d axes: expected 3 or 4", i, in->rank);
    return mt_tensor_wrap(out, MOTET_FLOAT, in->rank, in->dims, in->data);
}

static motet_status read_unpacked(mt_op_context *c, attention *a)
{
    const motet_tensor *q, *k = mt_in(c, 1);
    MT_TRY(mt_need(c, 0, &q));
    if (q->rank == 5 && q->dims[3] == 3 && !k) {
        MT_TRY(unpack(c, q, 0, &a->q));
        MT_TRY(unpack(c, q, 1, &a->k));
        return unpack(c, q, 2, &a->v);
    }
    MT_TRY(plain_heads(c, 0, &a->q));
    if (a->q.rank != 3) return mt_op_fail(c, MOTET_ERROR_SHAPE, "the queries have %d axes: expected 3", q->rank);
    if (k && k->rank == 5 && k->dims[3] == 2) {
        MT_TRY(unpack(c, k, 0, &a->k));
        return unpack(c, k, 1, &a->v);
    }
    MT_TRY(plain_heads(c, 1, &a->k));
    return plain_heads(c, 2, &a->v);
}

/* Adds columns `first` .. of input 3 to rows, in a copy of them. */
static motet_status add_projection_bias(mt_op_context *c, int64_t first, motet_tensor *rows)
{
    const motet_tensor *bias = mt_in(c, 3);
    int64_t width = rows->dims[rows->rank - 1];
    void *memory;
    if (!bias || rows->rank != 3) return MOTET_OK;
    if (bias->type != MOTET_FLOAT || first + width > bias->count)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "the bias does not fit queries, keys and values");
    MT_TRY(mt_scratch_array(c, rows->count, sizeof(float), &memory));
    float *y = memory;
    for (int64_t i = 0; i < rows->count; i++)
        y[i] = ((const float *)rows->data)[i] + ((const float *)bias->data)[first + i % width];
    return mt_tensor_wrap(rows, MOTET_FLOAT, 3, rows->dims, memory);
}

/* Inputs: queries, keys, values, bias, key mask, attention bias, past keys, past values. */
static motet_status multi_head_attention(mt_op_context *c)
{
    attention a = {.present = {1, 2}};
    MT_TRY(need_heads(c, "num_heads", &a.heads));
    MT_TRY(read_unpacked(c, &a));
    MT_TRY(mt_op_refuse(c, mt_in(c, 8), "past_sequence_length"));
    MT_TRY(mt_op_refuse(c, mt_in(c, 9), "cache_indirection"));
    MT_TRY(mt_op_refuse(c, mt_wanted(c, 3), "the output qk"));
    a.kv_heads = a.heads;
    a.batch = a.q.dims[0];
    a.length = a.q.dims[1];
    a.total = a.k.dims[a.k.rank == 4 ? 2 : 1];
    a.causal = mt_attr_int(c, "unidirectional", 0) != 0;
    int64_t q_width = a.q.dims[2], k_width = a.k.rank == 3 ? a.k.dims[2] : q_width;
    MT_TRY(add_projection_bias(c, 0, &a.q));
    MT_TRY(add_projection_bias(c, q_width, &a.k));
    MT_TRY(add_projection_bias(c, q_width + k_width, &a.v));
    const motet_tensor *past_keys = mt_in(c, 6), *past_values = mt_in(c, 7);
    if (past_keys && past_values) {
        for (int i = 6; i < 8; i++) MT_TRY(mt_need_rank(c, i, 4));
        MT_TRY(plain_heads(c, 6, &a.past[0]));
        MT_TRY(plain_heads(c, 7, &a.past[1]));
        a.has_past = true;
        a.total += past_keys->dims[2];
    }
    MT_TRY(read_key_mask(c, 4, &a));
    MT_TRY(add_attention_bias(c, 5, &a));
    return attend(c, &a);
}

motet_status mt_op_multi_head_attention(mt_op_context *c)
{
    return mt_inner_in_float(c, multi_head_attention);
}

/* --- RotaryEmbedding -------------------------------------------------------------------------------------------- */

/* x, [batch, length, heads * size] or [batch, heads, length, size], turned by the caches at `positions`, which holds a
 * position for each of batch * length rows. The result is output `into`, or inner->made[0] when that is -1. */
static motet_status rotate(mt_op_context *c, mt_inner *inner, const motet_tensor *x, int64_t heads,
                           const motet_tensor *cosine, const motet_tensor *sine, const motet_tensor *positions,
                           int64_t turned, bool interleaved, int into)
{
    mt_inner_begin(inner, c);
    mt_inner_feed(inner, x);
    mt_inner_feed(inner, cosine);
    mt_inner_feed(inner, sine);
    mt_inner_feed(inner, positions);
    mt_inner_int(inner, "num_heads", heads);
    mt_inner_int(inner, "rotary_embedding_dim", turned);
    mt_inner_int(inner, "interleaved", interleaved);
    if (into >= 0) mt_inner_into(inner, 0, into);
    return mt_inner_run(inner, mt_op_rotary_embedding, 23, 1);
}

/* [batch, length] positions in scratch: starts[b] and on. */
static motet_status make_positions(mt_op_context *c, int64_t batch, int64_t length, const int64_t *starts, int64_t step,
                                   motet_tensor *out)
{
    int64_t dims[] = {batch, length};
    void *memory;
    MT_TRY(mt_scratch_array(c, mt_shape_count(2, dims), sizeof(int64_t), &memory));
    for (int64_t b = 0; b < batch; b++)
        for (int64_t s = 0; s < length; s++) /* beyond the last number it wraps, to one that no cache has */
            ((int64_t *)memory)[b * length + s] = (int64_t)((uint64_t)starts[b * step] + (uint64_t)s);
    return mt_tensor_wrap(out, MOTET_INT64, 2, dims, memory);
}

/* Inputs: x, positions ([1]: where all begin; or [batch, length]), caches [positions, half]. */
motet_status mt_op_rotary_embedding_microsoft(mt_op_context *c)
{
    const motet_tensor *x, *given, *cosine, *sine;
    motet_tensor made, *positions = &made;
    mt_inner inner;
    const void *starts;
    MT_TRY(mt_need(c, 0, &x));
    MT_TRY(mt_need(c, 1, &given));
    MT_TRY(mt_need(c, 2, &cosine));
    MT_TRY(mt_need(c, 3, &sine));
    if (x->rank != 3 && x->rank != 4) return mt_op_fail(c, MOTET_ERROR_SHAPE, "an input of %d axes", x->rank);
    MT_TRY(mt_op_refuse(c, mt_attr_int(c, "is_packed_batching", 0) != 0, "is_packed_batching"));
    MT_TRY(mt_op_refuse(c, mt_attr_float(c, "scale", 1) != 1, "scale"));
    int64_t length = x->dims[x->rank - 2], turned = mt_attr_int(c, "rotary_embedding_dim", 0);
    int64_t heads = mt_attr_int(c, "num_heads", 0);
    if (x->rank == 3 && heads == 0 && cosine->rank == 2 && cosine->dims[1] > 0)
        heads = x->dims[2] / (2 * cosine->dims[1]);
    MT_TRY(mt_values(c, given, MOTET_INT64, &starts));
    if (given->count == 1)
        MT_TRY(make_positions(c, x->dims[0], length, starts, 0, &made));
    else
        MT_TRY(mt_tensor_wrap(&made, MOTET_INT64, given->rank, given->dims, starts));
    return rotate(c, &inner, x, heads, cosine, sine, positions, turned, mt_attr_int(c, "interleaved", 0) != 0, 0);
}

/* --- GroupQueryAttention ---------------------------------------------------------------------------------------- */

typedef struct grouped {
    attention a;
    int64_t size;        /* of a head */
    int64_t *before;     /* how many keys of the past each item has */
    const int64_t *last; /* the last key of each item */
    mt_inner rotated[2];
    motet_tensor positions;
} grouped;

/* Queries, keys and values: apart, or packed side by side in input 0. */
static motet_status read_grouped(mt_op_context *c, grouped *g)
{
    attention *a = &g->a;
    MT_TRY(need_heads(c, "num_heads", &a->heads));
    MT_TRY(need_heads(c, "kv_num_heads", &a->kv_heads));
    MT_TRY(plain_heads(c, 0, &a->q));
    motet_tensor rows = a->q;
    if (rows.rank != 3 || a->heads % a->kv_heads)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%" PRId64 " heads share %" PRId64 ", over %d axes", a->heads,
                          a->kv_heads, rows.rank);
    a->batch = rows.dims[0];
    a->length = rows.dims[1];
    bool packed = !mt_in(c, 1);
    int64_t parts = packed ? a->heads + 2 * a->kv_heads : a->heads;
    g->size = rows.dims[2] / parts;
    if (rows.dims[2] % parts)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "rows do not divide into %" PRId64 " heads", parts);
    if (packed) {
        MT_TRY(take_columns(c, &rows, 0, a->heads * g->size, a, &a->q));
        MT_TRY(take_columns(c, &rows, a->heads * g->size, a->kv_heads * g->size, a, &a->k));
        return take_columns(c, &rows, (a->heads + a->kv_heads) * g->size, a->kv_heads * g->size, a, &a->v);
    }
    MT_TRY(plain_heads(c, 1, &a->k));
    MT_TRY(plain_heads(c, 2, &a->v));
    for (int i = 0; i < 2; i++) {
        const motet_tensor *in = i ? &a->v : &a->k;
        if (in->rank != 3 || in->dims[0] != a->batch || in->dims[1] != a->length ||
            in->dims[2] != a->kv_heads * g->size)
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "the keys or values do not fit the queries");
    }
    return MOTET_OK;
}

/* seqlens_k (input 5) holds the number of keys of each item, less one; input 6 the longest. Past keys fill the front of
 * a cache that may be longer. */
static motet_status read_lengths(mt_op_context *c, grouped *g)
{
    attention *a = &g->a;
    const motet_tensor *lengths, *longest, *past = mt_in(c, 3);
    const void *values;
    void *memory;
    int64_t total = 0;
    MT_TRY(mt_need(c, 5, &lengths));
    MT_TRY(mt_need(c, 6, &longest));
    if (lengths->count != a->batch || longest->count != 1 || !mt_is_number(longest->type))
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "inputs 5 and 6 must be a length for each item, and one");
    MT_TRY(mt_values(c, lengths, MOTET_INT64, &values));
    mt_convert(&total, MOTET_INT64, longest->data, longest->type, 1);
    int64_t cached = past && past->rank == 4 ? past->dims[2] : 0;
    a->total = mt_max(total, cached);
    MT_TRY(mt_scratch_array(c, a->batch, sizeof(int64_t), &memory));
    g->before = memory;
    g->last = values;
    for (int64_t b = 0; b < a->batch; b++) {
        int64_t own = ((const int64_t *)values)[b];
        bool first = total == a->length; /* a prompt: shorter ones of the batch are padded behind */
        g->before[b] = first ? 0 : own + 1 - a->length;
        if (total < a->length || g->before[b] < 0 || g->before[b] > cached || g->before[b] + a->length > a->total ||
            own < 0)
            return mt_op_fail(c, MOTET_ERROR_SHAPE,
                              "item %" PRId64 " has %" PRId64 " keys, of which %" PRId64
                              " are new, in a cache of %" PRId64,
                              b, own + 1, a->length, a->total);
    }
    return MOTET_OK;
}

static motet_status rotate_grouped(mt_op_context *c, grouped *g)
{
    const motet_tensor *cosine, *sine, *given = mt_in(c, 9);
    attention *a = &g->a;
    if (!mt_attr_int(c, "do_rotary", 0)) return MOTET_OK;
    MT_TRY(mt_need(c, 7, &cosine));
    MT_TRY(mt_need(c, 8, &sine));
    if (cosine->rank != 2) return mt_op_fail(c, MOTET_ERROR_SHAPE, "the caches have %d axes", cosine->rank);
    if (given && given->count != a->batch * a->length)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%" PRId64 " positions for %" PRId64 " rows", given->count,
                          a->batch * a->length);
    if (given) {
        const void *values;
        MT_TRY(mt_values(c, given, MOTET_INT64, &values));
        MT_TRY(mt_tensor_wrap(&g->positions, MOTET_INT64, given->rank, given->dims, values));
    } else {
        MT_TRY(make_positions(c, a->batch, a->length, g->before, 1, &g->positions));
    }
    bool interleaved = mt_attr_int(c, "rotary_interleaved", 0) != 0;
    for (int i = 0; i < 2; i++) {
        motet_tensor *x = i ? &a->k : &a->q;
        MT_TRY(rotate(c, &g->rotated[i], x, i ? a->kv_heads : a->heads, cosine, sine, &g->positions,
                      2 * cosine->dims[1], interleaved, -1));
        *x = g->rotated[i].made[0];
    }
    return MOTET_OK;
}

/* Output `output`: the past of input `past` and the new rows behind it, [batch, heads, total, size]. `rows` then shows
 * that. */
static motet_status append_grouped(mt_op_context *c, grouped *g, int past_input, int output, motet_tensor *rows)
{
    attention *a = &g->a;
    const motet_tensor *past = mt_in(c, past_input);
    int64_t dims[] = {a->batch, a->kv_heads, a->total, g->size}, cached = 0;
    void *memory;
    MT_TRY(need_float(c, past_input));
    if (past) {
        MT_TRY(mt_need_rank(c, past_input, 4));
        cached = past->dims[2];
        if (past->dims[0] != dims[0] || past->dims[1] != dims[1] || past->dims[3] != dims[3])
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d does not fit the keys and values", past_input);
    }
    if (mt_wanted(c, output)) {
        motet_tensor *out;
        MT_TRY(mt_out(c, output, MOTET_FLOAT, 4, dims, &out));
        memory = out->data;
    } else {
        MT_TRY(mt_scratch_array(c, mt_shape_count(4, dims), sizeof(float), &memory));
    }
    memset(memory, 0, (size_t)mt_shape_count(4, dims) * sizeof(float));
    size_t row = (size_t)g->size * sizeof(float);
    for (int64_t unit = 0; unit < a->batch * a->kv_heads && row; unit++) {
        int64_t b = unit / a->kv_heads, h = unit % a->kv_heads, before = g->before[b];
        float *to = (float *)memory + unit * a->total * g->size;
        if (before) memcpy(to, (const float *)past->data + unit * cached * g->size, (size_t)before * row);
        for (int64_t s = 0; s < a->length; s++)
            memcpy(to + (before + s) * g->size,
                   (const float *)rows->data + ((b * a->length + s) * a->kv_heads + h) * g->size, row);
    }
    return mt_tensor_wrap(rows, MOTET_FLOAT, 4, dims, memory);
}

/* A query sees the keys up to its own place, or all there are, and no further back than the window. */
static motet_status mask_grouped(mt_op_context *c, grouped *g)
{
    attention *a = &g->a;
    int64_t window = mt_attr_int(c, "local_window_size", -1);
    bool causal = mt_attr_int(c, "causal", 1) != 0;
    float *mask;
    MT_TRY(make_mask(c, a, a->batch, 1, a->length, &mask));
    for (int64_t b = 0; b < a->batch; b++)
        for (int64_t s = 0; s < a->length; s++)
            for (int64_t j = 0, place = g->before[b] + s; j < a->total; j++)
                if (j > (causal ? place : g->last[b]) || (window > 0 && place - j >= window))
                    mask[(b * a->length + s) * a->total + j] = -INFINITY;
    return add_attention_bias(c, 10, a);
}

/* Inputs: queries, keys, values, past keys, past values, lengths, longest, caches, positions, attention bias. */
static motet_status group_query_attention(mt_op_context *c)
{
    static const char *const beyond[] = {"head_sink", "k_scale", "v_scale", "q_norm_weight", "k_norm_weight"};
    static const char *const options[] = {"sliding_window_cache", "qk_output", "kv_cache_bit_width"};
    grouped g = {.a = {.present = {-1, -1}}};
    for (int i = 11; i < c->in_count; i++)
        MT_TRY(mt_op_refuse(c, mt_in(c, i), i < 16 ? beyond[i - 11] : "an input after k_norm_weight"));
    for (int i = 0; i < 3; i++) MT_TRY(mt_op_refuse(c, mt_attr_int(c, options[i], 0) != 0, options[i]));
    MT_TRY(mt_op_refuse(c, mt_attr_int(c, "smooth_softmax", 0) > 0, "smooth_softmax"));
    MT_TRY(mt_op_refuse(c, mt_wanted(c, 3), "the output output_qk"));
    MT_TRY(read_grouped(c, &g));
    MT_TRY(read_lengths(c, &g));
    MT_TRY(rotate_grouped(c, &g));
    MT_TRY(append_grouped(c, &g, 3, 1, &g.a.k));
    MT_TRY(append_grouped(c, &g, 4, 2, &g.a.v));
    MT_TRY(mask_grouped(c, &g));
    return attend(c, &g.a);
}

motet_status mt_op_group_query_attention(mt_op_context *c)
{
    return mt_inner_in_float(c, group_query_attention);
}
