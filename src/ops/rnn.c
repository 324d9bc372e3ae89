/* LSTM, GRU and RNN, as the standard defines them: any activations, peepholes, clipping, sequence lengths, both
 * directions, both layouts.
 *
 * The gates' input part, X * W^T + b, is one matrix product for all steps; what remains in a step is H * R^T and the
 * cell. Rows (batch items) whose sequence has ended keep their state. Everything, float64 too, is computed in float32.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ops/named_activation.h"
#include "ops/inner.h"
#include "ops/matmul.h"

/* --- activations ---------------------------------------------------------------------------------------------- */

/* `each` activations for each direction, by name or the cell's own. alpha and beta are given, if at all, in the order
 * of the activations that take them. */
static motet_status read_activations(mt_op_context *c, const char *const *own, int each, int directions,
                                     mt_named_activation *out)
{
    size_t named, alphas, betas, alpha = 0, beta = 0;
    const mt_string *names = mt_attr_strings(c, "activations", &named);
    const float *a = mt_attr_floats(c, "activation_alpha", &alphas), *b = mt_attr_floats(c, "activation_beta", &betas);
    if (names && named != (size_t)(each * directions))
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "%zu activations: expected %d", named, each * directions);
    for (int i = 0; i < each * directions; i++) {
        const char *name = names ? (names[i].bytes ? names[i].bytes : "") : own[i % each];
        MT_TRY(mt_named_activation_find(c, name, &out[i]));
        if (out[i].takes > 0 && alpha < alphas) out[i].a = a[alpha++];
        if (out[i].takes > 1 && beta < betas) out[i].b = b[beta++];
    }
    return MOTET_OK;
}

/* --- shapes and memory ---------------------------------------------------------------------------------------- */

typedef struct recurrent recurrent;

/* One direction of one layer. Gates lie side by side in rows of gates * hidden floats. */
typedef struct direction {
    const recurrent *net;
    bool backwards;
    const mt_named_activation *act;
    const float *r, *bias, *peepholes; /* this direction's part; bias and peepholes may be NULL */
    const float *w_packed, *r_packed;
    float *input_part;  /* [steps * batch, gates * hidden] */
    float *hidden_part; /* [batch, gates * hidden] */
    float *h, *c;       /* [batch, hidden] */
    float *rounded;     /* h in 8 bits, where that is asked for */
    float *y;           /* this direction's first row in the output Y, or NULL */
} direction;

/* Moves one batch item a step on: x and rec are its rows of the input and the hidden part, which may be overwritten. */
typedef void (*cell_function)(const direction *d, float *x, float *rec, float *h, float *c);

struct recurrent {
    cell_function cell;
    int gates, each; /* gates of a cell, activations of a direction */
    int directions;
    bool batch_first, input_forget, linear_before_reset;
    bool eight_bits; /* inputs, all together, and each item's hidden state pass through 8 bits before products */
    float clip;      /* infinity: none */
    int64_t steps, batch, inputs, hidden;
    const int32_t *lengths; /* of the sequences, NULL: all of them `steps` */
    const float *x;
    direction direction[2];
    mt_named_activation act[6];
};

static motet_status check_shape(mt_op_context *c, int i, int rank, const int64_t *dims)
{
    const motet_tensor *in = mt_in(c, i);
    if (!in) return MOTET_OK;
    bool fits = in->rank == rank;
    for (int k = 0; k < rank && fits; k++) fits = in->dims[k] == dims[k];
    char got[MT_SHAPE_TEXT], wanted[MT_SHAPE_TEXT];
    return fits ? MOTET_OK
                : mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d is %s: expected %s", i,
                             mt_tensor_describe(in, got, sizeof got), mt_shape_text(rank, dims, wanted, sizeof wanted));
}

static motet_status read_direction(mt_op_context *c, recurrent *n)
{
    const char *name = mt_attr_string(c, "direction", "forward");
    bool both = strcmp(name, "bidirectional") == 0, reverse = strcmp(name, "reverse") == 0;
    if (!both && !reverse && strcmp(name, "forward") != 0)
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "direction \"%s\" is not known", name);
    n->directions = both ? 2 : 1;
    n->direction[0].backwards = reverse;
    n->direction[1].backwards = true;
    return MOTET_OK;
}

/* [directions, batch, hidden], or with the batch first. */
static void state_dims(const recurrent *n, int64_t *dims)
{
    dims[0] = n->batch_first ? n->batch : n->directions;
    dims[1] = n->batch_first ? n->directions : n->batch;
    dims[2] = n->hidden;
}

static motet_status read_sizes(mt_op_context *c, recurrent *n)
{
    const motet_tensor *x, *w, *r;
    MT_TRY(mt_need(c, 0, &x));
    MT_TRY(mt_need(c, 1, &w));
    MT_TRY(mt_need(c, 2, &r));
    for (int i = 0; i < 3; i++) MT_TRY(mt_need_rank(c, i, 3));
    n->steps = x->dims[n->batch_first];
    n->batch = x->dims[!n->batch_first];
    n->inputs = x->dims[2];
    n->hidden = r->dims[2];
    int64_t width, both = n->directions, state[3];
    if (__builtin_mul_overflow(n->hidden, n->gates, &width) || width > INT32_MAX)
        return mt_op_fail(c, MOTET_ERROR_LIMIT, "%" PRId64 " hidden units are too many", n->hidden);
    state_dims(n, state);
    MT_TRY(check_shape(c, 1, 3, (int64_t[]){both, width, n->inputs}));
    MT_TRY(check_shape(c, 2, 3, (int64_t[]){both, width, n->hidden}));
    MT_TRY(check_shape(c, 3, 2, (int64_t[]){both, 2 * width}));
    MT_TRY(check_shape(c, 4, 1, (int64_t[]){n->batch}));
    MT_TRY(check_shape(c, 5, 3, state));
    MT_TRY(check_shape(c, 6, 3, state));
    return check_shape(c, 7, 2, (int64_t[]){both, 3 * n->hidden});
}

static motet_status read_lengths(mt_op_context *c, recurrent *n)
{
    const motet_tensor *lengths = mt_in(c, 4);
    if (!lengths) return MOTET_OK;
    if (lengths->type != MOTET_INT32) return mt_op_fail_type(c, 4);
    n->lengths = lengths->data;
    for (int64_t i = 0; i < n->batch; i++)
        if (n->lengths[i] < 0 || n->lengths[i] > n->steps)
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "a sequence of %d in %" PRId64 " steps", (int)n->lengths[i],
                              n->steps);
    return MOTET_OK;
}

static motet_status scratch_floats(mt_op_context *c, int64_t rows, int64_t width, float **out)
{
    int64_t count;
    void *memory;
    if (__builtin_mul_overflow(rows, width, &count)) count = -1;
    MT_TRY(mt_scratch_array(c, count, sizeof(float), &memory));
    *out = memory;
    return MOTET_OK;
}

/* Where the state of batch item b in direction d stands in a tensor of state_dims. */
static int64_t state_at(const recurrent *n, int d, int64_t b)
{
    return (n->batch_first ? b * n->directions + d : d * n->batch + b) * n->hidden;
}

/* The state before the first step: given, or zero. */
static motet_status initial_state(mt_op_context *c, const recurrent *n, int input, int d, float **out)
{
    const void *given;
    MT_TRY(scratch_floats(c, n->batch, n->hidden, out));
    MT_TRY(mt_values(c, mt_in(c, input), MOTET_FLOAT, &given));
    size_t bytes = (size_t)n->hidden * sizeof(float);
    for (int64_t b = 0; b < n->batch; b++) {
        if (given)
            memcpy(*out + b * n->hidden, (const float *)given + state_at(n, d, b), bytes);
        else
            memset(*out + b * n->hidden, 0, bytes);
    }
    return MOTET_OK;
}

/* [width, inner] times a vector, transposed. */
static mt_gemm weights_shape(const recurrent *n, int64_t rows, int64_t inner)
{
    mt_gemm shape = mt_gemm_plain(rows, n->gates * n->hidden, inner);
    shape.b_transposed = true;
    shape.ldb = inner;
    return shape;
}

/* This direction's part of input i, packed. */
static motet_status pack_weights(mt_op_context *c, const recurrent *n, int i, int64_t inner, int d, const float **out)
{
    const void *all;
    mt_gemm shape = weights_shape(n, 1, inner);
    MT_TRY(mt_values(c, mt_in(c, i), MOTET_FLOAT, &all));
    const float *packed = all;
    MT_TRY(mt_matmul_pack(c, i, &shape, n->directions, &packed));
    *out = packed + d * mt_sgemm_packed_size(&shape);
    return MOTET_OK;
}

static motet_status prepare_direction(mt_op_context *c, recurrent *n, int d)
{
    direction *to = &n->direction[d];
    const void *r, *bias, *peepholes;
    int64_t width = n->gates * n->hidden;
    MT_TRY(mt_values(c, mt_in(c, 2), MOTET_FLOAT, &r));
    MT_TRY(mt_values(c, mt_in(c, 3), MOTET_FLOAT, &bias));
    MT_TRY(mt_values(c, mt_in(c, 7), MOTET_FLOAT, &peepholes));
    to->net = n;
    to->act = n->act + d * n->each;
    to->r = (const float *)r + d * width * n->hidden;
    MT_TRY(pack_weights(c, n, 1, n->inputs, d, &to->w_packed));
    MT_TRY(pack_weights(c, n, 2, n->hidden, d, &to->r_packed));
    to->bias = bias ? (const float *)bias + d * 2 * width : NULL;
    to->peepholes = peepholes ? (const float *)peepholes + d * 3 * n->hidden : NULL;
    MT_TRY(scratch_floats(c, n->steps * n->batch, width, &to->input_part));
    MT_TRY(scratch_floats(c, n->batch, width, &to->hidden_part));
    if (n->eight_bits) MT_TRY(scratch_floats(c, n->batch, n->hidden, &to->rounded));
    MT_TRY(initial_state(c, n, 5, d, &to->h));
    return initial_state(c, n, 6, d, &to->c);
}

/* --- running -------------------------------------------------------------------------------------------------- */

/* X * W^T + both biases for all steps at once. A GRU that is linear before its reset keeps the hidden gate's recurrent
 * bias for later. */
static void multiply_inputs(mt_pool *pool, const direction *d)
{
    const recurrent *n = d->net;
    int64_t width = n->gates * n->hidden, folded = n->linear_before_reset ? 2 * n->hidden : width;
    int64_t rows = n->steps * n->batch;
    mt_gemm shape = weights_shape(n, rows, n->inputs);
    shape.b_packed = true;
    shape.beta = d->bias ? 1 : 0;
    for (int64_t row = 0; row < rows && d->bias; row++)
        for (int64_t i = 0; i < width; i++)
            d->input_part[row * width + i] = d->bias[i] + (i < folded ? d->bias[width + i] : 0);
    mt_sgemm(pool, &shape, n->x, d->w_packed, d->input_part);
}

/* Each value as the nearest of 256 levels between the least and the largest, 0 among them: what DynamicQuantizeLinear
 * and back make of it. */
static void through_8_bits(float *to, const float *from, int64_t count)
{
    float least = 0, most = 0;
    for (int64_t i = 0; i < count; i++) {
        least = fminf(least, from[i]);
        most = fmaxf(most, from[i]);
    }
    float scale = most > least ? (most - least) / 255 : 1, zero = rintf(-least / scale);
    for (int64_t i = 0; i < count; i++) {
        float level = rintf(from[i] / scale) + zero;
        to[i] = (fminf(fmaxf(level, 0), 255) - zero) * scale;
    }
}

static void step_batch(const direction *d, int64_t step)
{
    const recurrent *n = d->net;
    int64_t width = n->gates * n->hidden;
    mt_gemm shape = weights_shape(n, n->batch, n->hidden);
    shape.b_packed = true;
    for (int64_t b = 0; b < n->batch && n->eight_bits; b++)
        through_8_bits(d->rounded + b * n->hidden, d->h + b * n->hidden, n->hidden);
    mt_sgemm(NULL, &shape, n->eight_bits ? d->rounded : d->h, d->r_packed, d->hidden_part);
    for (int64_t b = 0; b < n->batch; b++) {
        int64_t length = n->lengths ? n->lengths[b] : n->steps, at = d->backwards ? length - 1 - step : step;
        if (step >= length) continue;
        float *h = d->h + b * n->hidden;
        int64_t row = n->batch_first ? b * n->steps + at : at * n->batch + b;
        n->cell(d, d->input_part + row * width, d->hidden_part + b * width, h, d->c + b * n->hidden);
        int64_t y_row = n->batch_first ? row * n->directions : at * n->directions * n->batch + b;
        if (d->y) memcpy(d->y + y_row * n->hidden, h, (size_t)n->hidden * sizeof *h);
    }
}

static void run_direction(void *context, size_t block)
{
    const recurrent *n = context;
    for (int64_t step = 0; step < n->steps; step++) step_batch(&n->direction[block], step);
}

/* Output i: the last state of each direction. */
static motet_status put_state(mt_op_context *c, const recurrent *n, int i, motet_type type)
{
    if (!mt_wanted(c, i)) return MOTET_OK;
    int64_t dims[3];
    mt_value_out out;
    state_dims(n, dims);
    MT_TRY(mt_value_out_make_in(c, i, type, MOTET_FLOAT, 3, dims, &out));
    for (int d = 0; d < n->directions; d++)
        for (int64_t b = 0; b < n->batch; b++) {
            const float *state = i == 1 ? n->direction[d].h : n->direction[d].c;
            memcpy((float *)out.values + state_at(n, d, b), state + b * n->hidden, (size_t)n->hidden * sizeof *state);
        }
    mt_value_out_store(&out);
    return MOTET_OK;
}

static motet_status make_y(mt_op_context *c, recurrent *n, motet_type type, mt_value_out *y)
{
    if (!mt_wanted(c, 0)) return MOTET_OK;
    int64_t by_step[] = {n->steps, n->directions, n->batch, n->hidden};
    int64_t by_item[] = {n->batch, n->steps, n->directions, n->hidden};
    MT_TRY(mt_value_out_make_in(c, 0, type, MOTET_FLOAT, 4, n->batch_first ? by_item : by_step, y));
    memset(y->values, 0, (size_t)y->tensor->count * sizeof(float)); /* beyond the end of short sequences */
    for (int d = 0; d < n->directions; d++)
        n->direction[d].y = (float *)y->values + d * (n->batch_first ? n->hidden : n->batch * n->hidden);
    return MOTET_OK;
}

/* `own`: the names of the cell's own activations. */
static motet_status recur(mt_op_context *c, recurrent *n, const char *const *own)
{
    const motet_tensor *x;
    const void *values;
    mt_value_out y = {0};
    MT_TRY(mt_need(c, 0, &x));
    if (!mt_is_float(x->type)) return mt_op_fail_type(c, 0);
    n->batch_first = mt_attr_int(c, "layout", 0) != 0;
    n->clip = mt_has_attr(c, "clip") ? mt_attr_float(c, "clip", 0) : INFINITY;
    MT_TRY(read_direction(c, n));
    MT_TRY(read_sizes(c, n));
    MT_TRY(read_lengths(c, n));
    MT_TRY(read_activations(c, own, n->each, n->directions, n->act));
    MT_TRY(mt_values(c, x, MOTET_FLOAT, &values));
    n->x = values;
    if (n->eight_bits) {
        float *rounded;
        MT_TRY(scratch_floats(c, 1, x->count, &rounded));
        through_8_bits(rounded, values, x->count);
        n->x = rounded;
    }
    for (int d = 0; d < n->directions; d++) MT_TRY(prepare_direction(c, n, d));
    MT_TRY(make_y(c, n, x->type, &y));
    for (int d = 0; d < n->directions; d++) multiply_inputs(c->pool, &n->direction[d]);
    mt_parallel(c->pool, (size_t)n->directions, run_direction, n);
    if (y.tensor) mt_value_out_store(&y);
    MT_TRY(put_state(c, n, 1, x->type));
    return put_state(c, n, 2, x->type);
}

/* --- the cells ------------------------------------------------------------------------------------------------ */

/* x = act(clip(x + rec)) */
static void gate(const recurrent *n, const mt_named_activation *act, float *x, const float *rec, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        float sum = x[i] + rec[i];
        x[i] = sum > n->clip ? n->clip : sum < -n->clip ? -n->clip : sum;
    }
    act->run(x, count, act->a, act->b);
}

static void add_peephole(float *x, const float *peephole, const float *c, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] += peephole[i] * c[i];
}

/* Gates i, o, f, c; peepholes i, o, f. */
static void lstm_cell(const direction *d, float *x, float *rec, float *h, float *c)
{
    const recurrent *n = d->net;
    int64_t size = n->hidden;
    float *in = x, *out = x + size, *forget = x + 2 * size, *fresh = x + 3 * size;
    if (d->peepholes) {
        add_peephole(in, d->peepholes, c, size);
        add_peephole(forget, d->peepholes + 2 * size, c, size);
    }
    gate(n, &d->act[0], in, rec, size);
    gate(n, &d->act[0], forget, rec + 2 * size, size);
    gate(n, &d->act[1], fresh, rec + 3 * size, size);
    for (int64_t i = 0; i < size; i++) c[i] = (n->input_forget ? 1 - in[i] : forget[i]) * c[i] + in[i] * fresh[i];
    if (d->peepholes) add_peephole(out, d->peepholes + size, c, size);
    gate(n, &d->act[0], out, rec + size, size);
    memcpy(h, c, (size_t)size * sizeof *h);
    d->act[2].run(h, size, d->act[2].a, d->act[2].b);
    for (int64_t i = 0; i < size; i++) h[i] *= out[i];
}

/* Gates z, r, h. */
static void gru_cell(const direction *d, float *x, float *rec, float *h, float *c)
{
    (void)c;
    const recurrent *n = d->net;
    int64_t size = n->hidden;
    float *update = x, *reset = x + size, *fresh = x + 2 * size, *last = rec + 2 * size;
    gate(n, &d->act[0], update, rec, size);
    gate(n, &d->act[0], reset, rec + size, size);
    if (n->linear_before_reset) {
        for (int64_t i = 0; i < size; i++) last[i] = reset[i] * (last[i] + (d->bias ? d->bias[5 * size + i] : 0));
    } else {
        mt_gemm shape = mt_gemm_plain(1, size, size);
        shape.b_transposed = true;
        for (int64_t i = 0; i < size; i++) reset[i] *= h[i];
        mt_sgemm(NULL, &shape, reset, d->r + 2 * size * size, last);
    }
    gate(n, &d->act[1], fresh, last, size);
    for (int64_t i = 0; i < size; i++) h[i] = (1 - update[i]) * fresh[i] + update[i] * h[i];
}

static void rnn_cell(const direction *d, float *x, float *rec, float *h, float *c)
{
    (void)c;
    gate(d->net, &d->act[0], x, rec, d->net->hidden);
    memcpy(h, x, (size_t)d->net->hidden * sizeof *h);
}

motet_status mt_op_lstm(mt_op_context *c)
{
    recurrent n = {.cell = lstm_cell, .gates = 4, .each = 3};
    n.input_forget = mt_attr_int(c, "input_forget", 0) != 0;
    return recur(c, &n, (const char *const[]){"Sigmoid", "Tanh", "Tanh"});
}

motet_status mt_op_gru(mt_op_context *c)
{
    recurrent n = {.cell = gru_cell, .gates = 3, .each = 2};
    n.linear_before_reset = mt_attr_int(c, "linear_before_reset", 0) != 0;
    return recur(c, &n, (const char *const[]){"Sigmoid", "Tanh"});
}

motet_status mt_op_rnn(mt_op_context *c)
{
    recurrent n = {.cell = rnn_cell, .gates = 1, .each = 1};
    return recur(c, &n, (const char *const[]){"Tanh", "Tanh"});
}

/* --- DynamicQuantizeLSTM -------------------------------------------------------------------------------------- */

/* Input i, [directions, rows, columns] bytes with a scale and a zero point for all of a direction or for each column,
 * as float32 [directions, columns, rows], which is how LSTM has its weights. */
static motet_status widen_weights(mt_op_context *c, int i, int scale_input, motet_tensor *out)
{
    const motet_tensor *in, *scales, *zeros = mt_in(c, scale_input + 1);
    const void *values, *by, *from_zero;
    void *memory;
    MT_TRY(mt_need(c, i, &in));
    MT_TRY(mt_need_rank(c, i, 3));
    MT_TRY(mt_need(c, scale_input, &scales));
    int64_t ways = in->dims[0], rows = in->dims[1], columns = in->dims[2], all = ways * columns;
    bool fits =
        (scales->count == ways || scales->count == all) && (!zeros || zeros->count == ways || zeros->count == all);
    if (!fits || (in->type != MOTET_INT8 && in->type != MOTET_UINT8))
        return mt_op_fail(c, MOTET_ERROR_SHAPE,
                          "input %d needs 8 bits and a scale and zero point for each direction or "
                          "each column",
                          i);
    MT_TRY(mt_values(c, in, MOTET_FLOAT, &values));
    MT_TRY(mt_values(c, scales, MOTET_FLOAT, &by));
    MT_TRY(mt_values(c, zeros, MOTET_FLOAT, &from_zero));
    MT_TRY(mt_scratch_array(c, in->count, sizeof(float), &memory));
    for (int64_t d = 0; d < ways; d++)
        for (int64_t k = 0; k < columns; k++) {
            int64_t at = d * columns + k;
            float scale = ((const float *)by)[scales->count == all ? at : d];
            float zero = zeros ? ((const float *)from_zero)[zeros->count == all ? at : d] : 0;
            for (int64_t r = 0; r < rows; r++)
                ((float *)memory)[at * rows + r] =
                    (((const float *)values)[(d * rows + r) * columns + k] - zero) * scale;
        }
    return mt_tensor_wrap(out, MOTET_FLOAT, 3, (int64_t[]){ways, columns, rows}, memory);
}

motet_status mt_op_dynamic_quantize_lstm(mt_op_context *c)
{
    recurrent n = {.cell = lstm_cell, .gates = 4, .each = 3, .eight_bits = true};
    motet_tensor weights[2];
    mt_inner inner;
    MT_TRY(widen_weights(c, 1, 8, &weights[0]));
    MT_TRY(widen_weights(c, 2, 10, &weights[1]));
    mt_inner_begin(&inner, c);
    for (int i = 0; i < 8; i++) mt_inner_feed(&inner, i == 1 || i == 2 ? &weights[i - 1] : mt_in(c, i));
    for (int i = 0; i < 3; i++) mt_inner_into(&inner, i, i);
    n.input_forget = mt_attr_int(c, "input_forget", 0) != 0;
    inner.context.version = inner.node.version = 14;
    inner.context.out_count = inner.node.output_count = 3;
    return recur(&inner.context, &n, (const char *const[]){"Sigmoid", "Tanh", "Tanh"});
}
