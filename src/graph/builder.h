/* What the files that build a model share. */
#ifndef MT_GRAPH_BUILDER_H
#define MT_GRAPH_BUILDER_H

#include "graph/graph.h"
#include "graph/names.h"
#include "onnx/file.h"
#include "onnx/tensor.h"

typedef struct mt_function {
    const Onnx__FunctionProto *proto;
    const Onnx__AttributeProto **defaults; /* attributes with default values */
    size_t default_count;
} mt_function;

typedef struct mt_builder {
    mt_file *file;
    mt_model *model;
    mt_function *functions;
    mt_names function_names;
    size_t nodes;    /* built so far, calls of functions included: at most MT_MAX_NODES */
    size_t expanded; /* copies made because functions are called more than once: at most MT_MAX_EXPANSION */
} mt_builder;

/* Values, attribute elements and tensor elements that calls of functions may add up to; a node counts for many. */
enum { MT_MAX_EXPANSION = 16000000, MT_NODE_CHARGE = 100, MT_MAX_CALL_DEPTH = 32 };

/* Every node looks through the imports. */
enum { MT_MAX_IMPORTS = 256 };

/* A call of a function that is being expanded. */
typedef struct mt_call {
    const mt_function *function;
    const mt_node *node;
    int depth;
} mt_call;

typedef struct mt_node_list {
    mt_node **nodes;
    size_t count, capacity;
} mt_node_list;

/* Where names are looked up while the nodes of one graph, or of one function, are built. */
typedef struct mt_scope {
    const struct mt_scope *outer; /* the surrounding graph; NULL for the main graph and in functions */
    const mt_call *call;          /* the function that is being expanded, or NULL */
    mt_graph *graph;              /* that the nodes will belong to */
    mt_node_list *nodes;
    mt_names names;
    int depth; /* graphs around this one */
} mt_scope;

/* protobuf-c leaves strings that are not there NULL. */
static inline const char *mt_text(const char *text)
{
    return text ? text : "";
}

/* build.c: the graph of an attribute, or the main graph when outer is NULL. */
motet_status mt_build_graph(mt_builder *b, const mt_scope *outer, const Onnx__GraphProto *proto, mt_graph **out);
motet_status mt_build_nodes(mt_builder *b, mt_scope *scope, Onnx__NodeProto *const *protos, size_t count);
motet_status mt_append_node(mt_scope *scope, mt_node *node);

/* attribute.c */
motet_status mt_build_attributes(mt_builder *b, const mt_scope *scope, const Onnx__NodeProto *proto, mt_node *node);

/* constant.c: the tensor of a Constant node, from its attributes. */
motet_status mt_build_constant(mt_builder *b, const mt_node *node, motet_tensor **out);

/* function.c */
motet_status mt_read_functions(mt_builder *b);
/* *out: the function that the node calls, NULL when it calls none. */
motet_status mt_find_function(const mt_builder *b, const Onnx__NodeProto *proto, const mt_node *node,
                              const mt_function **out);
motet_status mt_expand_call(mt_builder *b, const mt_scope *scope, const mt_function *function, const mt_node *node);
motet_status mt_charge(mt_builder *b, const mt_scope *scope, size_t amount); /* against MT_MAX_EXPANSION */

/* declare.c: inputs, outputs and metadata as the file declares them; the main graph is built. */
motet_status mt_build_declarations(mt_builder *b, const Onnx__GraphProto *proto);
motet_status mt_build_nested_declarations(mt_builder *b, const Onnx__GraphProto *proto, mt_graph *graph);

/* order.c: brings the nodes of a list into an order in which everything is made before it is read. */
motet_status mt_order_nodes(const mt_model *model, const mt_graph *graph, mt_node_list *list);

#endif
