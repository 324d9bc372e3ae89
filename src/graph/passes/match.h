/* Finding patterns of nodes: who makes a value, who reads it, what a constant holds. */
#ifndef MT_GRAPH_PASSES_MATCH_H
#define MT_GRAPH_PASSES_MATCH_H

#include "graph/graph.h"

/* The main graph, by value. */
typedef struct mt_match {
    mt_model *model;
    mt_node **maker;  /* the node of the main graph that makes it, or NULL */
    mt_node **reader; /* one that reads it, itself and not in a graph nested in it; NULL when there is none */
    int *reads;       /* how often it is read, in nested graphs and as an output too */
} mt_match;

/* Calls try_at for every node of the main graph, in order, and removes what is dead then. try_at changes nodes in place
 * by the calls below. */
motet_status mt_match_each(mt_model *model, motet_status (*try_at)(mt_match *match, mt_node *node));

/* The same, with `context` for try_at. */
motet_status mt_match_each_with(mt_model *model,
                                motet_status (*try_at)(mt_match *match, mt_node *node, const void *context),
                                const void *context);

/* True for a node of that type of the standard's own domain. */
bool mt_match_is(const mt_node *node, const char *type);

/* The node of type `type` that makes input i of `node`, or NULL. */
mt_node *mt_match_maker(const mt_match *match, const mt_node *node, int i, const char *type);

/* The one node that reads output 0 of `node`, if it is of type `type` and nothing else reads it; or NULL. */
mt_node *mt_match_only_reader(const mt_match *match, const mt_node *node, const char *type);

/* Input i, or MT_NO_VALUE; its tensor if it is a constant, or NULL. */
int mt_match_input(const mt_node *node, int i);
const motet_tensor *mt_match_constant(const mt_match *match, const mt_node *node, int i);

/* True when input i is a scalar float32 constant within a millionth of `value`. */
bool mt_match_scalar(const mt_match *match, const mt_node *node, int i, double value);

/* Input i as one number: a float32 constant of one element and at most `most_axes` axes. */
bool mt_match_number(const mt_match *match, const mt_node *node, int i, int most_axes, double *number);

/* Input i as one integer: an int64 constant of one element. */
bool mt_match_index(const mt_match *match, const mt_node *node, int i, int64_t *index);

/* An integer attribute. */
int64_t mt_match_int(const mt_node *node, const char *name, int64_t fallback);

/* How many axes a value surely has, or -1 where that is not plain to see. */
int mt_match_rank(const mt_match *match, int value);

/* True when anything in the model may be float64: an input, a constant, what a Cast or the like makes. */
bool mt_match_has_double(const mt_model *model);

/* Makes `node` another operator, with the attributes and the name of `like`; NULL: without attributes. `domain` and
 * `type` must be literals, inputs may be MT_NO_VALUE. */
motet_status mt_match_become(mt_match *match, mt_node *node, const char *domain, const char *type, int version,
                             const int *inputs, int input_count, const mt_node *like);

/* Adds an attribute; `name` and `value` must be literals. */
motet_status mt_match_attribute(mt_match *match, mt_node *node, const char *name, const char *value);
motet_status mt_match_attribute_float(mt_match *match, mt_node *node, const char *name, float value);
motet_status mt_match_attribute_int(mt_match *match, mt_node *node, const char *name, int64_t value);
motet_status mt_match_attribute_ints(mt_match *match, mt_node *node, const char *name, const int64_t *values,
                                     size_t count);

/* Makes these values the outputs of `node`; who made them before must have other ones. */
motet_status mt_match_outputs(mt_match *match, mt_node *node, const int *outputs, int count);

#endif
