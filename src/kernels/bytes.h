/* Exact products of quantised matrices and convolutions: sums of (a - a_zero) * (b - b_zero) over bytes, modulo 2^32.
 *
 * Whatever their signs, bytes of A are brought to uint8 and those of B to int8 by adding or taking away 128, which
 * moves the zero points along; one kernel then serves all four combinations. With u for A and s for B as they are
 * multiplied, sum (u - zu) * (s - zs) = sum u * s - zu * (sum of s) - zs * (sum of u - k * zu), so zero points cost a
 * sum over every row of A and every column of B, and weights bring theirs along. */
#ifndef MT_KERNELS_BYTES_H
#define MT_KERNELS_BYTES_H

#include <stddef.h>

#include "kernels/conv.h"

/* What the sums become; at row i and column j of the result, element i * row + j * column of a list counts. */
typedef struct mt_byte_list {
    const void *values;  /* NULL: none */
    int64_t row, column; /* by rows, or by columns, or neither: one is 1 at most, and the other 0 */
} mt_byte_list;

typedef struct mt_byte_result {
    mt_byte_list a_zero, b_zero; /* int32, as the bytes are multiplied: u, not by columns, and s, not by rows */
    mt_byte_list scale, bias;    /* float32; with a scale the result is float32 (sum * scale + bias) */
    mt_activation activate;      /* or NULL; with a scale only */
} mt_byte_result;

/* --- matrices ------------------------------------------------------------------------------------------------- */

typedef struct mt_byte_gemm {
    int64_t m, n, k;
    int64_t lda;           /* bytes between rows of A, mt_byte_row(k) or a larger multiple of 4 */
    const int32_t *a_sums; /* of the rows of A; NULL when no b_zero differs from 0 */
    mt_byte_result result;
} mt_byte_gemm;

/* The names of how mt_byte_pack and mt_byte_filters lay things out: others whenever that changes. */
#define MT_BYTE_LAYOUT        "byte panels 1"
#define MT_BYTE_FILTER_LAYOUT "byte filters 2"

/* k rounded up to whole words: bytes beyond k must be there in every row of A, and may hold anything. */
int64_t mt_byte_row(int64_t k);

/* B, k rows of n bytes, packed: bytes flipped by `flip` (0x80 turns uint8 into int8 less 128), then a sum for every
 * column. The same for every level of mt_cpu. -1 when the size overflows. */
int64_t mt_byte_packed_size(int64_t k, int64_t n);
void mt_byte_pack(mt_pool *pool, int64_t k, int64_t n, const void *b, uint8_t flip, void *packed);

/* `count` products, c[i] from a[i] and b[i]; C is dense, int32 or float32. */
void mt_byte_gemm_run(mt_pool *pool, const mt_byte_gemm *shape, int64_t count, const uint8_t *const *a,
                      const void *const *packed, void *const *c);

/* --- convolution ---------------------------------------------------------------------------------------------- */

/* Filters are A, the unrolled input is B. Prepared filters are rows of words in the order in which the input is laid
 * out, flipped to uint8 where they are int8, then the sum of every row as int32. They depend on the shape of the
 * filters, the groups and the first dilation alone. */
int64_t mt_byte_filters_size(const mt_conv *conv);
void mt_byte_filters(const mt_conv *conv, const void *w, uint8_t flip, void *prepared);

/* Bytes that a run needs as `room`, aligned as words are; -1 when that overflows. */
int64_t mt_byte_conv_room(const mt_conv *conv);

/* x [batch, groups * in_channels, in...] as int8 after `flip`; b_zero, one value, is what padding holds. Lists of
 * `result` that go by rows have an element for each of the groups * out_channels filters. */
void mt_byte_conv_run(mt_pool *pool, const mt_conv *conv, const void *x, uint8_t flip, const void *filters,
                      const mt_byte_result *result, void *room, void *y);

/* --- quantising ----------------------------------------------------------------------------------------------- */

/* The range of n floats, made to include 0; NaN is passed over. */
void mt_byte_range(const float *x, int64_t n, float *least, float *most);

/* y = round to even(x / scale) + zero, held within 0 .. 255; NaN becomes 0. */
void mt_byte_quantise(uint8_t *y, const float *x, int64_t n, float scale, int32_t zero);

#endif
