/* A layer becomes a chain of nodes, as ONNX Runtime's quantiser writes it:
 *
 *     a, a_scale, a_zero = DynamicQuantizeLinear(input)          once for all layers that read the input
 *     product            = MatMulInteger(a, weights, a_zero, 0)  or ConvInteger, with the attributes of the Conv
 *     output             = Cast(product) * (a_scale * weight_scales) [+ bias]
 *
 * With a scale that is known, a is QuantizeLinear(input, a_scale, a_zero), and the product of the scales a constant.
 * The nodes of a graph are copied to a new list with the chains in their places. */
#include "quantize/rewrite.h"

#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"

enum { OLDEST_OPSET = 11 };

/* --- visiting ------------------------------------------------------------------------------------------------- */

static motet_status visit_graph(const mt_model *model, const mt_graph *graph,
                                motet_status (*visit)(void *context, const mt_layer *layer), void *context)
{
    mt_layer layer;
    for (int i = 0; i < graph->node_count; i++) {
        const mt_node *node = graph->nodes[i];
        for (int k = 0; k < node->attribute_count; k++)
            if (node->attributes[k].kind == MT_ATTRIBUTE_GRAPH)
                MT_TRY(visit_graph(model, node->attributes[k].graph, visit, context));
        if (mt_layer_look(model, node, &layer)) MT_TRY(visit(context, &layer));
    }
    return MOTET_OK;
}

motet_status mt_layers_visit(const mt_model *model, motet_status (*visit)(void *context, const mt_layer *layer),
                             void *context)
{
    return visit_graph(model, model->main, visit, context);
}

/* --- making nodes --------------------------------------------------------------------------------------------- */

typedef struct rewrite {
    mt_model *model;
    const mt_file *file;         /* whose weights are not needed any more, or NULL */
    const bool *integer;         /* by layer; NULL: every one, */
    const int *switches;         /* and which of the two counts is the value of that layer here */
    const mt_byte_scale *scales; /* by layer; NULL: none is known */
    size_t next;                 /* layer */
    mt_node **quantizers;        /* by value: the node that brings it to bytes, or NULL */
    int zero;                    /* the zero point of weights */
} rewrite;

/* The graph that is being written. */
typedef struct node_list {
    const mt_graph *graph;
    mt_node **nodes;
    size_t count, capacity;
} node_list;

static motet_status append(node_list *list, mt_node *node)
{
    if (!mt_reserve((void **)&list->nodes, list->count, &list->capacity, sizeof(mt_node *)))
        return mt_fail_memory(list->capacity * sizeof(mt_node *));
    list->nodes[list->count++] = node;
    return MOTET_OK;
}

/* "encoder/MatMul/scale" in the model's memory, or NULL. */
static char *join(rewrite *r, const char *name, const char *what)
{
    size_t size = strlen(name) + strlen(what) + 2;
    char *text = mt_arena_alloc(&r->model->arena, size);
    if (text) snprintf(text, size, "%s/%s", name, what);
    return text;
}

static motet_status new_value(rewrite *r, const char *name, const char *what, const mt_graph *home, int *out)
{
    char *text = join(r, name, what);
    return text ? mt_model_value(r->model, text, home, out) : mt_fail_memory(strlen(name));
}

/* Appends a node that reads `inputs` and makes values of its own, `made` of them; its name is that of `like` and
 * `what`. */
static motet_status add_node(rewrite *r, node_list *list, const mt_node *like, const char *type, const char *what,
                             const int *inputs, int input_count, int made, mt_node **out)
{
    mt_arena *arena = &r->model->arena;
    mt_node *node = mt_arena_zero(arena, 1, sizeof *node);
    int *values = mt_arena_alloc(arena, (size_t)(input_count + made) * sizeof *values);
    char *name = join(r, like->name, what);
    if (!node || !values || !name) return mt_fail_memory(sizeof *node);
    memcpy(values, inputs, (size_t)input_count * sizeof *values);
    *node = (mt_node){.name = name,
                      .type = type,
                      .domain = "",
                      .version = like->version,
                      .input_count = input_count,
                      .output_count = made,
                      .inputs = values,
                      .outputs = values + input_count};
    for (int i = 0; i < made; i++) MT_TRY(new_value(r, like->name, what, list->graph, &node->outputs[i]));
    *out = node;
    return append(list, node);
}

static motet_status new_constant(rewrite *r, const char *name, const char *what, int *value, motet_tensor **out)
{
    MT_TRY(new_value(r, name, what, r->model->main, value));
    MT_TRY(mt_model_tensor(r->model, out));
    r->model->values[*value].tensor = *out;
    return MOTET_OK;
}

/* --- the chain ------------------------------------------------------------------------------------------------ */

static motet_status new_scalar(rewrite *r, const mt_layer *l, const char *what, motet_type type, const void *value,
                               int *out)
{
    motet_tensor *tensor;
    MT_TRY(new_constant(r, l->node->name, what, out, &tensor));
    MT_TRY(mt_tensor_alloc(tensor, type, 0, NULL));
    memcpy(tensor->data, value, motet_type_size(type));
    tensor->constant = true;
    return MOTET_OK;
}

/* The scale that is known of what the layer at hand is fed, or NULL. */
static const mt_byte_scale *known_scale(const rewrite *r)
{
    size_t layer = r->next - 1;
    return r->scales && r->scales[layer].scale > 0 ? &r->scales[layer] : NULL;
}

/* *bytes and *zero are values. */
static motet_status quantize_input(rewrite *r, node_list *list, const mt_layer *l, mt_node **quantizer, int *zero)
{
    int inputs[3] = {l->node->inputs[0]};
    mt_node **place = &r->quantizers[inputs[0]];
    const mt_byte_scale *known = known_scale(r);
    if (!*place || r->model->values[(*place)->outputs[0]].home != list->graph) {
        if (known) MT_TRY(new_scalar(r, l, "input scale", MOTET_FLOAT, &known->scale, &inputs[1]));
        if (known) MT_TRY(new_scalar(r, l, "input zero", MOTET_UINT8, &known->zero, &inputs[2]));
        const char *type = known ? "QuantizeLinear" : "DynamicQuantizeLinear";
        MT_TRY(add_node(r, list, l->node, type, "quantize", inputs, known ? 3 : 1, known ? 1 : 3, place));
    }
    *quantizer = *place;
    *zero = known ? (*place)->inputs[2] : (*place)->outputs[2];
    return MOTET_OK;
}

static motet_status zero_point(rewrite *r, int *out)
{
    motet_tensor *tensor;
    if (r->zero == MT_NO_VALUE) {
        MT_TRY(new_constant(r, "weights", "zero", &r->zero, &tensor));
        MT_TRY(mt_tensor_alloc(tensor, MOTET_INT8, 0, NULL));
        *(int8_t *)tensor->data = 0;
        tensor->constant = true;
    }
    *out = r->zero;
    return MOTET_OK;
}

/* The integer product and the scales, a value, that it is multiplied by. */
static motet_status multiply(rewrite *r, node_list *list, const mt_layer *l, mt_node **product, int *scales)
{
    const mt_byte_scale *known = known_scale(r);
    mt_node *a, *both;
    int weights, weight_scales, zero, a_zero;
    motet_tensor *integers, *floats;
    MT_TRY(quantize_input(r, list, l, &a, &a_zero));
    MT_TRY(zero_point(r, &zero));
    MT_TRY(new_constant(r, l->node->name, "weights", &weights, &integers));
    MT_TRY(new_constant(r, l->node->name, "scales", &weight_scales, &floats));
    MT_TRY(mt_layer_weights(l, integers, floats));
    if (r->file) mt_file_let_go(r->file, l->weights->data, mt_tensor_bytes(l->weights));
    integers->constant = floats->constant = true;
    int inputs[] = {a->outputs[0], weights, a_zero, zero};
    const char *type = l->convolution ? "ConvInteger" : "MatMulInteger";
    MT_TRY(add_node(r, list, l->node, type, "product", inputs, 4, 1, product));
    if (l->convolution) {
        (*product)->attributes = l->node->attributes;
        (*product)->attribute_count = l->node->attribute_count;
    }
    *scales = weight_scales;
    for (int64_t i = 0; i < floats->count && known; i++) ((float *)floats->data)[i] *= known->scale;
    if (known) return MOTET_OK;
    int factors[] = {a->outputs[1], weight_scales};
    MT_TRY(add_node(r, list, l->node, "Mul", "scale", factors, 2, 1, &both));
    *scales = both->outputs[0];
    return MOTET_OK;
}

static motet_status cast(rewrite *r, node_list *list, const mt_layer *l, const mt_node *product, mt_node **out)
{
    mt_attribute *to = mt_arena_zero(&r->model->arena, 1, sizeof *to);
    if (!to) return mt_fail_memory(sizeof *to);
    *to = (mt_attribute){.name = "to", .kind = MT_ATTRIBUTE_INT, .count = 1, .i = MOTET_FLOAT};
    MT_TRY(add_node(r, list, l->node, "Cast", "cast", product->outputs, 1, 1, out));
    (*out)->attributes = to;
    (*out)->attribute_count = 1;
    return MOTET_OK;
}

/* The bias as it is added: that of a Conv, one for each channel, gets the axes behind the channels. */
static motet_status find_bias(rewrite *r, const mt_layer *l, int *out)
{
    *out = l->bias;
    if (!l->convolution) return MOTET_OK;
    motet_tensor *shaped;
    int64_t dims[MOTET_MAX_RANK] = {l->rows};
    for (int i = 1; i < l->weights->rank - 1; i++) dims[i] = 1;
    const motet_tensor *bias = r->model->values[l->bias].tensor;
    MT_TRY(new_constant(r, l->node->name, "bias", out, &shaped));
    mt_tensor_share(shaped, bias, l->weights->rank - 1, dims);
    return MOTET_OK;
}

/* *last makes what the layer made. */
static motet_status add_chain(rewrite *r, node_list *list, const mt_layer *l, mt_node **last)
{
    mt_node *product, *floats;
    int scales, bias;
    MT_TRY(multiply(r, list, l, &product, &scales));
    MT_TRY(cast(r, list, l, product, &floats));
    int both[] = {floats->outputs[0], scales};
    MT_TRY(add_node(r, list, l->node, "Mul", "dequantize", both, 2, 1, last));
    if (l->bias == MT_NO_VALUE) return MOTET_OK;
    MT_TRY(find_bias(r, l, &bias));
    int sum[] = {(*last)->outputs[0], bias};
    return add_node(r, list, l->node, "Add", "add", sum, 2, 1, last);
}

/* --- graphs --------------------------------------------------------------------------------------------------- */

static motet_status rewrite_layer(rewrite *r, node_list *list, mt_node *node, const mt_layer *l)
{
    size_t index = r->next++;
    mt_node *last, *choice;
    if (r->integer && !r->integer[index]) return append(list, node);
    if (node->version < OLDEST_OPSET)
        return mt_fail(MOTET_ERROR_UNSUPPORTED, "opset %d: integers take opset %d", node->version, OLDEST_OPSET);
    MT_TRY(add_chain(r, list, l, &last));
    if (r->integer) {
        last->outputs[0] = node->outputs[0];
        return MOTET_OK;
    }
    MT_TRY(append(list, node));
    int inputs[] = {r->switches[index], last->outputs[0], MT_NO_VALUE};
    MT_TRY(new_value(r, node->name, "float", list->graph, &inputs[2]));
    MT_TRY(add_node(r, list, node, "Where", "choice", inputs, 3, 1, &choice));
    choice->outputs[0] = node->outputs[0];
    node->outputs[0] = inputs[2];
    return MOTET_OK;
}

static motet_status rewrite_graph(rewrite *r, mt_graph *graph);

static motet_status rewrite_nodes(rewrite *r, mt_graph *graph, node_list *list)
{
    mt_layer layer;
    for (int i = 0; i < graph->node_count; i++) {
        mt_node *node = graph->nodes[i];
        for (int k = 0; k < node->attribute_count; k++)
            if (node->attributes[k].kind == MT_ATTRIBUTE_GRAPH) MT_TRY(rewrite_graph(r, node->attributes[k].graph));
        if (mt_layer_look(r->model, node, &layer))
            MT_TRY_AS(rewrite_layer(r, list, node, &layer), "node '%s' (%s)", node->name, node->type);
        else
            MT_TRY(append(list, node));
    }
    if (list->count > MT_MAX_NODES) return mt_fail(MOTET_ERROR_LIMIT, "more than %d nodes", MT_MAX_NODES);
    mt_node **nodes = mt_arena_alloc(&r->model->arena, list->count * sizeof(mt_node *));
    if (!nodes) return mt_fail_memory(list->count * sizeof(mt_node *));
    if (list->count) memcpy((void *)nodes, (const void *)list->nodes, list->count * sizeof(mt_node *));
    graph->nodes = nodes;
    graph->node_count = (int)list->count;
    return MOTET_OK;
}

/* Graphs nest no deeper than MT_MAX_GRAPH_DEPTH. */
static motet_status rewrite_graph(rewrite *r, mt_graph *graph)
{
    node_list list = {.graph = graph};
    motet_status status = rewrite_nodes(r, graph, &list);
    mt_free((void *)list.nodes);
    return status;
}

static motet_status rewrite_model(mt_model *model, const mt_file *file, const bool *integer, const int *switches,
                                  const mt_byte_scale *scales)
{
    rewrite r = {
        .model = model, .file = file, .integer = integer, .switches = switches, .scales = scales, .zero = MT_NO_VALUE};
    r.quantizers = mt_alloc_zero(model->value_count, sizeof(mt_node *));
    if (!r.quantizers) return mt_fail_memory(model->value_count * sizeof(mt_node *));
    motet_status status = rewrite_graph(&r, model->main);
    mt_free((void *)r.quantizers);
    return status;
}

motet_status mt_layers_quantize(mt_model *model, const mt_file *file, const bool *integer, const mt_byte_scale *scales)
{
    return rewrite_model(model, file, integer, NULL, scales);
}

/* --- both at once --------------------------------------------------------------------------------------------- */

static motet_status add_inputs(mt_model *model, size_t count, int **switches)
{
    mt_graph *main = model->main;
    size_t had = (size_t)main->input_count, all = had + count;
    int *inputs = mt_arena_alloc(&model->arena, all * sizeof *inputs);
    motet_value_info *infos = mt_arena_zero(&model->arena, all, sizeof *infos);
    if (!inputs || !infos) return mt_fail_memory(all * sizeof *infos);
    if (had) memcpy(inputs, main->inputs, had * sizeof *inputs);
    if (had) memcpy(infos, model->inputs, had * sizeof *infos);
    for (size_t i = had; i < all; i++) {
        char name[64];
        snprintf(name, sizeof name, "layer %zu is quantized", i - had);
        MT_TRY(mt_model_value(model, name, main, &inputs[i]));
        infos[i] = (motet_value_info){.name = model->values[inputs[i]].name, .type = MOTET_BOOL};
    }
    main->inputs = inputs;
    main->input_count = (int)all;
    model->inputs = infos;
    *switches = inputs + had;
    return MOTET_OK;
}

motet_status mt_layers_double(mt_model *model, size_t count, const mt_byte_scale *scales)
{
    int *switches;
    MT_TRY(add_inputs(model, count, &switches));
    return rewrite_model(model, NULL, NULL, switches, scales);
}

/* --- what layers are fed ---------------------------------------------------------------------------------------- */

typedef struct tapping {
    const mt_model *model;
    int *taps;   /* by layer */
    int *tap_of; /* by value, MT_NO_VALUE for those that are not tapped */
    int *values; /* tapped */
    size_t layers, tapped;
} tapping;

static motet_status note_input(void *context, const mt_layer *layer)
{
    tapping *t = context;
    int value = layer->node->inputs[0];
    const mt_value *about = &t->model->values[value];
    if (t->tap_of[value] == MT_NO_VALUE && about->home == t->model->main && !about->tensor) {
        t->tap_of[value] = (int)t->tapped;
        t->values[t->tapped++] = value;
    }
    t->taps[t->layers++] = t->tap_of[value];
    return MOTET_OK;
}

static motet_status add_outputs(mt_model *model, const tapping *t)
{
    mt_graph *main = model->main;
    size_t had = (size_t)main->output_count, all = had + t->tapped;
    int *outputs = mt_arena_alloc(&model->arena, all * sizeof *outputs);
    motet_value_info *infos = mt_arena_zero(&model->arena, all, sizeof *infos);
    if (!outputs || !infos) return mt_fail_memory(all * sizeof *infos);
    if (had) memcpy(outputs, main->outputs, had * sizeof *outputs);
    if (had) memcpy(infos, model->outputs, had * sizeof *infos);
    for (size_t i = 0; i < t->tapped; i++) {
        char name[64];
        snprintf(name, sizeof name, "layers are fed %zu", i);
        outputs[had + i] = t->values[i];
        infos[had + i] = (motet_value_info){.name = mt_arena_string(&model->arena, name), .rank = -1};
        if (!infos[had + i].name) return mt_fail_memory(sizeof name);
    }
    main->outputs = outputs;
    main->output_count = (int)all;
    model->outputs = infos;
    return MOTET_OK;
}

motet_status mt_layers_tap(mt_model *model, int *taps, size_t *tapped)
{
    tapping t = {.model = model, .taps = taps};
    t.tap_of = mt_alloc_array(model->value_count, sizeof *t.tap_of);
    t.values = mt_alloc_array(model->value_count, sizeof *t.values);
    motet_status status = t.tap_of && t.values ? MOTET_OK : mt_fail_memory(model->value_count * sizeof *t.values);
    for (size_t i = 0; i < model->value_count && status == MOTET_OK; i++) t.tap_of[i] = MT_NO_VALUE;
    if (status == MOTET_OK) status = mt_layers_visit(model, note_input, &t);
    if (status == MOTET_OK) status = add_outputs(model, &t);
    *tapped = t.tapped;
    mt_free(t.tap_of);
    mt_free(t.values);
    return status;
}
