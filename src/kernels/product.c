/* A block of work is at most ROWS rows by as many panels as make it worth a thread's while. Within it, slices of k come
 * first, then groups of panels, then rows, then the panels of a group: a slice of A (ROWS x MT_PANEL_DEPTH, half a
 * megabyte or more) and a group of panels (a quarter) stay in the second cache until they are done with.
 *
 * Packed weights come from memory. While the rows of A go by some panels, the next are brought into the second cache,
 * evenly, so that neither waits for the other: by way of the first, which has proved faster than to ask for them in the
 * second alone. */
#include "kernels/product.h"

#include <stdalign.h>

#include "kernels/simd.h"

enum {
    ROWS = 528,
    WORTHWHILE = 1 << 20, /* multiply-adds */
    PLENTY = 32,          /* blocks, for any number of threads to share: with more, blocks grow */
    WIDE = 8,             /* to so many panels */
    CACHED = 1024         /* rows of panels, by which many rows of A go while they are near */
};

typedef struct work {
    const mt_product *product;
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
    work w = {.product = p};
    w.height = part_length(p->m, ROWS, MT_TILE_ROWS);
    w.down = parts_of(p->m, w.height);
    double panel = (double)least(w.height, p->m) * MT_TILE_COLUMNS * (double)(p->k + 1);
    int64_t all = parts_of(p->n, MT_TILE_COLUMNS) * w.down * p->count, panels = least(all / PLENTY + 1, WIDE);
    if (panel * (double)panels < WORTHWHILE) panels = (int64_t)(WORTHWHILE / panel) + 1;
    w.width = part_length(p->n, panels * MT_TILE_COLUMNS, MT_TILE_COLUMNS);
    w.across = parts_of(p->n, w.width);
    w.depth = p->depth ? p->depth : p->k ? part_length(p->k, MT_PANEL_DEPTH, 1) : 1;
    return w;
}

/* `words` on from p. */
static const void *from(const void *p, int64_t words)
{
    return (const char *)p + words * MT_WORD;
}

/* C comes from afar; asked for before a tile is computed, it is there when the tile is stored. */
static void fetch(const mt_tile *t)
{
    for (int i = 0; i < t->rows; i++) {
        const char *row = from(t->c, i * t->c_row);
        for (int j = 0; j <= t->columns * MT_WORD; j += 64) __builtin_prefetch(row + (j ? j - 1 : 0), 1);
    }
}

/* Most pieces are a panel wide: then the loops over columns become a few instructions. */
MT_SIMD void mt_piece_move(const mt_piece *p)
{
    uint32_t *restrict to = p->to;
    const uint32_t *restrict c = p->c;
    int rows = p->rows, columns = p->columns;
    int64_t c_row = p->c_row, to_row = p->to_row;
    if (p->to == p->c) return;
    if (columns == MT_TILE_COLUMNS)
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < MT_TILE_COLUMNS; j++) to[i * to_row + j] = c[i * c_row + j];
    else
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++) to[i * to_row + j] = c[i * c_row + j];
}

/* What will be read next: panels as dense as those that are there, or, unless `row` is 0, what rows of so many bytes
 * hold of them. NULL: not known. */
typedef struct coming {
    const char *start;
    int64_t row;
} coming;

/* Row `first` and column `column` of B, where it lies as packed panels or plain rows. */
static coming find_b(const mt_product *p, int64_t item, int64_t first, int64_t column)
{
    if (p->packed) return (coming){from(p->packed[item], column * p->k + first * MT_TILE_COLUMNS), 0};
    if (p->plain) return (coming){from(p->plain[item], first * p->plain_row + column), p->plain_row * MT_WORD};
    return (coming){NULL, 0};
}

/* The part of it that the tile with this number, of `tiles`, asks for. Rows that are far apart: a line of each. */
static void look_ahead(mt_tile *t, const coming *next, int64_t number, int64_t tiles, int64_t columns)
{
    enum { LINE = 64 };
    int64_t share = parts_of(MT_TILE_COLUMNS * MT_WORD, tiles);
    bool dense = next->start && !next->row, far = next->row && number < parts_of(columns * MT_WORD, LINE);
    t->ahead_step = dense ? share : far ? next->row : 0;
    t->ahead = dense ? next->start + number * share * t->k : far ? next->start + number * LINE : t->b;
}

/* One tile and what is to be done to it. Where no slice came before and none follows, that happens in the first cache,
 * and C, which is far away, is written once. */
static void run_tile(const mt_product *p, mt_tile *t, mt_piece *piece)
{
    alignas(64) uint32_t near[MT_TILE_ROWS * MT_TILE_COLUMNS];
    bool once = piece->last && !t->add && piece->columns <= MT_TILE_COLUMNS;
    if (once) {
        piece->c = near;
        piece->c_row = MT_TILE_COLUMNS;
    }
    t->c = piece->c;
    t->c_row = piece->c_row;
    if (!once) fetch(t);
    p->tile(t);
    if (p->finish)
        p->finish(p->finish_context, piece);
    else
        mt_piece_move(piece);
}

/* All rows of a block times the columns [begin, end) of panels that are there, `width` columns at a time. */
static void run_columns(const mt_product *p, const block *b, const mt_panels *panels, const mt_panel_place *place,
                        const int32_t *sums, int64_t begin, int64_t end, int64_t width, const coming *next)
{
    mt_tile t = {.k = panels->depth, .alpha = p->alpha};
    mt_piece piece = {.item = b->item, .last = panels->first + panels->depth >= p->k};
    t.a_row = p->a_tiled ? 1 : p->a_row;
    t.a_step = p->a_tiled ? MT_TILE_ROWS : p->a_step;
    t.b_row = place->row;
    t.b_panel = place->panel;
    t.b_run = p->run;
    t.b_jump = p->jump;
    t.add = panels->first > 0 || p->add;
    int64_t number = 0;
    for (piece.row = b->row; piece.row < b->row + b->rows; piece.row += MT_TILE_ROWS) {
        piece.rows = t.rows = (int)least(MT_TILE_ROWS, b->row + b->rows - piece.row);
        t.a = from(p->a[b->item], piece.row * (p->a_tiled ? p->k : p->a_row) + panels->first * t.a_step);
        for (int64_t column = begin; column < end; column += width) {
            piece.columns = t.columns = (int)least(width, end - column);
            piece.column = panels->column + column;
            piece.sums = sums + column;
            piece.to = piece.c = (char *)p->c[b->item] + (piece.row * p->c_row + piece.column) * MT_WORD;
            piece.to_row = piece.c_row = p->c_row;
            t.b = from(place->start, column / MT_TILE_COLUMNS * place->panel);
            look_ahead(&t, next, number++, parts_of(b->rows, MT_TILE_ROWS), panels->columns);
            run_tile(p, &t, &piece);
        }
    }
}

/* `after`: what will be read after these panels.
 *
 * Few rows take several panels in one tile. Otherwise a few rows of A stay in the first cache while several panels come
 * from the second: shallow ones many, so that rows of C are written in long stretches. Packed ones go singly: each is
 * on its way while the one before it is used. */
static void run_panels(const mt_product *p, const block *b, const mt_panels *panels, const coming *after, void *room)
{
    int32_t sums[MT_PANELS * MT_TILE_COLUMNS];
    mt_panel_place place = p->panels(p->source, panels, room, sums);
    int64_t width = b->rows <= MT_TILE_FEW_ROWS ? MT_TILE_PANELS : 1, together = width;
    if (!p->packed && together < 1 + CACHED / (panels->depth + 1)) together = 1 + CACHED / (panels->depth + 1);
    for (int64_t column = 0, end; column < panels->columns; column = end) {
        end = least(column + together * MT_TILE_COLUMNS, panels->columns);
        coming next = *after;
        if (p->packed && end < panels->columns) next = find_b(p, b->item, panels->first, panels->column + end);
        run_columns(p, b, panels, &place, sums, column, end, width * MT_TILE_COLUMNS, &next);
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

/* What the thread with block b, which has this number, will probably read after the panels at row `first` up to
 * `column`: the next panels of the slice, the next slice, or those of the next block. */
static coming find_next(const work *w, int64_t number, const block *b, int64_t first, int64_t column)
{
    const mt_product *p = w->product;
    if (column < b->columns) return find_b(p, b->item, first, b->column + column);
    if (first + w->depth < p->k) return find_b(p, b->item, first + w->depth, b->column);
    if (number + 1 >= p->count * w->down * w->across) return (coming){NULL, 0};
    block next = find_block(w, number + 1);
    return find_b(p, next.item, 0, next.column);
}

static void run_block(void *context, size_t number)
{
    alignas(64) char room[MT_PANEL_ROOM * MT_TILE_COLUMNS * MT_WORD];
    const work *w = context;
    const mt_product *p = w->product;
    block b = find_block(w, (int64_t)number);
    int64_t at_once = (p->packed || p->run ? MT_PANELS : least(MT_PANELS, MT_PANEL_ROOM / w->depth)) * MT_TILE_COLUMNS,
            first = 0;
    do { /* once even if k is 0 */
        for (int64_t column = 0; column < b.columns; column += at_once) {
            mt_panels panels = {.item = b.item, .first = first, .column = b.column + column, .rows = b.rows};
            panels.depth = least(w->depth, p->k - first);
            panels.columns = least(at_once, b.columns - column);
            coming after = find_next(w, (int64_t)number, &b, first, column + at_once);
            run_panels(p, &b, &panels, &after, room);
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
