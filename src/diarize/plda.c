/* Matrix times vector, a few times over. Sums are in double: vectors are long, and there are few of them. */
#include "diarize/plda.h"

#include <math.h>
#include <string.h>

#include "core/memory.h"

enum { MAX_DIMS = 65536 };

motet_status mt_plda_create(int in, int dims, mt_plda *plda)
{
    memset(plda, 0, sizeof *plda);
    if (in < 1 || in > MAX_DIMS || dims < 1 || dims > in)
        return mt_fail(MOTET_ERROR_ARGUMENT, "PLDA of %d dimensions out of %d: expected 1 to %d out of as many or more",
                       dims, in, MAX_DIMS);
    size_t rows = (size_t)dims, columns = (size_t)in;
    plda->in = in;
    plda->dims = dims;
    plda->center = mt_alloc_zero(columns, sizeof(float));
    plda->reduce = mt_alloc_zero(rows * columns, sizeof(float));
    plda->offset = mt_alloc_zero(rows, sizeof(float));
    plda->mean = mt_alloc_zero(rows, sizeof(float));
    plda->transform = mt_alloc_zero(rows * rows, sizeof(float));
    plda->psi = mt_alloc_zero(rows, sizeof(float));
    if (plda->center && plda->reduce && plda->offset && plda->mean && plda->transform && plda->psi) return MOTET_OK;
    mt_plda_free(plda);
    return mt_fail_memory((rows + 1) * (columns + rows) * sizeof(float));
}

void mt_plda_free(mt_plda *plda)
{
    mt_free(plda->center);
    mt_free(plda->reduce);
    mt_free(plda->offset);
    mt_free(plda->mean);
    mt_free(plda->transform);
    mt_free(plda->psi);
    memset(plda, 0, sizeof *plda);
}

/* row . (x - center) */
static double dot_centered(const float *row, const float *x, const float *center, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += (double)row[i] * ((double)x[i] - (double)center[i]);
    return sum;
}

void mt_plda_reduce(const mt_plda *plda, const float *voice, float *unit)
{
    double square = 0;
    for (int i = 0; i < plda->in; i++) {
        double x = (double)voice[i] - (double)plda->center[i];
        square += x * x;
    }
    double length = square > 0 ? sqrt(square) : 1;
    square = 0;
    for (int d = 0; d < plda->dims; d++) {
        const float *row = plda->reduce + (size_t)d * (size_t)plda->in;
        unit[d] = (float)(dot_centered(row, voice, plda->center, plda->in) / length - (double)plda->offset[d]);
        square += (double)unit[d] * (double)unit[d];
    }
    length = square > 0 ? sqrt(square) : 1;
    for (int d = 0; d < plda->dims; d++) unit[d] = (float)((double)unit[d] / length);
}

void mt_plda_project(const mt_plda *plda, const float *unit, float *place)
{
    for (int d = 0; d < plda->dims; d++)
        place[d] = (float)dot_centered(plda->transform + (size_t)d * (size_t)plda->dims, unit, plda->mean, plda->dims);
}

/* Twice the logarithm of a Gaussian's density, but for the constant. */
static double log_density(double distance, double variance)
{
    return -log(variance) - distance * distance / variance;
}

double mt_plda_ratio(const mt_plda *plda, const float *known, int count, const float *place)
{
    double sum = 0;
    for (int d = 0; d < plda->dims; d++) {
        double psi = (double)plda->psi[d], x = (double)place[d], share = count * psi / (count * psi + 1);
        sum += log_density(x - share * (double)known[d], 1 + psi / (count * psi + 1)) - log_density(x, 1 + psi);
    }
    return sum / 2;
}
