/* A model that lacks operators says so once, when it is opened, and completely: whoever exported it can then see in one
 * go what to change. */
#include "engine/operators.h"

#include <stdio.h>
#include <string.h>

#include "core/status.h"
#include "ops/op.h"

typedef struct missing {
    const mt_node *node; /* the first of its kind */
    int count;
} missing;

enum { MAX_KINDS = 64 }; /* that are named; a message has an end */

typedef struct search {
    missing list[MAX_KINDS];
    size_t count;
    int more; /* nodes of kinds that are not named */
} search;

static void note_missing(search *s, const mt_node *node)
{
    for (size_t i = 0; i < s->count; i++) {
        const mt_node *other = s->list[i].node;
        if (strcmp(other->type, node->type) || strcmp(other->domain, node->domain) || other->version != node->version)
            continue;
        s->list[i].count++;
        return;
    }
    if (s->count < MAX_KINDS)
        s->list[s->count++] = (missing){node, 1};
    else
        s->more++;
}

static void find_in(search *s, mt_graph *graph)
{
    for (int i = 0; i < graph->node_count; i++) {
        mt_node *node = graph->nodes[i];
        node->op = mt_op_find(node->domain, node->type, node->version);
        if (!node->op) note_missing(s, node);
        for (int k = 0; k < node->attribute_count; k++)
            if (node->attributes[k].kind == MT_ATTRIBUTE_GRAPH) find_in(s, node->attributes[k].graph);
    }
}

/* What ONNX Runtime writes at its highest level fits one kind of CPU: nobody else can read it, and nobody need. */
static bool is_blocked(const search *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->list[i].node->domain, "com.microsoft.nchwc") == 0) return true;
    return false;
}

static motet_status report(const search *s)
{
    enum { TEXT_BYTES = 1800 };
    if (is_blocked(s))
        return mt_fail(
            MOTET_ERROR_UNSUPPORTED,
            "ONNX Runtime has laid out its channels in blocks for one kind of CPU (com.microsoft.nchwc): save "
            "it at ORT_ENABLE_EXTENDED or lower, or take the file it was made from");
    char text[TEXT_BYTES];
    size_t used = 0;
    for (size_t i = 0; i < s->count && used < sizeof text; i++) {
        const missing *m = &s->list[i];
        int length = snprintf(text + used, sizeof text - used, "%s%.64s.%.64s version %d (%d node%s)", i ? ", " : "",
                              *m->node->domain ? m->node->domain : "ai.onnx", m->node->type, m->node->version, m->count,
                              m->count == 1 ? "" : "s");
        used += length > 0 ? (size_t)length : 0;
    }
    if (s->more)
        return mt_fail(MOTET_ERROR_UNSUPPORTED, "more than %d operators are missing: %s, and %d other nodes", MAX_KINDS,
                       text, s->more);
    return mt_fail(MOTET_ERROR_UNSUPPORTED, "%zu operator%s missing: %s", s->count, s->count == 1 ? " is" : "s are",
                   text);
}

motet_status mt_find_operators(mt_model *model)
{
    search s = {0};
    find_in(&s, model->main);
    return s.count ? report(&s) : MOTET_OK;
}
