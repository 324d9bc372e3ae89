/* Products of the same rows with different weights of one shape - the projections of attention to queries, keys and
 * values - become one node, which shares its work out to threads once, not three times. It stands where the first did:
 * all it reads besides the rows are constants. Comes after bias and activation have gone into products, and takes those
 * without activation. */
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "graph/passes/match.h"
#include "graph/passes/passes.h"

enum { MOST = 3 };

/* Products that wait to be joined. */
typedef struct group {
    mt_node *members[MOST];
    int count;
} group;

typedef struct joiner {
    mt_model *model;
    group *groups;
    int count;
    int *latest; /* by value: the last group of products of it, and 1 more; 0: none */
} joiner;

static const motet_tensor *weights_of(const mt_model *model, const mt_node *node)
{
    return model->values[node->inputs[1]].tensor;
}

static bool is_projection(const mt_model *model, const mt_node *node)
{
    if (strcmp(node->domain, "motet") || strcmp(node->type, "MatMul") || mt_node_attribute(node, "activation"))
        return false;
    if (node->input_count != 3 || node->output_count != 1 || node->outputs[0] == MT_NO_VALUE) return false;
    const motet_tensor *w = node->inputs[1] == MT_NO_VALUE ? NULL : weights_of(model, node);
    bool bias = node->inputs[2] == MT_NO_VALUE || model->values[node->inputs[2]].tensor;
    return w && w->type == MOTET_FLOAT && w->rank == 2 && bias && node->inputs[0] != MT_NO_VALUE;
}

/* Adds the product to the group of its rows, or begins one. */
static void sort_in(joiner *j, mt_node *node)
{
    int *latest = &j->latest[node->inputs[0]];
    group *g = *latest ? &j->groups[*latest - 1] : NULL;
    const motet_tensor *w = weights_of(j->model, node), *other = g ? weights_of(j->model, g->members[0]) : NULL;
    if (!g || g->count == MOST || w->dims[0] != other->dims[0] || w->dims[1] != other->dims[1]) {
        g = &j->groups[j->count++];
        *latest = j->count;
    }
    g->members[g->count++] = node;
}

static motet_status join_group(const joiner *j, const group *g)
{
    mt_arena *arena = &j->model->arena;
    mt_node *first = g->members[0];
    int *inputs = mt_arena_alloc(arena, (1 + 2 * MOST) * sizeof *inputs);
    int *outputs = mt_arena_alloc(arena, MOST * sizeof *outputs);
    if (!inputs || !outputs) return mt_fail_memory((1 + 3 * MOST) * sizeof *inputs);
    inputs[0] = first->inputs[0];
    for (int i = 0; i < g->count; i++) {
        inputs[1 + 2 * i] = g->members[i]->inputs[1];
        inputs[2 + 2 * i] = g->members[i]->inputs[2];
        outputs[i] = g->members[i]->outputs[0];
        g->members[i]->output_count = 0; /* nobody reads it, so it goes */
    }
    first->type = "Projections";
    first->op = NULL;
    first->inputs = inputs;
    first->input_count = 1 + 2 * g->count;
    first->outputs = outputs;
    first->output_count = g->count;
    return MOTET_OK;
}

motet_status mt_pass_projections(mt_model *model)
{
    const mt_graph *main = model->main;
    joiner j = {.model = model};
    j.groups = mt_alloc_zero((size_t)main->node_count, sizeof *j.groups);
    j.latest = mt_alloc_zero(model->value_count, sizeof *j.latest);
    motet_status status = j.groups && j.latest ? MOTET_OK : mt_fail_memory(model->value_count * sizeof *j.latest);
    for (int i = 0; i < main->node_count && status == MOTET_OK; i++)
        if (is_projection(model, main->nodes[i])) sort_in(&j, main->nodes[i]);
    for (int i = 0; i < j.count && status == MOTET_OK; i++)
        if (j.groups[i].count > 1) status = join_group(&j, &j.groups[i]);
    mt_free(j.groups);
    mt_free(j.latest);
    return status == MOTET_OK ? mt_pass_dead(model) : status;
}
