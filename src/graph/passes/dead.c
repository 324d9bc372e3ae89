/* Dead-node elimination: one walk from the last node to the first. By the time a node is reached, everything that could
 * read its outputs has been seen. */
#include "core/memory.h"
#include "core/status.h"
#include "graph/passes/passes.h"

static void mark(bool *used, const int *values, int count)
{
    for (int i = 0; i < count; i++)
        if (values[i] != MT_NO_VALUE) used[values[i]] = true;
}

static bool any_used(const bool *used, const mt_node *node)
{
    for (int i = 0; i < node->output_count; i++)
        if (node->outputs[i] != MT_NO_VALUE && used[node->outputs[i]]) return true;
    return false;
}

static void sweep_graph(mt_graph *graph, bool *used);

static void keep_node(mt_node *node, bool *used)
{
    for (int i = 0; i < node->output_count; i++)
        if (node->outputs[i] != MT_NO_VALUE && !used[node->outputs[i]]) node->outputs[i] = MT_NO_VALUE;
    mark(used, node->inputs, node->input_count);
    for (int i = 0; i < node->attribute_count; i++)
        if (node->attributes[i].kind == MT_ATTRIBUTE_GRAPH) sweep_graph(node->attributes[i].graph, used);
}

static void sweep_graph(mt_graph *graph, bool *used)
{
    int kept = graph->node_count; /* nodes [kept, node_count) stay */
    mark(used, graph->outputs, graph->output_count);
    for (int i = graph->node_count - 1; i >= 0; i--) {
        mt_node *node = graph->nodes[i];
        if (!any_used(used, node)) continue;
        keep_node(node, used);
        graph->nodes[--kept] = node;
    }
    graph->nodes += kept; /* arena memory: the front is not missed */
    graph->node_count -= kept;
}

motet_status mt_pass_dead(mt_model *model)
{
    bool *used = mt_alloc_zero(model->value_count, sizeof *used);
    if (!used) return mt_fail_memory(model->value_count);
    sweep_graph(model->main, used);
    mt_free(used);
    return MOTET_OK;
}
