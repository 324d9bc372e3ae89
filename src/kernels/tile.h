/* The inner piece of every float32 product: up to MT_TILE_ROWS rows of A times a panel of B, MT_TILE_COLUMNS wide.
 *
 * Every element of C is one chain of fused multiply-adds in the order of k, whatever the level, the number of rows or
 * the place in the tile; only the scalar level, which has no fused multiply-add, rounds differently. */
#ifndef MT_KERNELS_TILE_H
#define MT_KERNELS_TILE_H

#include <stdbool.h>
#include <stdint.h>

enum { MT_TILE_ROWS = 12, MT_TILE_COLUMNS = 32 };

typedef struct mt_tile {
    int64_t k;
    const float *a; /* A(i, k) = a[i * a_row + k * a_step] */
    int64_t a_row, a_step;
    const float *b; /* B(k, j) = b[k * b_row + j]; all MT_TILE_COLUMNS of them are read */
    int64_t b_row;
    float *c; /* C(i, j) = c[i * c_row + j] */
    int64_t c_row;
    int rows, columns; /* of C, from 1 up */
    float alpha;
    bool add; /* C += alpha * A * B, else C = alpha * A * B */
} mt_tile;

typedef void (*mt_tile_function)(const mt_tile *tile);

/* The one for the level in use. */
mt_tile_function mt_tile_kernel(void);

/* One for each level. */
void mt_tile_scalar(const mt_tile *tile);
void mt_tile_avx2(const mt_tile *tile);
void mt_tile_avx512(const mt_tile *tile);

#endif
