/* Models with integers in the place of floats. */
#ifndef MT_QUANTIZE_REWRITE_H
#define MT_QUANTIZE_REWRITE_H

#include "graph/graph.h"
#include "quantize/layer.h"

/* Calls visit(context, layer) for every layer, in the order of the nodes, nested graphs before what follows the node
 * they are in; stops when it fails. */
motet_status mt_layers_visit(const mt_model *model, motet_status (*visit)(void *context, const mt_layer *layer),
                             void *context);

/* Quantises layer i, counted as they are visited, where integer[i] is true. */
motet_status mt_layers_quantize(mt_model *model, const bool *integer);

/* Has every one of the `count` layers twice, float and quantised, and a new input that says which of them counts: a
 * bool for each layer, in order, behind the inputs that there are. */
motet_status mt_layers_double(mt_model *model, size_t count);

#endif
