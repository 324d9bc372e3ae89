/* Keeping a model: its table of values, its tensors, walking what a node reads. */
#include "graph/graph.h"

#include <string.h>

#include "core/memory.h"
#include "core/status.h"

motet_status mt_model_tensor(mt_model *model, motet_tensor **out)
{
    *out = NULL;
    if (!mt_reserve((void **)&model->tensors, model->tensor_count, &model->tensor_capacity, sizeof *model->tensors))
        return mt_fail_memory(sizeof *model->tensors);
    motet_tensor *tensor = mt_arena_zero(&model->arena, 1, sizeof *tensor);
    if (!tensor) return mt_fail_memory(sizeof *tensor);
    model->tensors[model->tensor_count++] = tensor;
    *out = tensor;
    return MOTET_OK;
}

motet_status mt_model_value(mt_model *model, const char *name, const mt_graph *home, int *out)
{
    *out = MT_NO_VALUE;
    if (model->value_count == MT_MAX_VALUES) return mt_fail(MOTET_ERROR_LIMIT, "more than %d values", MT_MAX_VALUES);
    if (!mt_reserve((void **)&model->values, model->value_count, &model->value_capacity, sizeof *model->values))
        return mt_fail_memory(sizeof *model->values);
    char *copy = mt_arena_string(&model->arena, name);
    if (!copy) return mt_fail_memory(strlen(name));
    model->values[model->value_count] = (mt_value){.name = copy, .home = home};
    *out = (int)model->value_count++;
    return MOTET_OK;
}

motet_status mt_model_graph(mt_model *model, mt_graph **out)
{
    *out = mt_arena_zero(&model->arena, 1, sizeof **out);
    if (!*out) return mt_fail_memory(sizeof **out);
    (*out)->number = model->graph_count++;
    return MOTET_OK;
}

void mt_model_destroy(mt_model *model)
{
    if (!model) return;
    for (size_t i = 0; i < model->tensor_count; i++) mt_tensor_clear(model->tensors[i]);
    mt_free(model->tensors);
    mt_free(model->values);
    mt_arena_clear(&model->arena);
    mt_free(model);
}

const char *mt_attribute_kind_name(mt_attribute_kind kind)
{
    static const char *const names[] = {[MT_ATTRIBUTE_FLOAT] = "a float",
                                        [MT_ATTRIBUTE_INT] = "an integer",
                                        [MT_ATTRIBUTE_STRING] = "a string",
                                        [MT_ATTRIBUTE_FLOATS] = "a list of floats",
                                        [MT_ATTRIBUTE_INTS] = "a list of integers",
                                        [MT_ATTRIBUTE_STRINGS] = "a list of strings",
                                        [MT_ATTRIBUTE_TENSOR] = "a tensor",
                                        [MT_ATTRIBUTE_GRAPH] = "a graph",
                                        [MT_ATTRIBUTE_SPARSE] = "a sparse tensor",
                                        [MT_ATTRIBUTE_TYPE] = "a type",
                                        [MT_ATTRIBUTE_OTHER] = "of a kind that is not supported"};
    return names[kind];
}

const mt_attribute *mt_node_attribute(const mt_node *node, const char *name)
{
    for (int i = 0; i < node->attribute_count; i++) {
        if (strcmp(node->attributes[i].name, name) == 0) return &node->attributes[i];
    }
    return NULL;
}

static void visit_all(const int *values, int count, void (*visit)(void *context, int value), void *context)
{
    for (int i = 0; i < count; i++) {
        if (values[i] != MT_NO_VALUE) visit(context, values[i]);
    }
}

void mt_node_reads(const mt_node *node, void (*visit)(void *context, int value), void *context)
{
    visit_all(node->inputs, node->input_count, visit, context);
    for (int i = 0; i < node->attribute_count; i++) {
        if (node->attributes[i].kind != MT_ATTRIBUTE_GRAPH) continue;
        const mt_graph *graph = node->attributes[i].graph;
        for (int k = 0; k < graph->node_count; k++) mt_node_reads(graph->nodes[k], visit, context);
        visit_all(graph->outputs, graph->output_count, visit, context);
    }
}
