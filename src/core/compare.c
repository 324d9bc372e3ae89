/* Comparing tensors. Every floating-point type is widened to double, where all of them fit exactly, and compared
 * there; everything else is the same or it is not. */
#include "motet/compare.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/narrow.h"
#include "core/status.h"
#include "core/tensor.h"

void motet_tolerance_init(motet_tolerance *tolerance)
{
    *tolerance = (motet_tolerance){.rtol = 1e-3, .atol = 1e-7, .max_abs = -1, .max_abs_over_std = -1, .cosine = -1};
}

void motet_distance_init(motet_distance *distance)
{
    *distance = (motet_distance){.cosine = 1};
}

/* The place of element `index` of the tensor: "[0,2,1]". */
static const char *place(const motet_tensor *tensor, int64_t index, char *text, size_t size)
{
    int64_t at[MOTET_MAX_RANK];
    for (int i = tensor->rank; i-- > 0; index /= tensor->dims[i]) at[i] = index % tensor->dims[i];
    return mt_shape_text(tensor->rank, at, text, size);
}

/* --- floating point ------------------------------------------------------------------------------------------- */

static bool is_complex(motet_type type)
{
    return type == MOTET_COMPLEX64 || type == MOTET_COMPLEX128;
}

static bool is_floating(motet_type type)
{
    return type == MOTET_FLOAT || type == MOTET_DOUBLE || type == MOTET_FLOAT16 || type == MOTET_BFLOAT16 ||
           is_complex(type) || mt_is_small_float(type);
}

/* Real number `i` of a floating-point tensor; a complex element is two of them. */
static double real_at(const motet_tensor *tensor, int64_t i)
{
    if (tensor->type == MOTET_COMPLEX64) return ((const float *)tensor->data)[i];
    if (tensor->type == MOTET_COMPLEX128) return ((const double *)tensor->data)[i];
    return motet_tensor_number(tensor, i);
}

typedef struct comparison {
    int64_t reals, finite;
    int64_t outside; /* numbers beyond rtol and atol, or not finite in the same way */
    int64_t worst;   /* the one among them that lies farthest out */
    double worst_excess;
    double sum, squares; /* of the expected numbers */
    double dot, got_squares, error_squares, max_abs;
} comparison;

static void add_pair(comparison *seen, int64_t i, double wanted, double given, const motet_tolerance *within)
{
    double excess = 0;
    if (isfinite(wanted) && isfinite(given)) {
        double apart = fabs(given - wanted);
        if (within->rtol >= 0 || within->atol >= 0)
            excess = apart - fmax(within->atol, 0) - fmax(within->rtol, 0) * fabs(wanted);
        seen->finite++;
        seen->sum += wanted;
        seen->squares += wanted * wanted;
        seen->got_squares += given * given;
        seen->dot += wanted * given;
        seen->error_squares += apart * apart;
        seen->max_abs = fmax(seen->max_abs, apart);
    } else if (!(isnan(wanted) && isnan(given)) && wanted != given) {
        excess = (double)INFINITY;
    }
    if (excess <= 0) return;
    seen->outside++;
    if (excess <= seen->worst_excess) return;
    seen->worst_excess = excess;
    seen->worst = i;
}

static motet_distance distance_of(const comparison *seen)
{
    motet_distance d = {.max_abs = seen->max_abs, .cosine = 1};
    if (seen->finite == 0 || seen->max_abs == 0) return d;
    double count = (double)seen->finite, mean = seen->sum / count;
    double deviation = sqrt(fmax(seen->squares / count - mean * mean, 0));
    d.max_abs_over_std = d.max_abs / deviation; /* infinite for a constant output that differs */
    d.mse = seen->error_squares / count;
    d.cosine =
        seen->squares > 0 && seen->got_squares > 0 ? seen->dot / (sqrt(seen->squares) * sqrt(seen->got_squares)) : 0;
    return d;
}

static void widen(motet_distance *distance, const motet_distance *seen)
{
    if (!distance) return;
    distance->max_abs = fmax(distance->max_abs, seen->max_abs);
    distance->max_abs_over_std = fmax(distance->max_abs_over_std, seen->max_abs_over_std);
    distance->mse = fmax(distance->mse, seen->mse);
    distance->cosine = fmin(distance->cosine, seen->cosine);
}

static motet_status compare_floating(const motet_tensor *expected, const motet_tensor *got,
                                     const motet_tolerance *within, motet_distance *distance)
{
    int parts = is_complex(expected->type) ? 2 : 1;
    comparison seen = {.reals = expected->count * parts, .worst_excess = -1};
    for (int64_t i = 0; i < seen.reals; i++) add_pair(&seen, i, real_at(expected, i), real_at(got, i), within);
    motet_distance d = distance_of(&seen);
    widen(distance, &d);
    char where[MT_SHAPE_TEXT];
    if (seen.outside)
        return mt_fail(MOTET_ERROR_DIFFERENT,
                       "%" PRId64 " of %" PRId64 " differ, the worst at %s: expected %.9g, got %.9g", seen.outside,
                       seen.reals, place(expected, seen.worst / parts, where, sizeof where),
                       real_at(expected, seen.worst), real_at(got, seen.worst));
    if (within->max_abs >= 0 && !(d.max_abs <= within->max_abs))
        return mt_fail(MOTET_ERROR_DIFFERENT, "largest difference %.3g, allowed %.3g", d.max_abs, within->max_abs);
    if (within->max_abs_over_std >= 0 && !(d.max_abs_over_std <= within->max_abs_over_std))
        return mt_fail(MOTET_ERROR_DIFFERENT, "largest difference %.3g standard deviations, allowed %.3g",
                       d.max_abs_over_std, within->max_abs_over_std);
    if (within->cosine >= 0 && !(d.cosine >= within->cosine))
        return mt_fail(MOTET_ERROR_DIFFERENT, "cosine %.9f, wanted %.9f", d.cosine, within->cosine);
    return MOTET_OK;
}

/* --- everything else ------------------------------------------------------------------------------------------ */

static motet_status compare_strings(const motet_tensor *expected, const motet_tensor *got)
{
    for (int64_t i = 0; i < expected->count; i++) {
        size_t wanted_length, given_length;
        const char *wanted = motet_tensor_string(expected, i, &wanted_length);
        const char *given = motet_tensor_string(got, i, &given_length);
        if (wanted_length == given_length && memcmp(wanted, given, wanted_length) == 0) continue;
        char where[MT_SHAPE_TEXT];
        return mt_fail(MOTET_ERROR_DIFFERENT, "at %s: expected \"%.100s\", got \"%.100s\"",
                       place(expected, i, where, sizeof where), wanted, given);
    }
    return MOTET_OK;
}

static int64_t integer_at(const motet_tensor *tensor, int64_t i)
{
    const void *data = tensor->data;
    switch (tensor->type) {
    case MOTET_UINT4:
    case MOTET_UINT2:
    case MOTET_UINT8:
    case MOTET_BOOL: return ((const uint8_t *)data)[i];
    case MOTET_INT4:
    case MOTET_INT2:
    case MOTET_INT8: return ((const int8_t *)data)[i];
    case MOTET_UINT16: return ((const uint16_t *)data)[i];
    case MOTET_INT16: return ((const int16_t *)data)[i];
    case MOTET_UINT32: return ((const uint32_t *)data)[i];
    case MOTET_INT32: return ((const int32_t *)data)[i];
    default: return ((const int64_t *)data)[i]; /* also uint64: only equality and a message are asked */
    }
}

static motet_status compare_integers(const motet_tensor *expected, const motet_tensor *got)
{
    int64_t outside = 0, first = 0;
    for (int64_t i = expected->count; i-- > 0;) {
        if (integer_at(expected, i) == integer_at(got, i)) continue;
        outside++;
        first = i;
    }
    if (!outside) return MOTET_OK;
    char where[MT_SHAPE_TEXT];
    return mt_fail(MOTET_ERROR_DIFFERENT,
                   "%" PRId64 " of %" PRId64 " differ, the first at %s: expected %" PRId64 ", got %" PRId64, outside,
                   expected->count, place(expected, first, where, sizeof where), integer_at(expected, first),
                   integer_at(got, first));
}

static bool same_shape(const motet_tensor *a, const motet_tensor *b)
{
    if (a->kind != b->kind || a->type != b->type || a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i]) return false;
    return true;
}

static motet_status compare_items(const motet_tensor *expected, const motet_tensor *got,
                                  const motet_tolerance *tolerance, motet_distance *distance)
{
    for (int64_t i = 0; i < expected->count; i++)
        MT_TRY_AS(motet_tensor_compare(&mt_items(expected)[i], &mt_items(got)[i], tolerance, distance), "item %" PRId64,
                  i);
    return MOTET_OK;
}

motet_status motet_tensor_compare(const motet_tensor *expected, const motet_tensor *got,
                                  const motet_tolerance *tolerance, motet_distance *distance)
{
    if (!same_shape(expected, got)) {
        char wanted[MT_SHAPE_TEXT], given[MT_SHAPE_TEXT];
        return mt_fail(MOTET_ERROR_SHAPE, "expected %s, got %s", mt_tensor_describe(expected, wanted, sizeof wanted),
                       mt_tensor_describe(got, given, sizeof given));
    }
    if (expected->kind != MOTET_TENSOR) return compare_items(expected, got, tolerance, distance);
    if (expected->type == MOTET_STRING) return compare_strings(expected, got);
    if (is_floating(expected->type)) return compare_floating(expected, got, tolerance, distance);
    return compare_integers(expected, got);
}
