/* Biases first, then the activation. */
#include "kernels/epilogue.h"

#include "kernels/simd.h"

MT_SIMD static void add_to_row(float *c, int columns, float row_bias, const float *column_bias)
{
    if (column_bias)
        for (int j = 0; j < columns; j++) c[j] += row_bias + column_bias[j];
    else
        for (int j = 0; j < columns; j++) c[j] += row_bias;
}

void mt_epilogue_run(const void *context, const mt_piece *p)
{
    const mt_epilogue *e = context;
    const float *columns = e->column_biases ? e->column_biases[p->item] : e->column_bias;
    if (!p->last) return;
    for (int i = 0; i < p->rows; i++) {
        float *row = (float *)p->c + i * p->c_row;
        if (columns || e->row_bias)
            add_to_row(row, p->columns, e->row_bias ? e->row_bias[p->item][p->row + i] : 0,
                       columns ? columns + p->column : NULL);
        if (e->activate) e->activate(row, p->columns);
    }
}
