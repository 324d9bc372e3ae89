#include "ops/named_activation.h"

#include <math.h>

#include "kernels/math.h"

#define ACTIVATION(name, F)                                                                                            \
    MT_SIMD static void act_##name(float *x, int64_t n, float a, float b)                                              \
    {                                                                                                                  \
        (void)a;                                                                                                       \
        (void)b;                                                                                                       \
        for (int64_t i = 0; i < n; i++) x[i] = F(x[i]);                                                                \
    }
#define RELU(x)         ((x) > 0 ? (x) : 0)
#define AFFINE(x)       (a * (x) + b)
#define LEAKY(x)        ((x) < 0 ? a * (x) : (x))
#define THRESHOLDED(x)  ((x) >= a ? (x) : 0)
#define SCALED_TANH(x)  (a * mt_rational_tanhf(b * (x)))
#define UNIT(x)         ((x) < 0 ? 0 : (x) > 1 ? 1 : (x))
#define HARD_SIGMOID(x) UNIT(a *(x) + b)
#define ELU(x)          ((x) < 0 ? a * (mt_expf(x) - 1) : (x))
#define SELU(x)         (b * ((x) < 0 ? a * (mt_expf(x) - 1) : (x)))
#define SOFTSIGN(x)     ((x) / (1 + fabsf(x)))
#define SOFTPLUS(x)     log1pf(mt_expf(x))
#define CLIP(x)         ((x) < a ? a : (x) > b ? b : (x))
ACTIVATION(sigmoid, mt_rational_sigmoidf)
ACTIVATION(tanh, mt_rational_tanhf)
ACTIVATION(relu, RELU)
ACTIVATION(affine, AFFINE)
ACTIVATION(leaky, LEAKY)
ACTIVATION(thresholded, THRESHOLDED)
ACTIVATION(scaled_tanh, SCALED_TANH)
ACTIVATION(hard_sigmoid, HARD_SIGMOID)
ACTIVATION(elu, ELU)
ACTIVATION(selu, SELU)
ACTIVATION(softsign, SOFTSIGN)
ACTIVATION(softplus, SOFTPLUS)
ACTIVATION(clip, CLIP)

static const struct {
    const char *name;
    mt_named_activation plain;
} activations[] = {
    {"Sigmoid", {act_sigmoid, 0, 0, 0}},
    {"Tanh", {act_tanh, 0, 0, 0}},
    {"Relu", {act_relu, 0, 0, 0}},
    {"Affine", {act_affine, 1, 0, 2}},
    {"LeakyRelu", {act_leaky, 0.01f, 0, 1}},
    {"ThresholdedRelu", {act_thresholded, 1, 0, 1}},
    {"ScaledTanh", {act_scaled_tanh, 1, 1, 2}},
    {"HardSigmoid", {act_hard_sigmoid, 0.2f, 0.5f, 2}},
    {"Elu", {act_elu, 1, 0, 1}},
    {"Selu", {act_selu, 1.67326319f, 1.05070102f, 2}},
    {"Softsign", {act_softsign, 0, 0, 0}},
    {"Softplus", {act_softplus, 0, 0, 0}},
    {"Clip", {act_clip, -INFINITY, INFINITY, 2}},
};

static bool same_name(const char *a, const char *b)
{
    for (; *a && *b; a++, b++)
        if ((*a | 0x20) != (*b | 0x20)) return false;
    return *a == *b;
}

motet_status mt_named_activation_find(const mt_op_context *c, const char *name, mt_named_activation *out)
{
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++) {
        *out = activations[i].plain;
        if (same_name(name, activations[i].name)) return MOTET_OK;
    }
    return mt_op_fail(c, MOTET_ERROR_UNSUPPORTED, "the activation \"%.64s\" is not known", name);
}
