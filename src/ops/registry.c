/* Which function computes an operator: the table of registry.def, searched while a model is loaded and never again. */
#include <string.h>

#include "ops/op.h"

static const mt_op table[] = {
#define MT_OP(domain, name, since, function)      {domain, #name, since, function, false},
#define MT_LIST_OP(domain, name, since, function) {domain, #name, since, function, true},
#include "ops/registry.def"
#undef MT_LIST_OP
#undef MT_OP
};

const mt_op *mt_op_find(const char *domain, const char *name, int version)
{
    const mt_op *best = NULL, *end = table + sizeof table / sizeof *table;
    for (const mt_op *op = table; op < end; op++) {
        if (op->since > version || (best && op->since < best->since)) continue;
        if (strcmp(op->name, name) == 0 && strcmp(op->domain, domain) == 0) best = op;
    }
    return best;
}
