/* Every floating-point type is widened to double, where all of them fit exactly, and compared there. */
#include "compare.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

tolerance tolerance_default(void)
{
    return (tolerance){.rtol = 1e-3, .atol = 1e-7, .max_abs = -1, .max_abs_over_std = -1, .cosine = -1};
}

distance distance_none(void)
{
    return (distance){.cosine = 1};
}

bool tolerance_read(const char *path, tolerance *out, reason *why)
{
    FILE *file = fopen(path, "r");
    if (!file) return because(why, "%s: %s", path, strerror(errno));
    tolerance read = {-1, -1, -1, -1, -1};
    const struct {
        const char *key;
        double *value;
    } keys[] = {{"rtol", &read.rtol},
                {"atol", &read.atol},
                {"max_abs", &read.max_abs},
                {"max_abs_over_std", &read.max_abs_over_std},
                {"cosine", &read.cosine}};
    char line[256], key[32];
    bool good = true;
    for (int number = 1; good && fgets(line, sizeof line, file); number++) {
        double value;
        line[strcspn(line, "#\n")] = 0;
        if (line[strspn(line, " \t\r")] == 0) continue;
        size_t i = sizeof keys / sizeof *keys;
        if (sscanf(line, "%31s %lf", key, &value) == 2)
            for (i = 0; i < sizeof keys / sizeof *keys && strcmp(key, keys[i].key) != 0; i++) continue;
        if (i == sizeof keys / sizeof *keys)
            good = because(why, "%s: line %d: \"%s\" is no tolerance", path, number, line);
        else
            *keys[i].value = value;
    }
    fclose(file);
    if (good) *out = read;
    return good;
}

static const char *describe(const motet_tensor *tensor, char *text, size_t size)
{
    int used = snprintf(text, size, "%s [", motet_type_name(motet_tensor_type(tensor)));
    for (int i = 0; i < motet_tensor_rank(tensor); i++)
        used += snprintf(text + used, size - (size_t)used, "%s%" PRId64, i ? "," : "", motet_tensor_dims(tensor)[i]);
    snprintf(text + used, size - (size_t)used, "]");
    return text;
}

/* The place of element `index` of the tensor: "[0,2,1]". */
static const char *place(const motet_tensor *tensor, int64_t index, char *text, size_t size)
{
    int64_t at[MOTET_MAX_RANK];
    int rank = motet_tensor_rank(tensor);
    for (int i = rank; i-- > 0; index /= motet_tensor_dims(tensor)[i]) at[i] = index % motet_tensor_dims(tensor)[i];
    int used = snprintf(text, size, "[");
    for (int i = 0; i < rank; i++)
        used += snprintf(text + used, size - (size_t)used, "%s%" PRId64, i ? "," : "", at[i]);
    snprintf(text + used, size - (size_t)used, "]");
    return text;
}

enum { PLACE_TEXT = 24 * MOTET_MAX_RANK };

static double from_half(uint16_t bits)
{
    int exponent = bits >> 10 & 31;
    double fraction = bits & 1023;
    double size = exponent == 31 ? (fraction != 0 ? NAN : INFINITY)
                  : exponent     ? ldexp(1024 + fraction, exponent - 25)
                                 : ldexp(fraction, -24);
    return bits & 0x8000 ? -size : size;
}

static double from_bfloat(uint16_t bits)
{
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

static bool is_floating(motet_type type)
{
    return type == MOTET_FLOAT || type == MOTET_DOUBLE || type == MOTET_FLOAT16 || type == MOTET_BFLOAT16 ||
           type == MOTET_COMPLEX64 || type == MOTET_COMPLEX128;
}

/* Real number `i` of a floating-point tensor; a complex element is two of them. */
static double real_at(const void *data, motet_type type, int64_t i)
{
    switch (type) {
    case MOTET_FLOAT16: return from_half(((const uint16_t *)data)[i]);
    case MOTET_BFLOAT16: return from_bfloat(((const uint16_t *)data)[i]);
    case MOTET_DOUBLE:
    case MOTET_COMPLEX128: return ((const double *)data)[i];
    default: return ((const float *)data)[i];
    }
}

typedef struct comparison {
    int64_t reals, finite;
    int64_t outside; /* elements beyond rtol and atol, or not finite in the same way */
    int64_t worst;   /* the one among them that lies farthest out */
    double worst_excess;
    double sum, squares; /* of the expected elements */
    double dot, got_squares, max_abs;
} comparison;

static comparison measure(const motet_tensor *expected, const motet_tensor *got, const tolerance *within)
{
    motet_type type = motet_tensor_type(expected);
    const void *a = motet_tensor_const_data(expected), *b = motet_tensor_const_data(got);
    bool complex = type == MOTET_COMPLEX64 || type == MOTET_COMPLEX128;
    comparison seen = {.reals = motet_tensor_count(expected) * (complex ? 2 : 1), .worst_excess = -1};
    for (int64_t i = 0; i < seen.reals; i++) {
        double wanted = real_at(a, type, i), given = real_at(b, type, i), excess = 0;
        if (isfinite(wanted) && isfinite(given)) {
            double apart = fabs(given - wanted);
            if (within->rtol >= 0 || within->atol >= 0)
                excess = apart - fmax(within->atol, 0) - fmax(within->rtol, 0) * fabs(wanted);
            seen.finite++;
            seen.sum += wanted;
            seen.squares += wanted * wanted;
            seen.got_squares += given * given;
            seen.dot += wanted * given;
            seen.max_abs = fmax(seen.max_abs, apart);
        } else if (!(isnan(wanted) && isnan(given)) && wanted != given) {
            excess = INFINITY;
        }
        if (excess <= 0) continue;
        seen.outside++;
        if (excess > seen.worst_excess) {
            seen.worst_excess = excess;
            seen.worst = complex ? i / 2 : i;
        }
    }
    return seen;
}

static distance distance_of(const comparison *seen)
{
    distance d = {.max_abs = seen->max_abs, .cosine = 1};
    if (seen->finite == 0 || seen->max_abs == 0) return d;
    double count = (double)seen->finite, mean = seen->sum / count;
    double deviation = sqrt(fmax(seen->squares / count - mean * mean, 0));
    d.max_abs_over_std = d.max_abs / deviation; /* infinite for a constant output that differs */
    d.cosine =
        seen->squares > 0 && seen->got_squares > 0 ? seen->dot / (sqrt(seen->squares) * sqrt(seen->got_squares)) : 0;
    return d;
}

static bool compare_floating(const motet_tensor *expected, const motet_tensor *got, const tolerance *within,
                             distance *apart, reason *why)
{
    comparison seen = measure(expected, got, within);
    distance d = distance_of(&seen);
    if (apart) {
        apart->max_abs = fmax(apart->max_abs, d.max_abs);
        apart->max_abs_over_std = fmax(apart->max_abs_over_std, d.max_abs_over_std);
        apart->cosine = fmin(apart->cosine, d.cosine);
    }
    if (seen.outside) {
        char where[PLACE_TEXT];
        motet_type type = motet_tensor_type(expected);
        int step = seen.reals > motet_tensor_count(expected) ? 2 : 1;
        return because(why, "%" PRId64 " of %" PRId64 " differ, the worst at %s: expected %.9g, got %.9g", seen.outside,
                       seen.reals, place(expected, seen.worst, where, sizeof where),
                       real_at(motet_tensor_const_data(expected), type, seen.worst * step),
                       real_at(motet_tensor_const_data(got), type, seen.worst * step));
    }
    if (within->max_abs >= 0 && !(d.max_abs <= within->max_abs))
        return because(why, "largest difference %.3g, allowed %.3g", d.max_abs, within->max_abs);
    if (within->max_abs_over_std >= 0 && !(d.max_abs_over_std <= within->max_abs_over_std))
        return because(why, "largest difference %.3g standard deviations, allowed %.3g", d.max_abs_over_std,
                       within->max_abs_over_std);
    if (within->cosine >= 0 && !(d.cosine >= within->cosine))
        return because(why, "cosine %.9f, wanted %.9f", d.cosine, within->cosine);
    return true;
}

static bool compare_strings(const motet_tensor *expected, const motet_tensor *got, reason *why)
{
    for (int64_t i = 0; i < motet_tensor_count(expected); i++) {
        size_t wanted_length, given_length;
        const char *wanted = motet_tensor_string(expected, i, &wanted_length);
        const char *given = motet_tensor_string(got, i, &given_length);
        char where[PLACE_TEXT];
        if (wanted_length != given_length || memcmp(wanted, given, wanted_length) != 0)
            return because(why, "at %s: expected \"%.100s\", got \"%.100s\"", place(expected, i, where, sizeof where),
                           wanted, given);
    }
    return true;
}

static int64_t integer_at(const void *data, motet_type type, int64_t i)
{
    switch (type) {
    case MOTET_UINT8:
    case MOTET_BOOL: return ((const uint8_t *)data)[i];
    case MOTET_INT8: return ((const int8_t *)data)[i];
    case MOTET_UINT16: return ((const uint16_t *)data)[i];
    case MOTET_INT16: return ((const int16_t *)data)[i];
    case MOTET_UINT32: return ((const uint32_t *)data)[i];
    case MOTET_INT32: return ((const int32_t *)data)[i];
    default: return ((const int64_t *)data)[i]; /* also uint64: only equality and a message are asked */
    }
}

static bool compare_integers(const motet_tensor *expected, const motet_tensor *got, reason *why)
{
    motet_type type = motet_tensor_type(expected);
    const void *a = motet_tensor_const_data(expected), *b = motet_tensor_const_data(got);
    int64_t count = motet_tensor_count(expected), outside = 0, first = 0;
    for (int64_t i = count; i-- > 0;) {
        if (integer_at(a, type, i) == integer_at(b, type, i)) continue;
        outside++;
        first = i;
    }
    if (!outside) return true;
    char where[PLACE_TEXT];
    return because(why, "%" PRId64 " of %" PRId64 " differ, the first at %s: expected %" PRId64 ", got %" PRId64,
                   outside, count, place(expected, first, where, sizeof where), integer_at(a, type, first),
                   integer_at(b, type, first));
}

static bool same_shape(const motet_tensor *a, const motet_tensor *b)
{
    if (motet_tensor_type(a) != motet_tensor_type(b) || motet_tensor_rank(a) != motet_tensor_rank(b)) return false;
    for (int i = 0; i < motet_tensor_rank(a); i++)
        if (motet_tensor_dims(a)[i] != motet_tensor_dims(b)[i]) return false;
    return true;
}

bool compare_tensors(const motet_tensor *expected, const motet_tensor *got, const tolerance *within, distance *apart,
                     reason *why)
{
    if (!same_shape(expected, got)) {
        char wanted[PLACE_TEXT + 16], given[PLACE_TEXT + 16];
        return because(why, "expected %s, got %s", describe(expected, wanted, sizeof wanted),
                       describe(got, given, sizeof given));
    }
    motet_type type = motet_tensor_type(expected);
    if (type == MOTET_STRING) return compare_strings(expected, got, why);
    if (is_floating(type)) return compare_floating(expected, got, within, apart, why);
    return compare_integers(expected, got, why);
}
