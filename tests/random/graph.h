/* Random small graphs, the same from the same seed: chains of the operators that have fast kernels, of every shape that
 * these should take, and of the patterns that passes look for. */
#ifndef TESTS_RANDOM_GRAPH_H
#define TESTS_RANDOM_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "motet/tensor.h"
#include "onnx/writer.h"

enum { RANDOM_AXES = 4, RANDOM_VALUES = 96, RANDOM_INPUTS = 2, RANDOM_OUTPUTS = 2 };

/* A float32 value of the graph, of known shape. */
typedef struct random_value {
    char name[12];
    int rank;
    int64_t dims[RANDOM_AXES];
    bool input; /* fed: the same bits whatever computes the rest */
} random_value;

typedef struct random_graph {
    uint64_t state;
    mt_writer nodes, weights; /* fields of GraphProto */
    random_value values[RANDOM_VALUES];
    int value_count, names;
    random_value inputs[RANDOM_INPUTS], outputs[RANDOM_OUTPUTS];
    int input_count, output_count;
    char story[512]; /* the steps taken, for messages */
    mt_writer model;
} random_graph;

/* Makes the graph and its model (graph->model.bytes, graph->model.used). */
void random_graph_make(random_graph *graph, uint64_t seed);
void random_graph_clear(random_graph *graph);

/* From 0 to count - 1; from -1 to 1. */
unsigned random_below(random_graph *graph, unsigned count);
float random_real(random_graph *graph);

#endif
