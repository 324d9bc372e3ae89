/* From the intermediate form back to a standard ONNX file. */
#ifndef MT_GRAPH_WRITE_H
#define MT_GRAPH_WRITE_H

#include "graph/graph.h"
#include "onnx/file.h"

/* Writes the model to `path`. `origin` is the file it was built from, its structure still there: format version,
 * imports and names of the whole come from it. Functions stay expanded, constants become initializers of the main
 * graph. With `external`, or beyond 2 GiB, weights stand in a file of their own, named like the model with ".data"
 * behind it. Errors: UNSUPPORTED (nodes of one domain in two versions, which a file cannot say; attributes that the
 * intermediate form does not hold), LIMIT, IO, MEMORY. */
motet_status mt_model_write(const mt_model *model, const mt_file *origin, const char *path, bool external);

#endif
