/* The passes that fuse, in an order in which one makes room for the next: nodes that are the same are one before
 * patterns are looked for; attention and sums are found before products take up what comes after them; Gelu must be one
 * node before it can go into a product, and so must a quantised layer. */
#include "core/status.h"
#include "graph/passes/passes.h"

motet_status mt_fuse(mt_model *model, mt_pass_set without, mt_evaluator evaluate, void *context)
{
    static const struct {
        mt_pass pass;
        motet_status (*run)(mt_model *model);
    } passes[] = {{MT_PASS_COMMON, mt_pass_common},       {MT_PASS_GELU, mt_pass_gelu},
                  {MT_PASS_INTEGER, mt_pass_integer},     {MT_PASS_NORM, mt_pass_norm},
                  {MT_PASS_ATTENTION, mt_pass_attention}, {MT_PASS_TRANSPOSE, mt_pass_transpose},
                  {MT_PASS_SKIP, mt_pass_skip},           {MT_PASS_STEM, mt_pass_stem},
                  {MT_PASS_EPILOGUE, mt_pass_epilogue},   {MT_PASS_PROJECTIONS, mt_pass_projections},
                  {MT_PASS_RANGE, mt_pass_range},         {MT_PASS_STRASSEN, mt_pass_strassen}};
    if (!(without >> MT_PASS_FOREST & 1)) MT_TRY(mt_pass_forest(model, evaluate, context));
    for (size_t i = 0; i < sizeof passes / sizeof *passes; i++)
        if (!(without >> passes[i].pass & 1)) MT_TRY(passes[i].run(model));
    return MOTET_OK;
}
