/* A model that lacks operators says so once, when it is opened, and completely: whoever exported it can then see in one
 * go what to change. */
#include "engine/operators.h"

#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "ops/op.h"

typedef struct missing {
    const mt_node *node; /* the first of its kind */
    int count;
} missing;

typedef struct search {
    missing *list;
    size_t count, capacity;
} search;

static motet_status note_missing(search *s, const mt_node *node)
{
    for (size_t i = 0; i < s->count; i++) {
        const mt_node *other = s->list[i].node;
        if (strcmp(other->type, node->type) || strcmp(other->domain, node->domain) || other->version != node->version)
            continue;
        s->list[i].count++;
        return MOTET_OK;
    }
    if (!mt_reserve((void **)&s->list, s->count, &s->capacity, sizeof *s->list)) return mt_fail_memory(s->capacity);
    s->list[s->count++] = (missing){node, 1};
    return MOTET_OK;
}

static motet_status find_in(search *s, mt_graph *graph)
{
    for (int i = 0; i < graph->node_count; i++) {
        mt_node *node = graph->nodes[i];
        node->op = mt_op_find(node->domain, node->type, node->version);
        if (!node->op) MT_TRY(note_missing(s, node));
        for (int k = 0; k < node->attribute_count; k++)
            if (node->attributes[k].kind == MT_ATTRIBUTE_GRAPH) MT_TRY(find_in(s, node->attributes[k].graph));
    }
    return MOTET_OK;
}

static motet_status report(const search *s)
{
    enum { TEXT_BYTES = 1800 };
    char text[TEXT_BYTES];
    size_t used = 0;
    for (size_t i = 0; i < s->count && used < sizeof text; i++) {
        const missing *m = &s->list[i];
        int length = snprintf(text + used, sizeof text - used, "%s%.64s.%.64s version %d (%d node%s)", i ? ", " : "",
                              *m->node->domain ? m->node->domain : "ai.onnx", m->node->type, m->node->version, m->count,
                              m->count == 1 ? "" : "s");
        used += length > 0 ? (size_t)length : 0;
    }
    return mt_fail(MOTET_ERROR_UNSUPPORTED, "%zu operator%s missing: %s", s->count, s->count == 1 ? " is" : "s are",
                   text);
}

motet_status mt_find_operators(mt_model *model)
{
    search s = {0};
    motet_status status = find_in(&s, model->main);
    if (status == MOTET_OK && s.count) status = report(&s);
    mt_free(s.list);
    return status;
}
