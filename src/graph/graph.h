/* The intermediate form: a model as the engine thinks of it, free of protobuf.
 *
 * Every value of a model - of its main graph, of the branches and bodies nested in it, of functions expanded into it -
 * has a number of its own in one table. A subgraph that captures a value of a surrounding graph simply uses that
 * value's number, and a run needs one flat array of tensors however deeply graphs nest. (ONNX has no recursion, so no
 * graph is ever active twice in one run.)
 *
 * Values known at load - initializers, Constant nodes, folded results - carry their tensor; most of these lie in the
 * mapped file. Everything else is made of arena memory and lives as long as the model. */
#ifndef MT_GRAPH_GRAPH_H
#define MT_GRAPH_GRAPH_H

#include <stddef.h>

#include "core/arena.h"
#include "core/tensor.h"
#include "motet/session.h"

typedef struct mt_node mt_node;
typedef struct mt_graph mt_graph;
typedef struct mt_op mt_op; /* ops/op.h */

enum { MT_NO_VALUE = -1 };

/* Guards against hostile files. Nodes and values count after functions are expanded. */
enum { MT_MAX_NODES = 1000000, MT_MAX_VALUES = 16000000, MT_MAX_GRAPH_DEPTH = 40 };

typedef enum mt_attribute_kind {
    MT_ATTRIBUTE_FLOAT,
    MT_ATTRIBUTE_INT,
    MT_ATTRIBUTE_STRING,
    MT_ATTRIBUTE_FLOATS,
    MT_ATTRIBUTE_INTS,
    MT_ATTRIBUTE_STRINGS,
    MT_ATTRIBUTE_TENSOR,
    MT_ATTRIBUTE_GRAPH,
    MT_ATTRIBUTE_SPARSE, /* tensor: all its elements, zeros too; only Constant has such */
    MT_ATTRIBUTE_TYPE,   /* s: a serialised TypeProto */
    MT_ATTRIBUTE_OTHER   /* lists of tensors, sparse tensors or graphs: no operator here reads them */
} mt_attribute_kind;

typedef struct mt_attribute mt_attribute;

struct mt_attribute {
    const char *name;
    mt_attribute_kind kind;
    size_t count; /* elements of floats, ints, strings */
    union {
        float f;
        int64_t i;
        mt_string s;
        const float *floats;
        const int64_t *ints;
        const mt_string *strings;
        const motet_tensor *tensor;
        mt_graph *graph;
    };
};

struct mt_node {
    const char *name;   /* never "": the type and place where the file gives none */
    const char *type;   /* "Conv" */
    const char *domain; /* "" is ai.onnx */
    int version;        /* of the domain, as the model imports it */
    const mt_op *op;    /* set when operators are looked up */
    int input_count, output_count, attribute_count;
    int *inputs;  /* value numbers; MT_NO_VALUE where an optional input is left out */
    int *outputs; /* value numbers; MT_NO_VALUE where nobody reads the output */
    mt_attribute *attributes;
};

struct mt_graph {
    int number; /* below model.graph_count, and no other graph's */
    int input_count, output_count, node_count;
    int *inputs, *outputs;
    motet_value_info *declared_inputs, *declared_outputs; /* of a nested graph, for whoever writes it again */
    mt_node **nodes; /* in an order in which every input is there before it is read */
};

typedef struct mt_value {
    const char *name;     /* as in the file, for messages */
    const mt_graph *home; /* the graph it belongs to: as an input, or made by one of its nodes */
    motet_tensor *tensor; /* its elements when they are known at load, else NULL */
} mt_value;

typedef struct mt_model {
    mt_arena arena;
    mt_value *values;
    size_t value_count, value_capacity;
    int graph_count;
    mt_graph *main;
    motet_value_info *inputs, *outputs; /* as declared; main->inputs and main->outputs in the same order */
    struct mt_metadata {
        const char *key, *value;
    } * metadata;
    size_t metadata_count;
    motet_tensor **tensors; /* what is to be cleared with the model */
    size_t tensor_count, tensor_capacity;
} mt_model;

/* An empty tensor that lives, and is cleared, with the model. */
motet_status mt_model_tensor(mt_model *model, motet_tensor **out);

/* A new value of graph `home`, with a copy of `name`. */
motet_status mt_model_value(mt_model *model, const char *name, const mt_graph *home, int *out);

/* A new graph without anything in it. */
motet_status mt_model_graph(mt_model *model, mt_graph **out);

/* NULL is allowed. */
void mt_model_destroy(mt_model *model);

/* "an integer", "a list of floats", ... */
const char *mt_attribute_kind_name(mt_attribute_kind kind);

/* The attribute of that name, or NULL. */
const mt_attribute *mt_node_attribute(const mt_node *node, const char *name);

/* Calls visit(context, value) for every value that the node reads: its inputs, and what graphs nested in it read
 * (which includes values of those graphs themselves). */
void mt_node_reads(const mt_node *node, void (*visit)(void *context, int value), void *context);

#endif
