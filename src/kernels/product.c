/* A block of work is at most ROWS rows by as many panels as make it worth a thread's while. Within it, slices of k come
 * first, then groups of panels, then rows, then the panels of a group: a slice of A (ROWS x MT_PANEL_DEPTH, half a
 * megabyte) and a group of panels (a quarter) stay in the second cache until they are done with. */
#include "kernels/product.h"

#include <stdalign.h>

#include "kernels/simd.h"

enum {
    ROWS = 528,
    WORTHWHILE = 1 << 20, /* multiply-adds */
    PLENTY = 32,          /* blocks, for any number of threads to share: with more, blocks grow */
    WIDE = 8              /* to so many panels */
};

typedef struct work {
    const mt_product *product;
    mt_tile_function tile;
    int64_t height, width; /* of a block: rows, columns */
    int64_t down, across;  /* blocks in one product */
    int64_t depth;         /* of a slice of k */
} work;

typedef struct block {
    int64_t item, row, rows, column, columns;
} block;

static int64_t parts_of(int64_t size, int64_t most)
{
    return (size + most - 1) / most;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The length of equal parts, a multiple of `step`, that cover `size`, each at most `most`. */
static int64_t part_length(int64_t size, int64_t most, int64_t step)
{
    return parts_of(parts_of(size, parts_of(size, most)), step) * step;
}

static work cut(const mt_product *p)
{
    work w = {.product = p, .tile = mt_tile_kernel()};
    w.height = part_length(p->m, ROWS, MT_TILE_ROWS);
    w.down = parts_of(p->m, w.height);
    double panel = (double)least(w.height, p->m) * MT_TILE_COLUMNS * (double)(p->k + 1);
    int64_t all = parts_of(p->n, MT_TILE_COLUMNS) * w.down * p->count, panels = least(all / PLENTY + 1, WIDE);
    if (panel * (double)panels < WORTHWHILE) panels = (int64_t)(WORTHWHILE / panel) + 1;
    w.width = part_length(p->n, panels * MT_TILE_COLUMNS, MT_TILE_COLUMNS);
    w.across = parts_of(p->n, w.width);
    w.depth = p->k ? part_length(p->k, MT_PANEL_DEPTH, 1) : 1;
    return w;
}

MT_SIMD static void scale_rows(float *c, int64_t c_row, int64_t rows, int64_t columns, float factor)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) c[i * c_row + j] *= factor;
}

MT_SIMD static void add_biases(float *c, int64_t c_row, int rows, int columns, const float *column_bias,
                               const float *row_bias)
{
    for (int i = 0; i < rows; i++, c += c_row) {
        if (row_bias)
            for (int j = 0; j < columns; j++) c[j] += row_bias[i];
        if (column_bias)
            for (int j = 0; j < columns; j++) c[j] += column_bias[j];
    }
}

/* `row` and `column`: where in the C of product `item` the tile is. */
static void finish(const mt_epilogue *e, const mt_tile *t, int64_t item, int64_t row, int64_t column)
{
    if (e->column_bias || e->row_bias)
        add_biases(t->c, t->c_row, t->rows, t->columns, e->column_bias ? e->column_bias + column : NULL,
                   e->row_bias ? e->row_bias[item] + row : NULL);
    if (e->activate)
        for (int i = 0; i < t->rows; i++) e->activate(t->c + i * t->c_row, t->columns);
}

/* All rows of a block times some panels. */
static void run_panels(const work *w, const block *b, const mt_panels *panels, float *room)
{
    const mt_product *p = w->product;
    mt_panel_place place = p->panels(p->source, panels, room);
    mt_tile t = {.k = panels->depth, .a_row = p->a_row, .a_step = p->a_step, .c_row = p->c_row, .alpha = p->alpha};
    t.b_row = place.row;
    t.add = panels->first > 0 || p->beta != 0;
    bool last = panels->first + panels->depth >= p->k;
    for (int64_t row = b->row; row < b->row + b->rows; row += MT_TILE_ROWS) {
        t.rows = (int)least(MT_TILE_ROWS, b->row + b->rows - row);
        t.a = p->a[b->item] + row * p->a_row + panels->first * p->a_step;
        t.b = place.start;
        for (int64_t done = 0; done < panels->columns; done += MT_TILE_COLUMNS, t.b += place.panel) {
            t.columns = (int)least(MT_TILE_COLUMNS, panels->columns - done);
            t.c = p->c[b->item] + row * p->c_row + panels->column + done;
            w->tile(&t);
            if (last) finish(&p->epilogue, &t, b->item, row, panels->column + done);
        }
    }
}

static block find_block(const work *w, int64_t number)
{
    int64_t each = w->down * w->across, at = number % each;
    block b = {.item = number / each, .row = at / w->across * w->height, .column = at % w->across * w->width};
    b.rows = least(w->height, w->product->m - b.row);
    b.columns = least(w->width, w->product->n - b.column);
    return b;
}

static void run_block(void *context, size_t number)
{
    alignas(64) float room[MT_PANEL_ROOM * MT_TILE_COLUMNS];
    const work *w = context;
    const mt_product *p = w->product;
    block b = find_block(w, (int64_t)number);
    if (p->beta != 0 && p->beta != 1)
        scale_rows(p->c[b.item] + b.row * p->c_row + b.column, p->c_row, b.rows, b.columns, p->beta);
    int64_t at_once = least(MT_PANELS, MT_PANEL_ROOM / w->depth) * MT_TILE_COLUMNS, first = 0;
    do { /* once even if k is 0 */
        for (int64_t column = 0; column < b.columns; column += at_once) {
            mt_panels panels = {.item = b.item, .first = first, .column = b.column + column, .rows = b.rows};
            panels.depth = least(w->depth, p->k - first);
            panels.columns = least(at_once, b.columns - column);
            run_panels(w, &b, &panels, room);
        }
        first += w->depth;
    } while (first < p->k);
}

void mt_product_run(mt_pool *pool, const mt_product *product)
{
    if (product->m == 0 || product->n == 0 || product->count == 0) return;
    work w = cut(product);
    mt_parallel(pool, (size_t)(product->count * w.down * w.across), run_block, &w);
}
