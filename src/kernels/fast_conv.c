/* Four neighbouring outputs of a filter with two taps, y[n] = w0 x[n] + w1 x[n+1], are eight multiplications by the
 * definition, but five suffice: the filter and the five inputs are combined in five ways each, as values of polynomials
 * at the points 0, 1, -1, 2 and infinity (Toom and Cook; S. Winograd, Arithmetic Complexity of Computations, 1980),
 * their products are summed over the channels, and the four outputs are combinations of the five sums. With three taps
 * they are six instead of twelve, at the points 0, 1, -1, 2, -2 and infinity: F(4, 3) of Lavin and Gray, Fast
 * Algorithms for Convolutional Neural Networks, 2015.
 *
 * With stride 2 the outer two of three taps see the even samples, which is a filter of two taps without a stride, and
 * the middle one the odd samples, where nothing can be saved: nine multiplications in place of twelve. Four of them
 * need no sums of their own or share one: what the middle tap adds to the first output can as well be added to the
 * sum for the point 0, and what it adds to the last to that for infinity.
 *
 * So a convolution becomes a few products of matrices, packed combinations of filters times combinations of inputs, a
 * column for every four outputs. A block of work is one panel of columns, all inputs of which fit into the second
 * cache, by rows; tiles of all products are computed one after the other and combined from the first cache.
 *
 * The sums are of numbers a few times larger than those of the definition, but they are shorter. Against float64, over
 * 512 channels, the largest error is 1.2e-5 of the outputs' standard deviation without a stride and 7e-6 with stride 2,
 * where the definition in float32 has 7e-6 too. */
#include "kernels/fast_conv.h"

#include <stdalign.h>
#include <string.h>

#include "core/tensor.h"
#include "kernels/simd.h"

enum {
    OUTPUTS = 4,                      /* of a column */
    TAPS = 3,                         /* of a filter */
    DEPTH = 512,                      /* channels of a slice, at most */
    INPUTS = 9,                       /* combinations of inputs, at most */
    FILTERS = 6,                      /* combinations of a filter's taps, at most */
    PRODUCTS = 7,                     /* sums that outputs are made of, at most */
    PLENTY = 5,                       /* blocks for each thread, unless that makes them */
    HIGH = 12,                        /* tiles of rows or lower: every block combines its inputs itself */
    WIDE = OUTPUTS * MT_TILE_COLUMNS, /* outputs of a panel */
    LONGEST = 2 * WIDE + TAPS,        /* samples that it sees of a channel, at most */
    LINE = 16                         /* floats of the cache */
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t parts_of(int64_t size, int64_t most)
{
    return (size + most - 1) / most;
}

/* --- the combinations ----------------------------------------------------------------------------------------- */

/* One sum: `count` combinations of filters from `filter` on, times as many of inputs from `input` on. */
typedef struct step {
    int filter, input, count;
} step;

typedef struct scheme {
    int inputs, filters, products;
    double taps[FILTERS][TAPS]; /* what each combination of filters is made of */
    step steps[PRODUCTS];
    void (*look)(const float *x, float *to, int64_t apart);     /* combinations of what a panel sees of a channel */
    void (*gather)(const float *sums, int64_t apart, float *y); /* outputs of one row, from its sums */
} scheme;

/* F(4, 3). */
MT_SIMD static void look_by_one(const float *restrict x, float *restrict to, int64_t apart)
{
    float seen[OUTPUTS][MT_TILE_COLUMNS + 1];
    for (int j = 0; j < MT_TILE_COLUMNS; j++)
        for (int i = 0; i < OUTPUTS; i++) seen[i][j] = x[j * OUTPUTS + i];
    for (int i = 0; i < 2; i++) seen[i][MT_TILE_COLUMNS] = x[MT_TILE_COLUMNS * OUTPUTS + i];
    for (int j = 0; j < MT_TILE_COLUMNS; j++) {
        float a = seen[0][j], b = seen[1][j], c = seen[2][j], d = seen[3][j], e = seen[0][j + 1], f = seen[1][j + 1];
        to[j] = 4 * (a - c) + (e - c);
        to[apart + j] = (d + e) - 4 * (b + c);
        to[2 * apart + j] = (e - d) + 4 * (b - c);
        to[3 * apart + j] = (e - c) + 2 * (d - b);
        to[4 * apart + j] = (e - c) - 2 * (d - b);
        to[5 * apart + j] = 4 * (b - d) + (f - d);
    }
}

MT_SIMD static void gather_by_one(const float *restrict sums, int64_t apart, float *restrict y)
{
    const float *zero = sums, *one = sums + apart, *minus_one = sums + 2 * apart;
    const float *two = sums + 3 * apart, *minus_two = sums + 4 * apart, *infinite = sums + 5 * apart;
    for (int j = 0; j < MT_TILE_COLUMNS; j++) {
        float sum = one[j] + minus_one[j], difference = one[j] - minus_one[j];
        float wide_sum = two[j] + minus_two[j], wide_difference = two[j] - minus_two[j];
        y[OUTPUTS * j] = zero[j] + (sum + wide_sum);
        y[OUTPUTS * j + 1] = difference + 2 * wide_difference;
        y[OUTPUTS * j + 2] = sum + 4 * wide_sum;
        y[OUTPUTS * j + 3] = infinite[j] + (difference + 8 * wide_difference);
    }
}

static const scheme by_one = {
    .inputs = 6,
    .filters = 6,
    .products = 6,
    .taps = {{0.25, 0, 0},
             {-1.0 / 6, -1.0 / 6, -1.0 / 6},
             {-1.0 / 6, 1.0 / 6, -1.0 / 6},
             {1.0 / 24, 1.0 / 12, 1.0 / 6},
             {1.0 / 24, -1.0 / 12, 1.0 / 6},
             {0, 0, 1}},
    .steps = {{0, 0, 1}, {1, 1, 1}, {2, 2, 1}, {3, 3, 1}, {4, 4, 1}, {5, 5, 1}},
    .look = look_by_one,
    .gather = gather_by_one,
};

/* The even samples combined for the points 0 and infinity, 1, -1 and 2; between them the odd ones as they are. */
MT_SIMD static void look_by_two(const float *restrict x, float *restrict to, int64_t apart)
{
    enum { STRIDE = 2 * OUTPUTS };
    float even[OUTPUTS][MT_TILE_COLUMNS + 1];
    for (int j = 0; j < MT_TILE_COLUMNS; j++)
        for (int i = 0; i < OUTPUTS; i++) {
            even[i][j] = x[j * STRIDE + 2 * i];
            to[(1 + i) * apart + j] = x[j * STRIDE + 2 * i + 1];
        }
    even[0][MT_TILE_COLUMNS] = x[MT_TILE_COLUMNS * STRIDE];
    for (int j = 0; j < MT_TILE_COLUMNS; j++) {
        float a = even[0][j], b = even[1][j], c = even[2][j], d = even[3][j], e = even[0][j + 1];
        to[j] = 2 * (a - c) + (d - b);
        to[5 * apart + j] = 2 * (b - d) + (e - c);
        to[6 * apart + j] = (d - c) - 2 * b;
        to[7 * apart + j] = (d - c) + 2 * (b - c);
        to[8 * apart + j] = d - b;
    }
}

MT_SIMD static void gather_by_two(const float *restrict sums, int64_t apart, float *restrict y)
{
    const float *zero = sums, *middle = sums + apart, *next = sums + 2 * apart, *infinite = sums + 3 * apart;
    const float *one = sums + 4 * apart, *minus = sums + 5 * apart, *two = sums + 6 * apart;
    for (int j = 0; j < MT_TILE_COLUMNS; j++) {
        float sum = one[j] + minus[j], difference = one[j] - minus[j];
        y[OUTPUTS * j] = zero[j] + (sum + two[j]);
        y[OUTPUTS * j + 1] = middle[j] + (difference + 2 * two[j]);
        y[OUTPUTS * j + 2] = next[j] + (sum + 4 * two[j]);
        y[OUTPUTS * j + 3] = infinite[j] + (difference + 8 * two[j]);
    }
}

static const scheme by_two = {
    .inputs = 9,
    .filters = 6,
    .products = 7,
    .taps = {{0.5, 0, 0}, {0, 1, 0}, {0, 0, 1}, {-0.5, 0, -0.5}, {-1.0 / 6, 0, 1.0 / 6}, {1.0 / 6, 0, 1.0 / 3}},
    .steps = {{0, 0, 2}, {1, 2, 1}, {1, 3, 1}, {1, 4, 2}, {3, 6, 1}, {4, 7, 1}, {5, 8, 1}},
    .look = look_by_two,
    .gather = gather_by_two,
};

static const scheme *scheme_for(const mt_window *w)
{
    if (w->axes != 1 || w->kernel[0] != TAPS || w->dilation[0] != 1) return NULL;
    return w->stride[0] == 1 ? &by_one : w->stride[0] == 2 ? &by_two : NULL;
}

/* Both multiply by whole panels of columns. */
bool mt_fast_conv_fits(const mt_conv *conv)
{
    enum { CHANNELS = 64, ROWS = 96 };
    const scheme *s = scheme_for(&conv->window);
    int64_t positions = conv->window.out_count;
    if (!s || conv->in_channels < CHANNELS || conv->out_channels < ROWS || positions == 0) return false;
    double plain = (double)parts_of(positions, MT_TILE_COLUMNS) * TAPS;
    return (double)parts_of(positions, WIDE) * s->inputs < 0.9 * plain;
}

/* --- packed weights ------------------------------------------------------------------------------------------- */

/* Slices of channels one after the other; of a slice, MT_TILE_ROWS filters at a time, the last of them filled up; of
 * those, one combination after the other, channel by channel. */
typedef struct form {
    const scheme *scheme;
    int64_t depth, slices; /* of channels */
    int64_t rows;          /* whole tiles of filters */
    int64_t group;         /* floats of a group's weights */
} form;

static bool find_form(const mt_conv *conv, form *f)
{
    f->scheme = scheme_for(&conv->window);
    f->slices = parts_of(conv->in_channels, DEPTH);
    f->depth = parts_of(conv->in_channels, f->slices);
    f->rows = parts_of(conv->out_channels, MT_TILE_ROWS);
    return !__builtin_mul_overflow(f->rows * MT_TILE_ROWS, conv->in_channels * f->scheme->filters, &f->group);
}

int64_t mt_fast_conv_packed_size(const mt_conv *conv)
{
    form f;
    int64_t all;
    return !find_form(conv, &f) || __builtin_mul_overflow(f.group, conv->groups, &all) ? -1 : all;
}

/* The weights of a slice that begins with channel `first` and has `depth` of them, for one tile of rows. */
static int64_t packed_at(const form *f, int64_t first, int64_t depth, int64_t row)
{
    return (first * f->rows + depth * row) * f->scheme->filters * MT_TILE_ROWS;
}

typedef struct packing {
    const mt_conv *conv;
    form form;
    const mt_loose_float *weights;
    float *packed;
} packing;

/* One channel of `rows` filters that lie `apart`; combinations lie `next` apart. */
MT_SIMD static void pack_channel(const scheme *s, const mt_loose_float *weights, int64_t apart, int64_t rows,
                                 float *restrict to, int64_t next)
{
    double seen[TAPS][MT_TILE_ROWS] = {{0}};
    for (int64_t row = 0; row < rows; row++)
        for (int tap = 0; tap < TAPS; tap++) seen[tap][row] = weights[row * apart + tap];
    for (int i = 0; i < s->filters; i++, to += next)
        for (int row = 0; row < MT_TILE_ROWS; row++)
            to[row] =
                (float)(s->taps[i][0] * seen[0][row] + s->taps[i][1] * seen[1][row] + s->taps[i][2] * seen[2][row]);
}

static void pack_rows(void *context, size_t block)
{
    const packing *p = context;
    int64_t channels = p->conv->in_channels, group = (int64_t)block / p->form.rows, row = (int64_t)block % p->form.rows;
    int64_t own = row * MT_TILE_ROWS, rows = least(MT_TILE_ROWS, p->conv->out_channels - own);
    const mt_loose_float *weights = p->weights + (group * p->conv->out_channels + own) * channels * TAPS;
    for (int64_t first = 0; first < channels; first += p->form.depth) {
        int64_t depth = least(p->form.depth, channels - first);
        float *to = p->packed + group * p->form.group + packed_at(&p->form, first, depth, row);
        for (int64_t i = 0; i < depth; i++)
            pack_channel(p->form.scheme, weights + (first + i) * TAPS, channels * TAPS, rows, to + i * MT_TILE_ROWS,
                         depth * MT_TILE_ROWS);
    }
}

void mt_fast_conv_pack(mt_pool *pool, const mt_conv *conv, const float *weights, float *packed)
{
    packing p = {.conv = conv, .weights = weights, .packed = packed};
    find_form(conv, &p.form);
    mt_parallel(pool, (size_t)(conv->groups * p.form.rows), pack_rows, &p);
}

/* --- a block -------------------------------------------------------------------------------------------------- */

typedef struct work {
    const mt_conv *conv;
    form form;
    mt_tile_function tile;
    const float *x, *packed, *bias;
    mt_activation activate;
    float *y;
    int64_t across, down, height; /* blocks of one unit of batch * groups: panels, parts of the rows, tiles in a part */
} work;

/* A panel of one unit. */
typedef struct block {
    const float *x, *packed, *bias; /* of the unit */
    float *y;
    int64_t column, columns; /* outputs */
    int64_t row, end;        /* tiles of rows */
} block;

/* What a panel sees of every channel of a slice, combined. Beyond the input stand zeros. Every channel lies far from
 * the one before it, so it is asked for in advance. */
static void look(const work *w, const block *b, int64_t first, int64_t depth, float *inputs)
{
    enum { AHEAD = 8 /* channels */ };
    const mt_window *window = &w->conv->window;
    int64_t start = b->column * window->stride[0] - window->before[0], in = window->in_count;
    int64_t length = WIDE * window->stride[0] + TAPS, low = start < 0 ? -start : 0, high = least(length, in - start);
    float line[LONGEST] = {0};
    for (int64_t i = 0; i < depth; i++) {
        const float *x = b->x + (first + i) * in;
        bool whole = low == 0 && high == length;
        for (int64_t j = 0; whole && i + AHEAD < depth && j < length; j += LINE)
            __builtin_prefetch(x + start + AHEAD * in + j);
        if (!whole && low < high) memcpy(line + low, x + start + low, (size_t)(high - low) * sizeof *line);
        w->form.scheme->look(whole ? x + start : line, inputs + i * MT_TILE_COLUMNS, depth * MT_TILE_COLUMNS);
    }
}

enum { SUM = MT_TILE_ROWS * MT_TILE_COLUMNS };

/* Outputs come from afar; asked for before they are computed, they are there when they are stored. */
static void fetch(const mt_piece *p, int i, int end)
{
    for (; i < end && i < p->rows; i++)
        for (int j = 0; j < p->columns; j += LINE) __builtin_prefetch((float *)p->c + i * p->c_row + j, 1);
}

/* All sums of one tile of rows. Filters come from afar too. */
static void multiply(const work *w, const float *filters, const float *inputs, int64_t depth, const mt_piece *piece,
                     float *sums)
{
    enum { AHEAD = 512 /* channels */ };
    const scheme *s = w->form.scheme;
    mt_tile t = {.a_row = 1, .a_step = MT_TILE_ROWS, .b_row = MT_TILE_COLUMNS, .c_row = MT_TILE_COLUMNS, .alpha = 1};
    t.rows = piece->rows;
    t.columns = MT_TILE_COLUMNS;
    t.ahead_step = MT_TILE_ROWS * sizeof(float);
    for (int i = 0; i < s->products; i++) {
        t.k = s->steps[i].count * depth;
        t.a = filters + s->steps[i].filter * depth * MT_TILE_ROWS;
        t.b = inputs + s->steps[i].input * depth * MT_TILE_COLUMNS;
        t.ahead = (const char *)t.a + AHEAD * t.ahead_step;
        t.c = sums + i * SUM;
        fetch(piece, 2 * i, 2 * i + 2);
        w->tile(&t);
    }
}

MT_SIMD static void add_to(float *restrict y, const float *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] += x[i];
}

/* The outputs of one tile of rows; those of later slices are added. */
static void gather(const work *w, const block *b, const float *sums, mt_piece *piece, bool add)
{
    float line[WIDE];
    for (int i = 0; i < piece->rows; i++) {
        float *y = (float *)piece->c + i * piece->c_row;
        bool whole = b->columns == WIDE && !add;
        w->form.scheme->gather(sums + i * MT_TILE_COLUMNS, SUM, whole ? y : line);
        if (add)
            add_to(y, line, b->columns);
        else if (!whole)
            memcpy(y, line, (size_t)b->columns * sizeof *y);
    }
}

static void run_slice(const work *w, const block *b, int64_t first, int64_t depth, float *inputs)
{
    alignas(64) float sums[PRODUCTS * SUM];
    mt_epilogue epilogue = {.row_bias = b->bias ? &b->bias : NULL, .activate = w->activate};
    mt_piece piece = {.columns = (int)b->columns, .column = b->column, .c_row = w->conv->window.out_count};
    piece.last = first + depth == w->conv->in_channels;
    look(w, b, first, depth, inputs);
    for (int64_t row = b->row; row < b->end; row++) {
        piece.row = row * MT_TILE_ROWS;
        piece.rows = (int)least(MT_TILE_ROWS, w->conv->out_channels - piece.row);
        piece.to = piece.c = b->y + piece.row * piece.c_row + b->column;
        multiply(w, b->packed + packed_at(&w->form, first, depth, row), inputs, depth, &piece, sums);
        gather(w, b, sums, &piece, first > 0);
        mt_epilogue_run(&epilogue, &piece);
    }
}

static block find_block(const work *w, int64_t number)
{
    const mt_conv *conv = w->conv;
    int64_t each = w->across * w->down, unit = number / each, group = unit % conv->groups, at = number % each;
    block b = {.x = w->x + unit * conv->in_channels * conv->window.in_count,
               .packed = w->packed + group * w->form.group,
               .bias = w->bias ? w->bias + group * conv->out_channels : NULL,
               .y = w->y + unit * conv->out_channels * conv->window.out_count};
    b.column = at / w->down * WIDE;
    b.columns = least(WIDE, conv->window.out_count - b.column);
    b.row = at % w->down * w->height;
    b.end = least(b.row + w->height, w->form.rows);
    return b;
}

static void run_block(void *context, size_t number)
{
    alignas(64) float inputs[INPUTS * DEPTH * MT_TILE_COLUMNS];
    const work *w = context;
    block b = find_block(w, (int64_t)number);
    for (int64_t first = 0; first < w->conv->in_channels; first += w->form.depth)
        run_slice(w, &b, first, least(w->form.depth, w->conv->in_channels - first), inputs);
}

void mt_fast_conv_run(mt_pool *pool, const mt_conv *conv, const float *x, const float *packed, const float *bias,
                      mt_activation activate, float *y)
{
    work w = {.conv = conv, .x = x, .packed = packed, .bias = bias, .activate = activate, .y = y};
    int64_t units = conv->batch * conv->groups;
    find_form(conv, &w.form);
    w.tile = mt_tile_floats();
    w.across = parts_of(conv->window.out_count, WIDE);
    /* Which tiles of rows make a block changes no sum, and so may depend on the number of threads. */
    if (units * w.across == 0) return;
    w.height = parts_of(w.form.rows, parts_of(PLENTY * mt_pool_threads(pool), units * w.across));
    if (w.height < HIGH) w.height = parts_of(w.form.rows, parts_of(w.form.rows, HIGH));
    w.down = parts_of(w.form.rows, w.height);
    mt_parallel(pool, (size_t)(units * w.across * w.down), run_block, &w);
}
