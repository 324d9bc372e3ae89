/* Layers whose products can be computed with integers, and their weights as such. */
#ifndef MT_QUANTIZE_LAYER_H
#define MT_QUANTIZE_LAYER_H

#include "graph/graph.h"

/* A MatMul, Gemm or Conv with constant float32 weights. */
typedef struct mt_layer {
    const mt_node *node;
    const motet_tensor *weights; /* at any address */
    int64_t rows, columns;       /* the weights as a matrix */
    bool by_row;                 /* a row is a channel of the output; else a column is */
    bool convolution;
    float alpha; /* that the product is multiplied by */
    int bias;    /* the value that is added, MT_NO_VALUE for none */
} mt_layer;

/* False when the node is no such layer, or one that must stay float (motet/quantize.h says which). */
bool mt_layer_look(const mt_model *model, const mt_node *node, mt_layer *out);

static inline int64_t mt_layer_channels(const mt_layer *layer)
{
    return layer->by_row ? layer->rows : layer->columns;
}

/* Fills the empty tensors with int8 weights, laid out as MatMulInteger or ConvInteger takes them, and with their
 * float32 scales, times alpha, shaped so that they multiply along the channels. Errors: LIMIT, MEMORY. */
motet_status mt_layer_weights(const mt_layer *layer, motet_tensor *weights, motet_tensor *scales);

#endif
