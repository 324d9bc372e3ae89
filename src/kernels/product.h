/* What matrix products and convolutions have in common: C = alpha * A * B + beta * C in tiles, spread over the pool.
 *
 * A is read where it lies. B is asked for in panels of MT_TILE_COLUMNS columns and at most MT_PANEL_DEPTH rows, by a
 * function of whoever runs the product: it points into packed weights, or copies rows of a matrix, or unrolls windows
 * of a convolution, into the room that it gets. So nothing is unrolled or repacked as a whole, and no memory is asked
 * for. */
#ifndef MT_KERNELS_PRODUCT_H
#define MT_KERNELS_PRODUCT_H

#include "core/pool.h"
#include "kernels/tile.h"

enum {
    MT_PANEL_DEPTH = 256, /* rows of a panel, at most */
    MT_PANEL_ROOM = 2048, /* rows of all the panels that are asked for at once */
    MT_PANELS = 16        /* panels that are asked for at once */
};

/* Rows first .. first+depth-1 and columns column .. column+columns-1 of the B of one product. */
typedef struct mt_panels {
    int64_t item;
    int64_t first, depth;
    int64_t column, columns; /* as many panels as they need; the last may hold anything beyond them */
    int64_t rows;            /* of C that will be computed with them */
} mt_panels;

/* Where panels lie: rows `row` floats apart, panels `panel` floats apart. */
typedef struct mt_panel_place {
    const float *start;
    int64_t row, panel;
} mt_panel_place;

/* `room` holds all the panels, one after the other, rows dense. */
typedef mt_panel_place (*mt_panel_function)(const void *source, const mt_panels *wanted, float *room);

/* What is done to C at the end, while it is still in the cache; all of it optional. */
typedef struct mt_epilogue {
    const float *column_bias;
    const float *const *row_bias;          /* by product */
    void (*activate)(float *x, int64_t n); /* n elements of one row, in place */
} mt_epilogue;

typedef struct mt_product {
    int64_t m, n, k, count; /* `count` products of one shape */
    const float *const *a;  /* A(i, k) of product p = a[p][i * a_row + k * a_step] */
    int64_t a_row, a_step;
    mt_panel_function panels; /* where B comes from */
    const void *source;
    float *const *c; /* rows c_row apart */
    int64_t c_row;
    float alpha, beta; /* with beta 0, C is not read */
    mt_epilogue epilogue;
} mt_product;

void mt_product_run(mt_pool *pool, const mt_product *product);

#endif
