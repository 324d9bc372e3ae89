/* Biases first, then the activation. */
#include "kernels/epilogue.h"

#include "kernels/simd.h"

static inline void add_to_row(float *restrict c, int columns, float row_bias, const float *restrict column_bias)
{
    if (column_bias)
        for (int j = 0; j < columns; j++) c[j] += row_bias + column_bias[j];
    else
        for (int j = 0; j < columns; j++) c[j] += row_bias;
}

/* Most pieces are a panel wide: then the loops over columns become a few instructions. */
MT_SIMD static void add_biases(float *c, int64_t c_row, int rows, int columns, const float *row_bias,
                               const float *column_bias)
{
    for (int i = 0; i < rows; i++) {
        if (columns == MT_TILE_COLUMNS)
            add_to_row(c + i * c_row, MT_TILE_COLUMNS, row_bias ? row_bias[i] : 0, column_bias);
        else
            add_to_row(c + i * c_row, columns, row_bias ? row_bias[i] : 0, column_bias);
    }
}

void mt_piece_activate(const mt_piece *p, mt_activation activate)
{
    if (p->c_row == p->columns)
        activate(p->c, (int64_t)p->rows * p->columns);
    else
        for (int i = 0; i < p->rows; i++) activate((float *)p->c + i * p->c_row, p->columns);
}

void mt_epilogue_run(const void *context, const mt_piece *p)
{
    const mt_epilogue *e = context;
    const float *columns = e->column_biases ? e->column_biases[p->item] : e->column_bias;
    const float *rows = e->row_bias ? e->row_bias[p->item] : NULL;
    if (!p->last) return;
    if (columns || rows)
        add_biases(p->c, p->c_row, p->rows, p->columns, rows ? rows + p->row : NULL,
                   columns ? columns + p->column : NULL);
    if (e->activate) mt_piece_activate(p, e->activate);
    mt_piece_move(p);
}
