/* LinearAttention (Katharopoulos et al., Transformers are RNNs, 2020; Yang et al., Gated Delta Networks, 2024) and
 * CausalConvWithState, the two pieces of recurrent language models: both carry a state from call to call. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ops/support.h"

/* --- LinearAttention ------------------------------------------------------------------------------------------ */

/* The state of a head is a matrix [keys, values]. At each step it decays, is written to (with "delta" only what it does
 * not hold already), and is read by the query heads that share it. */
typedef struct linear_attention {
    int64_t batch, steps, query_heads, heads, keys, values; /* keys, values: sizes of their vectors */
    int64_t decay_width, beta_width;
    bool gated, delta;
    double scale;
    const double *query, *key, *value, *decay, *beta;
    double *state, *out;
} linear_attention;

static void decay_state(const linear_attention *a, int64_t row, int64_t head, double *state)
{
    bool by_key = a->decay_width != a->heads;
    for (int64_t k = 0; k < a->keys; k++) {
        double factor = exp(a->decay[row * a->decay_width + (by_key ? head * a->keys + k : head)]);
        for (int64_t v = 0; v < a->values; v++) state[k * a->values + v] *= factor;
    }
}

static void write_state(const linear_attention *a, int64_t row, int64_t head, double *state)
{
    const double *key = a->key + (row * a->heads + head) * a->keys;
    double beta = a->delta ? a->beta[row * a->beta_width + (a->beta_width == 1 ? 0 : head)] : 1;
    for (int64_t v = 0; v < a->values; v++) {
        double value = a->value[(row * a->heads + head) * a->values + v], held = 0;
        for (int64_t k = 0; k < a->keys && a->delta; k++) held += state[k * a->values + v] * key[k];
        for (int64_t k = 0; k < a->keys; k++) state[k * a->values + v] += key[k] * beta * (value - held);
    }
}

static void read_state(const linear_attention *a, int64_t row, int64_t head, const double *state)
{
    int64_t group = a->query_heads / a->heads;
    for (int64_t reader = head * group; reader < (head + 1) * group; reader++) {
        const double *query = a->query + (row * a->query_heads + reader) * a->keys;
        double *out = a->out + (row * a->query_heads + reader) * a->values;
        for (int64_t v = 0; v < a->values; v++) {
            out[v] = 0;
            for (int64_t k = 0; k < a->keys; k++) out[v] += a->scale * query[k] * state[k * a->values + v];
        }
    }
}

static void attend_heads(void *context, int64_t begin, int64_t end)
{
    const linear_attention *a = context;
    for (int64_t i = begin; i < end; i++) {
        double *state = a->state + i * a->keys * a->values;
        for (int64_t step = 0; step < a->steps; step++) {
            int64_t row = i / a->heads * a->steps + step, head = i % a->heads;
            if (a->gated) decay_state(a, row, head, state);
            write_state(a, row, head, state);
            read_state(a, row, head, state);
        }
    }
}

static motet_status read_rule(mt_op_context *c, linear_attention *a)
{
    const char *rule = mt_attr_string(c, "update_rule", "gated_delta");
    a->gated = !strcmp(rule, "gated") || !strcmp(rule, "gated_delta");
    a->delta = !strcmp(rule, "delta") || !strcmp(rule, "gated_delta");
    if (!a->gated && !a->delta && strcmp(rule, "linear"))
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "update_rule \"%.40s\" is not known", rule);
    if (a->gated != (mt_in(c, 4) != NULL) || a->delta != (mt_in(c, 5) != NULL))
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "decay or beta does not go with update_rule \"%s\"", rule);
    a->query_heads = mt_attr_int(c, "q_num_heads", 0);
    a->heads = mt_attr_int(c, "kv_num_heads", 0);
    if (a->heads > 0 && a->query_heads > 0 && a->query_heads % a->heads == 0) return MOTET_OK;
    return mt_op_fail(c, MOTET_ERROR_FORMAT, "%" PRId64 " heads of queries for %" PRId64, a->query_heads, a->heads);
}

/* Input i, [batch, steps, width], as float64; *width is its last axis. */
static motet_status read_rows(mt_op_context *c, int i, const linear_attention *a, int64_t *width, const double **out)
{
    const motet_tensor *in = mt_in(c, i);
    const void *values;
    if (!in) return MOTET_OK;
    if (in->rank != 3 || in->dims[0] != a->batch || in->dims[1] != a->steps)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d: expected [%" PRId64 ",%" PRId64 ",...]", i, a->batch,
                          a->steps);
    *width = in->dims[2];
    MT_TRY(mt_values(c, in, MOTET_DOUBLE, &values));
    *out = values;
    return MOTET_OK;
}

static motet_status read_inputs(mt_op_context *c, linear_attention *a)
{
    int64_t query = 0, key = 0, value = 0;
    const motet_tensor *in;
    for (int i = 0; i < 3; i++) MT_TRY(mt_need(c, i, &in));
    in = mt_in(c, 0);
    MT_TRY(mt_need_rank(c, 0, 3));
    a->batch = in->dims[0];
    a->steps = in->dims[1];
    MT_TRY(read_rows(c, 0, a, &query, &a->query));
    MT_TRY(read_rows(c, 1, a, &key, &a->key));
    MT_TRY(read_rows(c, 2, a, &value, &a->value));
    MT_TRY(read_rows(c, 4, a, &a->decay_width, &a->decay));
    MT_TRY(read_rows(c, 5, a, &a->beta_width, &a->beta));
    a->keys = query / a->query_heads;
    a->values = value / a->heads;
    bool fits = query == a->query_heads * a->keys && key == a->heads * a->keys && value == a->heads * a->values;
    if (a->gated) fits = fits && (a->decay_width == a->heads || a->decay_width == a->heads * a->keys);
    if (a->delta) fits = fits && (a->beta_width == a->heads || a->beta_width == 1);
    return fits ? MOTET_OK : mt_op_fail(c, MOTET_ERROR_SHAPE, "the inputs do not fit the numbers of heads");
}

/* Output 1 begins as the past state, input 3, or zeros. */
static motet_status start_state(mt_op_context *c, linear_attention *a, mt_value_out *state)
{
    const motet_tensor *past = mt_in(c, 3);
    int64_t dims[4] = {a->batch, a->heads, a->keys, a->values};
    motet_type type = past ? past->type : mt_in(c, 0)->type;
    if (past && (past->rank != 4 || memcmp(past->dims, dims, sizeof dims)))
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "the past state does not fit the other inputs");
    MT_TRY(mt_value_out_make_in(c, 1, type, MOTET_DOUBLE, 4, dims, state));
    a->state = state->values;
    if (past) mt_convert(a->state, MOTET_DOUBLE, past->data, past->type, past->count);
    for (int64_t i = 0; i < state->tensor->count && !past; i++) a->state[i] = 0;
    return MOTET_OK;
}

motet_status mt_op_linear_attention(mt_op_context *c)
{
    linear_attention a = {0};
    mt_value_out out, state;
    MT_TRY(read_rule(c, &a));
    MT_TRY(read_inputs(c, &a));
    a.scale = (double)mt_attr_float(c, "scale", 0);
    if (a.scale == 0) a.scale = 1 / sqrt((double)a.keys);
    MT_TRY(start_state(c, &a, &state));
    int64_t dims[3] = {a.batch, a.steps, a.query_heads * a.values};
    MT_TRY(mt_value_out_make_in(c, 0, mt_in(c, 0)->type, MOTET_DOUBLE, 3, dims, &out));
    a.out = out.values;
    if (out.tensor->count) mt_ranges(c->pool, a.batch * a.heads, 1, attend_heads, &a);
    mt_value_out_store(&out);
    mt_value_out_store(&state);
    return MOTET_OK;
}

/* --- CausalConvWithState -------------------------------------------------------------------------------------- */

/* Each channel is convolved with its own filter, over itself and the k - 1 positions before it that the last call left
 * behind. */
motet_status mt_op_causal_conv_with_state(mt_op_context *c)
{
    const motet_tensor *in, *weights, *bias = mt_in(c, 2), *past = mt_in(c, 3);
    const void *x, *w, *b, *before;
    mt_value_out out, state;
    void *memory;
    const char *activation = mt_attr_string(c, "activation", "none");
    bool silu = !strcmp(activation, "silu") || !strcmp(activation, "swish");
    if (!silu && strcmp(activation, "none"))
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "activation \"%.40s\" is not known", activation);
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_need(c, 1, &weights));
    MT_TRY(mt_need_rank(c, 0, 3));
    MT_TRY(mt_need_rank(c, 1, 3));
    int64_t channels = in->dims[1], length = in->dims[2], k = weights->dims[2];
    int64_t dims[3] = {in->dims[0], channels, k - 1};
    if (k < 1 || weights->dims[0] != channels || weights->dims[1] != 1 || (bias && bias->count != channels) ||
        (past && (past->rank != 3 || memcmp(past->dims, dims, sizeof dims))))
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "weights, bias or past state do not fit %" PRId64 " channels",
                          channels);
    MT_TRY(mt_values(c, in, MOTET_DOUBLE, &x));
    MT_TRY(mt_values(c, weights, MOTET_DOUBLE, &w));
    MT_TRY(mt_values(c, bias, MOTET_DOUBLE, &b));
    MT_TRY(mt_values(c, past, MOTET_DOUBLE, &before));
    MT_TRY(mt_scratch_array(c, length + k - 1, sizeof(double), &memory));
    MT_TRY(mt_value_out_make_in(c, 0, in->type, MOTET_DOUBLE, 3, in->dims, &out));
    MT_TRY(mt_value_out_make_in(c, 1, in->type, MOTET_DOUBLE, 3, dims, &state));
    double *line = memory;
    for (int64_t row = 0; row < dims[0] * channels; row++) {
        const double *filter = (const double *)w + row % channels * k;
        for (int64_t i = 0; i < k - 1; i++) line[i] = before ? ((const double *)before)[row * (k - 1) + i] : 0;
        for (int64_t i = 0; i < length; i++) line[k - 1 + i] = ((const double *)x)[row * length + i];
        for (int64_t i = 0; i < length; i++) {
            double sum = b ? ((const double *)b)[row % channels] : 0;
            for (int64_t tap = 0; tap < k; tap++) sum += filter[tap] * line[i + tap];
            ((double *)out.values)[row * length + i] = silu ? sum / (1 + exp(-sum)) : sum;
        }
        for (int64_t i = 0; i < k - 1; i++) ((double *)state.values)[row * (k - 1) + i] = line[length + i];
    }
    mt_value_out_store(&out);
    mt_value_out_store(&state);
    return MOTET_OK;
}
