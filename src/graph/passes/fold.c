/* Constant folding: what does not depend on the inputs is computed while the model is loaded, by the same operators
 * that would compute it in every run. Nodes come in order, so one walk folds whole chains; nested graphs are folded
 * when their node is reached.
 *
 * Results may not be much larger than what they come from (a ConstantOfShape of a few bytes can ask for gigabytes), and
 * all of them together not much larger than the weights. */
#include <string.h>

#include "core/status.h"
#include "graph/passes/passes.h"

enum { ALWAYS_ALLOWED = 64 * 1024, GROWTH = 4, MAX_OUTPUTS = 64 };
static const size_t total_allowed = 16 * 1024 * 1024;

typedef struct folder {
    mt_model *model;
    mt_evaluator evaluate;
    void *context;
    size_t budget; /* bytes that results may still take, together */
} folder;

bool mt_pass_is_random(const mt_node *node)
{
    return strncmp(node->type, "Random", 6) == 0 || strcmp(node->type, "Bernoulli") == 0 ||
           strcmp(node->type, "Multinomial") == 0 || strcmp(node->type, "Dropout") == 0;
}

static bool has_graph(const mt_node *node)
{
    for (int i = 0; i < node->attribute_count; i++)
        if (node->attributes[i].kind == MT_ATTRIBUTE_GRAPH) return true;
    return false;
}

/* True when all inputs are constants; *bytes is what they take. */
static bool is_constant(const folder *f, const mt_node *node, size_t *bytes)
{
    *bytes = 0;
    for (int i = 0; i < node->input_count; i++) {
        if (node->inputs[i] == MT_NO_VALUE) continue;
        const motet_tensor *tensor = f->model->values[node->inputs[i]].tensor;
        if (!tensor) return false;
        *bytes += mt_tensor_bytes(tensor);
    }
    return node->output_count <= MAX_OUTPUTS && !mt_pass_is_random(node) && !has_graph(node);
}

/* Makes the results the values' tensors. */
static void keep_results(folder *f, const mt_node *node, motet_tensor *const *results)
{
    for (int i = 0; i < node->output_count; i++) {
        if (node->outputs[i] == MT_NO_VALUE) {
            mt_tensor_clear(results[i]);
            continue;
        }
        size_t bytes = mt_tensor_bytes(results[i]);
        f->budget -= bytes < f->budget ? bytes : f->budget;
        results[i]->constant = true;
        f->model->values[node->outputs[i]].tensor = results[i];
    }
}

static motet_status fold_node(folder *f, const mt_node *node, bool *folded)
{
    motet_tensor *results[MAX_OUTPUTS];
    size_t bytes;
    *folded = false;
    if (!is_constant(f, node, &bytes)) return MOTET_OK;
    size_t limit = ALWAYS_ALLOWED + GROWTH * bytes;
    for (int i = 0; i < node->output_count; i++) MT_TRY(mt_model_tensor(f->model, &results[i]));
    motet_status status = f->evaluate(f->context, f->model, node, limit < f->budget ? limit : f->budget, results);
    if (status == MOTET_OK) {
        keep_results(f, node, results);
        *folded = true;
        return MOTET_OK;
    }
    for (int i = 0; i < node->output_count; i++) mt_tensor_clear(results[i]);
    return status == MOTET_ERROR_MEMORY ? status : MOTET_OK;
}

static motet_status fold_graph(folder *f, mt_graph *graph)
{
    int kept = 0;
    for (int i = 0; i < graph->node_count; i++) {
        mt_node *node = graph->nodes[i];
        bool folded;
        for (int k = 0; k < node->attribute_count; k++)
            if (node->attributes[k].kind == MT_ATTRIBUTE_GRAPH) MT_TRY(fold_graph(f, node->attributes[k].graph));
        MT_TRY(fold_node(f, node, &folded));
        if (!folded) graph->nodes[kept++] = node;
    }
    graph->node_count = kept;
    return MOTET_OK;
}

motet_status mt_pass_fold(mt_model *model, mt_evaluator evaluate, void *context)
{
    folder f = {model, evaluate, context, total_allowed};
    for (size_t i = 0; i < model->value_count; i++)
        if (model->values[i].tensor) f.budget += GROWTH * mt_tensor_bytes(model->values[i].tensor);
    return fold_graph(&f, model->main);
}
