/* The first layer of a speech encoder: a convolution whose filters have few weights, float or quantised, and a
 * normalisation of each of its channels by itself, an instance normalisation or a group normalisation with a group for
 * every channel. They become one node of motet's own, ConvNormalization or ConvIntegerNormalization, with the inputs
 * and attributes of the convolution, then scale and shift, and epsilon. */
#include <string.h>

#include "core/status.h"
#include "graph/passes/match.h"
#include "graph/passes/passes.h"

enum { MOST_WEIGHTS = 32 /* of a filter: of larger ones the products count, not the memory */ };

/* The convolution whose filters `norm` normalises one by one, and their number; or NULL. */
static mt_node *thin_convolution(const mt_match *m, const mt_node *norm, int64_t *filters)
{
    int x = mt_match_input(norm, 0);
    mt_node *conv = x == MT_NO_VALUE ? NULL : m->maker[x];
    if (!conv || mt_match_only_reader(m, conv, norm->type) != norm) return NULL;
    bool integer = strcmp(conv->type, "ConvIntegerToFloat") == 0;
    const motet_tensor *w = integer || mt_match_is(conv, "Conv") ? mt_match_constant(m, conv, 1) : NULL;
    if (!w || w->rank != 3 || (w->type != MOTET_FLOAT) != integer) return NULL;
    int64_t weights = w->dims[1] * w->dims[2], groups = mt_match_int(conv, "group", 1);
    *filters = w->dims[0];
    bool thin = weights > 0 && weights <= MOST_WEIGHTS && groups > 0 && *filters / groups >= weights;
    return thin ? conv : NULL;
}

static bool is_for_each(const mt_match *m, const mt_node *norm, int i, int64_t filters)
{
    const motet_tensor *t = mt_match_constant(m, norm, i);
    return t && t->type == MOTET_FLOAT && t->count == filters;
}

static motet_status try_at(mt_match *m, mt_node *norm)
{
    int64_t filters;
    bool in_groups = mt_match_is(norm, "GroupNormalization");
    if (!in_groups && !mt_match_is(norm, "InstanceNormalization")) return MOTET_OK;
    const mt_node *conv = thin_convolution(m, norm, &filters);
    if (!conv || (in_groups && mt_match_int(norm, "num_groups", 0) != filters)) return MOTET_OK;
    if (!is_for_each(m, norm, 1, filters) || !is_for_each(m, norm, 2, filters)) return MOTET_OK;
    bool integer = strcmp(conv->type, "ConvIntegerToFloat") == 0;
    const mt_attribute *epsilon = mt_node_attribute(norm, "epsilon");
    float value = epsilon && epsilon->kind == MT_ATTRIBUTE_FLOAT ? epsilon->f : 1e-5f;
    int own = integer ? 7 : 3, inputs[9];
    for (int i = 0; i < own; i++) inputs[i] = mt_match_input(conv, i);
    for (int i = 0; i < 2; i++) inputs[own + i] = norm->inputs[1 + i];
    MT_TRY(mt_match_become(m, norm, "motet", integer ? "ConvIntegerNormalization" : "ConvNormalization", conv->version,
                           inputs, own + 2, conv));
    return mt_match_attribute_float(m, norm, "epsilon", value);
}

motet_status mt_pass_stem(mt_model *model)
{
    return mt_match_each(model, try_at);
}
