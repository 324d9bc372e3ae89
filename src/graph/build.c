/* Building happens graph by graph. The values of a graph are declared first - its inputs, initializers and the outputs
 * of all its nodes - and only then the nodes are built and their inputs looked up, in the graph itself and then
 * outwards. So the file's order of nodes does not matter for names, and it is put right at the end if it has to be.
 * Constant nodes become values and leave no node behind. */
#include "graph/build.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "graph/builder.h"

/* --- values --------------------------------------------------------------------------------------------------- */

/* Finds `name` in the scope or around it. */
static bool find_value(const mt_scope *scope, const char *name, int *out)
{
    for (; scope; scope = scope->outer) {
        if (mt_names_find(&scope->names, name, out)) return true;
    }
    return false;
}

static motet_status declare(mt_builder *b, mt_scope *scope, const char *name, int *out)
{
    int other;
    if (mt_names_find(&scope->names, name, &other))
        return mt_fail(MOTET_ERROR_FORMAT, "the value '%.128s' is defined twice", name);
    MT_TRY(mt_charge(b, scope, 1 + strlen(name) / 8));
    MT_TRY(mt_model_value(b->model, name, scope->graph, out));
    if (!mt_names_add(&scope->names, name, *out)) return mt_fail_memory(sizeof scope->names);
    return MOTET_OK;
}

static motet_status declare_initializer(mt_builder *b, mt_scope *scope, const char *name, motet_tensor **out)
{
    int value;
    MT_TRY(declare(b, scope, mt_text(name), &value));
    MT_TRY(mt_model_tensor(b->model, out));
    b->model->values[value].tensor = *out;
    return MOTET_OK;
}

static motet_status declare_initializers(mt_builder *b, mt_scope *scope, const Onnx__GraphProto *proto)
{
    for (size_t i = 0; i < proto->n_initializer; i++) {
        motet_tensor *tensor;
        MT_TRY(declare_initializer(b, scope, proto->initializer[i]->name, &tensor));
        MT_TRY(mt_file_tensor(b->file, proto->initializer[i], tensor));
        MT_TRY(mt_charge(b, scope, (size_t)tensor->count));
    }
    for (size_t i = 0; i < proto->n_sparse_initializer; i++) {
        const Onnx__TensorProto *values = proto->sparse_initializer[i]->values; /* has the name of the whole */
        motet_tensor *tensor;
        MT_TRY(declare_initializer(b, scope, values ? values->name : NULL, &tensor));
        MT_TRY(mt_file_sparse_tensor(b->file, proto->sparse_initializer[i], tensor));
        MT_TRY(mt_charge(b, scope, (size_t)tensor->count));
    }
    return MOTET_OK;
}

/* Old files list every initializer among the inputs too; what is fed are the others. */
static motet_status declare_inputs(mt_builder *b, mt_scope *scope, const Onnx__GraphProto *proto)
{
    mt_graph *graph = scope->graph;
    graph->inputs = mt_arena_zero(&b->model->arena, proto->n_input, sizeof *graph->inputs);
    if (!graph->inputs) return mt_fail_memory(proto->n_input);
    for (size_t i = 0; i < proto->n_input; i++) {
        const char *name = mt_text(proto->input[i]->name);
        int value;
        if (!scope->outer && mt_names_find(&scope->names, name, &value) && b->model->values[value].tensor) continue;
        MT_TRY(declare(b, scope, name, &value));
        graph->inputs[graph->input_count++] = value;
    }
    return MOTET_OK;
}

/* --- nodes ---------------------------------------------------------------------------------------------------- */

static const char *plain_domain(const char *domain)
{
    domain = mt_text(domain);
    return strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

static bool find_import(Onnx__OperatorSetIdProto *const *imports, size_t count, const char *domain, int64_t *out)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(plain_domain(imports[i]->domain), domain)) continue;
        *out = imports[i]->version;
        return true;
    }
    return false;
}

/* The version of `domain` that holds in this scope. Private domains are often used without an import; they are taken
 * at version 1. */
static motet_status find_version(const mt_builder *b, const mt_scope *scope, const char *domain, int *out)
{
    const Onnx__ModelProto *model = b->file->model;
    int64_t version = 1;
    bool found = false;
    if (scope->call) {
        const Onnx__FunctionProto *function = scope->call->function->proto;
        found = find_import(function->opset_import, function->n_opset_import, domain, &version);
    }
    found = found || find_import(model->opset_import, model->n_opset_import, domain, &version);
    if (!found && !*domain) return mt_fail(MOTET_ERROR_FORMAT, "the model does not import the operators of ai.onnx");
    if (version < 1 || version > INT_MAX)
        return mt_fail(MOTET_ERROR_FORMAT, "version %lld of the operators of '%.64s' cannot be", (long long)version,
                       domain);
    *out = (int)version;
    return MOTET_OK;
}

static motet_status resolve_inputs(mt_builder *b, const mt_scope *scope, const Onnx__NodeProto *proto, mt_node *node)
{
    node->inputs = mt_arena_zero(&b->model->arena, proto->n_input, sizeof *node->inputs);
    if (!node->inputs) return mt_fail_memory(proto->n_input);
    for (size_t i = 0; i < proto->n_input; i++) {
        const char *name = mt_text(proto->input[i]);
        if (!*name)
            node->inputs[i] = MT_NO_VALUE;
        else if (!find_value(scope, name, &node->inputs[i]))
            return mt_fail(MOTET_ERROR_FORMAT, "input %zu, '%.128s', is no input, initializer or output of a node", i,
                           name);
    }
    node->input_count = (int)proto->n_input;
    return MOTET_OK;
}

/* Outputs have been declared, so they are found in the scope itself. */
static motet_status resolve_outputs(mt_builder *b, const mt_scope *scope, const Onnx__NodeProto *proto, mt_node *node)
{
    node->outputs = mt_arena_zero(&b->model->arena, proto->n_output, sizeof *node->outputs);
    if (!node->outputs) return mt_fail_memory(proto->n_output);
    for (size_t i = 0; i < proto->n_output; i++) {
        node->outputs[i] = MT_NO_VALUE;
        if (*mt_text(proto->output[i])) mt_names_find(&scope->names, proto->output[i], &node->outputs[i]);
    }
    node->output_count = (int)proto->n_output;
    return MOTET_OK;
}

/* "encoder/conv1", "Conv_17" for a node without a name, with the call before it inside a function. */
static motet_status name_node(mt_builder *b, const mt_scope *scope, const Onnx__NodeProto *proto, size_t index,
                              mt_node *node)
{
    enum { NAME_BYTES = 512 };
    char text[NAME_BYTES];
    const char *name = mt_text(proto->name), *caller = scope->call ? scope->call->node->name : "";
    const char *slash = scope->call ? "/" : "";
    if (*name)
        snprintf(text, sizeof text, "%.250s%s%.250s", caller, slash, name);
    else
        snprintf(text, sizeof text, "%.250s%s%.200s_%zu", caller, slash, node->type, index);
    node->name = mt_arena_string(&b->model->arena, text);
    return node->name ? MOTET_OK : mt_fail_memory(sizeof text);
}

/* Type, domain, name and version. */
static motet_status start_node(mt_builder *b, const mt_scope *scope, const Onnx__NodeProto *proto, size_t index,
                               mt_node **out)
{
    mt_node *node = mt_arena_zero(&b->model->arena, 1, sizeof *node);
    if (!node) return mt_fail_memory(sizeof *node);
    node->type = mt_arena_string(&b->model->arena, mt_text(proto->op_type));
    node->domain = mt_arena_string(&b->model->arena, plain_domain(proto->domain));
    if (!node->type || !node->domain) return mt_fail_memory(sizeof *node);
    MT_TRY(name_node(b, scope, proto, index, node));
    MT_TRY_AS(find_version(b, scope, node->domain, &node->version), "node '%s' (%s)", node->name, node->type);
    *out = node;
    return MOTET_OK;
}

static bool is_constant(const Onnx__NodeProto *proto)
{
    return strcmp(mt_text(proto->op_type), "Constant") == 0 && !*plain_domain(proto->domain);
}

static motet_status declare_constant(mt_builder *b, mt_scope *scope, const Onnx__NodeProto *proto, size_t index)
{
    mt_node *node;
    int value;
    motet_tensor *tensor;
    MT_TRY(start_node(b, scope, proto, index, &node));
    if (proto->n_output != 1 || !*mt_text(proto->output[0]))
        return mt_fail(MOTET_ERROR_FORMAT, "node '%s' (Constant): expected one output", node->name);
    MT_TRY_AS(mt_build_attributes(b, scope, proto, node), "node '%s' (Constant)", node->name);
    MT_TRY_AS(mt_build_constant(b, node, &tensor), "node '%s' (Constant)", node->name);
    MT_TRY_AS(declare(b, scope, proto->output[0], &value), "node '%s' (Constant)", node->name);
    b->model->values[value].tensor = tensor;
    return MOTET_OK;
}

static motet_status declare_outputs(mt_builder *b, mt_scope *scope, const Onnx__NodeProto *proto)
{
    for (size_t i = 0; i < proto->n_output; i++) {
        int value;
        if (!*mt_text(proto->output[i])) continue;
        MT_TRY_AS(declare(b, scope, proto->output[i], &value), "node '%.128s' (%.64s)", mt_text(proto->name),
                  mt_text(proto->op_type));
    }
    return MOTET_OK;
}

motet_status mt_append_node(mt_scope *scope, mt_node *node)
{
    mt_node_list *list = scope->nodes;
    if (!mt_reserve((void **)&list->nodes, list->count, &list->capacity, sizeof *list->nodes))
        return mt_fail_memory(sizeof *list->nodes);
    list->nodes[list->count++] = node;
    return MOTET_OK;
}

static motet_status fill_node(mt_builder *b, const mt_scope *scope, const Onnx__NodeProto *proto, mt_node *node)
{
    MT_TRY(mt_charge(b, scope, proto->n_input + proto->n_output));
    MT_TRY(resolve_inputs(b, scope, proto, node));
    MT_TRY(resolve_outputs(b, scope, proto, node));
    return mt_build_attributes(b, scope, proto, node);
}

static motet_status add_node(mt_builder *b, mt_scope *scope, const Onnx__NodeProto *proto, mt_node *node)
{
    const mt_function *function;
    MT_TRY(mt_find_function(b, proto, node, &function));
    return function ? mt_expand_call(b, scope, function, node) : mt_append_node(scope, node);
}

motet_status mt_build_nodes(mt_builder *b, mt_scope *scope, Onnx__NodeProto *const *protos, size_t count)
{
    b->nodes += count;
    if (b->nodes > MT_MAX_NODES) return mt_fail(MOTET_ERROR_LIMIT, "more than %d nodes", MT_MAX_NODES);
    MT_TRY(mt_charge(b, scope, count * MT_NODE_CHARGE));
    for (size_t i = 0; i < count; i++)
        MT_TRY(is_constant(protos[i]) ? declare_constant(b, scope, protos[i], i)
                                      : declare_outputs(b, scope, protos[i]));
    for (size_t i = 0; i < count; i++) {
        mt_node *node;
        if (is_constant(protos[i])) continue;
        MT_TRY(start_node(b, scope, protos[i], i, &node));
        MT_TRY_AS(fill_node(b, scope, protos[i], node), "node '%s' (%s)", node->name, node->type);
        MT_TRY(add_node(b, scope, protos[i], node));
    }
    return MOTET_OK;
}

/* --- graphs --------------------------------------------------------------------------------------------------- */

static motet_status resolve_graph_outputs(mt_builder *b, const mt_scope *scope, const Onnx__GraphProto *proto)
{
    mt_graph *graph = scope->graph;
    graph->outputs = mt_arena_zero(&b->model->arena, proto->n_output, sizeof *graph->outputs);
    if (!graph->outputs) return mt_fail_memory(proto->n_output);
    for (size_t i = 0; i < proto->n_output; i++) {
        const char *name = mt_text(proto->output[i]->name);
        if (!find_value(scope, name, &graph->outputs[i]))
            return mt_fail(MOTET_ERROR_FORMAT, "the graph's output '%.128s' is made by no node", name);
    }
    graph->output_count = (int)proto->n_output;
    return MOTET_OK;
}

static motet_status keep_nodes(mt_builder *b, mt_scope *scope)
{
    mt_graph *graph = scope->graph;
    mt_node_list *list = scope->nodes;
    MT_TRY(mt_order_nodes(b->model, graph, list));
    graph->nodes = mt_arena_zero(&b->model->arena, list->count, sizeof *graph->nodes);
    if (!graph->nodes) return mt_fail_memory(list->count);
    if (list->count) memcpy(graph->nodes, list->nodes, list->count * sizeof *list->nodes);
    graph->node_count = (int)list->count;
    return MOTET_OK;
}

static motet_status fill_graph(mt_builder *b, mt_scope *scope, const Onnx__GraphProto *proto)
{
    MT_TRY(declare_initializers(b, scope, proto));
    MT_TRY(declare_inputs(b, scope, proto));
    MT_TRY(mt_build_nodes(b, scope, proto->node, proto->n_node));
    MT_TRY(resolve_graph_outputs(b, scope, proto));
    if (scope->outer) MT_TRY(mt_build_nested_declarations(b, proto, scope->graph));
    return keep_nodes(b, scope);
}

motet_status mt_build_graph(mt_builder *b, const mt_scope *outer, const Onnx__GraphProto *proto, mt_graph **out)
{
    mt_node_list nodes = {0};
    mt_scope scope = {.outer = outer, .nodes = &nodes};
    if (outer) {
        scope.call = outer->call;
        scope.depth = outer->depth + 1;
    }
    if (scope.depth > MT_MAX_GRAPH_DEPTH)
        return mt_fail(MOTET_ERROR_LIMIT, "graphs nest deeper than %d levels", MT_MAX_GRAPH_DEPTH);
    MT_TRY(mt_model_graph(b->model, &scope.graph));
    *out = scope.graph;
    motet_status status = fill_graph(b, &scope, proto);
    mt_names_clear(&scope.names);
    mt_free(nodes.nodes);
    return status;
}

static motet_status build(mt_builder *b)
{
    const Onnx__ModelProto *proto = b->file->model;
    if (proto->n_opset_import > MT_MAX_IMPORTS)
        return mt_fail(MOTET_ERROR_LIMIT, "more than %d sets of operators are imported", MT_MAX_IMPORTS);
    MT_TRY(mt_read_functions(b));
    MT_TRY(mt_build_graph(b, NULL, proto->graph, &b->model->main));
    return mt_build_declarations(b, proto->graph);
}

motet_status mt_model_build(mt_file *file, mt_model **out)
{
    *out = NULL;
    mt_builder b = {.file = file, .model = mt_alloc_zero(1, sizeof(mt_model))};
    if (!b.model) return mt_fail_memory(sizeof(mt_model));
    motet_status status = build(&b);
    mt_names_clear(&b.function_names);
    if (status == MOTET_OK)
        *out = b.model;
    else
        mt_model_destroy(b.model);
    return status;
}
