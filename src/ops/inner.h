/* One operator computed by another. Fused operators are mostly a standard one between a few element-wise steps; an
 * inner call runs the standard one on tensors of the outer one's choice.
 *
 *     mt_inner inner;
 *     mt_inner_begin(&inner, c);
 *     mt_inner_feed(&inner, &left);
 *     mt_inner_feed(&inner, &right);
 *     MT_TRY(mt_inner_run(&inner, mt_op_matmul, 13, 1));
 *     ... inner.made[0] ...
 *
 * What is made lies in the outer operator's scratch memory, unless mt_inner_into sends it to an output. */
#ifndef MT_OPS_INNER_H
#define MT_OPS_INNER_H

#include "graph/graph.h"
#include "ops/support.h"

enum { MT_INNER_INPUTS = 16, MT_INNER_OUTPUTS = 4, MT_INNER_ATTRIBUTES = 8 };

typedef struct mt_inner {
    mt_op_context context, *outer;
    mt_node node;
    mt_attribute attributes[MT_INNER_ATTRIBUTES];
    const motet_tensor *in[MT_INNER_INPUTS];
    motet_tensor made[MT_INNER_OUTPUTS], *out[MT_INNER_OUTPUTS];
    int wanted[MT_INNER_OUTPUTS];
} mt_inner;

/* No inputs yet; the outer operator's attributes until one is set. The structure must not move afterwards. */
void mt_inner_begin(mt_inner *inner, mt_op_context *outer);

/* The next input; NULL: left out. */
void mt_inner_feed(mt_inner *inner, const motet_tensor *tensor);

/* Attributes of its own, in place of the outer operator's. */
void mt_inner_int(mt_inner *inner, const char *name, int64_t value);
void mt_inner_float(mt_inner *inner, const char *name, float value);

/* Output i is the outer operator's output `outer`; or nobody wants it. */
void mt_inner_into(mt_inner *inner, int i, int outer);
void mt_inner_unwanted(mt_inner *inner, int i);

motet_status mt_inner_run(mt_inner *inner, mt_op_function function, int version, int outputs);

/* Runs `function`, which knows float32 alone, for an outer operator that also takes float16 and bfloat16: where input 0
 * is of such a type, inputs of 16-bit floats are widened, and float32 outputs become input 0's type. */
motet_status mt_inner_in_float(mt_op_context *c, mt_op_function function);

#endif
