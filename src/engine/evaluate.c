/* A host for one operator and one call: outputs come straight from the allocator, because they stay. */
#include "engine/evaluate.h"

#include "core/memory.h"
#include "core/status.h"
#include "ops/op.h"

enum { MAX_INPUTS = 64 };

typedef struct evaluation {
    size_t left; /* bytes that outputs and scratch may still take */
    mt_arena scratch;
} evaluation;

static motet_status spend(evaluation *e, size_t bytes)
{
    if (bytes > e->left) return mt_fail(MOTET_ERROR_LIMIT, "too large to be computed ahead");
    e->left -= bytes;
    return MOTET_OK;
}

static motet_status host_alloc(mt_op_context *c, motet_tensor *tensor, motet_type type, int rank, const int64_t *dims)
{
    size_t bytes, size = type == MOTET_STRING ? sizeof(mt_string) : motet_type_size(type);
    int64_t count = mt_shape_count(rank, dims);
    if (count < 0 || !mt_mul((size_t)count, size, &bytes)) bytes = SIZE_MAX;
    MT_TRY(spend(c->run, bytes));
    return mt_tensor_alloc(tensor, type, rank, dims);
}

static motet_status host_alloc_list(mt_op_context *c, motet_tensor *list, motet_kind kind, int64_t count)
{
    size_t bytes;
    if (!mt_mul((size_t)count, sizeof *list, &bytes)) bytes = SIZE_MAX;
    MT_TRY(spend(c->run, bytes));
    return mt_list_alloc(list, kind, count);
}

static motet_status host_scratch(mt_op_context *c, size_t bytes, void **out)
{
    enum { ALIGNMENT = 64 };
    evaluation *e = c->run;
    size_t padded;
    if (!mt_add(bytes, ALIGNMENT, &padded)) padded = SIZE_MAX;
    MT_TRY(spend(e, padded));
    char *block = mt_arena_alloc(&e->scratch, padded);
    if (!block) return mt_fail_memory(padded);
    *out = block + (ALIGNMENT - (uintptr_t)block % ALIGNMENT);
    return MOTET_OK;
}

static motet_status host_keep(mt_op_context *c, int i, const mt_layout *layout, const void **out)
{
    void *memory;
    (void)i;
    MT_TRY(host_scratch(c, layout->bytes, &memory));
    layout->fill(layout->context, c->pool, memory);
    *out = memory;
    return MOTET_OK;
}

static motet_status host_run_graph(mt_op_context *c, const mt_graph *graph, const motet_tensor *const *inputs,
                                   int input_count, motet_tensor *outputs, int output_count)
{
    (void)c, (void)graph, (void)inputs, (void)input_count, (void)outputs, (void)output_count;
    return mt_fail(MOTET_ERROR_UNSUPPORTED, "nested graphs are not computed ahead");
}

motet_status mt_evaluate(void *context, const mt_model *model, const mt_node *node, size_t limit,
                         motet_tensor *const *outputs)
{
    static const mt_op_host host = {host_alloc, host_alloc_list, host_scratch, host_run_graph, host_keep, NULL};
    const motet_tensor *inputs[MAX_INPUTS];
    if (node->input_count > MAX_INPUTS) return mt_fail(MOTET_ERROR_LIMIT, "too many inputs to be computed ahead");
    for (int i = 0; i < node->input_count; i++) {
        inputs[i] = node->inputs[i] == MT_NO_VALUE ? NULL : model->values[node->inputs[i]].tensor;
        if (inputs[i]) MT_TRY(mt_tensor_settle(model->values[node->inputs[i]].tensor));
    }
    evaluation e = {.left = limit};
    mt_op_context c = {.node = node,
                       .version = node->version,
                       .in_count = node->input_count,
                       .out_count = node->output_count,
                       .in = inputs,
                       .out = outputs,
                       .reference = *(const bool *)context,
                       .host = &host,
                       .run = &e};
    motet_status status = mt_op_run(&c);
    mt_arena_clear(&e.scratch);
    for (int i = 0; status == MOTET_OK && i < node->output_count; i++)
        if (!outputs[i]->data && node->outputs[i] != MT_NO_VALUE)
            status = mt_fail(MOTET_ERROR_UNSUPPORTED, "output %d is not supported", i);
    return status;
}
