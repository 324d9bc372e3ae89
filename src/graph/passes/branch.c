/* An If with a constant condition is its branch. The branch's nodes move into the surrounding graph in place of the
 * node, and who read its outputs reads the branch's. Conditions within the branch wait for the next call, when folding
 * may have made them constant. */
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "graph/passes/alias.h"
#include "graph/passes/passes.h"

typedef struct inliner {
    mt_model *model;
    mt_aliases aliases;
    bool changed;
} inliner;

/* The branch that is always taken, or NULL. */
static const mt_graph *settled_branch(const mt_model *model, const mt_node *node)
{
    if (*node->domain || strcmp(node->type, "If") || node->input_count != 1 || node->inputs[0] == MT_NO_VALUE)
        return NULL;
    const motet_tensor *condition = model->values[node->inputs[0]].tensor;
    if (!condition || condition->type != MOTET_BOOL || condition->count != 1) return NULL;
    const char *name = *(const uint8_t *)condition->data ? "then_branch" : "else_branch";
    const mt_attribute *branch = mt_node_attribute(node, name);
    if (!branch || branch->kind != MT_ATTRIBUTE_GRAPH) return NULL;
    if (branch->graph->input_count || branch->graph->output_count < node->output_count) return NULL;
    return branch->graph;
}

/* The branch's values now belong to `graph`. */
static void adopt(inliner *in, const mt_graph *branch, const mt_graph *graph)
{
    for (int i = 0; i < branch->node_count; i++) {
        const mt_node *node = branch->nodes[i];
        for (int k = 0; k < node->output_count; k++)
            if (node->outputs[k] != MT_NO_VALUE) in->model->values[node->outputs[k]].home = graph;
    }
}

static void replace_outputs(inliner *in, const mt_node *node, const mt_graph *branch)
{
    for (int i = 0; i < node->output_count; i++)
        if (node->outputs[i] != MT_NO_VALUE) mt_aliases_set(&in->aliases, node->outputs[i], branch->outputs[i]);
}

static int count_after(const mt_model *model, const mt_graph *graph)
{
    int count = 0;
    for (int i = 0; i < graph->node_count; i++) {
        const mt_graph *branch = settled_branch(model, graph->nodes[i]);
        count += branch ? branch->node_count : 1;
    }
    return count;
}

static motet_status inline_in(inliner *in, mt_graph *graph);

static motet_status inline_nested(inliner *in, const mt_node *node)
{
    for (int i = 0; i < node->attribute_count; i++)
        if (node->attributes[i].kind == MT_ATTRIBUTE_GRAPH) MT_TRY(inline_in(in, node->attributes[i].graph));
    return MOTET_OK;
}

static motet_status inline_in(inliner *in, mt_graph *graph)
{
    int count = 0;
    mt_node **nodes = mt_arena_zero(&in->model->arena, (size_t)count_after(in->model, graph), sizeof *nodes);
    if (!nodes) return mt_fail_memory((size_t)graph->node_count * sizeof *nodes);
    for (int i = 0; i < graph->node_count; i++) {
        mt_node *node = graph->nodes[i];
        const mt_graph *branch = settled_branch(in->model, node);
        if (!branch) {
            MT_TRY(inline_nested(in, node));
            nodes[count++] = node;
            continue;
        }
        adopt(in, branch, graph);
        replace_outputs(in, node, branch);
        if (branch->node_count) memcpy(nodes + count, branch->nodes, (size_t)branch->node_count * sizeof *nodes);
        count += branch->node_count;
        in->changed = true;
    }
    graph->nodes = nodes;
    graph->node_count = count;
    return MOTET_OK;
}

motet_status mt_pass_branch(mt_model *model, bool *changed)
{
    inliner in = {.model = model};
    MT_TRY(mt_aliases_create(model, &in.aliases));
    motet_status status = inline_in(&in, model->main);
    if (status == MOTET_OK) mt_aliases_apply(&in.aliases, model);
    mt_aliases_clear(&in.aliases);
    *changed = in.changed;
    return status;
}
