/* What a file says about itself: its inputs and outputs with types and shapes, and its metadata. */
#include <string.h>

#include "core/status.h"
#include "graph/builder.h"

static motet_status copy_text(mt_builder *b, const char *text, const char **out)
{
    *out = mt_arena_string(&b->model->arena, mt_text(text));
    return *out ? MOTET_OK : mt_fail_memory(strlen(mt_text(text)));
}

static motet_status read_dimension(mt_builder *b, const Onnx__TensorShapeProto__Dimension *dimension, int64_t *size,
                                   const char **symbol)
{
    *size = -1;
    *symbol = NULL;
    if (dimension->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && dimension->dim_value >= 0)
        *size = dimension->dim_value;
    if (dimension->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM && *mt_text(dimension->dim_param))
        return copy_text(b, dimension->dim_param, symbol);
    return MOTET_OK;
}

static motet_status read_element_type(int32_t number, motet_type *out)
{
    if (number < 0 || (number && !strcmp(motet_type_name((motet_type)number), motet_type_name(MOTET_UNDEFINED))))
        return mt_fail(MOTET_ERROR_UNSUPPORTED, "the element type %d is not supported", (int)number);
    *out = (motet_type)number;
    return MOTET_OK;
}

static motet_status read_tensor_type(mt_builder *b, const Onnx__TypeProto__Tensor *tensor, motet_value_info *out)
{
    MT_TRY(read_element_type(tensor->elem_type, &out->type));
    if (!tensor->shape) return MOTET_OK;
    if (tensor->shape->n_dim > MOTET_MAX_RANK)
        return mt_fail(MOTET_ERROR_LIMIT, "%zu axes: at most %d are supported", tensor->shape->n_dim, MOTET_MAX_RANK);
    out->rank = (int)tensor->shape->n_dim;
    for (int i = 0; i < out->rank; i++)
        MT_TRY(read_dimension(b, tensor->shape->dim[i], &out->dims[i], &out->symbols[i]));
    return MOTET_OK;
}

/* The kind of a type and, where it is a list, the type of its items; a map's are its values. */
static motet_status read_kind(const Onnx__TypeProto *type, motet_value_info *out, motet_kind *kind,
                              const Onnx__TypeProto **items)
{
    switch (type->value_case) {
    case ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE: *kind = MOTET_TENSOR; return MOTET_OK;
    case ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE:
        *kind = MOTET_SEQUENCE;
        *items = type->sequence_type->elem_type;
        return MOTET_OK;
    case ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE:
        *kind = MOTET_OPTIONAL;
        *items = type->optional_type->elem_type;
        return MOTET_OK;
    case ONNX__TYPE_PROTO__VALUE_MAP_TYPE:
        *kind = MOTET_MAP;
        *items = type->map_type->value_type;
        return read_element_type(type->map_type->key_type, &out->key);
    default: return mt_fail(MOTET_ERROR_UNSUPPORTED, "a sparse tensor is not supported here");
    }
}

/* Three kinds deep at most: an optional sequence of tensors or maps. */
static motet_status read_type(mt_builder *b, const Onnx__TypeProto *type, motet_value_info *out)
{
    enum { LEVELS = 4 };
    motet_kind kinds[LEVELS] = {0};
    for (int level = 0; level < LEVELS; level++) {
        if (!type || type->value_case == ONNX__TYPE_PROTO__VALUE__NOT_SET) return MOTET_OK;
        MT_TRY(read_kind(type, out, &kinds[level], &type));
        if (level < 2) *(level ? &out->item : &out->kind) = kinds[level];
        if (kinds[level] == MOTET_TENSOR) return read_tensor_type(b, type->tensor_type, out);
    }
    return mt_fail(MOTET_ERROR_UNSUPPORTED, "a type of more than %d levels is not supported", LEVELS);
}

static motet_status read_info(mt_builder *b, const Onnx__ValueInfoProto *proto, const char *what, motet_value_info *out)
{
    *out = (motet_value_info){.rank = -1};
    MT_TRY(copy_text(b, proto->name, &out->name));
    MT_TRY_AS(read_type(b, proto->type, out), "%s '%.128s'", what, out->name);
    return MOTET_OK;
}

/* main->inputs hold the file's inputs without those that are initializers, in the same order. */
static motet_status read_inputs(mt_builder *b, const Onnx__GraphProto *proto)
{
    const mt_graph *main = b->model->main;
    b->model->inputs = mt_arena_zero(&b->model->arena, (size_t)main->input_count, sizeof *b->model->inputs);
    if (!b->model->inputs) return mt_fail_memory(proto->n_input);
    int k = 0;
    for (size_t i = 0; i < proto->n_input && k < main->input_count; i++) {
        if (strcmp(mt_text(proto->input[i]->name), b->model->values[main->inputs[k]].name)) continue;
        MT_TRY(read_info(b, proto->input[i], "input", &b->model->inputs[k++]));
    }
    return MOTET_OK;
}

static motet_status read_outputs(mt_builder *b, const Onnx__GraphProto *proto)
{
    b->model->outputs = mt_arena_zero(&b->model->arena, proto->n_output, sizeof *b->model->outputs);
    if (!b->model->outputs) return mt_fail_memory(proto->n_output);
    for (size_t i = 0; i < proto->n_output; i++)
        MT_TRY(read_info(b, proto->output[i], "output", &b->model->outputs[i]));
    return MOTET_OK;
}

static motet_status read_metadata(mt_builder *b)
{
    const Onnx__ModelProto *proto = b->file->model;
    mt_model *model = b->model;
    model->metadata = mt_arena_zero(&model->arena, proto->n_metadata_props, sizeof *model->metadata);
    if (!model->metadata) return mt_fail_memory(proto->n_metadata_props);
    for (size_t i = 0; i < proto->n_metadata_props; i++) {
        MT_TRY(copy_text(b, proto->metadata_props[i]->key, &model->metadata[i].key));
        MT_TRY(copy_text(b, proto->metadata_props[i]->value, &model->metadata[i].value));
    }
    model->metadata_count = proto->n_metadata_props;
    return MOTET_OK;
}

motet_status mt_build_declarations(mt_builder *b, const Onnx__GraphProto *proto)
{
    MT_TRY(read_inputs(b, proto));
    MT_TRY(read_outputs(b, proto));
    return read_metadata(b);
}

/* What nested graphs declare is kept for whoever writes the model again; nothing here depends on it. */
static motet_status read_nested(mt_builder *b, Onnx__ValueInfoProto *const *protos, int count, motet_value_info **out)
{
    motet_value_info *infos = *out = mt_arena_zero(&b->model->arena, (size_t)count, sizeof *infos);
    if (!infos) return mt_fail_memory((size_t)count);
    for (int i = 0; i < count; i++) {
        motet_status status = read_info(b, protos[i], "nested", &infos[i]);
        if (status == MOTET_ERROR_MEMORY) return status;
        if (status != MOTET_OK) infos[i] = (motet_value_info){.name = infos[i].name, .rank = -1};
    }
    return MOTET_OK;
}

motet_status mt_build_nested_declarations(mt_builder *b, const Onnx__GraphProto *proto, mt_graph *graph)
{
    MT_TRY(read_nested(b, proto->input, graph->input_count, &graph->declared_inputs));
    return read_nested(b, proto->output, graph->output_count, &graph->declared_outputs);
}
