/* Attributes: copied out of protobuf into the arena. Inside a function an attribute may stand for one of the caller's
 * (ref_attr_name), which is taken from the call, else from the function's defaults, else left out. */
#include <string.h>

#include "core/status.h"
#include "graph/builder.h"

/* Files of 2017 do not say the type; then the field that is there tells. */
static int type_of(const Onnx__AttributeProto *proto)
{
    if (proto->has_type && proto->type) return (int)proto->type;
    if (proto->has_f) return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
    if (proto->has_i) return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
    if (proto->has_s) return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING;
    if (proto->t) return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR;
    if (proto->sparse_tensor) return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__SPARSE_TENSOR;
    if (proto->g) return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH;
    if (proto->n_floats) return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS;
    if (proto->n_ints) return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
    if (proto->n_strings) return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS;
    return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED;
}

static motet_status copy_string(mt_builder *b, const ProtobufCBinaryData *bytes, mt_string *out)
{
    *out = (mt_string){mt_arena_bytes(&b->model->arena, bytes->data, bytes->len), bytes->len};
    return out->bytes ? MOTET_OK : mt_fail_memory(bytes->len);
}

/* Only what writes the model again wants it, and wants it as it was. */
static motet_status copy_type(mt_builder *b, const mt_scope *scope, const Onnx__TypeProto *type, mt_string *out)
{
    size_t size = protobuf_c_message_get_packed_size(&type->base);
    MT_TRY(mt_charge(b, scope, size));
    uint8_t *bytes = mt_arena_alloc(&b->model->arena, size);
    if (!bytes) return mt_fail_memory(size);
    *out = (mt_string){(char *)bytes, protobuf_c_message_pack(&type->base, bytes)};
    return MOTET_OK;
}

static motet_status copy_list(mt_builder *b, const void *values, size_t count, size_t size, const void **out)
{
    void *copy = mt_arena_zero(&b->model->arena, count, size);
    if (!copy) return mt_fail_memory(count);
    if (count) memcpy(copy, values, count * size);
    *out = copy;
    return MOTET_OK;
}

static motet_status copy_strings(mt_builder *b, const Onnx__AttributeProto *proto, const mt_string **out)
{
    mt_string *strings = mt_arena_zero(&b->model->arena, proto->n_strings, sizeof *strings);
    if (!strings) return mt_fail_memory(proto->n_strings);
    for (size_t i = 0; i < proto->n_strings; i++) MT_TRY(copy_string(b, &proto->strings[i], &strings[i]));
    *out = strings;
    return MOTET_OK;
}

static motet_status copy_tensor(mt_builder *b, const mt_scope *scope, const Onnx__TensorProto *proto,
                                const motet_tensor **out)
{
    motet_tensor *tensor;
    MT_TRY(mt_model_tensor(b->model, &tensor));
    MT_TRY(mt_file_tensor(b->file, proto, tensor));
    *out = tensor;
    return mt_charge(b, scope, (size_t)tensor->count);
}

static motet_status copy_sparse(mt_builder *b, const mt_scope *scope, const Onnx__SparseTensorProto *proto,
                                const motet_tensor **out)
{
    motet_tensor *tensor;
    MT_TRY(mt_model_tensor(b->model, &tensor));
    MT_TRY(mt_file_sparse_tensor(b->file, proto, tensor));
    *out = tensor;
    return mt_charge(b, scope, (size_t)tensor->count);
}

/* The parts of an attribute that are single messages must be there when the type says so. */
static motet_status check_present(const Onnx__AttributeProto *proto, int type)
{
    bool missing = (type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR && !proto->t) ||
                   (type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__SPARSE_TENSOR && !proto->sparse_tensor) ||
                   (type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH && !proto->g) ||
                   (type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TYPE_PROTO && !proto->tp);
    return missing ? mt_fail(MOTET_ERROR_FORMAT, "its value is missing") : MOTET_OK;
}

static motet_status copy_value(mt_builder *b, const mt_scope *scope, const Onnx__AttributeProto *proto,
                               mt_attribute *out)
{
    int type = type_of(proto);
    MT_TRY(check_present(proto, type));
    MT_TRY(mt_charge(b, scope, 1 + proto->n_floats + proto->n_ints + proto->n_strings));
    switch (type) {
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT:
        out->kind = MT_ATTRIBUTE_FLOAT;
        out->f = proto->f;
        return MOTET_OK;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT:
        out->kind = MT_ATTRIBUTE_INT;
        out->i = proto->i;
        return MOTET_OK;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING:
        out->kind = MT_ATTRIBUTE_STRING;
        return copy_string(b, &proto->s, &out->s);
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS:
        out->kind = MT_ATTRIBUTE_FLOATS;
        out->count = proto->n_floats;
        return copy_list(b, proto->floats, out->count, sizeof *out->floats, (const void **)&out->floats);
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS:
        out->kind = MT_ATTRIBUTE_INTS;
        out->count = proto->n_ints;
        return copy_list(b, proto->ints, out->count, sizeof *out->ints, (const void **)&out->ints);
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS:
        out->kind = MT_ATTRIBUTE_STRINGS;
        out->count = proto->n_strings;
        return copy_strings(b, proto, &out->strings);
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR:
        out->kind = MT_ATTRIBUTE_TENSOR;
        return copy_tensor(b, scope, proto->t, &out->tensor);
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__SPARSE_TENSOR:
        out->kind = MT_ATTRIBUTE_SPARSE;
        return copy_sparse(b, scope, proto->sparse_tensor, &out->tensor);
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH:
        out->kind = MT_ATTRIBUTE_GRAPH;
        return mt_build_graph(b, scope, proto->g, &out->graph);
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TYPE_PROTO:
        out->kind = MT_ATTRIBUTE_TYPE;
        return copy_type(b, scope, proto->tp, &out->s);
    default: out->kind = MT_ATTRIBUTE_OTHER; return MOTET_OK;
    }
}

/* --- references to the caller's attributes -------------------------------------------------------------------- */

static motet_status take_from_call(mt_builder *b, const mt_scope *scope, const char *name, mt_attribute *out,
                                   bool *found)
{
    const mt_call *call = scope->call;
    const char *kept_name = out->name;
    *found = true;
    if (call) {
        const mt_attribute *given = mt_node_attribute(call->node, name);
        if (given) {
            if (given->kind == MT_ATTRIBUTE_GRAPH)
                return mt_fail(MOTET_ERROR_UNSUPPORTED, "a graph handed to a function is not supported");
            *out = *given;
            out->name = kept_name;
            return MOTET_OK;
        }
        for (size_t i = 0; i < call->function->default_count; i++) {
            if (strcmp(mt_text(call->function->defaults[i]->name), name) == 0)
                return copy_value(b, scope, call->function->defaults[i], out);
        }
    }
    *found = false;
    return MOTET_OK;
}

static motet_status build_one(mt_builder *b, const mt_scope *scope, const Onnx__AttributeProto *proto,
                              mt_attribute *out, bool *found)
{
    *found = true;
    out->name = mt_arena_string(&b->model->arena, mt_text(proto->name));
    if (!out->name) return mt_fail_memory(sizeof *out);
    const char *reference = mt_text(proto->ref_attr_name);
    if (*reference) return take_from_call(b, scope, reference, out, found);
    *found = type_of(proto) != ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED; /* neither a type nor a value */
    if (!*found) return MOTET_OK;
    return copy_value(b, scope, proto, out);
}

motet_status mt_build_attributes(mt_builder *b, const mt_scope *scope, const Onnx__NodeProto *proto, mt_node *node)
{
    node->attributes = mt_arena_zero(&b->model->arena, proto->n_attribute, sizeof *node->attributes);
    if (!node->attributes) return mt_fail_memory(proto->n_attribute);
    for (size_t i = 0; i < proto->n_attribute; i++) {
        bool found;
        MT_TRY_AS(build_one(b, scope, proto->attribute[i], &node->attributes[node->attribute_count], &found),
                  "attribute '%.64s'", mt_text(proto->attribute[i]->name));
        if (found) node->attribute_count++;
    }
    return MOTET_OK;
}
