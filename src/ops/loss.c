/* NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss: scores [batch, classes, positions...] against one class a
 * position; the second takes the logarithm of the softmax over classes first. Sums are in double. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ops/support.h"

typedef enum reduction { REDUCE_NONE, REDUCE_MEAN, REDUCE_SUM } reduction;

typedef struct loss {
    const motet_tensor *scores, *target;
    int64_t batch, classes, positions;
    const double *values;  /* log probabilities as [batch, classes, positions] */
    const double *weights; /* a class, or NULL: all 1 */
    bool ignores;
    int64_t ignored; /* a class whose positions do not count */
    reduction reduce;
} loss;

static motet_status read_reduction(mt_op_context *c, reduction *out)
{
    static const char *const names[] = {"none", "mean", "sum"};
    const char *name = mt_attr_string(c, "reduction", "mean");
    for (int i = 0; i < 3; i++) {
        *out = (reduction)i;
        if (strcmp(name, names[i]) == 0) return MOTET_OK;
    }
    return mt_op_fail(c, MOTET_ERROR_FORMAT, "reduction \"%s\" is not known", name);
}

static motet_status read_loss(mt_op_context *c, loss *l)
{
    const motet_tensor *scores, *target, *weights = mt_in(c, 2);
    const void *values;
    MT_TRY(mt_need(c, 0, &scores));
    MT_TRY(mt_need(c, 1, &target));
    if (!mt_is_float(scores->type)) return mt_op_fail_type(c, 0);
    if (target->type != MOTET_INT32 && target->type != MOTET_INT64) return mt_op_fail_type(c, 1);
    bool fits = scores->rank >= 2 && target->rank == scores->rank - 1;
    for (int i = 0; i < target->rank && fits; i++) fits = target->dims[i] == scores->dims[i + (i > 0)];
    if (!fits) return mt_op_fail(c, MOTET_ERROR_SHAPE, "the targets must have the scores' axes but for the classes");
    l->scores = scores;
    l->target = target;
    l->batch = scores->dims[0];
    l->classes = scores->dims[1];
    l->positions = mt_span(scores->dims, 2, scores->rank);
    if (weights && weights->count != l->classes)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%" PRId64 " weights for %" PRId64 " classes", weights->count,
                          l->classes);
    MT_TRY(mt_values(c, weights, MOTET_DOUBLE, &values));
    l->weights = values;
    l->ignores = mt_has_attr(c, "ignore_index");
    l->ignored = mt_attr_int(c, "ignore_index", 0);
    MT_TRY(mt_values(c, scores, MOTET_DOUBLE, &values));
    l->values = values;
    return read_reduction(c, &l->reduce);
}

/* The weight and weighted loss of one position; an ignored one has the weight 0. */
static motet_status weigh(mt_op_context *c, const loss *l, int64_t i, double *weight, double *value)
{
    int64_t target;
    mt_convert(&target, MOTET_INT64, mt_at(l->target, i), l->target->type, 1);
    *weight = *value = 0;
    if (l->ignores && target == l->ignored) return MOTET_OK;
    if (target < 0 || target >= l->classes)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "target %" PRId64 " of %" PRId64 " classes", target, l->classes);
    *weight = l->weights ? l->weights[target] : 1;
    *value = -*weight * l->values[(i / l->positions * l->classes + target) * l->positions + i % l->positions];
    return MOTET_OK;
}

static motet_status put_loss(mt_op_context *c, const loss *l)
{
    motet_tensor *out;
    bool whole = l->reduce != REDUCE_NONE;
    double weights = 0, sum = 0;
    MT_TRY(mt_out(c, 0, l->scores->type, whole ? 0 : l->target->rank, l->target->dims, &out));
    for (int64_t i = 0; i < l->target->count; i++) {
        double weight, value;
        MT_TRY(weigh(c, l, i, &weight, &value));
        weights += weight;
        sum += value;
        if (!whole) mt_convert(mt_at(out, i), out->type, &value, MOTET_DOUBLE, 1);
    }
    if (l->reduce == REDUCE_MEAN) sum /= weights;
    if (whole) mt_convert(out->data, out->type, &sum, MOTET_DOUBLE, 1);
    return MOTET_OK;
}

motet_status mt_op_negative_log_likelihood_loss(mt_op_context *c)
{
    loss l = {0};
    MT_TRY(read_loss(c, &l));
    return put_loss(c, &l);
}

/* Over the classes of one position. */
static void log_softmax(const double *x, double *y, int64_t classes, int64_t step)
{
    double most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < classes; i++) most = x[i * step] > most ? x[i * step] : most;
    for (int64_t i = 0; i < classes; i++) sum += exp(x[i * step] - most);
    for (int64_t i = 0; i < classes; i++) y[i * step] = x[i * step] - most - log(sum);
}

motet_status mt_op_softmax_cross_entropy_loss(mt_op_context *c)
{
    loss l = {0};
    void *logs;
    MT_TRY(read_loss(c, &l));
    MT_TRY(mt_scratch_array(c, l.scores->count, sizeof(double), &logs));
    for (int64_t i = 0; i < l.target->count; i++) {
        int64_t start = i / l.positions * l.classes * l.positions + i % l.positions;
        log_softmax(l.values + start, (double *)logs + start, l.classes, l.positions);
    }
    l.values = logs;
    MT_TRY(put_loss(c, &l));
    if (!mt_wanted(c, 1)) return MOTET_OK;
    motet_tensor *out;
    MT_TRY(mt_out(c, 1, l.scores->type, l.scores->rank, l.scores->dims, &out));
    mt_convert(out->data, out->type, logs, MOTET_DOUBLE, out->count);
    return MOTET_OK;
}
