/* Common subexpressions: of two nodes that do the same to the same values, the second goes, and who read it reads the
 * first. So does the second of two small constants that are equal, as exporters write one for every use. Nodes come in
 * order, and each one's inputs are replaced before it is looked at: so whole chains fall together in one walk. */
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "graph/passes/alias.h"
#include "graph/passes/passes.h"

enum { PROBES = 16 /* places that are looked at before giving up */ };
static const size_t small_constant = 64; /* bytes */

/* A hash table of things that are numbered from 0, by open addressing. */
typedef struct table {
    int *places; /* a number and 1 more; 0: empty */
    size_t mask;
} table;

static bool create_table(table *t, size_t count)
{
    size_t size = 64;
    while (size < 2 * count) size *= 2;
    t->mask = size - 1;
    t->places = mt_alloc_zero(size, sizeof *t->places);
    return t->places != NULL;
}

static uint64_t mix(uint64_t hash, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) hash = (hash ^ ((const uint8_t *)bytes)[i]) * 1099511628211u;
    return hash;
}

/* --- constants ------------------------------------------------------------------------------------------------ */

static bool is_small(const motet_tensor *t)
{
    return t && t->kind == MOTET_TENSOR && t->type != MOTET_STRING && mt_tensor_bytes(t) <= small_constant;
}

static bool same_constant(const motet_tensor *a, const motet_tensor *b)
{
    if (a->type != b->type || a->rank != b->rank || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims))
        return false;
    return memcmp(a->data, b->data, mt_tensor_bytes(a)) == 0;
}

static void join_constants(const mt_model *model, table *t, mt_aliases *aliases)
{
    for (size_t i = 0; i < model->value_count; i++) {
        const motet_tensor *tensor = model->values[i].tensor;
        if (!is_small(tensor)) continue;
        uint64_t hash = mix(14695981039346656037u, tensor->data, mt_tensor_bytes(tensor));
        for (int probe = 0; probe < PROBES; probe++) {
            int *place = &t->places[(hash + (uint64_t)probe) & t->mask];
            if (*place && !same_constant(model->values[*place - 1].tensor, tensor)) continue;
            if (*place)
                mt_aliases_set(aliases, (int)i, *place - 1);
            else
                *place = (int)i + 1;
            break;
        }
    }
}

/* --- nodes ---------------------------------------------------------------------------------------------------- */

static bool same_attribute(const mt_attribute *a, const mt_attribute *b)
{
    if (strcmp(a->name, b->name) || a->kind != b->kind) return false;
    switch (a->kind) {
    case MT_ATTRIBUTE_FLOAT: return memcmp(&a->f, &b->f, sizeof a->f) == 0;
    case MT_ATTRIBUTE_INT: return a->i == b->i;
    case MT_ATTRIBUTE_STRING: return a->s.length == b->s.length && memcmp(a->s.bytes, b->s.bytes, a->s.length) == 0;
    case MT_ATTRIBUTE_FLOATS:
        return a->count == b->count &&
               (a->count == 0 || memcmp(a->floats, b->floats, a->count * sizeof *a->floats) == 0);
    case MT_ATTRIBUTE_INTS:
        return a->count == b->count && (a->count == 0 || memcmp(a->ints, b->ints, a->count * sizeof *a->ints) == 0);
    default: return false; /* larger ones are not worth a look, and graphs not at all */
    }
}

/* `first` makes all that `node` does. */
static bool same_node(const mt_node *first, const mt_node *node)
{
    if (strcmp(first->type, node->type) || strcmp(first->domain, node->domain) || first->version != node->version)
        return false;
    if (first->input_count != node->input_count || first->output_count != node->output_count ||
        first->attribute_count != node->attribute_count)
        return false;
    for (int i = 0; i < node->input_count; i++)
        if (first->inputs[i] != node->inputs[i]) return false;
    for (int i = 0; i < node->output_count; i++)
        if (first->outputs[i] == MT_NO_VALUE && node->outputs[i] != MT_NO_VALUE) return false;
    for (int i = 0; i < node->attribute_count; i++)
        if (!same_attribute(&first->attributes[i], &node->attributes[i])) return false;
    return true;
}

static uint64_t hash_of(const mt_node *node)
{
    uint64_t hash = mix(14695981039346656037u, node->type, strlen(node->type));
    for (int i = 0; i < node->input_count; i++) hash = mix(hash, &node->inputs[i], sizeof *node->inputs);
    for (int i = 0; i < node->attribute_count; i++)
        if (node->attributes[i].kind == MT_ATTRIBUTE_INT) hash = mix(hash, &node->attributes[i].i, sizeof(int64_t));
    return hash;
}

static void join_nodes(const mt_model *model, table *t, mt_aliases *aliases)
{
    mt_graph *main = model->main;
    int kept = 0;
    for (int i = 0; i < main->node_count; i++) {
        mt_node *node = main->nodes[i];
        main->nodes[kept++] = node;
        for (int k = 0; k < node->input_count; k++)
            if (node->inputs[k] != MT_NO_VALUE) node->inputs[k] = mt_aliases_follow(aliases, node->inputs[k]);
        if (node->input_count == 0 || mt_pass_is_random(node)) continue;
        uint64_t hash = hash_of(node);
        for (int probe = 0; probe < PROBES; probe++) {
            int *place = &t->places[(hash + (uint64_t)probe) & t->mask];
            if (*place && !same_node(main->nodes[*place - 1], node)) continue;
            if (*place) {
                const mt_node *first = main->nodes[*place - 1];
                for (int k = 0; k < node->output_count; k++)
                    if (node->outputs[k] != MT_NO_VALUE) mt_aliases_set(aliases, node->outputs[k], first->outputs[k]);
                kept--;
            } else {
                *place = kept;
            }
            break;
        }
    }
    main->node_count = kept;
}

motet_status mt_pass_common(mt_model *model)
{
    table constants = {0}, nodes = {0};
    mt_aliases aliases;
    MT_TRY(mt_aliases_create(model, &aliases));
    bool there = create_table(&constants, model->value_count) && create_table(&nodes, (size_t)model->main->node_count);
    if (there) {
        join_constants(model, &constants, &aliases);
        join_nodes(model, &nodes, &aliases);
        mt_aliases_apply(&aliases, model);
    }
    mt_free(constants.places);
    mt_free(nodes.places);
    mt_aliases_clear(&aliases);
    return there ? MOTET_OK : mt_fail_memory(model->value_count * sizeof *nodes.places);
}
