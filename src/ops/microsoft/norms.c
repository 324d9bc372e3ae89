/* SkipLayerNormalization, SkipSimplifiedLayerNormalization and EmbedLayerNormalization: sums that are normalised.
 * The normalisation is the standard operator's. */
#include <inttypes.h>
#include <string.h>

#include "ops/inner.h"

/* --- skip connections ------------------------------------------------------------------------------------------- */

/* Input i must stretch over `in` by repeating its elements: its shape is the end of in's, with leading 1s at will. */
static motet_status need_tail(mt_op_context *c, int i, const motet_tensor *in)
{
    const motet_tensor *other = mt_in(c, i);
    if (!other) return MOTET_OK;
    bool fits = other->rank <= in->rank && other->count > 0, leading = true;
    for (int k = 0; k < other->rank && fits; k++) {
        int64_t own = other->dims[k], wanted = in->dims[in->rank - other->rank + k];
        if (own != wanted && !(leading && own == 1)) fits = false;
        if (own != 1) leading = false;
    }
    char text[MT_SHAPE_TEXT], whole[MT_SHAPE_TEXT];
    if (fits || in->count == 0) return MOTET_OK;
    return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d is %s: it does not stretch over %s", i,
                      mt_tensor_describe(other, text, sizeof text), mt_tensor_describe(in, whole, sizeof whole));
}

typedef struct sum_work {
    const float *parts[3]; /* the second and third repeat; NULL: not there */
    int64_t counts[3];
    float *sum;
} sum_work;

static void sum_range(void *context, int64_t begin, int64_t end)
{
    const sum_work *w = context;
    for (int64_t i = begin; i < end; i++) {
        float sum = w->parts[0][i] + w->parts[1][i % w->counts[1]];
        w->sum[i] = w->parts[2] ? sum + w->parts[2][i % w->counts[2]] : sum;
    }
}

/* input + skip + bias, as output 3 where that is wanted. `bias` is the input's number. */
static motet_status add_parts(mt_op_context *c, int bias, motet_tensor *sum)
{
    const int inputs[] = {0, 1, bias};
    const motet_tensor *in, *skip;
    sum_work w = {0};
    mt_value_out out = {0};
    void *memory;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_need(c, 1, &skip));
    if (!mt_is_float(in->type)) return mt_op_fail_type(c, 0);
    for (int i = 0; i < 3; i++) {
        const void *values;
        MT_TRY(need_tail(c, inputs[i], in));
        MT_TRY(mt_values(c, mt_in(c, inputs[i]), MOTET_FLOAT, &values));
        w.parts[i] = values;
        w.counts[i] = mt_in(c, inputs[i]) ? mt_in(c, inputs[i])->count : 0;
    }
    if (mt_wanted(c, 3) && in->type == MOTET_FLOAT) {
        MT_TRY(mt_value_out_make(c, 3, in->type, in->rank, in->dims, &out));
        memory = out.values;
    } else {
        MT_TRY(mt_scratch_array(c, in->count, sizeof(float), &memory));
    }
    w.sum = memory;
    mt_ranges(c->pool, in->count, 16384, sum_range, &w);
    if (mt_wanted(c, 3) && !out.tensor) {
        motet_tensor *rounded;
        MT_TRY(mt_out(c, 3, in->type, in->rank, in->dims, &rounded));
        mt_convert(rounded->data, in->type, memory, MOTET_FLOAT, in->count);
    }
    return mt_tensor_wrap(sum, MOTET_FLOAT, in->rank, in->dims, memory);
}

/* A tensor's elements as float32; NULL stays NULL. */
static motet_status as_float(mt_op_context *c, const motet_tensor *in, motet_tensor *out, const motet_tensor **shown)
{
    const void *values;
    *shown = in;
    if (!in || in->type == MOTET_FLOAT) return MOTET_OK;
    MT_TRY(mt_values(c, in, MOTET_FLOAT, &values));
    *shown = out;
    return mt_tensor_wrap(out, MOTET_FLOAT, in->rank, in->dims, values);
}

/* Output 0 from `sum`, whose elements are float32; in the type of `type`. */
static motet_status normalize(mt_op_context *c, const motet_tensor *sum, const motet_tensor *scale,
                              const motet_tensor *bias, bool centred, bool moments, motet_type type)
{
    mt_inner inner;
    motet_tensor wide[2], *out;
    const motet_tensor *shown[2];
    MT_TRY(as_float(c, scale, &wide[0], &shown[0]));
    MT_TRY(as_float(c, bias, &wide[1], &shown[1]));
    mt_inner_begin(&inner, c);
    mt_inner_feed(&inner, sum);
    mt_inner_feed(&inner, shown[0]);
    if (centred) mt_inner_feed(&inner, shown[1]);
    mt_inner_float(&inner, "epsilon", mt_attr_float(c, "epsilon", 1e-12f));
    if (type == MOTET_FLOAT) mt_inner_into(&inner, 0, 0);
    for (int i = 1; i < 3; i++) {
        if (moments)
            mt_inner_into(&inner, i, i);
        else
            mt_inner_unwanted(&inner, i);
    }
    MT_TRY(mt_inner_run(&inner, centred ? mt_op_layer_normalization : mt_op_rms_normalization, 23, centred ? 3 : 1));
    if (type == MOTET_FLOAT) return MOTET_OK;
    MT_TRY(mt_out(c, 0, type, sum->rank, sum->dims, &out));
    mt_convert(out->data, type, inner.made[0].data, MOTET_FLOAT, sum->count);
    return MOTET_OK;
}

/* LayerNormalization(input + skip + bias) */
motet_status mt_op_skip_layer_normalization(mt_op_context *c)
{
    motet_tensor sum;
    const motet_tensor *scale;
    MT_TRY(mt_need(c, 2, &scale));
    MT_TRY(add_parts(c, 4, &sum));
    return normalize(c, &sum, scale, mt_in(c, 3), true, true, mt_in(c, 0)->type);
}

/* RMSNormalization(input + skip + bias) */
motet_status mt_op_skip_simplified_layer_normalization(mt_op_context *c)
{
    motet_tensor sum;
    const motet_tensor *scale;
    MT_TRY(mt_need(c, 2, &scale));
    MT_TRY(add_parts(c, 3, &sum));
    return normalize(c, &sum, scale, NULL, false, false, mt_in(c, 0)->type);
}

/* --- embeddings ------------------------------------------------------------------------------------------------- */

/* One table of embeddings and which row of it each token takes. */
typedef struct table {
    const float *rows;
    int64_t count; /* of rows; 0: there is no table */
    const int64_t *ids;
    int64_t period; /* ids repeat after so many tokens */
} table;

/* ids may be NULL: 0, 1, 2, ... `length`, as positions are. */
static motet_status read_table(mt_op_context *c, int rows_input, int ids_input, int64_t width, int64_t tokens,
                               int64_t length, table *t)
{
    const motet_tensor *rows = mt_in(c, rows_input), *ids = mt_in(c, ids_input);
    const void *values;
    void *memory;
    *t = (table){0};
    if (!rows) return MOTET_OK;
    if (rows->rank != 2 || rows->dims[1] != width)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d is not a table of rows of %" PRId64, rows_input, width);
    MT_TRY(mt_values(c, rows, MOTET_FLOAT, &values));
    t->rows = values;
    t->count = rows->dims[0];
    t->period = ids ? ids->count : length;
    if (ids && ids->count != tokens && ids->count != length)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d has %" PRId64 " values for %" PRId64 " tokens", ids_input,
                          ids->count, tokens);
    if (ids) {
        MT_TRY(mt_values(c, ids, MOTET_INT64, &values));
        t->ids = values;
    } else {
        MT_TRY(mt_scratch_array(c, length, sizeof(int64_t), &memory));
        for (int64_t i = 0; i < length; i++) ((int64_t *)memory)[i] = i;
        t->ids = memory;
    }
    for (int64_t i = 0; i < t->period; i++)
        if (t->ids[i] < 0 || t->ids[i] >= t->count)
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "row %" PRId64 " of the %" PRId64 " of input %d", t->ids[i],
                              t->count, rows_input);
    return MOTET_OK;
}

/* Output 1: how many tokens of each item count. */
static motet_status put_mask_index(mt_op_context *c, int64_t batch, int64_t length)
{
    const motet_tensor *mask = mt_in(c, 7);
    motet_tensor *out;
    const void *values;
    if (!mt_wanted(c, 1)) return MOTET_OK;
    MT_TRY(mt_out(c, 1, MOTET_INT32, 1, &batch, &out));
    memset(out->data, 0, (size_t)batch * sizeof(int32_t));
    if (!mask) return MOTET_OK;
    if (mask->count != batch * length) return mt_op_fail(c, MOTET_ERROR_SHAPE, "the mask does not fit the tokens");
    MT_TRY(mt_values(c, mask, MOTET_INT32, &values));
    for (int64_t i = 0; i < mask->count; i++) ((int32_t *)out->data)[i / length] += ((const int32_t *)values)[i] == 1;
    return MOTET_OK;
}

/* LayerNormalization(words[input_ids] + positions[position_ids] + segments[segment_ids]) */
motet_status mt_op_embed_layer_normalization(mt_op_context *c)
{
    const motet_tensor *ids, *words, *scale, *bias;
    motet_tensor *out, sum;
    table tables[3];
    void *memory;
    MT_TRY(mt_need(c, 0, &ids));
    MT_TRY(mt_need(c, 2, &words));
    MT_TRY(mt_need(c, 5, &scale));
    MT_TRY(mt_need(c, 6, &bias));
    MT_TRY(mt_need_rank(c, 0, 2));
    MT_TRY(mt_need_rank(c, 2, 2));
    if (!mt_is_float(words->type)) return mt_op_fail_type(c, 2);
    int64_t batch = ids->dims[0], length = ids->dims[1], width = words->dims[1], dims[] = {batch, length, width};
    MT_TRY(read_table(c, 2, 0, width, ids->count, length, &tables[0]));
    MT_TRY(read_table(c, 3, 8, width, ids->count, length, &tables[1]));
    MT_TRY(read_table(c, mt_in(c, 1) ? 4 : -1, 1, width, ids->count, length, &tables[2]));
    int64_t count = mt_shape_count(3, dims);
    MT_TRY(mt_scratch_array(c, count, sizeof(float), &memory));
    float *y = memory;
    memset(y, 0, (size_t)count * sizeof *y);
    for (int64_t i = 0; i < ids->count; i++)
        for (int k = 0; k < 3 && width; k++) {
            const table *t = &tables[k];
            if (!t->count) continue;
            const float *row = t->rows + t->ids[i % t->period] * width;
            for (int64_t j = 0; j < width; j++) y[i * width + j] += row[j];
        }
    if (mt_wanted(c, 2)) {
        MT_TRY(mt_out(c, 2, words->type, 3, dims, &out));
        mt_convert(out->data, out->type, y, MOTET_FLOAT, count);
    }
    MT_TRY(put_mask_index(c, batch, length));
    MT_TRY(mt_tensor_wrap(&sum, MOTET_FLOAT, 3, dims, y));
    return normalize(c, &sum, scale, bias, true, false, words->type);
}
