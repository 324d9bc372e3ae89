/* FlexAttention (ai.onnx.preview; Dong et al., Flex Attention, 2024): attention whose scores and probabilities may each
 * be changed by a graph of the node. The graphs see tensors of the type that the softmax is computed in. */
#include <inttypes.h>
#include <math.h>

#include "graph/graph.h"
#include "ops/support.h"

typedef struct flex {
    int64_t batch, heads, length, size; /* of the queries */
    int64_t key_heads, key_length, value_size;
    motet_type precision; /* of the softmax */
} flex;

static motet_status read_flex(mt_op_context *c, flex *f)
{
    const motet_tensor *in[3];
    for (int i = 0; i < 3; i++) {
        MT_TRY(mt_need(c, i, &in[i]));
        MT_TRY(mt_need_rank(c, i, 4));
        if (!mt_is_float(in[i]->type) || in[i]->type != in[0]->type) return mt_op_fail_type(c, i);
    }
    const int64_t *q = in[0]->dims, *k = in[1]->dims, *v = in[2]->dims;
    *f = (flex){q[0], q[1], q[2], q[3], k[1], k[2], v[3], mt_working_type(in[0]->type)};
    bool fits = k[0] == q[0] && v[0] == q[0] && v[1] == k[1] && v[2] == k[2] && k[3] == q[3] && k[1] > 0;
    if (!fits || q[1] % k[1]) return mt_op_fail(c, MOTET_ERROR_SHAPE, "queries, keys and values do not fit each other");
    int64_t precision = mt_attr_int(c, "softmax_precision", f->precision);
    f->precision = (motet_type)precision;
    if (precision > 0 && precision < MT_TYPES && mt_is_float(f->precision)) return MOTET_OK;
    return mt_op_fail(c, MOTET_ERROR_UNSUPPORTED, "softmax_precision %" PRId64 " is not supported", precision);
}

/* Elements as float64, multiplied and rounded to their own type on the way. */
static motet_status scaled(mt_op_context *c, const motet_tensor *in, double factor, double **out)
{
    void *values, *rounded;
    MT_TRY(mt_scratch_array(c, in->count, sizeof(double), &values));
    MT_TRY(mt_scratch_array(c, in->count, motet_type_size(in->type), &rounded));
    *out = values;
    mt_convert(values, MOTET_DOUBLE, in->data, in->type, in->count);
    for (int64_t i = 0; i < in->count; i++) (*out)[i] *= factor;
    mt_convert(rounded, in->type, values, MOTET_DOUBLE, in->count);
    mt_convert(values, MOTET_DOUBLE, rounded, in->type, in->count);
    return MOTET_OK;
}

/* The products of queries and keys, [batch, heads, length, key_length], each factor with the root of the scale. */
static motet_status make_scores(mt_op_context *c, const flex *f, motet_tensor *scores)
{
    double *q, *k, scale = (double)mt_attr_float(c, "scale", 0), factor;
    motet_type type = mt_in(c, 0)->type;
    if (!mt_has_attr(c, "scale")) scale = 1 / sqrt((double)f->size);
    factor = (double)sqrtf((float)scale);
    MT_TRY(scaled(c, mt_in(c, 0), factor, &q));
    MT_TRY(scaled(c, mt_in(c, 1), factor, &k));
    int64_t dims[4] = {f->batch, f->heads, f->length, f->key_length}, group = f->heads / f->key_heads;
    MT_TRY(mt_item_alloc(c, scores, f->precision, 4, dims));
    for (int64_t i = 0; i < scores->count; i++) {
        int64_t row = i / f->key_length, head = row / f->length, batch = head / f->heads;
        int64_t key_head = batch * f->key_heads + head % f->heads / group;
        const double *a = q + row * f->size, *b = k + (key_head * f->key_length + i % f->key_length) * f->size;
        double sum = 0;
        uint64_t rounded;
        for (int64_t e = 0; e < f->size; e++) sum += a[e] * b[e];
        mt_convert(&rounded, type, &sum, MOTET_DOUBLE, 1);
        mt_convert(mt_at(scores, i), f->precision, &rounded, type, 1);
    }
    return MOTET_OK;
}

/* Replaces `value` by what the graph `name` makes of it, where the node has that graph. */
static motet_status modify(mt_op_context *c, const char *name, motet_tensor *value)
{
    const mt_graph *graph = mt_attr_graph(c, name);
    motet_tensor made = {0};
    if (!graph) return MOTET_OK;
    MT_TRY_AS(mt_run_graph(c, graph, (const motet_tensor *[]){value}, 1, &made, 1), "%s", name);
    if (made.kind != MOTET_TENSOR || made.type != value->type || !mt_same_shape(&made, value)) {
        mt_tensor_clear(&made);
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%s changes the type or shape", name);
    }
    mt_tensor_clear(value);
    *value = made;
    return MOTET_OK;
}

static motet_status softmax(mt_op_context *c, const flex *f, const motet_tensor *scores, motet_tensor *out)
{
    void *memory;
    MT_TRY(mt_scratch_array(c, f->key_length, sizeof(double), &memory));
    MT_TRY(mt_item_alloc(c, out, scores->type, scores->rank, scores->dims));
    double *row = memory;
    for (int64_t start = 0; start < scores->count; start += f->key_length) {
        double most = -(double)INFINITY, sum = 0;
        mt_convert(row, MOTET_DOUBLE, mt_at(scores, start), scores->type, f->key_length);
        for (int64_t i = 0; i < f->key_length; i++) most = fmax(most, row[i]);
        for (int64_t i = 0; i < f->key_length; i++) sum += row[i] = exp(row[i] - most);
        for (int64_t i = 0; i < f->key_length; i++) row[i] /= sum;
        mt_convert(mt_at(out, start), out->type, row, MOTET_DOUBLE, f->key_length);
    }
    return MOTET_OK;
}

static motet_status weigh_values(mt_op_context *c, const flex *f, const motet_tensor *chances)
{
    const motet_tensor *in = mt_in(c, 2);
    mt_value_out out;
    const void *v, *p;
    int64_t dims[4] = {f->batch, f->heads, f->length, f->value_size}, group = f->heads / f->key_heads;
    MT_TRY(mt_values(c, in, MOTET_DOUBLE, &v));
    MT_TRY(mt_values(c, chances, MOTET_DOUBLE, &p));
    MT_TRY(mt_value_out_make_in(c, 0, in->type, MOTET_DOUBLE, 4, dims, &out));
    for (int64_t i = 0; i < out.tensor->count; i++) {
        int64_t row = i / f->value_size, head = row / f->length, batch = head / f->heads;
        int64_t key_head = batch * f->key_heads + head % f->heads / group;
        double sum = 0;
        for (int64_t k = 0; k < f->key_length; k++)
            sum += ((const double *)p)[row * f->key_length + k] *
                   ((const double *)v)[(key_head * f->key_length + k) * f->value_size + i % f->value_size];
        ((double *)out.values)[i] = sum;
    }
    mt_value_out_store(&out);
    return MOTET_OK;
}

static motet_status attend(mt_op_context *c, const flex *f, motet_tensor *scores, motet_tensor *chances)
{
    MT_TRY(make_scores(c, f, scores));
    MT_TRY(modify(c, "score_mod", scores));
    MT_TRY(softmax(c, f, scores, chances));
    MT_TRY(modify(c, "prob_mod", chances));
    return weigh_values(c, f, chances);
}

motet_status mt_op_flex_attention(mt_op_context *c)
{
    flex f;
    motet_tensor scores = {0}, chances = {0};
    MT_TRY(read_flex(c, &f));
    motet_status status = attend(c, &f, &scores, &chances);
    mt_tensor_clear(&scores);
    mt_tensor_clear(&chances);
    return status;
}
