/* A simpler model that computes the same: what does not depend on the inputs is computed once, now; branches that are
 * settled, functions, Identity and Dropout nodes, and what nobody reads are gone. Unlike a session, this keeps to what
 * any runtime understands. */
#include <string.h>

#include "core/status.h"
#include "engine/evaluate.h"
#include "engine/operators.h"
#include "graph/build.h"
#include "graph/passes/passes.h"
#include "graph/write.h"
#include "model/simple.h"
#include "motet/model.h"

/* Operators that motet does not know stay as they are. So do quantised weights: dequantised they would take four times
 * the room, and nobody could compute with integers any more. And so do nodes that make sequences, optionals or maps,
 * for which a file has no constants. */
static motet_status evaluate(void *context, const mt_model *model, const mt_node *node, size_t limit,
                             motet_tensor *const *outputs)
{
    if (!node->op) return mt_fail(MOTET_ERROR_UNSUPPORTED, "not known");
    if (strcmp(node->type, "DequantizeLinear") == 0) return mt_fail(MOTET_ERROR_UNSUPPORTED, "left as it is");
    MT_TRY(mt_evaluate(context, model, node, limit, outputs));
    for (int i = 0; i < node->output_count; i++)
        if (outputs[i]->kind != MOTET_TENSOR) return mt_fail(MOTET_ERROR_UNSUPPORTED, "a list, not a tensor");
    return MOTET_OK;
}

static motet_status simplify(mt_model *model)
{
    bool reference = true;
    MT_TRY(mt_pass_dead(model));
    motet_status status = mt_find_operators(model);
    if (status != MOTET_OK && status != MOTET_ERROR_UNSUPPORTED) return status;
    return mt_simplify(model, 0, evaluate, &reference);
}

motet_status mt_model_open_simple(const char *path, mt_file **file, mt_model **model)
{
    *model = NULL;
    MT_TRY_AS(mt_file_open(path, file), "%s", path);
    (*file)->loose = true;
    motet_status status = mt_model_build(*file, model);
    if (status == MOTET_OK) status = simplify(*model);
    if (status == MOTET_OK) return status;
    mt_model_destroy(*model);
    mt_file_close(*file);
    return mt_fail_in(status, "%s", path);
}

motet_status motet_model_optimize(const char *path, const char *optimized, bool external)
{
    mt_file *file;
    mt_model *model;
    MT_TRY(mt_model_open_simple(path, &file, &model));
    motet_status status = mt_model_write(model, file, optimized, external);
    mt_model_destroy(model);
    mt_file_close(file);
    return status == MOTET_OK ? status : mt_fail_in(status, "%s", path);
}
