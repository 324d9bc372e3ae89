/* Order: ONNX demands that a node comes after those that make its inputs, but not every writer keeps to it, and
 * expanded functions end up out of order too. A list that is in order stays as it is; another is sorted with Kahn's
 * algorithm, first come first served, in time linear in nodes and inputs. What a nested graph captures counts as an
 * input of its node. */
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "graph/builder.h"

/* Node `reader` needs node `maker`. */
typedef struct edge {
    int maker, reader;
} edge;

typedef struct sorting {
    const mt_model *model;
    const mt_graph *graph;
    mt_node_list *list;
    int *maker; /* by value, offset by `lowest`: the node that makes it, or -1 */
    int lowest, values;
    edge *edges;
    size_t edge_count, edge_capacity;
    int reader;        /* the node whose reads are being visited */
    bool out_of_order; /* some node stands before one that it needs */
    bool short_of_memory;
    int *first, *waiting; /* by node: its first edge among those sorted by maker; makers it still waits for */
    mt_node **sorted;
} sorting;

static void note_read(void *context, int value)
{
    sorting *s = context;
    if (s->model->values[value].home != s->graph || value < s->lowest || value >= s->lowest + s->values) return;
    int maker = s->maker[value - s->lowest];
    if (maker < 0) return;
    if (maker >= s->reader) s->out_of_order = true;
    if (!mt_reserve((void **)&s->edges, s->edge_count, &s->edge_capacity, sizeof *s->edges)) {
        s->short_of_memory = true;
        return;
    }
    s->edges[s->edge_count++] = (edge){maker, s->reader};
}

/* The values that the list's nodes make lie in a range of numbers, because they were declared together. */
static motet_status find_makers(sorting *s)
{
    int lowest = INT32_MAX, highest = -1;
    for (size_t i = 0; i < s->list->count; i++) {
        const mt_node *node = s->list->nodes[i];
        for (int k = 0; k < node->output_count; k++) {
            int value = node->outputs[k];
            if (value == MT_NO_VALUE) continue;
            if (value < lowest) lowest = value;
            if (value > highest) highest = value;
        }
    }
    s->lowest = lowest;
    s->values = highest < 0 ? 0 : highest - lowest + 1;
    s->maker = mt_alloc_array((size_t)s->values, sizeof *s->maker);
    if (!s->maker) return mt_fail_memory((size_t)s->values);
    for (int i = 0; i < s->values; i++) s->maker[i] = -1;
    for (size_t i = 0; i < s->list->count; i++) {
        const mt_node *node = s->list->nodes[i];
        for (int k = 0; k < node->output_count; k++)
            if (node->outputs[k] != MT_NO_VALUE) s->maker[node->outputs[k] - lowest] = (int)i;
    }
    return MOTET_OK;
}

static motet_status find_edges(sorting *s)
{
    for (size_t i = 0; i < s->list->count; i++) {
        s->reader = (int)i;
        mt_node_reads(s->list->nodes[i], note_read, s);
    }
    return s->short_of_memory ? mt_fail_memory(s->edge_capacity * sizeof *s->edges) : MOTET_OK;
}

/* Sorts the edges by maker (counting sort), and counts for each node what it waits for. */
static motet_status index_edges(sorting *s)
{
    size_t nodes = s->list->count;
    edge *by_maker = mt_alloc_array(s->edge_count, sizeof *by_maker);
    s->first = mt_alloc_zero(nodes + 2, sizeof *s->first);
    s->waiting = mt_alloc_zero(nodes, sizeof *s->waiting);
    s->sorted = mt_alloc_array(nodes, sizeof *s->sorted);
    if (!by_maker || !s->first || !s->waiting || !s->sorted) {
        mt_free(by_maker);
        return mt_fail_memory(nodes);
    }
    for (size_t i = 0; i < s->edge_count; i++) {
        s->first[s->edges[i].maker + 2]++;
        s->waiting[s->edges[i].reader]++;
    }
    for (size_t i = 2; i < nodes + 2; i++) s->first[i] += s->first[i - 1];
    for (size_t i = 0; i < s->edge_count; i++) by_maker[s->first[s->edges[i].maker + 1]++] = s->edges[i];
    mt_free(s->edges);
    s->edges = by_maker;
    return MOTET_OK;
}

static motet_status sort(sorting *s)
{
    int count = (int)s->list->count, done = 0, ready = 0;
    int *queue = mt_alloc_array((size_t)count, sizeof *queue);
    if (!queue) return mt_fail_memory((size_t)count);
    for (int i = 0; i < count; i++)
        if (s->waiting[i] == 0) queue[ready++] = i;
    for (; done < ready; done++) {
        int node = queue[done];
        s->sorted[done] = s->list->nodes[node];
        for (int e = s->first[node]; e < s->first[node + 1]; e++)
            if (--s->waiting[s->edges[e].reader] == 0) queue[ready++] = s->edges[e].reader;
    }
    mt_free(queue);
    if (done == count) {
        memcpy(s->list->nodes, s->sorted, (size_t)count * sizeof *s->sorted);
        return MOTET_OK;
    }
    int stuck = 0;
    while (s->waiting[stuck] == 0) stuck++;
    return mt_fail(MOTET_ERROR_FORMAT,
                   "the nodes go round in a circle: '%s' (%s) waits for its own output, or for a node that does",
                   s->list->nodes[stuck]->name, s->list->nodes[stuck]->type);
}

static motet_status order(sorting *s)
{
    MT_TRY(find_makers(s));
    MT_TRY(find_edges(s));
    if (!s->out_of_order) return MOTET_OK;
    MT_TRY(index_edges(s));
    return sort(s);
}

motet_status mt_order_nodes(const mt_model *model, const mt_graph *graph, mt_node_list *list)
{
    sorting s = {.model = model, .graph = graph, .list = list};
    motet_status status = order(&s);
    mt_free(s.maker);
    mt_free(s.edges);
    mt_free(s.first);
    mt_free(s.waiting);
    mt_free(s.sorted);
    return status;
}
