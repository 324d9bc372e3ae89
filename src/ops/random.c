/* RandomUniform, RandomNormal and their -Like, Bernoulli, Multinomial, Dropout, and the generator. */
#include "ops/random.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/random.h>

#include "graph/graph.h"
#include "ops/support.h"

/* --- the generator -------------------------------------------------------------------------------------------- */

enum { SHIFT = 397 };

static void seed_state(mt_random *r, uint32_t seed)
{
    memset(r, 0, sizeof *r);
    for (uint32_t i = 0; i < MT_RANDOM_STATE; i++) {
        r->state[i] = seed;
        seed = 1812433253u * (seed ^ seed >> 30) + i + 1;
    }
    r->at = MT_RANDOM_STATE;
}

motet_status mt_random_start(mt_op_context *c, mt_random *r)
{
    const mt_attribute *attribute = mt_node_attribute(c->node, "seed");
    uint32_t seed = 0;
    if (!attribute) {
        if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed)
            return mt_op_fail(c, MOTET_ERROR_IO, "the system has no random numbers");
    } else if (attribute->kind == MT_ATTRIBUTE_INT) {
        seed = (uint32_t)attribute->i;
    } else {
        int64_t whole;
        double value = (double)mt_attr_float(c, "seed", 0);
        mt_convert(&whole, MOTET_INT64, &value, MOTET_DOUBLE, 1);
        seed = (uint32_t)whole;
    }
    seed_state(r, seed);
    return MOTET_OK;
}

static void refill(mt_random *r)
{
    for (int i = 0; i < MT_RANDOM_STATE; i++) {
        uint32_t y = (r->state[i] & 0x80000000u) | (r->state[(i + 1) % MT_RANDOM_STATE] & 0x7fffffffu);
        r->state[i] = r->state[(i + SHIFT) % MT_RANDOM_STATE] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    r->at = 0;
}

static uint32_t next_bits(mt_random *r)
{
    if (r->at == MT_RANDOM_STATE) refill(r);
    uint32_t y = r->state[r->at++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

double mt_random_uniform(mt_random *r)
{
    uint32_t high = next_bits(r) >> 5, low = next_bits(r) >> 6;
    return (high * 67108864.0 + low) / 9007199254740992.0;
}

/* Marsaglia's polar method. */
double mt_random_normal(mt_random *r)
{
    if (r->has_normal) {
        r->has_normal = false;
        return r->normal;
    }
    double x, y, square;
    do {
        x = 2 * mt_random_uniform(r) - 1;
        y = 2 * mt_random_uniform(r) - 1;
        square = x * x + y * y;
    } while (square >= 1 || square == 0);
    double factor = sqrt(-2 * log(square) / square);
    r->normal = factor * x;
    r->has_normal = true;
    return factor * y;
}

/* --- tensors of them ------------------------------------------------------------------------------------------ */

/* The attribute "dtype", or `fallback`. */
static motet_status read_type(mt_op_context *c, motet_type fallback, motet_type *out)
{
    int64_t type = mt_attr_int(c, "dtype", fallback);
    *out = type > 0 && type < MT_TYPES ? (motet_type)type : MOTET_UNDEFINED;
    if (mt_is_number(*out)) return MOTET_OK;
    return mt_op_fail(c, MOTET_ERROR_UNSUPPORTED, "numbers of type %d are not supported", (int)type);
}

static motet_status fill(mt_op_context *c, motet_type type, int rank, const int64_t *dims, bool normal)
{
    mt_random random;
    mt_value_out out;
    double low = (double)mt_attr_float(c, normal ? "mean" : "low", 0);
    double width = (double)mt_attr_float(c, normal ? "scale" : "high", 1) - (normal ? 0 : low);
    MT_TRY(mt_random_start(c, &random));
    MT_TRY(mt_value_out_make_in(c, 0, type, MOTET_DOUBLE, rank, dims, &out));
    for (int64_t i = 0; i < out.tensor->count; i++)
        ((double *)out.values)[i] = low + width * (normal ? mt_random_normal(&random) : mt_random_uniform(&random));
    mt_value_out_store(&out);
    return MOTET_OK;
}

static motet_status fill_shape(mt_op_context *c, bool normal)
{
    size_t rank;
    motet_type type;
    const int64_t *shape = mt_attr_ints(c, "shape", &rank);
    if (rank > MOTET_MAX_RANK) return mt_op_fail(c, MOTET_ERROR_LIMIT, "a shape of %zu axes", rank);
    MT_TRY(read_type(c, MOTET_FLOAT, &type));
    return fill(c, type, (int)rank, shape, normal);
}

static motet_status fill_like(mt_op_context *c, bool normal)
{
    const motet_tensor *in;
    motet_type type;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(read_type(c, in->type, &type));
    return fill(c, type, in->rank, in->dims, normal);
}

motet_status mt_op_random_uniform(mt_op_context *c)
{
    return fill_shape(c, false);
}

motet_status mt_op_random_normal(mt_op_context *c)
{
    return fill_shape(c, true);
}

motet_status mt_op_random_uniform_like(mt_op_context *c)
{
    return fill_like(c, false);
}

motet_status mt_op_random_normal_like(mt_op_context *c)
{
    return fill_like(c, true);
}

/* --- draws ---------------------------------------------------------------------------------------------------- */

/* 1 with the probability that stands in the input. */
motet_status mt_op_bernoulli(mt_op_context *c)
{
    const motet_tensor *in;
    const void *chances;
    motet_type type;
    mt_random random;
    mt_value_out out;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(read_type(c, in->type, &type));
    MT_TRY(mt_values(c, in, MOTET_DOUBLE, &chances));
    MT_TRY(mt_random_start(c, &random));
    MT_TRY(mt_value_out_make_in(c, 0, type, MOTET_DOUBLE, in->rank, in->dims, &out));
    for (int64_t i = 0; i < in->count; i++)
        ((double *)out.values)[i] = mt_random_uniform(&random) < ((const double *)chances)[i];
    mt_value_out_store(&out);
    return MOTET_OK;
}

/* The class at which the running sum of exp(logits - most) passes `at` times the whole sum. */
static int64_t draw_class(const double *logits, int64_t classes, double at)
{
    double most = -(double)INFINITY, sum = 0, passed = 0;
    for (int64_t i = 0; i < classes; i++) most = fmax(most, logits[i]);
    for (int64_t i = 0; i < classes; i++) sum += exp(logits[i] - most);
    for (int64_t i = 0; i < classes; i++) {
        passed += exp(logits[i] - most);
        if (at * sum < passed) return i;
    }
    return classes - 1;
}

motet_status mt_op_multinomial(mt_op_context *c)
{
    const motet_tensor *in;
    const void *logits;
    motet_type type;
    mt_random random;
    motet_tensor *out;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_need_rank(c, 0, 2));
    MT_TRY(read_type(c, MOTET_INT32, &type));
    MT_TRY(mt_values(c, in, MOTET_DOUBLE, &logits));
    MT_TRY(mt_random_start(c, &random));
    int64_t samples = mt_attr_int(c, "sample_size", 1), classes = in->dims[1];
    MT_TRY(mt_out(c, 0, type, 2, (int64_t[]){in->dims[0], samples}, &out));
    if (out->count && classes < 1) return mt_op_fail(c, MOTET_ERROR_SHAPE, "there is no class to draw");
    for (int64_t i = 0; i < out->count; i++) {
        const double *row = (const double *)logits + i / samples * classes;
        int64_t drawn = draw_class(row, classes, mt_random_uniform(&random));
        mt_convert(mt_at(out, i), type, &drawn, MOTET_INT64, 1);
    }
    return MOTET_OK;
}

/* --- Dropout -------------------------------------------------------------------------------------------------- */

/* In training, which since opset 12 an input asks for, each element is dropped with the probability `ratio`. */
static motet_status drop(mt_op_context *c, const motet_tensor *in, double ratio)
{
    const void *values;
    mt_random random;
    mt_value_out out;
    motet_tensor *mask = NULL;
    if (!(ratio >= 0 && ratio < 1)) return mt_op_fail(c, MOTET_ERROR_SHAPE, "a ratio of %g", ratio);
    MT_TRY(mt_random_start(c, &random));
    MT_TRY(mt_values(c, in, MOTET_DOUBLE, &values));
    MT_TRY(mt_value_out_make_in(c, 0, in->type, MOTET_DOUBLE, in->rank, in->dims, &out));
    if (mt_wanted(c, 1)) MT_TRY(mt_out(c, 1, MOTET_BOOL, in->rank, in->dims, &mask));
    for (int64_t i = 0; i < in->count; i++) {
        bool kept = mt_random_uniform(&random) >= ratio;
        ((double *)out.values)[i] = kept ? ((const double *)values)[i] / (1 - ratio) : 0;
        if (mask) ((uint8_t *)mask->data)[i] = kept;
    }
    mt_value_out_store(&out);
    return MOTET_OK;
}

/* At inference the input is handed on, with a mask that is all true. */
motet_status mt_op_dropout(mt_op_context *c)
{
    const motet_tensor *in, *ratio = mt_in(c, 1), *training = mt_in(c, 2);
    MT_TRY(mt_need(c, 0, &in));
    double value = 0.5;
    if (ratio && ratio->count == 1 && mt_is_number(ratio->type))
        mt_convert(&value, MOTET_DOUBLE, ratio->data, ratio->type, 1);
    bool asked = training && training->type == MOTET_BOOL && training->count == 1 && *(const uint8_t *)training->data;
    if (asked && value != 0) return drop(c, in, value);
    MT_TRY(mt_out_view(c, 0, in, in->rank, in->dims));
    if (!mt_wanted(c, 1)) return MOTET_OK;
    motet_type type = c->version < 10 ? in->type : MOTET_BOOL;
    if (!mt_is_number(type) && type != MOTET_BOOL) return mt_op_fail_type(c, 0);
    motet_tensor *mask;
    MT_TRY(mt_out(c, 1, type, in->rank, in->dims, &mask));
    for (int64_t i = 0; i < mask->count; i++) mt_convert(mt_at(mask, i), mask->type, &(uint8_t){1}, MOTET_BOOL, 1);
    return MOTET_OK;
}
