/* Normalisations: layer, RMS, instance, group and batch. All but the last are rows that are normalised on their own, in
 * two passes (the mean, then squared deviations from it) with sums in double, and then scaled and shifted. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "kernels/rows.h"
#include "kernels/simd.h"
#include "ops/inner.h"

/* --- rows in both working types ------------------------------------------------------------------------------- */

static void moments(motet_type type, const void *x, int64_t n, double *mean, double *variance)
{
    if (type == MOTET_FLOAT) {
        mt_row_moments(x, n, mean, variance);
        return;
    }
    const double *values = x;
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) sum += values[i];
    *mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++) squares += (values[i] - *mean) * (values[i] - *mean);
    *variance = squares / (double)n;
}

static double mean_square(motet_type type, const void *x, int64_t n)
{
    if (type == MOTET_FLOAT) return mt_row_mean_square(x, n);
    const double *values = x;
    double squares = 0;
    for (int64_t i = 0; i < n; i++) squares += values[i] * values[i];
    return squares / (double)n;
}

/* y = (x - mean) * factor * scale + bias; scale and bias hold an element for each of x's, or are NULL. */
static void affine(motet_type type, void *y, const void *x, int64_t n, double mean, double factor, const void *scale,
                   const void *bias)
{
    if (type == MOTET_FLOAT) {
        mt_row_affine(y, x, n, (float)mean, (float)factor, scale, bias);
        return;
    }
    const double *scales = scale, *biases = bias;
    for (int64_t i = 0; i < n; i++) {
        double value = (((const double *)x)[i] - mean) * factor;
        if (scales) value *= scales[i];
        if (biases) value += biases[i];
        ((double *)y)[i] = value;
    }
}

/* y = (x - mean) * factor + shift */
static void shift_row(motet_type type, void *y, const void *x, int64_t n, double mean, double factor, double shift)
{
    if (type == MOTET_FLOAT) {
        mt_row_shift(y, x, n, (float)mean, (float)factor, (float)shift);
        return;
    }
    for (int64_t i = 0; i < n; i++) ((double *)y)[i] = (((const double *)x)[i] - mean) * factor + shift;
}

static double number_at(motet_type type, const void *values, int64_t i)
{
    return type == MOTET_FLOAT ? (double)((const float *)values)[i] : ((const double *)values)[i];
}

static void put_number(motet_type type, void *values, int64_t i, double value)
{
    if (type == MOTET_FLOAT)
        ((float *)values)[i] = (float)value;
    else
        ((double *)values)[i] = value;
}

/* --- layer and RMS normalisation ------------------------------------------------------------------------------ */

typedef struct layer_work {
    motet_type type;
    bool centred; /* layer rather than RMS normalisation */
    int64_t width;
    double epsilon;
    const void *x, *scale, *bias;
    void *y, *mean, *factor; /* mean and factor, one a row, may be NULL */
    const float *skip;       /* what is added before; NULL: nothing */
    float *sum;              /* where that sum goes; only with skip */
} layer_work;

MT_SIMD static void add_rows(float *sum, const float *a, const float *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++) sum[i] = a[i] + b[i];
}

static void layer_rows(void *context, int64_t begin, int64_t end)
{
    const layer_work *w = context;
    size_t size = motet_type_size(w->type);
    for (int64_t row = begin; row < end; row++) {
        size_t start = (size_t)(row * w->width) * size;
        const char *x = (const char *)w->x + start;
        double mean = 0, variance;
        if (w->skip) {
            float *sum = w->sum + row * w->width;
            add_rows(sum, (const float *)x, w->skip + row * w->width, w->width);
            x = (const char *)sum;
        }
        if (w->centred)
            moments(w->type, x, w->width, &mean, &variance);
        else
            variance = mean_square(w->type, x, w->width);
        double factor = 1 / sqrt(variance + w->epsilon);
        affine(w->type, (char *)w->y + start, x, w->width, mean, factor, w->scale, w->bias);
        if (w->mean) put_number(w->type, w->mean, row, mean);
        if (w->factor) put_number(w->type, w->factor, row, factor);
    }
}

/* Input i in the working type, stretched over the normalised axes `dims` when it has fewer or shorter ones. */
static motet_status spread(mt_op_context *c, int i, motet_type type, int rank, const int64_t *dims, const void **out)
{
    const motet_tensor *in = mt_in(c, i);
    MT_TRY(mt_values(c, in, type, out));
    if (!in) return MOTET_OK;
    motet_tensor shape = {.type = in->type, .rank = rank}, source, target;
    memcpy(shape.dims, dims, (size_t)rank * sizeof *dims);
    mt_broadcast plan;
    MT_TRY(mt_broadcast_plan(c, (const motet_tensor *[]){in, &shape}, 2, &plan));
    if (plan.count != mt_span(dims, 0, rank))
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d does not stretch over the normalised axes", i);
    if (in->count == plan.count) return MOTET_OK;
    void *memory;
    MT_TRY(mt_scratch_array(c, plan.count, motet_type_size(type), &memory));
    MT_TRY(mt_tensor_wrap(&source, type, in->rank, in->dims, *out));
    MT_TRY(mt_tensor_wrap(&target, type, plan.rank, plan.dims, memory));
    *out = memory;
    return mt_broadcast_copy(c, &plan, &target, &source);
}

/* Outputs 1 and 2 of LayerNormalization: mean and 1 / deviation of every row, float32 unless stash_type says bfloat16.
 * RMS normalisation, which ONNX Runtime gives an output more than the standard, has the latter at 1. */
static motet_status row_outputs(mt_op_context *c, const motet_tensor *in, int axis, layer_work *work, mt_value_out *out)
{
    int64_t dims[MOTET_MAX_RANK];
    motet_type type = mt_attr_int(c, "stash_type", MOTET_FLOAT) == MOTET_BFLOAT16 ? MOTET_BFLOAT16 : MOTET_FLOAT;
    for (int i = 0; i < in->rank; i++) dims[i] = i < axis ? in->dims[i] : 1;
    for (int i = 1; i <= (work->centred ? 2 : 1); i++) {
        if (!mt_wanted(c, i)) continue;
        MT_TRY(mt_value_out_make_in(c, i, type, work->type, in->rank, dims, &out[i]));
        *(i == 1 && work->centred ? &work->mean : &work->factor) = out[i].values;
    }
    return MOTET_OK;
}

/* With `skip`, float32 of the shape of the float32 input 0, which goes into output 3 together with that. */
static motet_status layer(mt_op_context *c, bool centred, const motet_tensor *skip)
{
    const motet_tensor *in, *scale;
    int axis = 0;
    motet_tensor *sum = NULL;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_need(c, 1, &scale));
    if (!mt_is_float(in->type)) return mt_op_fail_type(c, 0);
    if (!mt_is_float(scale->type)) return mt_op_fail_type(c, 1);
    MT_TRY(mt_axis(c, mt_attr_int(c, "axis", -1), in->rank, &axis));
    mt_value_out out[3] = {{0}}; /* RMS normalisation has the type of its scale */
    MT_TRY(mt_value_out_make_in(c, 0, centred ? in->type : scale->type, mt_working_type(in->type), in->rank, in->dims,
                                &out[0]));
    layer_work work = {.type = out[0].type, .centred = centred, .y = out[0].values};
    work.width = mt_span(in->dims, axis, in->rank);
    work.epsilon = (double)mt_attr_float(c, "epsilon", 1e-5f);
    MT_TRY(mt_values(c, in, work.type, &work.x));
    MT_TRY(spread(c, 1, work.type, in->rank - axis, in->dims + axis, &work.scale));
    if (centred) MT_TRY(spread(c, 2, work.type, in->rank - axis, in->dims + axis, &work.bias));
    MT_TRY(row_outputs(c, in, axis, &work, out));
    if (skip && mt_wanted(c, 3)) MT_TRY(mt_out(c, 3, in->type, in->rank, in->dims, &sum));
    if (skip) {
        work.skip = skip->data;
        work.sum = sum ? sum->data : work.y; /* where the row is normalised then, in place */
    }
    enum { FINER = 4 }; /* shares of the threads are nearly equal then, and rows those they had in the product before */
    mt_ranges(c->pool, mt_span(in->dims, 0, axis), mt_row_grain(FINER * work.width), layer_rows, &work);
    for (int i = 0; i < 3; i++)
        if (out[i].tensor) mt_value_out_store(&out[i]);
    return MOTET_OK;
}

motet_status mt_op_layer_normalization(mt_op_context *c)
{
    return layer(c, true, NULL);
}
motet_status mt_op_rms_normalization(mt_op_context *c)
{
    return layer(c, false, NULL);
}

/* motet's own: of the sum of inputs 0 and 3, which is output 3 where that is wanted. */
motet_status mt_op_layer_normalization_sum(mt_op_context *c)
{
    const motet_tensor *a, *b;
    mt_inner add, norm;
    MT_TRY(mt_need(c, 0, &a));
    MT_TRY(mt_need(c, 3, &b));
    bool alike = a->type == MOTET_FLOAT && b->type == MOTET_FLOAT && a->rank == b->rank;
    if (alike && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0) return layer(c, true, b);
    mt_inner_begin(&add, c);
    mt_inner_feed(&add, a);
    mt_inner_feed(&add, b);
    if (mt_wanted(c, 3)) mt_inner_into(&add, 0, 3);
    MT_TRY(mt_inner_run(&add, mt_op_add, 14, 1));
    mt_inner_begin(&norm, c);
    mt_inner_feed(&norm, mt_wanted(c, 3) ? c->out[3] : &add.made[0]);
    for (int i = 1; i < 3; i++) mt_inner_feed(&norm, mt_in(c, i));
    mt_inner_into(&norm, 0, 0);
    return mt_inner_run(&norm, mt_op_layer_normalization, 17, 1);
}

/* --- instance and group normalisation ------------------------------------------------------------------------- */

typedef struct group_work {
    motet_type type;
    double epsilon;
    int64_t groups, channels, positions; /* channels of one group */
    bool per_group;                      /* scale and bias have a value a group, not a channel */
    const void *x, *scale, *bias;
    void *y;
    mt_activation activate; /* of float32; or NULL */
} group_work;

/* One group of channels of one item of the batch at a time. */
static void group_rows(void *context, int64_t begin, int64_t end)
{
    const group_work *w = context;
    size_t size = motet_type_size(w->type);
    for (int64_t unit = begin; unit < end; unit++) {
        double mean, variance;
        size_t start = (size_t)(unit * w->channels * w->positions) * size;
        moments(w->type, (const char *)w->x + start, w->channels * w->positions, &mean, &variance);
        double factor = 1 / sqrt(variance + w->epsilon);
        for (int64_t i = 0; i < w->channels; i++) {
            int64_t group = unit % w->groups, at = w->per_group ? group : group * w->channels + i;
            size_t row = start + (size_t)(i * w->positions) * size;
            shift_row(w->type, (char *)w->y + row, (const char *)w->x + row, w->positions, mean,
                      factor * number_at(w->type, w->scale, at), number_at(w->type, w->bias, at));
            if (w->activate) w->activate((float *)w->y + row / sizeof(float), w->positions);
        }
    }
}

/* Scale and bias have `parameters` values each. */
static motet_status normalize_groups(mt_op_context *c, group_work *work, int64_t parameters)
{
    const motet_tensor *in = mt_in(c, 0), *parameter;
    for (int i = 1; i <= 2; i++) {
        MT_TRY(mt_need(c, i, &parameter));
        if (parameter->count != parameters)
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d has %" PRId64 " values: expected %" PRId64, i,
                              parameter->count, parameters);
    }
    mt_value_out out;
    MT_TRY(mt_fused_activation(c, &work->activate));
    MT_TRY(mt_value_out_make(c, 0, in->type, in->rank, in->dims, &out));
    if (work->activate && out.type != MOTET_FLOAT) return mt_op_fail_type(c, 0);
    work->type = out.type;
    work->y = out.values;
    work->epsilon = (double)mt_attr_float(c, "epsilon", 1e-5f);
    work->positions = mt_span(in->dims, 2, in->rank);
    MT_TRY(mt_values(c, in, out.type, &work->x));
    MT_TRY(mt_values(c, mt_in(c, 1), out.type, &work->scale));
    MT_TRY(mt_values(c, mt_in(c, 2), out.type, &work->bias));
    if (in->count) mt_ranges(c->pool, in->dims[0] * work->groups, 1, group_rows, work);
    mt_value_out_store(&out);
    return MOTET_OK;
}

static motet_status need_channels(mt_op_context *c, const motet_tensor **in)
{
    MT_TRY(mt_need(c, 0, in));
    if (!mt_is_float((*in)->type)) return mt_op_fail_type(c, 0);
    if ((*in)->rank < 2) return mt_op_fail(c, MOTET_ERROR_SHAPE, "the input has no axis of channels");
    return MOTET_OK;
}

motet_status mt_op_instance_normalization(mt_op_context *c)
{
    const motet_tensor *in;
    MT_TRY(need_channels(c, &in));
    return normalize_groups(c, &(group_work){.groups = in->dims[1], .channels = 1}, in->dims[1]);
}

/* Opset 18 has a scale and bias for each group, opset 21 for each channel. */
motet_status mt_op_group_normalization(mt_op_context *c)
{
    const motet_tensor *in;
    MT_TRY(need_channels(c, &in));
    int64_t groups = mt_attr_int(c, "num_groups", 0), channels = in->dims[1];
    if (groups < 1 || channels % groups)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%" PRId64 " channels in %" PRId64 " groups", channels, groups);
    bool per_group = c->version < 21;
    group_work work = {.groups = groups, .channels = channels / groups, .per_group = per_group};
    return normalize_groups(c, &work, per_group ? groups : channels);
}

/* --- batch normalisation -------------------------------------------------------------------------------------- */

typedef struct batch_work {
    motet_type type;
    double epsilon;
    int64_t channels, positions;
    const void *x, *scale, *bias, *mean, *variance;
    void *y;
} batch_work;

static void batch_rows(void *context, int64_t begin, int64_t end)
{
    const batch_work *w = context;
    size_t size = motet_type_size(w->type);
    for (int64_t row = begin; row < end; row++) {
        int64_t i = row % w->channels;
        double factor = number_at(w->type, w->scale, i) / sqrt(number_at(w->type, w->variance, i) + w->epsilon);
        size_t start = (size_t)(row * w->positions) * size;
        shift_row(w->type, (char *)w->y + start, (const char *)w->x + start, w->positions,
                  number_at(w->type, w->mean, i), factor, number_at(w->type, w->bias, i));
    }
}

/* The mean and variance of one channel over the batch and all positions. */
static void channel_moments(const batch_work *w, int64_t batch, int64_t channel, double *mean, double *variance)
{
    double sum = 0, squares = 0, count = (double)(batch * w->positions);
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t n = 0; n < batch; n++)
            for (int64_t i = 0; i < w->positions; i++) {
                double value = number_at(w->type, w->x, (n * w->channels + channel) * w->positions + i);
                if (pass == 0)
                    sum += value;
                else
                    squares += (value - *mean) * (value - *mean);
            }
        *mean = sum / count;
    }
    *variance = squares / count;
}

/* training_mode: normalises by the batch's own moments, and hands out the running ones moved towards them. */
static motet_status train_moments(mt_op_context *c, batch_work *work, int64_t batch)
{
    double momentum = (double)mt_attr_float(c, "momentum", 0.9f);
    void *mean, *variance;
    MT_TRY(mt_scratch_array(c, work->channels, motet_type_size(work->type), &mean));
    MT_TRY(mt_scratch_array(c, work->channels, motet_type_size(work->type), &variance));
    mt_value_out running[2] = {{0}};
    for (int i = 0; i < 2; i++)
        if (mt_wanted(c, i + 1))
            MT_TRY(mt_value_out_make(c, i + 1, mt_in(c, 3 + i)->type, 1, &work->channels, &running[i]));
    for (int64_t i = 0; i < work->channels; i++) {
        double now[2];
        channel_moments(work, batch, i, &now[0], &now[1]);
        put_number(work->type, mean, i, now[0]);
        put_number(work->type, variance, i, now[1]);
        const void *before[2] = {work->mean, work->variance};
        for (int k = 0; k < 2; k++)
            if (running[k].tensor)
                put_number(running[k].type, running[k].values, i,
                           number_at(work->type, before[k], i) * momentum + now[k] * (1 - momentum));
    }
    for (int i = 0; i < 2; i++)
        if (running[i].tensor) mt_value_out_store(&running[i]);
    work->mean = mean;
    work->variance = variance;
    return MOTET_OK;
}

/* The parameters may have another float type than the input (opset 15). */
motet_status mt_op_batch_normalization(mt_op_context *c)
{
    const motet_tensor *in, *parameter;
    MT_TRY(mt_need(c, 0, &in));
    if (!mt_is_float(in->type)) return mt_op_fail_type(c, 0);
    if (in->rank < 1) return mt_op_fail(c, MOTET_ERROR_SHAPE, "a scalar has no channels");
    int64_t channels = in->rank > 1 ? in->dims[1] : 1;
    mt_value_out out;
    MT_TRY(mt_value_out_make(c, 0, in->type, in->rank, in->dims, &out));
    batch_work work = {.type = out.type, .channels = channels, .y = out.values};
    work.epsilon = (double)mt_attr_float(c, "epsilon", 1e-5f);
    work.positions = in->rank > 1 ? mt_span(in->dims, 2, in->rank) : 1;
    MT_TRY(mt_values(c, in, out.type, &work.x));
    const void **values[] = {&work.scale, &work.bias, &work.mean, &work.variance};
    for (int i = 0; i < 4; i++) {
        MT_TRY(mt_need(c, i + 1, &parameter));
        if (parameter->count != channels)
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d has %" PRId64 " values for %" PRId64 " channels", i + 1,
                              parameter->count, channels);
        MT_TRY(mt_values(c, parameter, out.type, values[i]));
    }
    if (c->version >= 14 && mt_attr_int(c, "training_mode", 0)) MT_TRY(train_moments(c, &work, in->dims[0]));
    if (in->count) mt_ranges(c->pool, in->dims[0] * channels, mt_row_grain(work.positions), batch_rows, &work);
    mt_value_out_store(&out);
    return MOTET_OK;
}
