/* What a model file is made of. The protobuf structure is walked once, graphs nested in nodes and functions included,
 * and counted; then the graph is built as a session would build it, for the declared inputs and outputs and for what is
 * wrong with it. So operators are listed as they stand in the file, before functions are expanded and nodes folded. */
#include "motet/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "graph/build.h"
#include "graph/graph.h"
#include "graph/names.h"
#include "onnx/file.h"
#include "onnx/tensor.h"
#include "ops/op.h"

enum { MAX_PROBLEMS = 100, TYPES = 64 };

struct motet_model {
    mt_file *file;
    mt_model *built; /* NULL when the graph cannot be built */
    mt_arena arena;
    motet_model_about about;
    motet_model_import *imports;
    size_t import_count;
    motet_model_operator *operators;
    size_t operator_count, operator_capacity;
    mt_names operator_names; /* "domain type version" to index */
    mt_names functions;      /* "domain type" */
    motet_model_weights weights[TYPES];
    size_t weights_count;
    motet_model_metadata *metadata;
    size_t metadata_count;
    const char *problems[MAX_PROBLEMS];
    size_t problem_count;
};

/* What is being walked: the imports of a function hold before those of the model. */
typedef struct walk {
    motet_model *model;
    const Onnx__FunctionProto *function; /* or NULL */
} walk;

static const char *text_of(const char *text)
{
    return text ? text : "";
}

static const char *domain_of(const char *domain)
{
    return *text_of(domain) ? domain : "ai.onnx";
}

/* A weight that is wrong comes up twice: when it is counted, and within a longer message when the graph is built. */
static bool is_noted(const motet_model *model, const char *message)
{
    size_t length = strlen(message);
    for (size_t i = 0; i < model->problem_count; i++) {
        size_t other = strlen(model->problems[i]);
        if (other <= length && strcmp(message + length - other, model->problems[i]) == 0) return true;
    }
    return false;
}

/* Keeps the thread's last message as a problem; what is not the file's fault is handed on. */
static motet_status note_problem(motet_model *model, motet_status status)
{
    if (status == MOTET_OK || status == MOTET_ERROR_MEMORY) return status;
    if (model->problem_count == MAX_PROBLEMS || is_noted(model, motet_error_message())) return MOTET_OK;
    const char *copy = mt_arena_string(&model->arena, motet_error_message());
    if (!copy) return mt_fail_memory(sizeof *model->problems);
    model->problems[model->problem_count++] = copy;
    return MOTET_OK;
}

/* --- weights -------------------------------------------------------------------------------------------------- */

/* Counts what was read, and lets go of it; what could not be read is a problem. */
static motet_status count_weight(motet_model *model, motet_status status, motet_tensor *tensor, bool external)
{
    if (status != MOTET_OK) return note_problem(model, status);
    int64_t bytes = tensor->count * (int64_t)motet_type_size(tensor->type);
    motet_model_weights *weights = &model->weights[tensor->type];
    weights->type = tensor->type;
    weights->tensors++;
    weights->elements += tensor->count;
    weights->bytes += bytes;
    model->about.weights++;
    model->about.parameters += tensor->count;
    model->about.bytes += bytes;
    if (external) model->about.external_bytes += bytes;
    mt_tensor_clear(tensor);
    return MOTET_OK;
}

static motet_status count_tensor(motet_model *model, const Onnx__TensorProto *proto)
{
    motet_tensor tensor = {0};
    bool external = proto->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    return count_weight(model, mt_file_tensor(model->file, proto, &tensor), &tensor, external);
}

/* With its zeros. */
static motet_status count_sparse(motet_model *model, const Onnx__SparseTensorProto *proto)
{
    motet_tensor tensor = {0};
    return count_weight(model, mt_file_sparse_tensor(model->file, proto, &tensor), &tensor, false);
}

/* --- operators ------------------------------------------------------------------------------------------------ */

static bool find_import(Onnx__OperatorSetIdProto *const *imports, size_t count, const char *domain, int64_t *out)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(domain_of(imports[i]->domain), domain)) continue;
        *out = imports[i]->version;
        return true;
    }
    return false;
}

/* As the builder of graphs: the function's imports, then the model's, then 1. */
static int64_t version_of(const walk *w, const char *domain)
{
    const Onnx__ModelProto *proto = w->model->file->model;
    int64_t version = 1;
    if (w->function && find_import(w->function->opset_import, w->function->n_opset_import, domain, &version))
        return version;
    find_import(proto->opset_import, proto->n_opset_import, domain, &version);
    return version;
}

/* Constant nodes become values while the graph is built, so no operator computes them. */
static bool is_known(const char *domain, const char *type, int64_t version)
{
    bool plain = strcmp(domain, "ai.onnx") == 0;
    if (plain && strcmp(type, "Constant") == 0) return true;
    return version > 0 && version <= INT32_MAX && mt_op_find(plain ? "" : domain, type, (int)version);
}

static motet_status add_operator(motet_model *model, const char *key, const motet_model_operator *kind)
{
    if (!mt_reserve((void **)&model->operators, model->operator_count, &model->operator_capacity,
                    sizeof *model->operators))
        return mt_fail_memory(sizeof *model->operators);
    char *kept = mt_arena_string(&model->arena, key);
    if (!kept || !mt_names_add(&model->operator_names, kept, (int)model->operator_count))
        return mt_fail_memory(strlen(key));
    model->operators[model->operator_count++] = *kind;
    return MOTET_OK;
}

/* "domain\ntype\nversion", in the arena */
static char *make_key(motet_model *model, const char *domain, const char *type, int64_t version)
{
    size_t size = strlen(domain) + strlen(type) + 32;
    char *key = mt_arena_alloc(&model->arena, size);
    if (key) snprintf(key, size, "%s\n%s\n%lld", domain, type, (long long)version);
    return key;
}

static motet_status count_node(const walk *w, const Onnx__NodeProto *proto)
{
    motet_model *model = w->model;
    int other;
    motet_model_operator kind = {.domain = domain_of(proto->domain), .type = text_of(proto->op_type), .count = 1};
    char *own = make_key(model, kind.domain, kind.type, 0);
    if (!own) return mt_fail_memory(sizeof kind);
    kind.function = mt_names_find(&model->functions, own, &other);
    kind.version = version_of(w, kind.domain);
    char *key = make_key(model, kind.domain, kind.type, kind.version);
    if (!key) return mt_fail_memory(sizeof kind);
    model->about.nodes++;
    if (mt_names_find(&model->operator_names, key, &other)) {
        model->operators[other].count++;
        return MOTET_OK;
    }
    kind.missing = !kind.function && !is_known(kind.domain, kind.type, kind.version);
    model->about.missing += kind.missing;
    return add_operator(model, key, &kind);
}

static motet_status walk_graph(const walk *w, const Onnx__GraphProto *proto);

static motet_status walk_attribute(const walk *w, const Onnx__AttributeProto *proto)
{
    if (proto->t) MT_TRY(count_tensor(w->model, proto->t));
    if (proto->sparse_tensor) MT_TRY(count_sparse(w->model, proto->sparse_tensor));
    for (size_t i = 0; i < proto->n_tensors; i++) MT_TRY(count_tensor(w->model, proto->tensors[i]));
    if (proto->g) {
        w->model->about.graphs++;
        MT_TRY(walk_graph(w, proto->g));
    }
    for (size_t i = 0; i < proto->n_graphs; i++) MT_TRY(walk_graph(w, proto->graphs[i]));
    return MOTET_OK;
}

/* Graphs nest no deeper than messages may, which mt_compact has checked. */
static motet_status walk_nodes(const walk *w, Onnx__NodeProto *const *protos, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        MT_TRY(count_node(w, protos[i]));
        for (size_t k = 0; k < protos[i]->n_attribute; k++) MT_TRY(walk_attribute(w, protos[i]->attribute[k]));
    }
    return MOTET_OK;
}

static motet_status walk_graph(const walk *w, const Onnx__GraphProto *proto)
{
    for (size_t i = 0; i < proto->n_initializer; i++) MT_TRY(count_tensor(w->model, proto->initializer[i]));
    for (size_t i = 0; i < proto->n_sparse_initializer; i++)
        MT_TRY(count_sparse(w->model, proto->sparse_initializer[i]));
    return walk_nodes(w, proto->node, proto->n_node);
}

static motet_status walk_model(motet_model *model)
{
    const Onnx__ModelProto *proto = model->file->model;
    for (size_t i = 0; i < proto->n_functions; i++) {
        const Onnx__FunctionProto *function = proto->functions[i];
        char *key = make_key(model, domain_of(function->domain), text_of(function->name), 0);
        int other;
        if (!key) return mt_fail_memory(sizeof *function);
        if (mt_names_find(&model->functions, key, &other)) continue;
        if (!mt_names_add(&model->functions, key, (int)i)) return mt_fail_memory(sizeof *function);
    }
    MT_TRY(walk_graph(&(walk){model, NULL}, proto->graph));
    for (size_t i = 0; i < proto->n_functions; i++) {
        const Onnx__FunctionProto *function = proto->functions[i];
        MT_TRY(walk_nodes(&(walk){model, function}, function->node, function->n_node));
    }
    return MOTET_OK;
}

static int by_domain_and_type(const void *a, const void *b)
{
    const motet_model_operator *x = a, *y = b;
    int order = strcmp(x->domain, y->domain);
    if (order == 0) order = strcmp(x->type, y->type);
    return order ? order : (x->version > y->version) - (x->version < y->version);
}

/* --- the rest ------------------------------------------------------------------------------------------------- */

static motet_status copy_imports(motet_model *model)
{
    const Onnx__ModelProto *proto = model->file->model;
    model->imports = mt_arena_zero(&model->arena, proto->n_opset_import, sizeof *model->imports);
    model->metadata = mt_arena_zero(&model->arena, proto->n_metadata_props, sizeof *model->metadata);
    if (!model->imports || !model->metadata) return mt_fail_memory(proto->n_metadata_props);
    for (size_t i = 0; i < proto->n_opset_import; i++)
        model->imports[model->import_count++] =
            (motet_model_import){domain_of(proto->opset_import[i]->domain), proto->opset_import[i]->version};
    for (size_t i = 0; i < proto->n_metadata_props; i++)
        model->metadata[model->metadata_count++] =
            (motet_model_metadata){text_of(proto->metadata_props[i]->key), text_of(proto->metadata_props[i]->value)};
    return MOTET_OK;
}

/* Moves the types that there are to the front. */
static void close_ranks(motet_model *model)
{
    for (size_t i = 0; i < TYPES; i++)
        if (model->weights[i].tensors) model->weights[model->weights_count++] = model->weights[i];
}

static motet_status examine(motet_model *model)
{
    const Onnx__ModelProto *proto = model->file->model;
    model->about.ir_version = proto->ir_version;
    model->about.producer = text_of(proto->producer_name);
    model->about.producer_version = text_of(proto->producer_version);
    model->about.graph = text_of(proto->graph->name);
    model->about.functions = (int64_t)proto->n_functions;
    MT_TRY(copy_imports(model));
    MT_TRY(walk_model(model));
    close_ranks(model);
    if (model->operator_count)
        qsort(model->operators, model->operator_count, sizeof *model->operators, by_domain_and_type);
    return note_problem(model, mt_model_build(model->file, &model->built));
}

motet_status motet_model_open(const char *path, motet_model **out)
{
    *out = NULL;
    motet_model *model = mt_alloc_zero(1, sizeof *model);
    if (!model) return mt_fail_memory(sizeof *model);
    motet_status status = mt_file_open(path, &model->file);
    if (status == MOTET_OK) status = examine(model);
    if (status != MOTET_OK) {
        motet_model_close(model);
        return mt_fail_in(status, "%s", path);
    }
    *out = model;
    return MOTET_OK;
}

void motet_model_close(motet_model *model)
{
    if (!model) return;
    mt_model_destroy(model->built);
    mt_names_clear(&model->operator_names);
    mt_names_clear(&model->functions);
    mt_free(model->operators);
    mt_arena_clear(&model->arena);
    mt_file_close(model->file);
    mt_free(model);
}

const motet_model_about *motet_model_describe(const motet_model *model)
{
    return &model->about;
}

const motet_model_import *motet_model_import_at(const motet_model *model, size_t index)
{
    return index < model->import_count ? &model->imports[index] : NULL;
}

const motet_model_operator *motet_model_operator_at(const motet_model *model, size_t index)
{
    return index < model->operator_count ? &model->operators[index] : NULL;
}

const motet_model_weights *motet_model_weights_at(const motet_model *model, size_t index)
{
    return index < model->weights_count ? &model->weights[index] : NULL;
}

const motet_model_metadata *motet_model_metadata_at(const motet_model *model, size_t index)
{
    return index < model->metadata_count ? &model->metadata[index] : NULL;
}

const motet_value_info *motet_model_input(const motet_model *model, size_t index)
{
    bool there = model->built && index < (size_t)model->built->main->input_count;
    return there ? &model->built->inputs[index] : NULL;
}

const motet_value_info *motet_model_output(const motet_model *model, size_t index)
{
    bool there = model->built && index < (size_t)model->built->main->output_count;
    return there ? &model->built->outputs[index] : NULL;
}

const char *motet_model_problem_at(const motet_model *model, size_t index)
{
    return index < model->problem_count ? model->problems[index] : NULL;
}
