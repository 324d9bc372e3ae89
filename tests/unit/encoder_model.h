/* A small speech encoder of wav2vec 2.0's and distilHuBERT's make - a stem of convolutions, a convolution for
 * positions, transformer layers - written as the exporters write it, node for node:
 *
 *     LEGACY    torch.onnx.export, opset 17: GELU and attention in single steps, shapes by Shape, Gather and Concat
 *     OLDEST    the same at opset 14: LayerNormalization in single steps too
 *     DYNAMO    torch.onnx.export(dynamo=True), opset 18: keys transposed with all heads as one batch, NaN guarded
 *     NEWEST    the same at opset 23: Gelu, GroupNormalization, Attention
 *
 * Its input is "input_values" [batch, samples], its output "y" [batch, frames, 24]. */
#ifndef TESTS_ENCODER_MODEL_H
#define TESTS_ENCODER_MODEL_H

#include <math.h>
#include <stdarg.h>

#include "onnx_writer.h"

typedef enum encoder_style { LEGACY, OLDEST, DYNAMO, NEWEST } encoder_style;

enum { ENCODER_CHANNELS = 16, ENCODER_WIDTH = 24, ENCODER_HEADS = 4, ENCODER_INNER = 48, ENCODER_HEAD = 6 };

typedef struct encoder {
    encoder_style style;
    piece all;
    int names, seed;
} encoder;

static piece attribute_text(const char *name, const char *value)
{
    return attribute(name, 3, text(4, value));
}

static const char *name_of(encoder *e)
{
    char name[16];
    snprintf(name, sizeof name, "v%d", e->names++);
    return mt_arena_string(&pieces, name);
}

/* A node and its output; inputs up to a NULL. */
static const char *put(encoder *e, const char *type, piece rest, ...)
{
    char inputs[512] = "";
    va_list list;
    va_start(list, rest);
    for (const char *in; (in = va_arg(list, const char *));)
        snprintf(inputs + strlen(inputs), sizeof inputs - strlen(inputs), "%s%s", *inputs ? " " : "", in);
    va_end(list);
    const char *out = name_of(e);
    e->all = JOIN(e->all, node(type, inputs, out, rest));
    return out;
}

static const char *constant(encoder *e, int type, const char *shape, piece elements)
{
    const char *name = name_of(e);
    e->all = JOIN(e->all, initializer(tensor(name, type, shape, elements)));
    return name;
}

static const char *number_of(encoder *e, float value)
{
    return constant(e, MOTET_FLOAT, "", FLOATS(value));
}

static const char *index_of(encoder *e, int64_t value)
{
    return constant(e, MOTET_INT64, "1", INT64S(value));
}

/* Weights around `middle`, `spread` wide. */
static const char *weights(encoder *e, const char *shape, double middle, double spread)
{
    int count = 1;
    for (const char *at = shape; *at; at += strspn(at, " ")) {
        char *end;
        count *= (int)strtol(at, &end, 10);
        at = end;
    }
    float *values = mt_arena_alloc(&pieces, (size_t)count * sizeof *values);
    for (int i = 0; i < count; i++)
        values[i] = (float)(middle + spread * sin(0.7 * i * (1 + 0.01 * e->seed) + e->seed));
    e->seed++;
    return constant(e, MOTET_FLOAT, shape, raw_data(values, (size_t)count * sizeof *values));
}

static piece perm_of(const char *axes)
{
    return attribute_ints("perm", axes);
}

/* --- pieces of it ----------------------------------------------------------------------------------------------- */

static const char *gelu_of(encoder *e, const char *x)
{
    if (e->style == NEWEST) return put(e, "Gelu", attribute_text("approximate", "none"), x, NULL);
    const char *erf = put(e, "Erf", NONE, put(e, "Div", NONE, x, number_of(e, 1.41421356f), NULL), NULL);
    const char *sum = put(e, "Add", NONE, erf, number_of(e, 1), NULL);
    if (e->style == DYNAMO) return put(e, "Mul", NONE, x, put(e, "Mul", NONE, number_of(e, 0.5f), sum, NULL), NULL);
    return put(e, "Mul", NONE, put(e, "Mul", NONE, x, sum, NULL), number_of(e, 0.5f), NULL);
}

static const char *conv_of(encoder *e, const char *x, const char *shape, const char *kernel, const char *stride,
                           int64_t groups, const char *pads)
{
    piece rest = JOIN(attribute_ints("kernel_shape", kernel), attribute_ints("strides", stride),
                      attribute_int("group", groups), attribute_ints("pads", pads));
    return put(e, "Conv", rest, x, weights(e, shape, 0, 0.3), NULL);
}

/* One group for every channel. */
static const char *group_norm(encoder *e, const char *x)
{
    piece epsilon = attribute_float("epsilon", 1e-5f);
    if (e->style == NEWEST)
        return put(e, "GroupNormalization", JOIN(epsilon, attribute_int("num_groups", ENCODER_CHANNELS)), x,
                   weights(e, "16", 1, 0.2), weights(e, "16", 0, 0.2), NULL);
    const char *groups =
        put(e, "Reshape", NONE, x, constant(e, MOTET_INT64, "3", INT64S(0, ENCODER_CHANNELS, -1)), NULL);
    const char *norm =
        put(e, "InstanceNormalization", epsilon, groups, weights(e, "16", 1, 0), weights(e, "16", 0, 0), NULL);
    const char *back = put(e, "Reshape", NONE, norm, put(e, "Shape", NONE, x, NULL), NULL);
    const char *scaled = put(e, "Mul", NONE, back, weights(e, "16 1", 1, 0.2), NULL);
    return put(e, "Add", NONE, scaled, weights(e, "16 1", 0, 0.2), NULL);
}

static const char *layer_norm(encoder *e, const char *x, const char *width)
{
    const char *scale = weights(e, width, 1, 0.2), *bias = weights(e, width, 0, 0.2);
    if (e->style != OLDEST)
        return put(e, "LayerNormalization", attribute_float("epsilon", 1e-5f), x, scale, bias, NULL);
    piece axes = attribute_ints("axes", "-1");
    const char *less = put(e, "Sub", NONE, x, put(e, "ReduceMean", axes, x, NULL), NULL);
    const char *square = put(e, "Pow", NONE, less, number_of(e, 2), NULL);
    const char *variance = put(e, "Add", NONE, put(e, "ReduceMean", axes, square, NULL), number_of(e, 1e-5f), NULL);
    const char *y = put(e, "Div", NONE, less, put(e, "Sqrt", NONE, variance, NULL), NULL);
    return put(e, "Add", NONE, put(e, "Mul", NONE, y, scale, NULL), bias, NULL);
}

static const char *linear(encoder *e, const char *x, const char *shape, const char *width)
{
    return put(e, "Add", NONE, weights(e, width, 0, 0.2), put(e, "MatMul", NONE, x, weights(e, shape, 0, 0.25), NULL),
               NULL);
}

/* Dimension `axis` of x as a list of one. */
static const char *dim_of(encoder *e, const char *x, int64_t axis)
{
    if (e->style >= DYNAMO)
        return put(e, "Shape", JOIN(attribute_int("start", axis), attribute_int("end", axis + 1)), x, NULL);
    const char *at =
        put(e, "Gather", NONE, put(e, "Shape", NONE, x, NULL), constant(e, MOTET_INT64, "", INT64S(axis)), NULL);
    return put(e, "Unsqueeze", NONE, at, index_of(e, 0), NULL);
}

static const char *list_of(encoder *e, const char *a, const char *b, const char *c, const char *d)
{
    return put(e, "Concat", attribute_int("axis", 0), a, b, c, d, NULL);
}

static const char *heads_of(encoder *e, const char *x, const char *from)
{
    const char *shape = list_of(e, dim_of(e, from, 0), dim_of(e, from, 1), index_of(e, -1), index_of(e, ENCODER_HEAD));
    return put(e, "Reshape", NONE, x, shape, NULL);
}

/* Elements [from, to) of the shape of x. */
static const char *part_of_shape(encoder *e, const char *x, int64_t from, int64_t to)
{
    return put(e, "Slice", NONE, put(e, "Shape", attribute_int("start", 0), x, NULL), index_of(e, from),
               index_of(e, to), NULL);
}

static const char *transposed_keys(encoder *e, const char *rows)
{
    if (e->style < DYNAMO) return put(e, "Transpose", perm_of("0 2 3 1"), rows, NULL);
    const char *keys = put(e, "Transpose", perm_of("0 2 1 3"), rows, NULL);
    const char *length = part_of_shape(e, keys, -2, -1), *size = part_of_shape(e, keys, -1, INT64_MAX);
    const char *batches = part_of_shape(e, keys, INT64_MIN, -2);
    const char *merged = put(e, "Reshape", NONE, keys, list_of(e, index_of(e, -1), length, size, NULL), NULL);
    const char *turned = put(e, "Transpose", perm_of("0 2 1"), merged, NULL);
    return put(e, "Reshape", NONE, turned, list_of(e, batches, size, length, NULL), NULL);
}

/* What of `x` [batch, length, width] may look at what: everything, as a mask of shapes. */
static const char *mask_of(encoder *e, const char *x)
{
    const char *yes = constant(e, MOTET_BOOL, "1", raw_data("\1", 1)), *length = dim_of(e, x, 1);
    return put(e, "Expand", NONE, yes, list_of(e, dim_of(e, x, 0), index_of(e, 1), length, length), NULL);
}

static const char *probabilities(encoder *e, const char *q, const char *k, const char *x)
{
    const char *root = number_of(e, 0.63894310f); /* of 1 / sqrt 6 */
    const char *scores =
        put(e, "MatMul", NONE, put(e, "Mul", NONE, q, root, NULL), put(e, "Mul", NONE, k, root, NULL), NULL);
    if (e->style < DYNAMO) return put(e, "Softmax", attribute_int("axis", -1), scores, NULL);
    const char *zero = number_of(e, 0);
    const char *mask = put(e, "Where", NONE, mask_of(e, x), zero, number_of(e, -3.4028235e38f), NULL);
    const char *made = put(e, "Softmax", attribute_int("axis", -1), put(e, "Add", NONE, scores, mask, NULL), NULL);
    return put(e, "Where", NONE, put(e, "IsNaN", NONE, made, NULL), zero, made, NULL);
}

static const char *attention_of(encoder *e, const char *x)
{
    piece swap = perm_of("0 2 1 3");
    const char *rows[3], *y;
    for (int i = 0; i < 3; i++) rows[i] = heads_of(e, linear(e, x, "24 24", "24"), x);
    const char *q = put(e, "Transpose", swap, rows[0], NULL), *v = put(e, "Transpose", swap, rows[2], NULL);
    if (e->style == NEWEST)
        y = put(e, "Attention", attribute_float("scale", 0.40824829f), q, put(e, "Transpose", swap, rows[1], NULL), v,
                mask_of(e, x), NULL);
    else
        y = put(e, "MatMul", NONE, probabilities(e, q, transposed_keys(e, rows[1]), x), v, NULL);
    const char *shape = list_of(e, dim_of(e, y, 0), index_of(e, -1), dim_of(e, q, 2), dim_of(e, v, 3));
    const char *back = put(e, "Transpose", swap, put(e, "Reshape", NONE, y, shape, NULL), NULL);
    shape = list_of(e, dim_of(e, x, 0), dim_of(e, x, 1), index_of(e, -1), NULL);
    return linear(e, put(e, "Reshape", NONE, back, shape, NULL), "24 24", "24");
}

static const char *layer_of(encoder *e, const char *x)
{
    x = layer_norm(e, put(e, "Add", NONE, x, attention_of(e, x), NULL), "24");
    const char *inner = gelu_of(e, linear(e, x, "24 48", "48"));
    return layer_norm(e, put(e, "Add", NONE, x, linear(e, inner, "48 24", "24"), NULL), "24");
}

/* The last frame is one too many. */
static const char *positions_of(encoder *e, const char *x)
{
    piece swap = perm_of("0 2 1");
    const char *y = conv_of(e, put(e, "Transpose", swap, x, NULL), "24 6 8", "8", "1", 4, "4 4");
    y = put(e, "Slice", NONE, y, index_of(e, 0), index_of(e, -1), index_of(e, 2), index_of(e, 1), NULL);
    return put(e, "Transpose", swap, gelu_of(e, y), NULL);
}

static piece encoder_model(encoder_style style, int layers)
{
    encoder state = {.style = style}, *e = &state;
    const char *x = put(e, "Unsqueeze", NONE, "input_values", index_of(e, 1), NULL);
    x = gelu_of(e, group_norm(e, conv_of(e, x, "16 1 10", "10", "5", 1, "0 0")));
    x = gelu_of(e, conv_of(e, x, "16 16 3", "3", "2", 1, "0 0"));
    x = gelu_of(e, conv_of(e, x, "16 16 2", "2", "2", 1, "0 0"));
    x = layer_norm(e, put(e, "Transpose", perm_of("0 2 1"), x, NULL), "16");
    x = linear(e, x, "16 24", "24");
    x = layer_norm(e, put(e, "Add", NONE, x, positions_of(e, x), NULL), "24");
    for (int i = 0; i < layers; i++) x = layer_of(e, x);
    e->all =
        JOIN(e->all, node("Identity", x, "y", NONE), input("input_values", MOTET_FLOAT, "batch samples"), output("y"));
    static const int opsets[] = {[LEGACY] = 17, [OLDEST] = 14, [DYNAMO] = 18, [NEWEST] = 23};
    return model(opsets[style], e->all);
}

#endif
