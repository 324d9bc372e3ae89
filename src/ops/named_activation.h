/* Activation functions by name, as the recurrent operators and the fused ones take them in attributes. */
#ifndef MT_OPS_NAMED_ACTIVATION_H
#define MT_OPS_NAMED_ACTIVATION_H

#include "ops/support.h"

typedef struct mt_named_activation {
    void (*run)(float *x, int64_t n, float a, float b); /* in place */
    float a, b;                                         /* alpha and beta, or what holds when they are not given */
    int takes;                                          /* how many of the two it has */
} mt_named_activation;

/* Names are compared without regard to case. */
motet_status mt_named_activation_find(const mt_op_context *c, const char *name, mt_named_activation *out);

#endif
