/* Models as files: what one is made of, what is wrong with it, and a simpler one that computes the same.
 *
 * Unlike a session, which is refused whole when anything is wrong, a motet_model opens whatever can be read, and then
 * says what it found: all operators, all that are missing, all problems at once. Nothing is run. */
#ifndef MOTET_MODEL_H
#define MOTET_MODEL_H

#include <stdbool.h>

#include "motet/session.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct motet_model motet_model;

/* Opens the model at `path`. Errors: IO, FORMAT (not an ONNX model at all), LIMIT, MEMORY; everything less is a problem
 * that the model then lists. Everything handed out below belongs to the model and lasts as long. */
MOTET_API MOTET_CHECKED motet_status motet_model_open(const char *path, motet_model **out);
MOTET_API void motet_model_close(motet_model *model); /* NULL is allowed */

typedef struct motet_model_about {
    int64_t ir_version;                      /* of the file format */
    const char *producer, *producer_version; /* who wrote it; "" when it does not say */
    const char *graph;                       /* the name of the main graph; "" likewise */
    int64_t nodes;                           /* of all graphs and functions, Constant nodes included */
    int64_t graphs;                          /* nested in nodes (branches and bodies) */
    int64_t functions;                       /* that the model brings along */
    int64_t weights;                         /* initializers and tensors in attributes */
    int64_t parameters;                      /* their elements */
    int64_t bytes, external_bytes;           /* that they take; those of them in files of their own */
    int64_t missing;                         /* operators that motet does not know */
} motet_model_about;

MOTET_API const motet_model_about *motet_model_describe(const motet_model *model);

/* A set of operators that the model imports. */
typedef struct motet_model_import {
    const char *domain; /* "ai.onnx", "com.microsoft", ... */
    int64_t version;
} motet_model_import;

/* By index, in the file's order; NULL beyond the last. */
MOTET_API const motet_model_import *motet_model_import_at(const motet_model *model, size_t index);

/* A kind of node. */
typedef struct motet_model_operator {
    const char *domain, *type; /* "ai.onnx", "Conv" */
    int64_t version;           /* of the domain, as imported */
    int64_t count;             /* nodes of this kind, in all graphs and functions */
    bool function;             /* one of the model's own functions */
    bool missing;              /* motet does not know it, so no session opens as long as it is used */
} motet_model_operator;

/* By index, sorted by domain, type and version; NULL beyond the last. */
MOTET_API const motet_model_operator *motet_model_operator_at(const motet_model *model, size_t index);

/* The weights of one element type. */
typedef struct motet_model_weights {
    motet_type type;
    int64_t tensors, elements, bytes;
} motet_model_weights;

/* By index, in the order of motet_type; NULL beyond the last. */
MOTET_API const motet_model_weights *motet_model_weights_at(const motet_model *model, size_t index);

/* What must be fed and what comes out, as motet_session_input; NULL beyond the last, and when the graph cannot be read
 * (which is then one of the problems). */
MOTET_API const motet_value_info *motet_model_input(const motet_model *model, size_t index);
MOTET_API const motet_value_info *motet_model_output(const motet_model *model, size_t index);

/* metadata_props, in the file's order; NULL beyond the last. */
typedef struct motet_model_metadata {
    const char *key, *value;
} motet_model_metadata;

MOTET_API const motet_model_metadata *motet_model_metadata_at(const motet_model *model, size_t index);

/* What is wrong, a line each: weights whose bytes are not there or do not fit their shape (external data included),
 * names that lead nowhere, circles, what motet does not support. At most 100 are kept. Missing operators are listed
 * among the operators. NULL beyond the last. */
MOTET_API const char *motet_model_problem_at(const motet_model *model, size_t index);

/* Writes a simpler model to `optimized` that computes the same as the one at `path`: constants folded, settled branches
 * inlined, functions expanded, Identity and what nobody reads removed. Standard ONNX, of the same opset, with inputs,
 * outputs and metadata as they were. Operators that motet does not know stay; so do DequantizeLinear nodes on
 * constants. Results that would be much larger than what they come from stay nodes. With `external`, or beyond 2 GiB,
 * weights stand in `optimized` + ".data". The files are whole or not there, as with motet_file_write; both paths may be
 * the same. Errors: IO, FORMAT, UNSUPPORTED (nodes of one domain in two versions), LIMIT, MEMORY. */
MOTET_API MOTET_CHECKED motet_status motet_model_optimize(const char *path, const char *optimized, bool external);

#ifdef __cplusplus
}
#endif
#endif
