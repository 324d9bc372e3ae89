/* What an operator sees: its node's attributes, its inputs, room for its outputs.
 *
 * An operator is a function from inputs to outputs. It asks for its outputs by type and shape (mt_out) and for scratch
 * memory (mt_scratch) and never allocates or frees anything itself, so the engine alone decides where memory comes
 * from. It must not keep anything between calls but by mt_keep. Inputs are only read; an output never aliases an input
 * unless it was made by mt_out_view. */
#ifndef MT_OPS_OP_H
#define MT_OPS_OP_H

#include "core/pool.h"
#include "core/tensor.h"
#include "kernels/activation.h"

typedef struct mt_node mt_node;   /* graph/graph.h */
typedef struct mt_graph mt_graph; /* graph/graph.h */
typedef struct mt_op mt_op;
typedef struct mt_attribute mt_attribute; /* graph/graph.h */
typedef struct mt_op_context mt_op_context;

/* What is to be made of a constant and kept (mt_keep). */
typedef struct mt_layout {
    size_t bytes;
    void (*fill)(const void *context, mt_pool *pool, void *memory); /* writes it; `pool` may be NULL */
    const void *context;
    size_t later; /* unless 0, whoever asks can do without it for now: then it may be written by another thread, at any
                   * time, from a copy of so many bytes of the context */
    const char
        *name; /* for what is worth keeping in a file: of the way it is laid out, a new one whenever that changes */
    int64_t numbers[6]; /* all that it depends on besides the constant, then */
    int place;          /* of the ways in which one node lays one input out, as shapes have it: 0 .. MT_LAYOUTS - 1 */
} mt_layout;

enum { MT_LAYOUTS = 3 };

/* What the engine does for an operator; the calls below reach it through the context. A test that drives an operator
 * without an engine brings its own. */
typedef struct mt_op_host {
    motet_status (*alloc)(mt_op_context *c, motet_tensor *tensor, motet_type type, int rank, const int64_t *dims);
    motet_status (*alloc_list)(mt_op_context *c, motet_tensor *list, motet_kind kind, int64_t count);
    motet_status (*scratch)(mt_op_context *c, size_t bytes, void **out);
    motet_status (*run_graph)(mt_op_context *c, const mt_graph *graph, const motet_tensor *const *inputs,
                              int input_count, motet_tensor *outputs, int output_count);
    motet_status (*keep)(mt_op_context *c, int i, const mt_layout *layout, const void **out);
    const void *(*kept)(mt_op_context *c, int i); /* NULL: nothing is */
} mt_op_host;

struct mt_op_context {
    const mt_node *node;
    int version; /* the opset version of the node's domain that the model imports */
    int in_count, out_count;
    const motet_tensor *const *in; /* in[i] is NULL where an optional input is left out */
    motet_tensor *const *out;      /* where mt_out makes its tensors; every one is there, wanted or not */
    bool reference;                /* take the plain loops, no fast kernels */
    mt_pool *pool;                 /* for mt_parallel; may be NULL */
    const mt_op_host *host;
    void *run;                     /* the engine's own */
    const mt_attribute **odd_kind; /* set to an attribute that was asked for as another kind than it is */
};

typedef motet_status (*mt_op_function)(mt_op_context *context);

/* --- inputs -------------------------------------------------------------------------------------------------- */

/* Input i, or NULL when it is left out or beyond the node's list. */
static inline const motet_tensor *mt_in(const mt_op_context *c, int i)
{
    return i >= 0 && i < c->in_count ? c->in[i] : NULL;
}

/* Input i, which must be there. */
motet_status mt_need(mt_op_context *c, int i, const motet_tensor **out);

/* Input i as a short list of integers (int32 or int64 tensor, e.g. axes, pads, a shape), at most `capacity`. */
motet_status mt_in_ints(mt_op_context *c, int i, int64_t *values, int capacity, int *count);

/* --- outputs and memory -------------------------------------------------------------------------------------- */

/* True when somebody reads output i. */
bool mt_wanted(const mt_op_context *c, int i);

/* Output i with the given type and shape, elements not cleared. */
motet_status mt_out(mt_op_context *c, int i, motet_type type, int rank, const int64_t *dims, motet_tensor **out);

/* Output i as a list of empty items, which are to be filled: with mt_item_share what exists already, with
 * mt_item_alloc what is to be made. */
motet_status mt_out_list(mt_op_context *c, int i, motet_kind kind, int64_t count, motet_tensor **items);
motet_status mt_item_alloc(mt_op_context *c, motet_tensor *item, motet_type type, int rank, const int64_t *dims);

/* Output i shows `item`, which an input holds. */
motet_status mt_out_item(mt_op_context *c, int i, const motet_tensor *item);

/* Output i shows the elements of `source` (one of the inputs) in another shape of the same count. */
motet_status mt_out_view(mt_op_context *c, int i, const motet_tensor *source, int rank, const int64_t *dims);

/* 64-byte aligned memory until the operator returns, not cleared. */
motet_status mt_scratch(mt_op_context *c, size_t bytes, void **out);

/* 64-byte aligned memory with what can be made of input i once and for all, as it is a constant: it is made in the
 * first run, and every later run of the node finds it again. With i the number of inputs it is made of the node's
 * attributes alone. *out is NULL if that is still to come, which only a layout that can wait must be ready for. */
motet_status mt_keep(mt_op_context *c, int i, const mt_layout *layout, const void **out);

/* What has been kept so, or NULL: for what is costly to make even before it is written. */
const void *mt_kept(mt_op_context *c, int i);

/* --- attributes ---------------------------------------------------------------------------------------------- */

bool mt_has_attr(const mt_op_context *c, const char *name);
int64_t mt_attr_int(const mt_op_context *c, const char *name, int64_t fallback);
float mt_attr_float(const mt_op_context *c, const char *name, float fallback);
const char *mt_attr_string(const mt_op_context *c, const char *name, const char *fallback); /* NUL-terminated */
const int64_t *mt_attr_ints(const mt_op_context *c, const char *name, size_t *count);       /* NULL: not there */
const float *mt_attr_floats(const mt_op_context *c, const char *name, size_t *count);
const mt_string *mt_attr_strings(const mt_op_context *c, const char *name, size_t *count);
const motet_tensor *mt_attr_tensor(const mt_op_context *c, const char *name); /* NULL: not there */
const mt_graph *mt_attr_graph(const mt_op_context *c, const char *name);      /* NULL: not there */

/* The activation that the attribute "activation" of one of motet's own nodes names; NULL when there is none. */
motet_status mt_fused_activation(const mt_op_context *c, mt_activation *out);

/* --- control flow -------------------------------------------------------------------------------------------- */

/* Runs a subgraph of this node with `inputs` bound to its inputs in order; values of the surrounding graphs are visible
 * to it. outputs: empty tensors, to be cleared by the caller with mt_tensor_clear. */
motet_status mt_run_graph(mt_op_context *c, const mt_graph *graph, const motet_tensor *const *inputs, int input_count,
                          motet_tensor *outputs, int output_count);

/* Moves `value` (then empty) to output i. For If, Loop and Scan. */
void mt_out_move(mt_op_context *c, int i, motet_tensor *value);

/* --- failing ------------------------------------------------------------------------------------------------- */

/* Fails with this text. The engine puts "node 'encoder/conv1' (Conv): " before it, as before every failure inside an
 * operator, so the text need not name the node. */
motet_status mt_op_fail(const mt_op_context *c, motet_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Fails, saying that `what` - an attribute, input or output by its name - is not supported, where it is asked for. */
motet_status mt_op_refuse(const mt_op_context *c, bool asked, const char *what);

/* Fails because input i has a type this operator does not take. */
motet_status mt_op_fail_type(const mt_op_context *c, int i);

/* --- the registry -------------------------------------------------------------------------------------------- */

/* One line of registry.def: from opset `since` of `domain` on (until the next line of the same name with a later
 * `since`), `run` computes operator `name`. */
struct mt_op {
    const char *domain; /* "" is ai.onnx */
    const char *name;
    int since;
    mt_op_function run;
    bool lists; /* takes sequences, optionals and maps; for any other operator they are refused before it runs */
};

/* Runs the operator of the context's node. Fails when the operator has looked for an attribute that is there, but of
 * another kind (a float where an integer is expected): the default does not stand in for it. */
motet_status mt_op_run(mt_op_context *c);

/* The operator for a node (domain "" is ai.onnx), or NULL when there is none. */
const mt_op *mt_op_find(const char *domain, const char *name, int version);

/* True when the node, unless it runs by reference, does no more with that constant than pack or copy it from any
 * address (mt_keep): then it need not be settled (mt_tensor_settle). */
bool mt_op_only_packs(const mt_node *node, int input, const motet_tensor *constant);

/* The functions themselves. */
#define MT_OP(domain, name, since, function) motet_status function(mt_op_context *context);
#define MT_LIST_OP                           MT_OP
#include "ops/registry.def"
#undef MT_LIST_OP
#undef MT_OP

#endif
