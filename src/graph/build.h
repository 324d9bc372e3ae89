/* From protobuf to the intermediate form. */
#ifndef MT_GRAPH_BUILD_H
#define MT_GRAPH_BUILD_H

#include "graph/graph.h"
#include "onnx/file.h"

/* Builds the model, with functions expanded, names resolved and nodes in order; weights go on lying in `file`, which
 * must outlive the model. The structure of the file is not needed any more then.
 * Errors: FORMAT with the node's name (unknown and repeated names, circles, ...), UNSUPPORTED, LIMIT, IO, MEMORY. */
motet_status mt_model_build(mt_file *file, mt_model **out);

#endif
