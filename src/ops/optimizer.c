/* One step of Adagrad, Adam or Momentum on any number of tensors at once (ai.onnx.preview.training). Inputs are the
 * learning rate, how many steps there were, and then lists: the tensors, their gradients, and what the method keeps. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ops/support.h"

enum { MOST_STATES = 2 };

/* What a step is made of; each method uses some. */
typedef struct settings {
    double rate, steps, norm, alpha, beta, epsilon, decay, norm_after;
    bool nesterov;
} settings;

/* Changes one element x, its gradient being g, and what is kept of it. */
typedef void (*step_function)(const settings *s, double *x, double g, double *kept);

static void adagrad(const settings *s, double *x, double g, double *kept)
{
    g += s->norm * *x;
    kept[0] += g * g;
    *x -= s->rate / (1 + s->steps * s->decay) * g / (sqrt(kept[0]) + s->epsilon);
}

static void adam(const settings *s, double *x, double g, double *kept)
{
    double rate = s->rate;
    g += s->norm * *x;
    kept[0] = s->alpha * kept[0] + (1 - s->alpha) * g;
    kept[1] = s->beta * kept[1] + (1 - s->beta) * g * g;
    if (s->steps > 0) rate *= sqrt(1 - pow(s->beta, s->steps)) / (1 - pow(s->alpha, s->steps));
    *x = (1 - s->norm_after) * (*x - rate * kept[0] / (sqrt(kept[1]) + s->epsilon));
}

static void momentum(const settings *s, double *x, double g, double *kept)
{
    g += s->norm * *x;
    kept[0] = s->alpha * kept[0] + (s->steps > 0 ? s->beta : 1) * g;
    *x -= s->rate * (s->nesterov ? g + s->alpha * kept[0] : kept[0]);
}

static motet_status read_settings(mt_op_context *c, settings *s)
{
    double *numbers[] = {&s->rate, &s->steps};
    for (int i = 0; i < 2; i++) {
        const motet_tensor *in;
        MT_TRY(mt_need(c, i, &in));
        if (in->count != 1 || !mt_is_number(in->type))
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d: expected one number", i);
        mt_convert(numbers[i], MOTET_DOUBLE, in->data, in->type, 1);
    }
    s->norm = (double)mt_attr_float(c, "norm_coefficient", 0);
    s->norm_after = (double)mt_attr_float(c, "norm_coefficient_post", 0);
    s->alpha = (double)mt_attr_float(c, "alpha", 0.9f);
    s->beta = (double)mt_attr_float(c, "beta", 0.999f);
    s->decay = (double)mt_attr_float(c, "decay_factor", 0);
    s->nesterov = strcmp(mt_attr_string(c, "mode", "standard"), "nesterov") == 0;
    return MOTET_OK;
}

/* Tensor k of `count`, whose list begins at input 2. */
static motet_status step_tensor(mt_op_context *c, const settings *s, step_function step, int states, int count, int k)
{
    const motet_tensor *x, *other;
    const void *values[2 + MOST_STATES];
    mt_value_out out[1 + MOST_STATES];
    MT_TRY(mt_need(c, 2 + k, &x));
    for (int i = 0; i < 2 + states; i++) {
        MT_TRY(mt_need(c, 2 + i * count + k, &other));
        if (!mt_same_shape(x, other) || !mt_is_float(other->type))
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d does not fit input %d", 2 + i * count + k, 2 + k);
        MT_TRY(mt_values(c, other, MOTET_DOUBLE, &values[i]));
    }
    for (int i = 0; i < 1 + states; i++)
        MT_TRY(mt_value_out_make_in(c, i * count + k, x->type, MOTET_DOUBLE, x->rank, x->dims, &out[i]));
    for (int64_t at = 0; at < x->count; at++) {
        double value = ((const double *)values[0])[at], kept[MOST_STATES];
        for (int i = 0; i < states; i++) kept[i] = ((const double *)values[2 + i])[at];
        step(s, &value, ((const double *)values[1])[at], kept);
        ((double *)out[0].values)[at] = value;
        for (int i = 0; i < states; i++) ((double *)out[1 + i].values)[at] = kept[i];
    }
    for (int i = 0; i < 1 + states; i++) mt_value_out_store(&out[i]);
    return MOTET_OK;
}

static motet_status optimise(mt_op_context *c, settings *s, step_function step, int states)
{
    int lists = 2 + states, count = (c->in_count - 2) / lists;
    MT_TRY(read_settings(c, s));
    if (c->in_count < 2 + lists || (c->in_count - 2) % lists || c->out_count != count * (1 + states))
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "%d inputs and %d outputs do not make whole lists", c->in_count,
                          c->out_count);
    for (int k = 0; k < count; k++) MT_TRY(step_tensor(c, s, step, states, count, k));
    return MOTET_OK;
}

motet_status mt_op_adagrad(mt_op_context *c)
{
    return optimise(c, &(settings){.epsilon = (double)mt_attr_float(c, "epsilon", 1e-6f)}, adagrad, 1);
}

motet_status mt_op_adam(mt_op_context *c)
{
    return optimise(c, &(settings){.epsilon = (double)mt_attr_float(c, "epsilon", 1e-6f)}, adam, 2);
}

motet_status mt_op_momentum(mt_op_context *c)
{
    return optimise(c, &(settings){0}, momentum, 1);
}
