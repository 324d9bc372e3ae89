/* The tile function NAME of one level (kernels/tile.h), for which these are defined before:
 *
 *     ROWS, WIDE_ROWS         of the largest tile whose accumulators fit into the registers, and of the largest wide
 * one LANES                   words of a row that a register of B covers word, vector            the types of an
 * element of A and of a register zero()                  an accumulator to begin with broadcast(a), load(b)   registers
 * of A and B multiply(c, a, b)       c + a * b store(t, i, c0, c1)     puts row i of a tile into C
 *
 * and, where B may be the sum or difference of two, plus(a, b), minus(a, b).
 *
 * A tile is two registers wide. With few rows that makes too few sums to keep the units busy, as each waits for its
 * last step: so there are also tiles of eight registers. One function for each number of rows. */
#include "kernels/x86/rows.h"

enum { COLUMNS = 2 * LANES, WIDE = 4 * COLUMNS };

/* The part of a tile from row i and column j on, `rows` by `columns` of it. */
static inline mt_tile part_of(const mt_tile *t, int i, int j, int rows, int columns)
{
    mt_tile part = *t;
    part.a = (const word *)t->a + i * t->a_row;
    part.b = (const word *)t->b + j / MT_TILE_COLUMNS * t->b_panel + j % MT_TILE_COLUMNS;
    part.c = (word *)t->c + i * t->c_row + j;
    part.rows = rows;
    part.columns = columns;
    return part;
}

#define START(i) vector c##i##0 = zero(), c##i##1 = zero();
#define STEP(i)                                                                                                        \
    {                                                                                                                  \
        vector a = broadcast(&MT_A_##i(word));                                                                         \
        c##i##0 = multiply(c##i##0, a, b0);                                                                            \
        c##i##1 = multiply(c##i##1, a, b1);                                                                            \
    }
#define STORE(i) store(t, i, c##i##0, c##i##1);

#define TILE_OF(name, n, B)                                                                                            \
    static void name(const mt_tile *t)                                                                                 \
    {                                                                                                                  \
        int64_t row = t->a_row, step = t->a_step, b_row = t->b_row, ahead_step = t->ahead_step;                        \
        const word *p0 = t->a, *p3 = p0 + 3 * row, *p6 = p3 + 3 * row, *p9 = p6 + 3 * row, *b = t->b,                  \
                   *other = b + t->b_other;                                                                            \
        const char *ahead = t->ahead;                                                                                  \
        int64_t run = t->b_run ? t->b_run : t->k;                                                                      \
        (void)other;                                                                                                   \
        MT_ROWS_##n(START);                                                                                            \
        for (int64_t left = t->k; left > 0; left -= run, b += t->b_jump, other += t->b_jump)                           \
            for (int64_t k = run; k > 0; k--) {                                                                        \
                vector b0 = B(0), b1 = B(LANES);                                                                       \
                __builtin_prefetch(p0 + 64 * step);                                                                    \
                __builtin_prefetch(ahead);                                                                             \
                ahead += ahead_step;                                                                                   \
                MT_ROWS_##n(STEP);                                                                                     \
                p0 += step, p3 += step, p6 += step, p9 += step, b += b_row, other += b_row;                            \
            }                                                                                                          \
        MT_ROWS_##n(STORE);                                                                                            \
    }

#define PLAIN(at) load(b + (at))
#define PLUS(at)  plus(load(b + (at)), load(other + (at)))
#define MINUS(at) minus(load(b + (at)), load(other + (at)))
#define TILE(n)   TILE_OF(tile_##n, n, PLAIN)

#define WIDE_START(i) START(i##0) START(i##1) START(i##2) START(i##3)
#define WIDE_PART(i, q)                                                                                                \
    c##i##q##0 = multiply(c##i##q##0, a, load(b##q));                                                                  \
    c##i##q##1 = multiply(c##i##q##1, a, load(b##q + LANES));
#define WIDE_STEP(i)                                                                                                   \
    {                                                                                                                  \
        vector a = broadcast(&MT_A_##i(word));                                                                         \
        WIDE_PART(i, 0) WIDE_PART(i, 1) WIDE_PART(i, 2) WIDE_PART(i, 3)                                                \
    }
#define WIDE_STORE(i)                                                                                                  \
    store(&parts[0], i, c##i##00, c##i##01);                                                                           \
    store(&parts[1], i, c##i##10, c##i##11);                                                                           \
    store(&parts[2], i, c##i##20, c##i##21);                                                                           \
    store(&parts[3], i, c##i##30, c##i##31);

#define WIDE_TILE(n)                                                                                                   \
    static void wide_tile_##n(const mt_tile *t)                                                                        \
    {                                                                                                                  \
        int64_t row = t->a_row, step = t->a_step, b_row = t->b_row;                                                    \
        const word *p0 = t->a;                                                                                         \
        mt_tile parts[4];                                                                                              \
        for (int q = 0; q < 4; q++) parts[q] = part_of(t, 0, q * COLUMNS, n, COLUMNS);                                 \
        const word *b0 = parts[0].b, *b1 = parts[1].b, *b2 = parts[2].b, *b3 = parts[3].b;                             \
        int64_t run = t->b_run ? t->b_run : t->k, jump = t->b_jump;                                                    \
        (void)row;                                                                                                     \
        MT_ROWS_##n(WIDE_START);                                                                                       \
        for (int64_t left = t->k; left > 0; left -= run) {                                                             \
            for (int64_t k = run; k > 0; k--) {                                                                        \
                MT_ROWS_##n(WIDE_STEP);                                                                                \
                p0 += step, b0 += b_row, b1 += b_row, b2 += b_row, b3 += b_row;                                        \
            }                                                                                                          \
            b0 += jump, b1 += jump, b2 += jump, b3 += jump;                                                            \
        }                                                                                                              \
        MT_ROWS_##n(WIDE_STORE);                                                                                       \
    }

TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)
WIDE_TILE(1)
#if ROWS > 6
TILE(7)
TILE(8)
TILE(9)
TILE(10)
TILE(11)
TILE(12)
WIDE_TILE(2)
WIDE_TILE(3)
#endif

#ifdef plus
#if ROWS > 6
TILE_OF(tile_of_sum, 12, PLUS)
TILE_OF(tile_of_difference, 12, MINUS)
#else
TILE_OF(tile_of_sum, 6, PLUS)
TILE_OF(tile_of_difference, 6, MINUS)
#endif

/* MT_TILE_ROWS by MT_TILE_COLUMNS, where B is a sum or a difference. */
static void run_summed(const mt_tile *t)
{
    for (int i = 0; i < MT_TILE_ROWS; i += ROWS)
        for (int j = 0; j < MT_TILE_COLUMNS; j += COLUMNS) {
            mt_tile part = part_of(t, i, j, ROWS, COLUMNS);
            (t->b_sign > 0 ? tile_of_sum : tile_of_difference)(&part);
        }
}
#endif

static const mt_tile_function tiles[] = {tile_1,  tile_2, tile_3, tile_4,
                                         tile_5,  tile_6,
#if ROWS > 6
                                         tile_7,  tile_8, tile_9, tile_10,
                                         tile_11, tile_12
#endif
};
static const mt_tile_function wide_tiles[] = {wide_tile_1,
#if ROWS > 6
                                              wide_tile_2, wide_tile_3
#endif
};

void NAME(const mt_tile *t)
{
#ifdef plus
    if (t->b_sign) {
        run_summed(t);
        return;
    }
#endif
    if (t->rows <= ROWS && t->columns <= COLUMNS) {
        tiles[t->rows - 1](t);
        return;
    }
    for (int i = 0; i < t->rows; i += ROWS) {
        int rows = t->rows - i < ROWS ? t->rows - i : ROWS, j = 0;
        for (; rows <= WIDE_ROWS && j + WIDE <= t->columns; j += WIDE) {
            mt_tile part = part_of(t, i, j, rows, WIDE);
            wide_tiles[rows - 1](&part);
        }
        for (; j < t->columns; j += COLUMNS) {
            mt_tile part = part_of(t, i, j, rows, t->columns - j < COLUMNS ? t->columns - j : COLUMNS);
            tiles[rows - 1](&part);
        }
    }
}
