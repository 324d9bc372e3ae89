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

static motet_status read_type(mt_builder *b, const Onnx__TypeProto *type, motet_value_info *out)
{
    if (!type || type->value_case == ONNX__TYPE_PROTO__VALUE__NOT_SET) return MOTET_OK;
    if (type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
        return mt_fail(MOTET_ERROR_UNSUPPORTED, "a sequence, map or sparse tensor is not supported here");
    const Onnx__TypeProto__Tensor *tensor = type->tensor_type;
    if (tensor->elem_type < 0 || tensor->elem_type > MOTET_BFLOAT16)
        return mt_fail(MOTET_ERROR_UNSUPPORTED, "the element type %d is not supported", (int)tensor->elem_type);
    out->type = (motet_type)tensor->elem_type;
    if (!tensor->shape) return MOTET_OK;
    if (tensor->shape->n_dim > MOTET_MAX_RANK)
        return mt_fail(MOTET_ERROR_LIMIT, "%zu axes: at most %d are supported", tensor->shape->n_dim, MOTET_MAX_RANK);
    out->rank = (int)tensor->shape->n_dim;
    for (int i = 0; i < out->rank; i++)
        MT_TRY(read_dimension(b, tensor->shape->dim[i], &out->dims[i], &out->symbols[i]));
    return MOTET_OK;
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
