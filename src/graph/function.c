/* Functions that a model brings along: a call is replaced by the nodes of the function, with names of their own. The
 * nodes join the graph of the caller. Each output of the function becomes the caller's value through an Identity node,
 * which a pass removes again.
 *
 * Expansion can grow a small file without bound (a function that calls another twice, thirty times over), so
 * everything that is copied for a call is counted. */
#include <stdio.h>
#include <string.h>

#include "core/status.h"
#include "graph/builder.h"
#include "onnx/compact.h"

enum { KEY_BYTES = 512 };

motet_status mt_charge(mt_builder *b, const mt_scope *scope, size_t amount)
{
    if (!scope->call) return MOTET_OK;
    if (amount > MT_MAX_EXPANSION - b->expanded) return mt_fail(MOTET_ERROR_LIMIT, "functions expand to too much");
    b->expanded += amount;
    return MOTET_OK;
}

/* --- reading -------------------------------------------------------------------------------------------------- */

/* Default attributes come from a field that the schema does not know, so protobuf-c keeps it as bytes. */
static motet_status read_defaults(mt_builder *b, mt_function *function)
{
    const ProtobufCMessage *base = &function->proto->base;
    function->defaults = mt_arena_zero(&b->model->arena, base->n_unknown_fields, sizeof *function->defaults);
    if (!function->defaults) return mt_fail_memory(base->n_unknown_fields);
    for (unsigned i = 0; i < base->n_unknown_fields; i++) {
        if (base->unknown_fields[i].tag != MT_FUNCTION_ATTRIBUTE_PROTO) continue;
        MT_TRY(
            mt_file_unpack_attribute(b->file, &base->unknown_fields[i], &function->defaults[function->default_count]));
        function->default_count++;
    }
    return MOTET_OK;
}

/* "my.domain\nLeaky\n", with the overload behind it where there is one: what a function is found by. False when that is
 * longer than any function's. */
static bool make_key(const char *domain, const char *name, const char *overload, char key[KEY_BYTES])
{
    int length = snprintf(key, KEY_BYTES, "%s\n%s\n%s", domain, name, overload);
    return length > 0 && length < KEY_BYTES;
}

static motet_status index_function(mt_builder *b, int index)
{
    const Onnx__FunctionProto *proto = b->functions[index].proto;
    const char *overload = mt_file_unknown_text(b->file, &proto->base, MT_FUNCTION_OVERLOAD);
    char key[KEY_BYTES];
    int other;
    if (!overload) return mt_fail_memory(sizeof key);
    if (proto->n_opset_import > MT_MAX_IMPORTS)
        return mt_fail(MOTET_ERROR_LIMIT, "more than %d sets of operators are imported", MT_MAX_IMPORTS);
    if (!make_key(mt_text(proto->domain), mt_text(proto->name), overload, key))
        return mt_fail(MOTET_ERROR_LIMIT, "its name is longer than %d bytes", KEY_BYTES);
    if (mt_names_find(&b->function_names, key, &other))
        return mt_fail(MOTET_ERROR_FORMAT, "there are two of them, with the overload '%.64s'", overload);
    char *kept = mt_arena_string(&b->model->arena, key);
    if (!kept || !mt_names_add(&b->function_names, kept, index)) return mt_fail_memory(sizeof key);
    return MOTET_OK;
}

motet_status mt_read_functions(mt_builder *b)
{
    const Onnx__ModelProto *proto = b->file->model;
    b->functions = mt_arena_zero(&b->model->arena, proto->n_functions, sizeof *b->functions);
    if (!b->functions) return mt_fail_memory(proto->n_functions);
    for (size_t i = 0; i < proto->n_functions; i++) {
        b->functions[i].proto = proto->functions[i];
        MT_TRY_AS(read_defaults(b, &b->functions[i]), "function '%.128s'", mt_text(proto->functions[i]->name));
        MT_TRY_AS(index_function(b, (int)i), "function '%.128s'", mt_text(proto->functions[i]->name));
    }
    return MOTET_OK;
}

motet_status mt_find_function(const mt_builder *b, const Onnx__NodeProto *proto, const mt_node *node,
                              const mt_function **out)
{
    char key[KEY_BYTES];
    int index;
    *out = NULL;
    if (!b->function_names.count) return MOTET_OK;
    const char *overload = mt_file_unknown_text(b->file, &proto->base, MT_NODE_OVERLOAD);
    if (!overload) return mt_fail_memory(sizeof key);
    if (make_key(node->domain, node->type, overload, key) && mt_names_find(&b->function_names, key, &index))
        *out = &b->functions[index];
    return MOTET_OK;
}

/* --- expanding ------------------------------------------------------------------------------------------------ */

static motet_status bind_inputs(mt_scope *scope, const mt_call *call)
{
    const Onnx__FunctionProto *proto = call->function->proto;
    if ((size_t)call->node->input_count > proto->n_input)
        return mt_fail(MOTET_ERROR_FORMAT, "%d inputs are given, but the function has %zu", call->node->input_count,
                       proto->n_input);
    for (size_t i = 0; i < proto->n_input; i++) {
        int other, value = i < (size_t)call->node->input_count ? call->node->inputs[i] : MT_NO_VALUE;
        const char *name = mt_text(proto->input[i]);
        if (mt_names_find(&scope->names, name, &other))
            return mt_fail(MOTET_ERROR_FORMAT, "the function has two inputs '%.128s'", name);
        if (!mt_names_add(&scope->names, name, value)) return mt_fail_memory(sizeof scope->names);
    }
    return MOTET_OK;
}

static motet_status add_identity(mt_builder *b, mt_scope *scope, int from, int to)
{
    mt_arena *arena = &b->model->arena;
    mt_node *node = mt_arena_zero(arena, 1, sizeof *node);
    int *values = mt_arena_zero(arena, 2, sizeof *values);
    if (!node || !values) return mt_fail_memory(sizeof *node);
    values[0] = from;
    values[1] = to;
    *node = (mt_node){.name = scope->call->node->name,
                      .type = "Identity",
                      .domain = "",
                      .version = 1,
                      .input_count = 1,
                      .output_count = 1,
                      .inputs = &values[0],
                      .outputs = &values[1]};
    return mt_append_node(scope, node);
}

static motet_status bind_outputs(mt_builder *b, mt_scope *scope, const mt_call *call)
{
    const Onnx__FunctionProto *proto = call->function->proto;
    if ((size_t)call->node->output_count > proto->n_output)
        return mt_fail(MOTET_ERROR_FORMAT, "%d outputs are read, but the function has %zu", call->node->output_count,
                       proto->n_output);
    for (int i = 0; i < call->node->output_count; i++) {
        int inner, outer = call->node->outputs[i];
        if (outer == MT_NO_VALUE) continue;
        if (!mt_names_find(&scope->names, mt_text(proto->output[i]), &inner) || inner == MT_NO_VALUE)
            return mt_fail(MOTET_ERROR_FORMAT, "the function does not make its output '%.128s'",
                           mt_text(proto->output[i]));
        MT_TRY(add_identity(b, scope, inner, outer));
    }
    return MOTET_OK;
}

static motet_status expand(mt_builder *b, mt_scope *scope)
{
    const mt_call *call = scope->call;
    const mt_node *node = call->node;
    MT_TRY(mt_charge(b, scope, call->function->proto->n_input + 1));
    MT_TRY_AS(bind_inputs(scope, call), "node '%s' (%s)", node->name, node->type);
    MT_TRY(mt_build_nodes(b, scope, call->function->proto->node, call->function->proto->n_node));
    MT_TRY_AS(bind_outputs(b, scope, call), "node '%s' (%s)", node->name, node->type);
    return MOTET_OK;
}

motet_status mt_expand_call(mt_builder *b, const mt_scope *scope, const mt_function *function, const mt_node *node)
{
    mt_call call = {function, node, scope->call ? scope->call->depth + 1 : 1};
    if (call.depth > MT_MAX_CALL_DEPTH)
        return mt_fail(MOTET_ERROR_LIMIT, "functions call each other deeper than %d levels", MT_MAX_CALL_DEPTH);
    mt_scope inner = {.call = &call, .graph = scope->graph, .nodes = scope->nodes, .depth = scope->depth};
    motet_status status = expand(b, &inner);
    mt_names_clear(&inner.names);
    return status;
}
