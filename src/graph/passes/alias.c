/* A table over all values, applied to the whole model at once, so that a pass stays linear however much it replaces. */
#include "graph/passes/alias.h"

#include "core/memory.h"
#include "core/status.h"

motet_status mt_aliases_create(const mt_model *model, mt_aliases *out)
{
    out->instead = mt_alloc_array(model->value_count, sizeof *out->instead);
    if (!out->instead) return mt_fail_memory(model->value_count * sizeof *out->instead);
    for (size_t i = 0; i < model->value_count; i++) out->instead[i] = MT_NO_VALUE;
    return MOTET_OK;
}

void mt_aliases_clear(mt_aliases *aliases)
{
    mt_free(aliases->instead);
}

void mt_aliases_set(mt_aliases *aliases, int value, int other)
{
    aliases->instead[value] = other;
}

/* Follows the chain, and shortens it to half on the way. */
int mt_aliases_follow(mt_aliases *aliases, int value)
{
    int *instead = aliases->instead;
    while (instead[value] != MT_NO_VALUE) {
        int next = instead[value];
        if (instead[next] != MT_NO_VALUE) instead[value] = instead[next];
        value = next;
    }
    return value;
}

static void rewrite(mt_aliases *aliases, int *values, int count)
{
    for (int i = 0; i < count; i++)
        if (values[i] != MT_NO_VALUE) values[i] = mt_aliases_follow(aliases, values[i]);
}

static void rewrite_graph(mt_aliases *aliases, mt_graph *graph)
{
    for (int i = 0; i < graph->node_count; i++) {
        mt_node *node = graph->nodes[i];
        rewrite(aliases, node->inputs, node->input_count);
        for (int k = 0; k < node->attribute_count; k++)
            if (node->attributes[k].kind == MT_ATTRIBUTE_GRAPH) rewrite_graph(aliases, node->attributes[k].graph);
    }
    rewrite(aliases, graph->outputs, graph->output_count);
}

void mt_aliases_apply(mt_aliases *aliases, mt_model *model)
{
    rewrite_graph(aliases, model->main);
}
