/* The passes that fuse. Attention is found before products take up what comes after them. Gelu must be one node before it can go into a product, and so must a quantised layer. */
#include "core/status.h"
#include "graph/passes/passes.h"

motet_status mt_fuse(mt_model *model, mt_evaluator evaluate, void *context)
{
    MT_TRY(mt_pass_forest(model, evaluate, context));
    MT_TRY(mt_pass_attention(model));
    MT_TRY(mt_pass_gelu(model));
    MT_TRY(mt_pass_integer(model));
    return mt_pass_epilogue(model);
}
