/* DynamicQuantizeLinear needs the range of all its input before it can begin. Where the node that makes this input can
 * tell ranges, of parts that are in the cache as it makes them, they become its output 1, and input 1 of what is then
 * motet's own DynamicQuantizeLinear. */
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "graph/passes/passes.h"

/* True for a node that makes ranges of its output 0, pairs of floats, where output 1 is wanted. */
static bool tells_ranges(const mt_node *node)
{
    return strcmp(node->domain, "motet") == 0 &&
           (strcmp(node->type, "ConvNormalization") == 0 || strcmp(node->type, "ConvIntegerNormalization") == 0);
}

static motet_status give_ranges(mt_model *model, mt_node *maker)
{
    int *outputs = mt_arena_alloc(&model->arena, 2 * sizeof *outputs);
    if (!outputs) return mt_fail_memory(2 * sizeof *outputs);
    outputs[0] = maker->outputs[0];
    MT_TRY(mt_model_value(model, "", model->main, &outputs[1]));
    maker->outputs = outputs;
    maker->output_count = 2;
    return MOTET_OK;
}

static motet_status take_ranges(mt_model *model, mt_node *node, mt_node *maker)
{
    int *inputs = mt_arena_alloc(&model->arena, 2 * sizeof *inputs);
    if (!inputs) return mt_fail_memory(2 * sizeof *inputs);
    if (maker->output_count == 1) MT_TRY(give_ranges(model, maker));
    memcpy(inputs, maker->outputs, 2 * sizeof *inputs);
    node->domain = "motet";
    node->op = NULL;
    node->inputs = inputs;
    node->input_count = 2;
    return MOTET_OK;
}

motet_status mt_pass_range(mt_model *model)
{
    const mt_graph *main = model->main;
    mt_node **maker = mt_alloc_zero(model->value_count, sizeof *maker); /* of every value that has ranges */
    motet_status status = maker ? MOTET_OK : mt_fail_memory(model->value_count * sizeof *maker);
    for (int i = 0; i < main->node_count && status == MOTET_OK; i++) {
        mt_node *node = main->nodes[i];
        bool quantises = strcmp(node->type, "DynamicQuantizeLinear") == 0 && !*node->domain;
        int x = quantises && node->input_count == 1 ? node->inputs[0] : MT_NO_VALUE;
        if (tells_ranges(node) && node->outputs[0] != MT_NO_VALUE) maker[node->outputs[0]] = node;
        if (x != MT_NO_VALUE && maker[x]) status = take_ranges(model, node, maker[x]);
    }
    mt_free(maker);
    return status;
}
