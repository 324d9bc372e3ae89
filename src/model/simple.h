/* Models on their way from one file to another. */
#ifndef MT_MODEL_SIMPLE_H
#define MT_MODEL_SIMPLE_H

#include "graph/graph.h"
#include "onnx/file.h"

/* Opens and builds the model at `path`, simplified as far as a file can say it: see motet_model_optimize. The structure
 * of the file stays; matrices may lie at any address (mt_tensor_settle). Errors name the path; then there is nothing to close. */
motet_status mt_model_open_simple(const char *path, mt_file **file, mt_model **model);

#endif
