/* The inner piece of every product: up to MT_TILE_ROWS rows of A times panels of B, MT_TILE_COLUMNS wide each. One
 * panel at a time is enough for many rows; few rows need MT_TILE_PANELS of them to be fast.
 *
 * Elements of A and B are words of 32 bits, and so are those of C:
 * - float32. An element of C is one chain of fused multiply-adds in the order of k, whatever the level, the number of
 *   rows or the place in the tile; only the scalar level, which has no fused multiply-add, rounds differently.
 * - Bytes, four to a word, which one step of k multiplies and adds up: those of A are uint8, those of B int8, and C is
 *   int32, modulo 2^32. All levels give the same. */
#ifndef MT_KERNELS_TILE_H
#define MT_KERNELS_TILE_H

#include <stdbool.h>
#include <stdint.h>

enum { MT_TILE_ROWS = 12, MT_TILE_COLUMNS = 32, MT_TILE_FEW_ROWS = 3, MT_TILE_PANELS = 4, MT_WORD = 4 };

typedef struct mt_tile {
    int64_t k;
    const void *a; /* A(i, k) is word i * a_row + k * a_step */
    int64_t a_row, a_step;
    const void *b; /* B(k, j) is word k * b_row + j; columns from MT_TILE_COLUMNS on are in the next panel */
    int64_t b_row, b_panel;
    int64_t b_run,
        b_jump;      /* unless b_run is 0, B goes on b_jump words further after every b_run rows, which divide k */
    int b_sign;      /* unless 0, which only whole tiles of float32 may have: B is the sum (1) or the difference (-1) */
    int64_t b_other; /* of what lies there and so many words further on */
    void *c;         /* C(i, j) is word i * c_row + j */
    int64_t c_row;
    int rows, columns; /* of C, from 1 up; panels are read to the end */
    float alpha;       /* 1 for bytes */
    bool add;          /* C += alpha * A * B, else C = alpha * A * B */

    /* Memory that later tiles will read, and how many bytes of it are asked for on every step of k. */
    const char *ahead;
    int64_t ahead_step;
} mt_tile;

typedef void (*mt_tile_function)(const mt_tile *tile);

/* The ones for the level in use. */
mt_tile_function mt_tile_floats(void);
mt_tile_function mt_tile_bytes(void);

/* One for each level. */
void mt_tile_scalar(const mt_tile *tile);
void mt_tile_avx2(const mt_tile *tile);
void mt_tile_avx512(const mt_tile *tile);
void mt_bytes_scalar(const mt_tile *tile);
void mt_bytes_avx2(const mt_tile *tile);
void mt_bytes_avxvnni(const mt_tile *tile);
void mt_bytes_avx512vnni(const mt_tile *tile);

#endif
