/* Attention: probabilities(scale * Q K') V for every head, wherever heads lie. */
#ifndef MT_KERNELS_ATTENTION_H
#define MT_KERNELS_ATTENTION_H

#include "core/pool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Row s of head h of batch item b begins at data + b * batch_step + h * head_step + s * row_step; a row is dense. */
typedef struct mt_heads {
    float *data;
    int64_t batch_step, head_step, row_step;
} mt_heads;

typedef struct mt_attention {
    int64_t batch, heads, queries, keys, size, value_size;
    int64_t sharing;   /* query heads that share a head of keys and values */
    mt_heads q, k, v;  /* rows of `size`, `size` and `value_size` elements; q, k and v are only read */
    bool k_transposed; /* rows of k are `size` rows of `keys` elements each */
    mt_heads y;        /* rows of value_size elements */
    float scale;
    /* Makes a row of `keys` probabilities of the scaled products of query i, head h, item b, in place. */
    void (*finish)(const void *context, float *row, int64_t b, int64_t h, int64_t i);
    const void *context;
} mt_attention;

/* How many floats of scratch mt_attention_run needs; -1 when that overflows. */
int64_t mt_attention_scratch(const mt_attention *attention);

/* Sizes and steps must be below 2^31. */
void mt_attention_run(mt_pool *pool, const mt_attention *attention, float *scratch);

#endif
