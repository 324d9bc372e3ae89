/* Two walks over the model: one counts, so that every list is allocated once, one fills in.
 *
 * A value is released after the last node of its home graph that reads it, itself or in a graph nested in it. A nested
 * graph never releases what it captures, as it may run again. Outputs of a graph are not released but handed over. */
#include "engine/plan.h"

#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "engine/fixed.h"

typedef struct planner {
    mt_plan *plan;
    int *last;     /* by value: the node of its home graph that reads it last, KEPT or RELEASED */
    int node;      /* the node being looked at */
    mt_step *step; /* its step */
    const mt_graph *graph;
} planner;

enum { KEPT = -2, RELEASED = -1 };

/* --- counting ------------------------------------------------------------------------------------------------- */

static void count_graph(mt_plan *plan, const mt_graph *graph)
{
    plan->step_count += graph->node_count;
    for (int i = 0; i < graph->node_count; i++) {
        const mt_node *node = graph->nodes[i];
        plan->in_count += node->input_count + 1;
        plan->out_count += node->output_count;
        for (int k = 0; k < node->attribute_count; k++)
            if (node->attributes[k].kind == MT_ATTRIBUTE_GRAPH) count_graph(plan, node->attributes[k].graph);
    }
}

static motet_status allocate(planner *p)
{
    mt_plan *plan = p->plan;
    size_t values = plan->model->value_count;
    plan->steps = mt_alloc_array((size_t)plan->step_count, sizeof *plan->steps);
    plan->in = mt_alloc_array((size_t)plan->in_count, sizeof *plan->in);
    plan->out = mt_alloc_array((size_t)plan->out_count, sizeof *plan->out);
    plan->releases = mt_alloc_array(values, sizeof *plan->releases);
    plan->kept = mt_alloc_zero((size_t)plan->in_count, MT_LAYOUTS * sizeof *plan->kept);
    plan->graphs = mt_alloc_zero((size_t)plan->model->graph_count, sizeof *plan->graphs);
    plan->fixed = mt_alloc_zero((size_t)plan->step_count, sizeof *plan->fixed);
    plan->idle = mt_alloc_zero((size_t)plan->step_count, sizeof *plan->idle);
    plan->known_place = mt_alloc_zero(values, sizeof *plan->known_place);
    plan->leaves = mt_alloc_zero(values + (size_t)plan->out_count, sizeof *plan->leaves);
    p->last = mt_alloc_zero(values, sizeof *p->last);
    bool there = plan->steps && plan->in && plan->out && plan->releases && plan->kept && plan->graphs;
    if (there && plan->fixed && plan->idle && plan->known_place && plan->leaves && p->last) return MOTET_OK;
    return mt_fail_memory(values * sizeof *p->last);
}

/* --- when values end ------------------------------------------------------------------------------------------ */

static void note_read(void *context, int value)
{
    planner *p = context;
    if (p->plan->model->values[value].home == p->graph && p->last[value] != KEPT) p->last[value] = p->node;
}

static void release_if_last(void *context, int value)
{
    planner *p = context;
    const mt_value *about = &p->plan->model->values[value];
    if (about->home != p->graph || about->tensor || p->last[value] != p->node) return;
    p->last[value] = RELEASED;
    p->plan->releases[p->plan->release_count++] = value;
    p->step->release_count++;
}

static void find_last_reads(planner *p, const mt_graph *graph)
{
    p->graph = graph;
    for (int i = 0; i < graph->node_count; i++) {
        const mt_node *node = graph->nodes[i];
        p->node = i;
        for (int k = 0; k < node->output_count; k++)
            if (node->outputs[k] != MT_NO_VALUE) p->last[node->outputs[k]] = i;
    }
    for (int i = 0; i < graph->output_count; i++)
        if (p->plan->model->values[graph->outputs[i]].home == graph) p->last[graph->outputs[i]] = KEPT;
    for (int i = 0; i < graph->node_count; i++) {
        p->node = i;
        mt_node_reads(graph->nodes[i], note_read, p);
    }
}

/* --- laying out ----------------------------------------------------------------------------------------------- */

static void lay_out_node(planner *p, const mt_node *node, int index)
{
    mt_plan *plan = p->plan;
    *p->step = (mt_step){.node = node,
                         .version = node->version,
                         .in = plan->in_count,
                         .in_count = node->input_count,
                         .out = plan->out_count,
                         .out_count = node->output_count,
                         .release = plan->release_count};
    for (int k = 0; k < node->input_count; k++) plan->in[plan->in_count++] = node->inputs[k];
    plan->in[plan->in_count++] = MT_NO_VALUE;
    for (int k = 0; k < node->output_count; k++)
        plan->out[plan->out_count++] = node->outputs[k] == MT_NO_VALUE ? plan->slots++ : node->outputs[k];
    p->node = index;
    mt_node_reads(node, release_if_last, p);
    for (int k = 0; k < node->output_count; k++)
        if (node->outputs[k] != MT_NO_VALUE) release_if_last(p, node->outputs[k]);
}

static void lay_out_graph(planner *p, const mt_graph *graph)
{
    mt_plan *plan = p->plan;
    int first = plan->step_count;
    plan->graphs[graph->number] = (mt_step_range){first, graph->node_count};
    plan->step_count += graph->node_count;
    find_last_reads(p, graph);
    for (int i = 0; i < graph->node_count; i++) {
        p->step = &plan->steps[first + i];
        lay_out_node(p, graph->nodes[i], i);
    }
    for (int i = 0; i < graph->node_count; i++) {
        const mt_node *node = graph->nodes[i];
        for (int k = 0; k < node->attribute_count; k++)
            if (node->attributes[k].kind == MT_ATTRIBUTE_GRAPH) lay_out_graph(p, node->attributes[k].graph);
    }
}

/* --- what becomes of values ----------------------------------------------------------------------------------- */

static bool is_view(const mt_node *node)
{
    static const char *const types[] = {"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"};
    for (size_t i = 0; i < sizeof types / sizeof *types && !*node->domain; i++)
        if (strcmp(node->type, types[i]) == 0) return node->inputs[0] != MT_NO_VALUE;
    return false;
}

static void find_leaves(mt_plan *plan)
{
    const mt_graph *main = plan->model->main;
    for (int i = 0; i < main->output_count; i++) plan->leaves[main->outputs[i]] = true;
    for (int i = main->node_count - 1; i >= 0; i--) {
        const mt_node *node = main->nodes[i];
        bool leaves = node->output_count && node->outputs[0] != MT_NO_VALUE && plan->leaves[node->outputs[0]];
        if (leaves && node->input_count && is_view(node)) plan->leaves[node->inputs[0]] = true;
    }
}

motet_status mt_plan_create(const mt_model *model, const mt_file *file, mt_cache *cache, mt_plan **out)
{
    *out = NULL;
    planner p = {.plan = mt_alloc_zero(1, sizeof(mt_plan))};
    if (!p.plan) return mt_fail_memory(sizeof(mt_plan));
    p.plan->model = model;
    p.plan->slots = (int)model->value_count;
    count_graph(p.plan, model->main);
    motet_status status = allocate(&p);
    if (status == MOTET_OK) status = mt_keeper_create(file, cache, &p.plan->keeper);
    if (status == MOTET_OK) {
        p.plan->step_count = p.plan->in_count = p.plan->out_count = 0; /* from here on: laid out so far */
        lay_out_graph(&p, model->main);
        find_leaves(p.plan);
        status = mt_find_fixed(p.plan);
    }
    if (status == MOTET_OK)
        *out = p.plan;
    else
        mt_plan_destroy(p.plan);
    mt_free(p.last);
    return status;
}

void mt_plan_destroy(mt_plan *plan)
{
    if (!plan) return;
    mt_keeper_destroy(plan->keeper);
    mt_free((void *)plan->kept);
    mt_free(plan->steps);
    mt_free(plan->releases);
    mt_free(plan->in);
    mt_free(plan->out);
    mt_free(plan->graphs);
    mt_free(plan->fixed);
    mt_free(plan->idle);
    mt_free(plan->known_place);
    mt_free(plan->leaves);
    mt_free(plan);
}
