/* Weights are a matrix here: filters by what they look at, or what is summed by columns. Each channel of the output is
 * a row or a column of it and has a scale of its own. */
#include "quantize/layer.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "core/tensor.h"

enum { LARGEST = 127, LARGEST_PRODUCT = 255 * LARGEST };

static const motet_tensor *constant(const mt_model *model, const mt_node *node, int i)
{
    int value = i < node->input_count ? node->inputs[i] : MT_NO_VALUE;
    return value == MT_NO_VALUE ? NULL : model->values[value].tensor;
}

static int64_t int_attribute(const mt_node *node, const char *name, int64_t otherwise)
{
    const mt_attribute *a = mt_node_attribute(node, name);
    return a && a->kind == MT_ATTRIBUTE_INT ? a->i : otherwise;
}

static float float_attribute(const mt_node *node, const char *name, float otherwise)
{
    const mt_attribute *a = mt_node_attribute(node, name);
    return a && a->kind == MT_ATTRIBUTE_FLOAT ? a->f : otherwise;
}

static void look_at_matrix(mt_layer *l)
{
    l->rows = l->weights->dims[0];
    l->columns = l->weights->dims[1];
}

/* Y = alpha A' B' + beta C */
static bool look_at_gemm(mt_layer *l)
{
    const mt_node *node = l->node;
    l->bias = node->input_count > 2 ? node->inputs[2] : MT_NO_VALUE;
    l->alpha = float_attribute(node, "alpha", 1);
    l->by_row = int_attribute(node, "transB", 0) != 0;
    bool plain = l->bias == MT_NO_VALUE || float_attribute(node, "beta", 1) == 1;
    return plain && isfinite(l->alpha) && !int_attribute(node, "transA", 0);
}

/* A bias comes to stand before axes that it does not have, so it must be known. */
static bool look_at_conv(const mt_model *model, mt_layer *l)
{
    const mt_node *node = l->node;
    const motet_tensor *w = l->weights, *bias = constant(model, node, 2);
    l->convolution = l->by_row = true;
    l->rows = w->dims[0];
    l->columns = l->rows ? w->count / l->rows : 0;
    l->bias = node->input_count > 2 ? node->inputs[2] : MT_NO_VALUE;
    return l->bias == MT_NO_VALUE || (bias && bias->type == MOTET_FLOAT && bias->rank == 1 && bias->count == l->rows);
}

static bool all_finite(const motet_tensor *t)
{
    const mt_loose_float *values = t->data;
    int64_t i = 0;
    while (i < t->count && isfinite(values[i])) i++;
    return i == t->count;
}

static bool is_one(const mt_model *model, mt_layer *l)
{
    const char *type = l->node->type;
    int rank = l->weights->rank;
    if (strcmp(type, "Conv") == 0) return rank >= 3 && look_at_conv(model, l);
    if (rank != 2) return false;
    look_at_matrix(l);
    return strcmp(type, "MatMul") == 0 || (strcmp(type, "Gemm") == 0 && look_at_gemm(l));
}

bool mt_layer_look(const mt_model *model, const mt_node *node, mt_layer *out)
{
    *out = (mt_layer){.node = node, .weights = constant(model, node, 1), .alpha = 1, .bias = MT_NO_VALUE};
    if (*node->domain || !out->weights || out->weights->type != MOTET_FLOAT || !out->weights->count) return false;
    if (node->inputs[0] == MT_NO_VALUE || node->output_count != 1 || node->outputs[0] == MT_NO_VALUE) return false;
    if (!is_one(model, out)) return false;
    int64_t summed = out->by_row ? out->columns : out->rows;
    return summed <= INT32_MAX / LARGEST_PRODUCT && all_finite(out->weights);
}

/* --- weights as integers -------------------------------------------------------------------------------------- */

/* One of each channel; a channel of zeros, or of what is next to nothing, is 0 times 1. */
static void find_scales(const mt_layer *l, float *scales)
{
    const mt_loose_float *w = l->weights->data;
    int64_t channels = mt_layer_channels(l);
    for (int64_t c = 0; c < channels; c++) scales[c] = 0;
    for (int64_t r = 0; r < l->rows; r++)
        for (int64_t k = 0; k < l->columns; k++) {
            float *largest = &scales[l->by_row ? r : k];
            *largest = fmaxf(*largest, fabsf(w[r * l->columns + k]));
        }
    for (int64_t c = 0; c < channels; c++) scales[c] = scales[c] < LARGEST * FLT_MIN ? 1 : scales[c] / LARGEST;
}

static int8_t quantize(float value, float scale)
{
    float q = rintf(value / scale);
    return (int8_t)fmaxf(-LARGEST, fminf(LARGEST, q));
}

/* A matrix with channels as rows, which Gemm may have, is turned. */
static void quantize_all(const mt_layer *l, const float *scales, int8_t *out)
{
    const mt_loose_float *w = l->weights->data;
    bool turned = l->by_row && !l->convolution;
    for (int64_t r = 0; r < l->rows; r++)
        for (int64_t k = 0; k < l->columns; k++)
            out[turned ? k * l->rows + r : r * l->columns + k] =
                quantize(w[r * l->columns + k], scales[l->by_row ? r : k]);
}

/* [N] for a matrix, [M,1,...] for filters, whose channels come before their spatial axes. */
static motet_status alloc_scales(const mt_layer *l, motet_tensor *scales)
{
    int64_t dims[MOTET_MAX_RANK] = {mt_layer_channels(l)};
    int rank = l->convolution ? l->weights->rank - 1 : 1;
    for (int i = 1; i < rank; i++) dims[i] = 1;
    return mt_tensor_alloc(scales, MOTET_FLOAT, rank, dims);
}

motet_status mt_layer_weights(const mt_layer *l, motet_tensor *weights, motet_tensor *scales)
{
    bool turned = l->by_row && !l->convolution;
    int64_t matrix[] = {turned ? l->columns : l->rows, turned ? l->rows : l->columns};
    MT_TRY(mt_tensor_alloc(weights, MOTET_INT8, l->weights->rank, l->convolution ? l->weights->dims : matrix));
    MT_TRY(alloc_scales(l, scales));
    float *scale = scales->data;
    find_scales(l, scale);
    quantize_all(l, scale, weights->data);
    for (int64_t c = 0; c < scales->count; c++) scale[c] *= l->alpha;
    return MOTET_OK;
}
