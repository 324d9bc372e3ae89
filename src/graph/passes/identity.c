/* Nodes that only hand on their first input: readers of the output read the input instead. */
#include <string.h>

#include "graph/passes/alias.h"
#include "graph/passes/passes.h"

#include "core/status.h"

/* Dropout does something only in training, which since opset 12 is an input of it. */
static bool is_idle_dropout(const mt_model *model, const mt_node *node)
{
    if (strcmp(node->type, "Dropout")) return false;
    if (node->input_count < 3 || node->inputs[2] == MT_NO_VALUE) return true;
    const motet_tensor *training = model->values[node->inputs[2]].tensor;
    return training && training->type == MOTET_BOOL && training->count == 1 && !*(const uint8_t *)training->data;
}

static bool hands_on(const mt_model *model, const mt_node *node)
{
    if (*node->domain || node->input_count < 1 || node->output_count < 1) return false;
    if (node->inputs[0] == MT_NO_VALUE || node->outputs[0] == MT_NO_VALUE) return false;
    for (int i = 1; i < node->output_count; i++)
        if (node->outputs[i] != MT_NO_VALUE) return false; /* whatever it may be, somebody reads it */
    return strcmp(node->type, "Identity") == 0 || is_idle_dropout(model, node);
}

static void remove_in(const mt_model *model, mt_graph *graph, mt_aliases *aliases)
{
    int kept = 0;
    for (int i = 0; i < graph->node_count; i++) {
        mt_node *node = graph->nodes[i];
        if (hands_on(model, node)) {
            mt_aliases_set(aliases, node->outputs[0], node->inputs[0]);
            continue;
        }
        graph->nodes[kept++] = node;
        for (int k = 0; k < node->attribute_count; k++)
            if (node->attributes[k].kind == MT_ATTRIBUTE_GRAPH) remove_in(model, node->attributes[k].graph, aliases);
    }
    graph->node_count = kept;
}

motet_status mt_pass_identity(mt_model *model)
{
    mt_aliases aliases;
    MT_TRY(mt_aliases_create(model, &aliases));
    remove_in(model, model->main, &aliases);
    mt_aliases_apply(&aliases, model);
    mt_aliases_clear(&aliases);
    return MOTET_OK;
}
