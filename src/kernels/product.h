/* What matrix products and convolutions, of float32 and of bytes, have in common: C = alpha * A * B, or added to what C
 * holds, in tiles, spread over the pool. Elements are words (kernels/tile.h).
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
    MT_PANEL_DEPTH = 768, /* rows of a panel, at most */
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

/* Where panels lie: rows `row` words apart, panels `panel` words apart. */
typedef struct mt_panel_place {
    const void *start;
    int64_t row, panel;
} mt_panel_place;

/* `room` holds all the panels, one after the other, rows dense. `sums`, one for every column, is handed on to `finish`.
 */
typedef mt_panel_place (*mt_panel_function)(const void *source, const mt_panels *wanted, void *room, int32_t *sums);

/* A tile of C that has been computed, or that a slice of k has been added to. */
typedef struct mt_piece {
    int64_t item, row, column; /* where it is */
    int rows, columns;         /* at most MT_TILE_ROWS, MT_TILE_PANELS * MT_TILE_COLUMNS */
    void *c;                   /* where it lies */
    int64_t c_row;
    void *to; /* where it belongs, there or elsewhere */
    int64_t to_row;
    const int32_t *sums; /* of its columns, from the panels of this slice */
    bool last;           /* no slice follows */
} mt_piece;

typedef struct mt_product {
    mt_tile_function tile;
    int64_t m, n, k, count; /* `count` products of one shape */
    const void *const *a;   /* A(i, k) of product p is word i * a_row + k * a_step of a[p] */
    int64_t a_row, a_step;
    bool a_tiled; /* instead: MT_TILE_ROWS rows after the other, each of them dense with k outermost, the last filled up
                   */
    int64_t depth;     /* rows of the panels that are asked for at a time, which divide k; 0: as many as is good */
    int64_t run, jump; /* b_run and b_jump of the tiles, where panels lie so: then MT_PANELS fit into the room */
    mt_panel_function panels; /* where B comes from */
    const void *source;
    const void *const *packed; /* B of every product where it lies as panels of k dense rows, one after the other, or */
    const void *const *plain; /* as rows plain_row words apart, which are copied to panels: what comes next is asked for
                               * early; NULL both: B lies otherwise */
    int64_t plain_row;
    void *const *c; /* rows c_row words apart */
    int64_t c_row;
    float alpha;
    bool add;
    void (*finish)(const void *context, const mt_piece *piece); /* also brings it to where it belongs; may be NULL */
    const void *finish_context;
} mt_product;

/* Brings a piece to where it belongs. */
void mt_piece_move(const mt_piece *piece);

void mt_product_run(mt_pool *pool, const mt_product *product);

#endif
