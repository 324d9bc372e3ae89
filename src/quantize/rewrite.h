/* Models with integers in the place of floats. */
#ifndef MT_QUANTIZE_REWRITE_H
#define MT_QUANTIZE_REWRITE_H

#include "graph/graph.h"
#include "onnx/file.h"
#include "quantize/layer.h"
#include "quantize/range.h"

/* Calls visit(context, layer) for every layer, in the order of the nodes, nested graphs before what follows the node
 * they are in; stops when it fails. */
motet_status mt_layers_visit(const mt_model *model, motet_status (*visit)(void *context, const mt_layer *layer),
                             void *context);

/* Quantises layer i, counted as they are visited, where integer[i] is true. What it is fed is brought to bytes by
 * scales[i], or by its own range in each run where that scale is 0 or `scales` is NULL.
 * Float weights of `file` that have become bytes leave memory. */
motet_status mt_layers_quantize(mt_model *model, const mt_file *file, const bool *integer, const mt_byte_scale *scales);

/* Has every one of the `count` layers twice, float and quantised, and a new input that says which of them counts: a
 * bool for each layer, in order, behind the inputs that there are. */
motet_status mt_layers_double(mt_model *model, size_t count, const mt_byte_scale *scales);

/* Makes what layers are fed outputs of the model, each value once, behind the outputs that there are: taps[i] is which
 * of these `*tapped` layer i is fed, MT_NO_VALUE when that is within a nested graph. */
motet_status mt_layers_tap(mt_model *model, int *taps, size_t *tapped);

#endif
