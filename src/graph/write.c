/* Every value of a model has a number, and needs a name that is nobody else's in the file: its own where that is free,
 * else with a number behind it. Inputs and outputs of the main graph keep theirs. Constants, wherever they belonged,
 * become initializers of the main graph, which every nested graph sees.
 *
 * Readers want each output of a graph made by a node of that graph. Where it is not - an input, a constant, a value of
 * a surrounding graph, the same value as another output - an Identity node makes it. */
#include "graph/write.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "graph/names.h"
#include "onnx/writer.h"

/* Field numbers of onnx.proto. */
enum { MODEL_IR = 1, MODEL_PRODUCER = 2, MODEL_PRODUCER_VERSION = 3, MODEL_GRAPH = 7, MODEL_IMPORT = 8 };
enum { MODEL_METADATA = 14, ENTRY_KEY = 1, ENTRY_VALUE = 2, IMPORT_DOMAIN = 1, IMPORT_VERSION = 2 };
enum { GRAPH_NODE = 1, GRAPH_NAME = 2, GRAPH_INITIALIZER = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12 };
enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_NAME = 3, NODE_TYPE = 4, NODE_ATTRIBUTE = 5, NODE_DOMAIN = 7 };
enum { INFO_NAME = 1, INFO_TYPE = 2, TYPE_TENSOR = 1, TYPE_SEQUENCE = 4, TYPE_MAP = 5, TYPE_OPTIONAL = 9 };
enum { TENSOR_TYPE = 1, TENSOR_SHAPE = 2, LIST_ITEM = 1, MAP_KEY = 1, MAP_VALUE = 2 };
enum { SHAPE_DIM = 1, DIM_VALUE = 1, DIM_PARAM = 2 };
enum { ATTRIBUTE_NAME = 1, ATTRIBUTE_F = 2, ATTRIBUTE_I = 3, ATTRIBUTE_S = 4, ATTRIBUTE_T = 5, ATTRIBUTE_G = 6 };
enum { ATTRIBUTE_FLOATS = 7, ATTRIBUTE_INTS = 8, ATTRIBUTE_STRINGS = 9, ATTRIBUTE_TP = 14 };
enum { ATTRIBUTE_TYPE = 20 };

enum { OLDEST_IR = 4 }; /* the first whose initializers need not be inputs too */

typedef struct import {
    const char *domain;
    int version;
} import;

enum { MAX_IMPORTS = 256 };

typedef struct exporter {
    const mt_model *model;
    const mt_file *origin;
    mt_writer out;
    mt_external_writer *external; /* NULL: weights stand in the file */
    mt_arena arena;               /* of names */
    mt_names taken;
    const char **names; /* by value */
    int *maker;         /* by value: number of the graph one of whose nodes makes it, or -1 */
    bool *used;         /* by value: whether somebody reads it */
import imports[MAX_IMPORTS];
    size_t import_count;
} exporter;

/* --- a look at everything ------------------------------------------------------------------------------------- */

static motet_status note_import(exporter *x, const mt_node *node)
{
    for (size_t i = 0; i < x->import_count; i++) {
        if (strcmp(x->imports[i].domain, node->domain)) continue;
        if (x->imports[i].version == node->version) return MOTET_OK;
        return mt_fail(MOTET_ERROR_UNSUPPORTED,
                       "node '%s' (%s) is of version %d of its domain, others of version %d: a file holds one",
                       node->name, node->type, node->version, x->imports[i].version);
    }
    if (x->import_count == MAX_IMPORTS) return mt_fail(MOTET_ERROR_LIMIT, "more than %d domains", MAX_IMPORTS);
    x->imports[x->import_count++] = (import){node->domain, node->version};
    return MOTET_OK;
}

static void note_used(exporter *x, const int *values, int count)
{
    for (int i = 0; i < count; i++)
        if (values[i] != MT_NO_VALUE) x->used[values[i]] = true;
}

static motet_status look_at_graph(exporter *x, const mt_graph *graph)
{
    note_used(x, graph->outputs, graph->output_count);
    for (int i = 0; i < graph->node_count; i++) {
        const mt_node *node = graph->nodes[i];
        MT_TRY(note_import(x, node));
        note_used(x, node->inputs, node->input_count);
        for (int k = 0; k < node->output_count; k++)
            if (node->outputs[k] != MT_NO_VALUE) x->maker[node->outputs[k]] = graph->number;
        for (int k = 0; k < node->attribute_count; k++)
            if (node->attributes[k].kind == MT_ATTRIBUTE_GRAPH) MT_TRY(look_at_graph(x, node->attributes[k].graph));
    }
    return MOTET_OK;
}

/* --- names ---------------------------------------------------------------------------------------------------- */

/* The number that goes with a name is the last that was put behind it, so that many of one name do not cost their
 * square. */
static motet_status take_name(exporter *x, const char *name)
{
    int other;
    if (mt_names_find(&x->taken, name, &other)) return MOTET_OK;
    return mt_names_add(&x->taken, name, 1) ? MOTET_OK : mt_fail_memory(sizeof x->taken);
}

/* The first of name, name_2, name_3, ... that is free. */
static motet_status invent_name(exporter *x, const char *wanted, const char **out)
{
    const char *base = *wanted ? wanted : "value";
    size_t size = strlen(base) + 16;
    char *text = mt_arena_alloc(&x->arena, size);
    int last, other;
    if (!text) return mt_fail_memory(size);
    snprintf(text, size, "%s", base);
    if (mt_names_find(&x->taken, base, &last)) {
        do snprintf(text, size, "%s_%d", base, ++last);
        while (mt_names_find(&x->taken, text, &other));
        mt_names_set(&x->taken, base, last);
    }
    *out = text;
    return take_name(x, text);
}

static motet_status name_main(exporter *x)
{
    const mt_graph *main = x->model->main;
    for (int i = 0; i < main->input_count; i++) {
        x->names[main->inputs[i]] = x->model->inputs[i].name;
        MT_TRY(take_name(x, x->model->inputs[i].name));
    }
    for (int i = 0; i < main->output_count; i++) {
        int value = main->outputs[i];
        if (x->maker[value] == main->number && !x->names[value]) x->names[value] = x->model->outputs[i].name;
        MT_TRY(take_name(x, x->model->outputs[i].name));
    }
    return MOTET_OK;
}

static motet_status name_values(exporter *x)
{
    MT_TRY(name_main(x));
    for (size_t i = 0; i < x->model->value_count; i++)
        if (!x->names[i]) MT_TRY(invent_name(x, x->model->values[i].name, &x->names[i]));
    return MOTET_OK;
}

/* --- attributes and nodes ------------------------------------------------------------------------------------- */

static motet_status put_graph(exporter *x, const mt_graph *graph);

static motet_status put_value(exporter *x, const mt_attribute *a)
{
    mt_writer *w = &x->out;
    mt_mark mark;
    motet_status status = MOTET_OK;
    switch (a->kind) {
    case MT_ATTRIBUTE_FLOAT: mt_write_float(w, ATTRIBUTE_F, a->f); break;
    case MT_ATTRIBUTE_INT: mt_write_int(w, ATTRIBUTE_I, a->i); break;
    case MT_ATTRIBUTE_STRING: mt_write_bytes(w, ATTRIBUTE_S, a->s.bytes, a->s.length); break;
    case MT_ATTRIBUTE_FLOATS:
        for (size_t i = 0; i < a->count; i++) mt_write_float(w, ATTRIBUTE_FLOATS, a->floats[i]);
        break;
    case MT_ATTRIBUTE_INTS:
        for (size_t i = 0; i < a->count; i++) mt_write_int(w, ATTRIBUTE_INTS, a->ints[i]);
        break;
    case MT_ATTRIBUTE_STRINGS:
        for (size_t i = 0; i < a->count; i++)
            mt_write_bytes(w, ATTRIBUTE_STRINGS, a->strings[i].bytes, a->strings[i].length);
        break;
    case MT_ATTRIBUTE_TENSOR:
        mark = mt_write_begin(w, ATTRIBUTE_T);
        mt_write_tensor(w, a->tensor, "", NULL);
        mt_write_end(w, mark);
        break;
    case MT_ATTRIBUTE_GRAPH:
        mark = mt_write_begin(w, ATTRIBUTE_G);
        status = put_graph(x, a->graph);
        mt_write_end(w, mark);
        break;
    case MT_ATTRIBUTE_TYPE: mt_write_bytes(w, ATTRIBUTE_TP, a->s.bytes, a->s.length); break;
    default: return mt_fail(MOTET_ERROR_UNSUPPORTED, "the attribute '%s' cannot be written", a->name);
    }
    return status;
}

static int type_number(mt_attribute_kind kind)
{
    switch (kind) {
    case MT_ATTRIBUTE_FLOAT: return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
    case MT_ATTRIBUTE_INT: return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
    case MT_ATTRIBUTE_STRING: return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING;
    case MT_ATTRIBUTE_FLOATS: return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS;
    case MT_ATTRIBUTE_INTS: return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
    case MT_ATTRIBUTE_STRINGS: return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS;
    case MT_ATTRIBUTE_TENSOR: return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR;
    case MT_ATTRIBUTE_GRAPH: return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH;
    case MT_ATTRIBUTE_TYPE: return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TYPE_PROTO;
    default: return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED;
    }
}

static motet_status put_attribute(exporter *x, const mt_attribute *attribute)
{
    mt_mark mark = mt_write_begin(&x->out, NODE_ATTRIBUTE);
    mt_write_text(&x->out, ATTRIBUTE_NAME, attribute->name);
    MT_TRY(put_value(x, attribute));
    mt_write_int(&x->out, ATTRIBUTE_TYPE, type_number(attribute->kind));
    mt_write_end(&x->out, mark);
    return MOTET_OK;
}

/* Trailing names that are left out are not written. */
static void put_input_names(exporter *x, const int *values, int count)
{
    while (count > 0 && values[count - 1] == MT_NO_VALUE) count--;
    for (int i = 0; i < count; i++)
        mt_write_text(&x->out, NODE_INPUT, values[i] == MT_NO_VALUE ? "" : x->names[values[i]]);
}

/* Where the number of outputs says what is computed, or all of them have to be there. */
static bool has_all_outputs(const mt_node *node)
{
    static const char *const types[] = {"Split", "If", "Loop", "Scan", "TopK", "DynamicQuantizeLinear"};
    static const char *const classifiers[] = {"LinearClassifier", "SVMClassifier", "TreeEnsembleClassifier"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!*node->domain && strcmp(node->type, types[i]) == 0) return true;
    for (size_t i = 0; i < sizeof classifiers / sizeof *classifiers; i++)
        if (!strcmp(node->domain, "ai.onnx.ml") && strcmp(node->type, classifiers[i]) == 0) return true;
    return false;
}

/* An output that nobody reads has a new name where it has to be there, or stands before one that is read: readers take
 * an empty name for an output only where the standard calls that optional. */
static motet_status put_output_names(exporter *x, const mt_node *node)
{
    int count = node->output_count;
    while (!has_all_outputs(node) && count > 0 && node->outputs[count - 1] == MT_NO_VALUE) count--;
    for (int i = 0; i < count; i++) {
        const char *name = node->outputs[i] == MT_NO_VALUE ? NULL : x->names[node->outputs[i]];
        if (!name) MT_TRY(invent_name(x, "unread", &name));
        mt_write_text(&x->out, NODE_OUTPUT, name);
    }
    return MOTET_OK;
}

static motet_status put_node(exporter *x, const mt_node *node)
{
    mt_mark mark = mt_write_begin(&x->out, GRAPH_NODE);
    put_input_names(x, node->inputs, node->input_count);
    MT_TRY(put_output_names(x, node));
    mt_write_text(&x->out, NODE_NAME, node->name);
    mt_write_text(&x->out, NODE_TYPE, node->type);
    for (int i = 0; i < node->attribute_count; i++)
        MT_TRY_AS(put_attribute(x, &node->attributes[i]), "node '%s' (%s)", node->name, node->type);
    if (*node->domain) mt_write_text(&x->out, NODE_DOMAIN, node->domain);
    mt_write_end(&x->out, mark);
    return MOTET_OK;
}

static void put_identity(exporter *x, const char *from, const char *to)
{
    mt_mark mark = mt_write_begin(&x->out, GRAPH_NODE);
    mt_write_text(&x->out, NODE_INPUT, from);
    mt_write_text(&x->out, NODE_OUTPUT, to);
    mt_write_text(&x->out, NODE_TYPE, "Identity");
    mt_write_end(&x->out, mark);
}

/* --- graphs --------------------------------------------------------------------------------------------------- */

static void put_shape(exporter *x, const motet_value_info *info)
{
    mt_mark shape = mt_write_begin(&x->out, TENSOR_SHAPE);
    for (int i = 0; i < info->rank; i++) {
        mt_mark dim = mt_write_begin(&x->out, SHAPE_DIM);
        if (info->dims[i] >= 0)
            mt_write_int(&x->out, DIM_VALUE, info->dims[i]);
        else if (info->symbols[i])
            mt_write_text(&x->out, DIM_PARAM, info->symbols[i]);
        mt_write_end(&x->out, dim);
    }
    mt_write_end(&x->out, shape);
}

static void put_tensor_type(exporter *x, const motet_value_info *info)
{
    mt_mark tensor = mt_write_begin(&x->out, TYPE_TENSOR);
    mt_write_int(&x->out, TENSOR_TYPE, info->type);
    if (info->rank >= 0) put_shape(x, info);
    mt_write_end(&x->out, tensor);
}

static void put_map_type(exporter *x, const motet_value_info *info)
{
    mt_mark map = mt_write_begin(&x->out, TYPE_MAP);
    mt_write_int(&x->out, MAP_KEY, info->key);
    mt_mark value = mt_write_begin(&x->out, MAP_VALUE);
    put_tensor_type(x, info);
    mt_write_end(&x->out, value);
    mt_write_end(&x->out, map);
}

/* A type of this kind, whose items are of the kind `item`; what that holds in turn are maps or tensors. */
static void put_type(exporter *x, const motet_value_info *info, motet_kind kind, motet_kind item)
{
    motet_kind innermost = info->key == MOTET_UNDEFINED ? MOTET_TENSOR : MOTET_MAP;
    if (kind == MOTET_TENSOR) {
        put_tensor_type(x, info);
    } else if (kind == MOTET_MAP) {
        put_map_type(x, info);
    } else {
        mt_mark list = mt_write_begin(&x->out, kind == MOTET_SEQUENCE ? TYPE_SEQUENCE : TYPE_OPTIONAL);
        mt_mark inner = mt_write_begin(&x->out, LIST_ITEM);
        put_type(x, info, item, innermost);
        mt_write_end(&x->out, inner);
        mt_write_end(&x->out, list);
    }
}

static void put_info(exporter *x, uint32_t field, const char *name, const motet_value_info *info)
{
    mt_mark mark = mt_write_begin(&x->out, field);
    mt_write_text(&x->out, INFO_NAME, name);
    if (info && info->type != MOTET_UNDEFINED) {
        mt_mark type = mt_write_begin(&x->out, INFO_TYPE);
        put_type(x, info, info->kind, info->item);
        mt_write_end(&x->out, type);
    }
    mt_write_end(&x->out, mark);
}

static bool is_repeated(const mt_graph *graph, int index)
{
    for (int i = 0; i < index; i++)
        if (graph->outputs[i] == graph->outputs[index]) return true;
    return false;
}

/* The outputs of a graph. The main graph's have names that are asked for; a nested one's are what they are. */
static motet_status put_outputs(exporter *x, const mt_graph *graph)
{
    const motet_value_info *declared = graph == x->model->main ? x->model->outputs : NULL;
    for (int i = 0; i < graph->output_count; i++) {
        const char *have = x->names[graph->outputs[i]], *name = declared ? declared[i].name : have;
        bool made = x->maker[graph->outputs[i]] == graph->number && !is_repeated(graph, i);
        if (!made && !declared) MT_TRY(invent_name(x, have, &name));
        if (strcmp(name, have)) put_identity(x, have, name);
        put_info(x, GRAPH_OUTPUT, name, declared ? &declared[i] : &graph->declared_outputs[i]);
    }
    return MOTET_OK;
}

static motet_status put_graph(exporter *x, const mt_graph *graph)
{
    bool main = graph == x->model->main;
    const char *name = main && x->origin->model->graph->name ? x->origin->model->graph->name : "graph";
    for (int i = 0; i < graph->node_count; i++) MT_TRY(put_node(x, graph->nodes[i]));
    mt_write_text(&x->out, GRAPH_NAME, *name ? name : "graph");
    for (int i = 0; i < graph->input_count; i++)
        put_info(x, GRAPH_INPUT, x->names[graph->inputs[i]], main ? &x->model->inputs[i] : &graph->declared_inputs[i]);
    return put_outputs(x, graph);
}

static void put_initializers(exporter *x)
{
    for (size_t i = 0; i < x->model->value_count; i++) {
        const mt_value *value = &x->model->values[i];
        if (!value->tensor || !x->used[i]) continue;
        mt_mark mark = mt_write_begin(&x->out, GRAPH_INITIALIZER);
        mt_write_tensor(&x->out, value->tensor, x->names[i], x->external);
        mt_write_end(&x->out, mark);
    }
}

/* --- the model ------------------------------------------------------------------------------------------------ */

/* Every model imports ai.onnx; where no node tells the version, the original does. */
static motet_status import_onnx(exporter *x)
{
    const Onnx__ModelProto *proto = x->origin->model;
    mt_node plain = {.name = "", .type = "", .domain = "", .version = 0};
    for (size_t i = 0; i < x->import_count; i++)
        if (!*x->imports[i].domain) return MOTET_OK;
    for (size_t i = 0; i < proto->n_opset_import; i++) {
        const char *domain = proto->opset_import[i]->domain;
        if ((!domain || !*domain || !strcmp(domain, "ai.onnx")) && proto->opset_import[i]->version <= INT_MAX)
            plain.version = (int)proto->opset_import[i]->version;
    }
    return plain.version ? note_import(x, &plain) : MOTET_OK;
}

static void put_header(exporter *x)
{
    int64_t ir = x->origin->model->ir_version;
    mt_write_int(&x->out, MODEL_IR, ir < OLDEST_IR ? OLDEST_IR : ir);
    mt_write_text(&x->out, MODEL_PRODUCER, "motet");
    mt_write_text(&x->out, MODEL_PRODUCER_VERSION, motet_version());
    for (size_t i = 0; i < x->import_count; i++) {
        mt_mark mark = mt_write_begin(&x->out, MODEL_IMPORT);
        mt_write_text(&x->out, IMPORT_DOMAIN, x->imports[i].domain);
        mt_write_int(&x->out, IMPORT_VERSION, x->imports[i].version);
        mt_write_end(&x->out, mark);
    }
    for (size_t i = 0; i < x->model->metadata_count; i++) {
        mt_mark mark = mt_write_begin(&x->out, MODEL_METADATA);
        mt_write_text(&x->out, ENTRY_KEY, x->model->metadata[i].key);
        mt_write_text(&x->out, ENTRY_VALUE, x->model->metadata[i].value);
        mt_write_end(&x->out, mark);
    }
}

static motet_status export(exporter *x)
{
    size_t values = x->model->value_count;
    x->names = mt_alloc_zero(values, sizeof *x->names);
    x->maker = mt_alloc_array(values, sizeof *x->maker);
    x->used = mt_alloc_zero(values, sizeof *x->used);
    if (!x->names || !x->maker || !x->used) return mt_fail_memory(values);
    for (size_t i = 0; i < values; i++) x->maker[i] = -1;
    MT_TRY(look_at_graph(x, x->model->main));
    MT_TRY(import_onnx(x));
    MT_TRY(name_values(x));
    put_header(x);
    mt_mark graph = mt_write_begin(&x->out, MODEL_GRAPH);
    MT_TRY(put_graph(x, x->model->main));
    put_initializers(x);
    mt_write_end(&x->out, graph);
    return MOTET_OK;
}

/* The weights first: a model without them is worse than weights without a model. */
static motet_status save(const exporter *x, const char *path)
{
    if (x->external && x->external->count) {
        char *beside = mt_alloc(strlen(path) + sizeof ".data");
        if (!beside) return mt_fail_memory(strlen(path));
        sprintf(beside, "%s.data", path);
        motet_status status = x->out.failed ? mt_fail_memory(0) : mt_external_writer_save(x->external, beside);
        mt_free(beside);
        MT_TRY(status);
    }
    return mt_writer_save(&x->out, path);
}

static motet_status write_with(const mt_model *model, const mt_file *origin, const char *path,
                               mt_external_writer *external, bool *too_large)
{
    exporter x = {.model = model, .origin = origin, .external = external};
    motet_status status = export(&x);
    *too_large = status == MOTET_OK && !external && mt_writer_size(&x.out) > INT32_MAX;
    if (status == MOTET_OK && !*too_large) status = save(&x, path);
    mt_writer_clear(&x.out);
    mt_names_clear(&x.taken);
    mt_arena_clear(&x.arena);
    mt_free((void *)x.names);
    mt_free(x.maker);
    mt_free(x.used);
    return status;
}

motet_status mt_model_write(const mt_model *model, const mt_file *origin, const char *path, bool external)
{
    bool too_large = false;
    if (!external) MT_TRY(write_with(model, origin, path, NULL, &too_large));
    if (!external && !too_large) return MOTET_OK;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char *location = mt_alloc(strlen(name) + sizeof ".data");
    if (!location) return mt_fail_memory(strlen(name));
    sprintf(location, "%s.data", name);
    mt_external_writer weights = {.location = location};
    motet_status status = write_with(model, origin, path, &weights, &too_large);
    mt_external_writer_clear(&weights);
    mt_free(location);
    return status;
}
