/* motet's own Attention, which graph/passes/attention.c makes of MatMul, Softmax and MatMul and of what is around them:
 *
 *     y = softmax(scale * q k' + mask) v
 *
 * Inputs: q, k, v, and a mask or none, which is added under the broadcasting of Add, or where it is of booleans, keeps
 * what it is true for; with "mask" = "padded" keys beyond its end are left out. All have four axes, in the order that
 * the attributes q_layout, k_layout, v_layout and y_layout say: "bhtd" (batch, heads, length, size: the default),
 * "bthd", and for k "bhdt". So heads are read and written where projections have them, and nothing is transposed. With
 * "empty" = "zero", a row that the mask leaves nothing of becomes zeros; else NaN, as from softmax. Batches and heads
 * broadcast, as they do in MatMul.
 *
 * Input 4, with y_layout "bthd", is a shape: y in "bhtd" would be reshaped to it before its axes 1 and 2 are swapped.
 * It mostly is the shape that y has anyway. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "kernels/attention.h"
#include "kernels/rows.h"
#include "ops/support.h"

enum { BATCH, HEADS, QUERIES, KEYS, AXES };

/* An operand's axes by what they mean. */
typedef struct operand {
    const float *data;
    int64_t batch, heads, length, size;
    mt_heads place;
    bool transposed;
} operand;

typedef struct attention {
    operand q, k, v;
    int64_t dims[AXES]; /* of the scores */
    const float *mask;  /* NULL: none */
    bool mask_is_bool, zero_when_empty;
    int64_t mask_steps[AXES], mask_keys;
} attention;

/* Steps between the items of a batch, and between heads; 0 where there is but one for all. */
static int64_t step_of(int64_t extent, int64_t step)
{
    return extent == 1 ? 0 : step;
}

static motet_status read_operand(mt_op_context *c, int i, const char *name, operand *o)
{
    const motet_tensor *in;
    const void *data;
    MT_TRY(mt_need(c, i, &in));
    MT_TRY(mt_need_rank(c, i, 4));
    if (mt_working_type(in->type) != MOTET_FLOAT) return mt_op_fail_type(c, i);
    MT_TRY(mt_values(c, in, MOTET_FLOAT, &data));
    const char *layout = mt_attr_string(c, name, "bhtd");
    const int64_t *d = in->dims;
    bool side_by_side = strcmp(layout, "bthd") == 0;
    o->data = data;
    o->transposed = strcmp(layout, "bhdt") == 0;
    o->batch = d[0];
    o->heads = d[side_by_side ? 2 : 1];
    o->length = d[side_by_side ? 1 : o->transposed ? 3 : 2];
    o->size = d[o->transposed ? 2 : 3];
    o->place.data = (float *)(uintptr_t)data;
    o->place.row_step = side_by_side ? d[2] * d[3] : d[3];
    o->place.head_step = step_of(o->heads, side_by_side ? d[3] : d[2] * d[3]);
    o->place.batch_step = step_of(o->batch, d[1] * d[2] * d[3]);
    return MOTET_OK;
}

static bool broadcast(int64_t *to, int64_t other)
{
    if (*to == 1) *to = other;
    return other == 1 || other == *to;
}

static motet_status check_operands(mt_op_context *c, attention *a)
{
    const operand *q = &a->q, *k = &a->k, *v = &a->v;
    a->dims[BATCH] = q->batch;
    a->dims[HEADS] = q->heads;
    a->dims[QUERIES] = q->length;
    a->dims[KEYS] = k->length;
    bool fits = broadcast(&a->dims[BATCH], k->batch) && broadcast(&a->dims[BATCH], v->batch) &&
                broadcast(&a->dims[HEADS], k->heads) && broadcast(&a->dims[HEADS], v->heads);
    if (!fits || q->size != k->size || k->length != v->length)
        return mt_op_fail(c, MOTET_ERROR_SHAPE,
                          "queries [%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 "], keys [%" PRId64 ",%" PRId64
                          ",%" PRId64 ",%" PRId64 "] and values [%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64
                          "] (batch, heads, length, size) do not fit together",
                          q->batch, q->heads, q->length, q->size, k->batch, k->heads, k->length, k->size, v->batch,
                          v->heads, v->length, v->size);
    const int64_t bounded[] = {q->length, k->length, q->place.row_step, k->place.row_step, v->place.row_step};
    for (size_t i = 0; i < sizeof bounded / sizeof *bounded; i++)
        if (bounded[i] > INT32_MAX) return mt_op_fail(c, MOTET_ERROR_LIMIT, "the sequences are too long");
    return MOTET_OK;
}

static motet_status read_mask(mt_op_context *c, attention *a)
{
    const motet_tensor *mask = mt_in(c, 3);
    const void *values;
    int64_t strides[MOTET_MAX_RANK];
    if (!mask) return MOTET_OK;
    a->mask_keys = a->dims[KEYS];
    char text[MT_SHAPE_TEXT];
    bool fits = mask->rank <= AXES, padded = strcmp(mt_attr_string(c, "mask", ""), "padded") == 0;
    mt_strides(mask->rank, mask->dims, strides);
    for (int own = mask->rank - 1, i = AXES - 1; fits && own >= 0; own--, i--) {
        bool ends = i == KEYS && padded && mask->dims[own] < a->dims[i];
        fits = mask->dims[own] == 1 || mask->dims[own] == a->dims[i] || ends;
        a->mask_steps[i] = ends ? 1 : step_of(mask->dims[own], strides[own]);
        if (ends) a->mask_keys = mask->dims[own];
    }
    if (!fits)
        return mt_op_fail(c, MOTET_ERROR_SHAPE,
                          "%s as a mask for scores [%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 "]",
                          mt_tensor_describe(mask, text, sizeof text), a->dims[0], a->dims[1], a->dims[2], a->dims[3]);
    MT_TRY(mt_values(c, mask, MOTET_FLOAT, &values));
    a->mask = values;
    a->mask_is_bool = mask->type == MOTET_BOOL;
    return MOTET_OK;
}

/* False when nothing is left. */
static bool add_mask(const attention *a, float *row, const float *mask)
{
    int64_t step = a->mask_steps[KEYS], keys = a->mask_keys;
    bool any = false;
    for (int64_t j = keys; j < a->dims[KEYS]; j++) row[j] = -INFINITY;
    if (a->mask_is_bool)
        for (int64_t j = 0; j < keys; j++) row[j] = mask[j * step] != 0 ? row[j] : -INFINITY;
    else if (step)
        for (int64_t j = 0; j < keys; j++) row[j] += mask[j];
    else
        for (int64_t j = 0; j < keys; j++) row[j] += *mask;
    for (int64_t j = 0; j < keys; j++) any |= row[j] != -INFINITY;
    return any;
}

static void finish_row(const void *context, float *row, int64_t b, int64_t h, int64_t i)
{
    const attention *a = context;
    const int64_t *steps = a->mask_steps;
    bool any = !a->mask || add_mask(a, row, a->mask + b * steps[BATCH] + h * steps[HEADS] + i * steps[QUERIES]);
    if (any || !a->zero_when_empty)
        mt_softmax_row(row, row, a->dims[KEYS]);
    else
        memset(row, 0, (size_t)a->dims[KEYS] * sizeof *row);
}

/* --- the output ----------------------------------------------------------------------------------------------- */

typedef struct output {
    mt_value_out out;
    float *y;           /* where the products go: the output, or what is still to be transposed */
    int64_t dims[AXES]; /* of that, before the transposition */
    mt_heads place;
} output;

/* The shape that [batch, heads, length, size] becomes by input 4; true when it is another. */
static motet_status read_shape(mt_op_context *c, int64_t *dims, bool *other)
{
    int64_t wanted[AXES], count = mt_shape_count(AXES, dims), known = 1;
    int given = 0, rest = -1;
    *other = false;
    if (!mt_in(c, 4)) return MOTET_OK;
    MT_TRY(mt_in_ints(c, 4, wanted, AXES, &given));
    for (int i = 0; i < given; i++) {
        if (wanted[i] == 0) wanted[i] = dims[i];
        if (wanted[i] == -1) rest = i;
        if (wanted[i] >= 0 && __builtin_mul_overflow(known, wanted[i], &known)) known = -1;
    }
    if (rest >= 0 && known > 0) wanted[rest] = count / known;
    if (rest >= 0 && known == 0) wanted[rest] = dims[rest];
    if (given != AXES || mt_shape_count(AXES, wanted) != count)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%" PRId64 " elements do not make the shape that is asked for", count);
    *other = memcmp(wanted, dims, sizeof wanted) != 0;
    memcpy(dims, wanted, sizeof wanted);
    return MOTET_OK;
}

static motet_status make_output(mt_op_context *c, const attention *a, output *o)
{
    bool side_by_side = strcmp(mt_attr_string(c, "y_layout", "bhtd"), "bthd") == 0, other;
    int64_t size = a->v.size, heads = a->dims[HEADS], length = a->dims[QUERIES], row, all;
    if (__builtin_mul_overflow(heads, size, &row) || __builtin_mul_overflow(row, length, &all) || row > INT32_MAX)
        return mt_op_fail(c, MOTET_ERROR_LIMIT, "the heads are too wide");
    memcpy(o->dims, (const int64_t[]){a->dims[BATCH], heads, length, size}, sizeof o->dims);
    MT_TRY(read_shape(c, o->dims, &other));
    const int64_t *d = o->dims, swapped[] = {d[0], d[2], d[1], d[3]};
    MT_TRY(mt_value_out_make(c, 0, mt_in(c, 0)->type, AXES, side_by_side ? swapped : d, &o->out));
    void *memory = o->out.values;
    if (side_by_side && other) MT_TRY(mt_scratch_array(c, o->out.tensor->count, sizeof(float), &memory));
    side_by_side = side_by_side && !other;
    o->y = memory;
    o->place = (mt_heads){o->y, all, side_by_side ? size : length * size, side_by_side ? row : size};
    return MOTET_OK;
}

/* Swaps axes 1 and 2 of what the shape of input 4 was made of. */
static void finish_output(output *o)
{
    const int64_t *d = o->dims;
    float *to = o->out.values;
    for (int64_t i = 0; o->y != o->out.values && i < d[0] * d[1] * d[2]; i++) {
        int64_t from = i / (d[1] * d[2]) * d[1] * d[2] + i % d[1] * d[2] + i / d[1] % d[2];
        memcpy(to + i * d[3], o->y + from * d[3], (size_t)d[3] * sizeof *to);
    }
    mt_value_out_store(&o->out);
}

motet_status mt_op_attention_fused(mt_op_context *c)
{
    attention a = {.zero_when_empty = strcmp(mt_attr_string(c, "empty", ""), "zero") == 0};
    mt_attention work = {.sharing = 1, .scale = mt_attr_float(c, "scale", 1), .finish = finish_row, .context = &a};
    output out = {.y = NULL};
    void *scratch;
    MT_TRY(read_operand(c, 0, "q_layout", &a.q));
    MT_TRY(read_operand(c, 1, "k_layout", &a.k));
    MT_TRY(read_operand(c, 2, "v_layout", &a.v));
    MT_TRY(check_operands(c, &a));
    MT_TRY(read_mask(c, &a));
    MT_TRY(make_output(c, &a, &out));
    work.batch = a.dims[BATCH];
    work.heads = a.dims[HEADS];
    work.queries = a.dims[QUERIES];
    work.keys = a.dims[KEYS];
    work.size = a.q.size;
    work.value_size = a.v.size;
    work.q = a.q.place;
    work.k = a.k.place;
    work.v = a.v.place;
    work.k_transposed = a.k.transposed;
    work.y = out.place;
    int64_t size = mt_attention_scratch(&work);
    if (size < 0) return mt_op_fail(c, MOTET_ERROR_LIMIT, "the sequences are too long");
    MT_TRY(mt_scratch_array(c, size, sizeof(float), &scratch));
    if (out.out.tensor->count) mt_attention_run(c->pool, &work, scratch);
    finish_output(&out);
    return MOTET_OK;
}
