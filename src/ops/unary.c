/* Operators on one element at a time: rounding, roots, exponentials, trigonometry, activations.
 *
 * As in elementwise.c each is an expression, here of x and up to two parameters (a, b) from attributes. The float32
 * versions of exp, tanh, erf and the logistic function are those of kernels/math.h, which vectorise. */
#include <math.h>
#include <string.h>

#include "kernels/math.h"
#include "ops/support.h"

typedef void (*unary_loop)(void *out, const void *in, int64_t n, double a, double b);

#define UNARY_LOOP(name, S, T, LOAD, OUT, STORE, SIMD, F)                                                              \
    SIMD static void name(void *out, const void *in, int64_t n, double first, double second)                           \
    {                                                                                                                  \
        OUT *restrict o = out;                                                                                         \
        const S *p = in;                                                                                               \
        const T a = (T)first, b = (T)second;                                                                           \
        (void)a;                                                                                                       \
        (void)b;                                                                                                       \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const T x = LOAD(p[i]);                                                                                    \
            o[i] = STORE(F(T));                                                                                        \
        }                                                                                                              \
    }
#define FUNCTION(TYPE, tag, S, T, LOAD, STORE, SIMD, name, F) UNARY_LOOP(name##_##tag, S, T, LOAD, S, STORE, SIMD, F)
#define TEST(TYPE, tag, S, T, LOAD, STORE, SIMD, name, F)                                                              \
    UNARY_LOOP(name##_##tag, S, T, LOAD, uint8_t, MT_AS_IS, SIMD, F)

/* --- the expressions ------------------------------------------------------------------------------------------ */

#define MATH(name, x) _Generic((x), float : name##f, double : name)(x)
#define OWN(name, x)  _Generic((x), float : mt_##name##f, double : wide_##name)(x)

static double wide_exp(double x)
{
    return exp(x);
}
static double wide_tanh(double x)
{
    return tanh(x);
}
static double wide_erf(double x)
{
    return erf(x);
}
static double wide_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}
static double wide_gelu(double x)
{
    return 0.5 * x * (1 + erf(x * 0.70710678118654752440));
}

#define ABS(T)          MATH(fabs, x)
#define ABS_INT(T)      ((T)(x < (T)1 ? (T)(0 - (uint64_t)x) : x))
#define NEG(T)          (-x)
#define NEG_INT(T)      ((T)(0 - (uint64_t)x))
#define SIGN(T)         ((T)((x > 0) - (x < 0)) + (x != x ? x : 0))
#define SIGN_INT(T)     ((T)(x == 0 ? 0 : x < (T)1 ? -1 : 1))
#define CEIL(T)         MATH(ceil, x)
#define FLOOR(T)        MATH(floor, x)
#define ROUND(T)        MATH(rint, x) /* half to even, in the default rounding mode */
#define SQRT(T)         MATH(sqrt, x)
#define RECIPROCAL(T)   ((T)1 / x)
#define EXP(T)          OWN(exp, x)
#define LOG(T)          MATH(log, x)
#define SIN(T)          MATH(sin, x)
#define COS(T)          MATH(cos, x)
#define TAN(T)          MATH(tan, x)
#define ASIN(T)         MATH(asin, x)
#define ACOS(T)         MATH(acos, x)
#define ATAN(T)         MATH(atan, x)
#define SINH(T)         MATH(sinh, x)
#define COSH(T)         MATH(cosh, x)
#define ASINH(T)        MATH(asinh, x)
#define ACOSH(T)        MATH(acosh, x)
#define ATANH(T)        MATH(atanh, x)
#define ERF(T)          OWN(erf, x)
#define TANH(T)         OWN(tanh, x)
#define SIGMOID(T)      OWN(sigmoid, x)
#define GELU(T)         OWN(gelu, x)
#define GELU_TANH(T)    ((T)0.5 * x * (1 + OWN(tanh, (T)0.7978845608028654 * (x + (T)0.044715 * x * x * x))))
#define RELU(T)         (x > 0 || x != x ? x : 0)
#define RELU_INT(T)     (x > 0 ? x : 0)
#define LEAKY_RELU(T)   (x < 0 ? a * x : x)
#define ELU(T)          (x < 0 ? a * MATH(expm1, x) : x)
#define CELU(T)         (x < 0 ? a * MATH(expm1, x / a) : x)
#define SELU(T)         (b * (x > 0 ? x : a * MATH(expm1, x)))
#define SOFTPLUS(T)     ((x > 0 ? x : 0) + MATH(log1p, OWN(exp, -MATH(fabs, x))))
#define SOFTSIGN(T)     (x / (1 + MATH(fabs, x)))
#define MISH(T)         (x * OWN(tanh, SOFTPLUS(T)))
#define SWISH(T)        (x * OWN(sigmoid, a * x))
#define UNIT(T, y)      ((y) < 0 ? 0 : (y) > 1 ? 1 : (y))
#define HARD_SIGMOID(T) UNIT(T, a *x + b)
#define HARD_SWISH(T)   (x * UNIT(T, x / 6 + (T)0.5))
#define THRESHOLDED(T)  (x > a ? x : 0)
#define SHRINK(T)       (x < -a ? x + b : x > a ? x - b : 0)
#define IS_NAN(T)       (x != x)
#define IS_INF(T)       ((b != 0 && x == (T)INFINITY) || (a != 0 && x == -(T)INFINITY))
#define NOT(T)          (!x)
#define BIT_NOT(T)      ((T)~x)

/* --- the tables ----------------------------------------------------------------------------------------------- */

#define TABLE(name, ...) static const unary_loop name##_loops[MT_TYPES] = {__VA_ARGS__};

#define FLOAT_TABLE(name, KIND, F)                                                                                     \
    MT_FLOATS(KIND, name, F)                                                                                           \
    TABLE(name, MT_FLOATS(MT_ENTRY, name))

#define NUMBER_TABLE(name, F, F_SIGNED, F_UNSIGNED)                                                                    \
    MT_FLOATS(FUNCTION, name, F)                                                                                       \
    MT_SIGNED(FUNCTION, name, F_SIGNED)                                                                                \
    MT_UNSIGNED(FUNCTION, name, F_UNSIGNED)                                                                            \
    TABLE(name, MT_NUMBERS(MT_ENTRY, name))

#define SAME(T) x

NUMBER_TABLE(abs, ABS, ABS_INT, SAME)
NUMBER_TABLE(neg, NEG, NEG_INT, NEG_INT)
NUMBER_TABLE(sign, SIGN, SIGN_INT, SIGN_INT)
NUMBER_TABLE(relu, RELU, RELU_INT, SAME)
FLOAT_TABLE(ceil, FUNCTION, CEIL)
FLOAT_TABLE(floor, FUNCTION, FLOOR)
FLOAT_TABLE(round, FUNCTION, ROUND)
FLOAT_TABLE(sqrt, FUNCTION, SQRT)
FLOAT_TABLE(reciprocal, FUNCTION, RECIPROCAL)
FLOAT_TABLE(exp, FUNCTION, EXP)
FLOAT_TABLE(log, FUNCTION, LOG)
FLOAT_TABLE(sin, FUNCTION, SIN)
FLOAT_TABLE(cos, FUNCTION, COS)
FLOAT_TABLE(tan, FUNCTION, TAN)
FLOAT_TABLE(asin, FUNCTION, ASIN)
FLOAT_TABLE(acos, FUNCTION, ACOS)
FLOAT_TABLE(atan, FUNCTION, ATAN)
FLOAT_TABLE(sinh, FUNCTION, SINH)
FLOAT_TABLE(cosh, FUNCTION, COSH)
FLOAT_TABLE(asinh, FUNCTION, ASINH)
FLOAT_TABLE(acosh, FUNCTION, ACOSH)
FLOAT_TABLE(atanh, FUNCTION, ATANH)
FLOAT_TABLE(erf, FUNCTION, ERF)
FLOAT_TABLE(tanh, FUNCTION, TANH)
FLOAT_TABLE(sigmoid, FUNCTION, SIGMOID)
FLOAT_TABLE(gelu, FUNCTION, GELU)
FLOAT_TABLE(gelu_tanh, FUNCTION, GELU_TANH)
FLOAT_TABLE(leaky_relu, FUNCTION, LEAKY_RELU)
FLOAT_TABLE(elu, FUNCTION, ELU)
FLOAT_TABLE(celu, FUNCTION, CELU)
FLOAT_TABLE(selu, FUNCTION, SELU)
FLOAT_TABLE(softplus, FUNCTION, SOFTPLUS)
FLOAT_TABLE(softsign, FUNCTION, SOFTSIGN)
FLOAT_TABLE(mish, FUNCTION, MISH)
FLOAT_TABLE(swish, FUNCTION, SWISH)
FLOAT_TABLE(hard_sigmoid, FUNCTION, HARD_SIGMOID)
FLOAT_TABLE(hard_swish, FUNCTION, HARD_SWISH)
FLOAT_TABLE(thresholded_relu, FUNCTION, THRESHOLDED)
/* Of integers too the threshold and the bias are floats, and so is the sum. */
#define SHRINK_INTS(TYPE, tag, S, T, LOAD, STORE, SIMD, ...)                                                           \
    static void shrink_##tag(void *out, const void *in, int64_t n, double threshold, double bias)                      \
    {                                                                                                                  \
        S *restrict o = out;                                                                                           \
        const S *p = in;                                                                                               \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const double x = (double)p[i], way = x < -threshold ? bias : -bias;                                        \
            const bool kept = x < -threshold || x > threshold;                                                         \
            o[i] = !kept ? 0 : bias == 0 ? p[i] : MT_SATURATE(T, x + way);                                             \
        }                                                                                                              \
    }
MT_FLOATS(FUNCTION, shrink, SHRINK)
MT_INTS(SHRINK_INTS)
TABLE(shrink, MT_NUMBERS(MT_ENTRY, shrink))

FLOAT_TABLE(is_nan, TEST, IS_NAN)
FLOAT_TABLE(is_inf, TEST, IS_INF)

MT_BOOL(TEST, not, NOT)
TABLE(not, MT_BOOL(MT_ENTRY, not ))
MT_INTS(FUNCTION, bitwise_not, BIT_NOT)
TABLE(bitwise_not, MT_INTS(MT_ENTRY, bitwise_not))

/* --- running one ---------------------------------------------------------------------------------------------- */

typedef struct unary_work {
    unary_loop loop;
    const motet_tensor *in, *out;
    double a, b;
} unary_work;

static void run_part(void *context, int64_t begin, int64_t end)
{
    const unary_work *w = context;
    w->loop(mt_at(w->out, begin), mt_at(w->in, begin), end - begin, w->a, w->b);
}

static motet_status unary(mt_op_context *c, const unary_loop *loops, bool test, double a, double b)
{
    const motet_tensor *in;
    motet_tensor *out;
    MT_TRY(mt_need(c, 0, &in));
    unary_loop loop = MT_PICK(loops, in->type);
    if (!loop) return mt_op_fail_type(c, 0);
    MT_TRY(mt_out(c, 0, test ? MOTET_BOOL : in->type, in->rank, in->dims, &out));
    unary_work work = {loop, in, out, a, b};
    mt_ranges(c->pool, in->count, 16384, run_part, &work);
    return MOTET_OK;
}

#define UNARY(name, a, b)                                                                                              \
    motet_status mt_op_##name(mt_op_context *c)                                                                        \
    {                                                                                                                  \
        return unary(c, name##_loops, false, a, b);                                                                    \
    }
#define PARAMETER(name, fallback) (double)mt_attr_float(c, name, fallback)

UNARY(abs, 0, 0)
UNARY(neg, 0, 0)
UNARY(sign, 0, 0)
UNARY(ceil, 0, 0)
UNARY(floor, 0, 0)
UNARY(round, 0, 0)
UNARY(sqrt, 0, 0)
UNARY(reciprocal, 0, 0)
UNARY(exp, 0, 0)
UNARY(log, 0, 0)
UNARY(sin, 0, 0)
UNARY(cos, 0, 0)
UNARY(tan, 0, 0)
UNARY(asin, 0, 0)
UNARY(acos, 0, 0)
UNARY(atan, 0, 0)
UNARY(sinh, 0, 0)
UNARY(cosh, 0, 0)
UNARY(asinh, 0, 0)
UNARY(acosh, 0, 0)
UNARY(atanh, 0, 0)
UNARY(erf, 0, 0)
UNARY(tanh, 0, 0)
UNARY(sigmoid, 0, 0)
UNARY(relu, 0, 0)
UNARY(softplus, 0, 0)
UNARY(softsign, 0, 0)
UNARY(mish, 0, 0)
UNARY(hard_swish, 0, 0)
UNARY(bitwise_not, 0, 0)
UNARY(swish, PARAMETER("alpha", 1), 0)
UNARY(leaky_relu, PARAMETER("alpha", 0.01f), 0)
UNARY(elu, PARAMETER("alpha", 1), 0)
UNARY(celu, PARAMETER("alpha", 1), 0)
UNARY(selu, PARAMETER("alpha", 1.67326319217681884765625f), PARAMETER("gamma", 1.05070102214813232421875f))
UNARY(hard_sigmoid, PARAMETER("alpha", 0.2f), PARAMETER("beta", 0.5f))
UNARY(thresholded_relu, PARAMETER("alpha", 1), 0)
UNARY(shrink, PARAMETER("lambd", 0.5f), PARAMETER("bias", 0))

motet_status mt_op_gelu(mt_op_context *c)
{
    const char *approximate = mt_attr_string(c, "approximate", "none");
    if (strcmp(approximate, "none") == 0) return unary(c, gelu_loops, false, 0, 0);
    if (strcmp(approximate, "tanh") == 0) return unary(c, gelu_tanh_loops, false, 0, 0);
    return mt_op_fail(c, MOTET_ERROR_FORMAT, "approximate is \"%s\": expected none or tanh", approximate);
}

motet_status mt_op_not(mt_op_context *c)
{
    return unary(c, not_loops, true, 0, 0);
}

/* A question about the kind of a float; of 8 bits and fewer, which float32 holds, too. */
static motet_status kind_of_float(mt_op_context *c, const unary_loop *loops, double a, double b)
{
    const motet_tensor *in;
    motet_tensor *out;
    const void *values;
    MT_TRY(mt_need(c, 0, &in));
    if (!mt_is_small_float(in->type)) return unary(c, loops, true, a, b);
    MT_TRY(mt_values(c, in, MOTET_FLOAT, &values));
    MT_TRY(mt_out(c, 0, MOTET_BOOL, in->rank, in->dims, &out));
    loops[MOTET_FLOAT](out->data, values, in->count, a, b);
    return MOTET_OK;
}

motet_status mt_op_is_nan(mt_op_context *c)
{
    return kind_of_float(c, is_nan_loops, 0, 0);
}
motet_status mt_op_is_inf(mt_op_context *c)
{
    return kind_of_float(c, is_inf_loops, (double)mt_attr_int(c, "detect_negative", 1),
                         (double)mt_attr_int(c, "detect_positive", 1));
}

/* --- Clip ----------------------------------------------------------------------------------------------------- */

typedef void (*clip_loop)(void *out, const void *in, int64_t n, const void *least, const void *most);

/* A missing bound is NULL. As the standard says, where the bounds cross the upper one wins; NaN stays. */
#define CLIP_LOOP(TYPE, tag, S, T, LOAD, STORE, SIMD, ...)                                                             \
    SIMD static void clip_##tag(void *out, const void *in, int64_t n, const void *least, const void *most)             \
    {                                                                                                                  \
        S *restrict o = out;                                                                                           \
        const S *p = in;                                                                                               \
        memcpy(o, p, (size_t)n * sizeof(S));                                                                           \
        if (least) {                                                                                                   \
            const T bound = LOAD(*(const S *)least);                                                                   \
            for (int64_t i = 0; i < n; i++) o[i] = STORE(LOAD(o[i]) < bound ? bound : (T)LOAD(o[i]));                  \
        }                                                                                                              \
        if (most) {                                                                                                    \
            const T bound = LOAD(*(const S *)most);                                                                    \
            for (int64_t i = 0; i < n; i++) o[i] = STORE(LOAD(o[i]) > bound ? bound : (T)LOAD(o[i]));                  \
        }                                                                                                              \
    }

MT_NUMBERS(CLIP_LOOP)
static const clip_loop clip_loops[MT_TYPES] = {MT_NUMBERS(MT_ENTRY, clip)};

typedef struct clip_work {
    clip_loop loop;
    const motet_tensor *in, *out;
    const void *least, *most;
} clip_work;

static void clip_part(void *context, int64_t begin, int64_t end)
{
    const clip_work *w = context;
    w->loop(mt_at(w->out, begin), mt_at(w->in, begin), end - begin, w->least, w->most);
}

/* A bound from input i, which holds one element of the type of input 0. */
static motet_status clip_bound(mt_op_context *c, int i, const void **out)
{
    const motet_tensor *bound = mt_in(c, i);
    *out = NULL;
    if (!bound) return MOTET_OK;
    MT_TRY(mt_need_same_type(c, 0, i));
    if (bound->count != 1) return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d must hold one element", i);
    *out = bound->data;
    return MOTET_OK;
}

/* Before opset 11 the bounds are attributes, and the type is a float. */
motet_status mt_op_clip(mt_op_context *c)
{
    const motet_tensor *in;
    MT_TRY(mt_need(c, 0, &in));
    clip_work work = {.in = in, .loop = MT_PICK(clip_loops, in->type)};
    if (!work.loop) return mt_op_fail_type(c, 0);
    double least, most;
    if (c->version < 11) {
        if (mt_has_attr(c, "min")) {
            mt_convert(&least, in->type, &(float){mt_attr_float(c, "min", 0)}, MOTET_FLOAT, 1);
            work.least = &least;
        }
        if (mt_has_attr(c, "max")) {
            mt_convert(&most, in->type, &(float){mt_attr_float(c, "max", 0)}, MOTET_FLOAT, 1);
            work.most = &most;
        }
    } else {
        MT_TRY(clip_bound(c, 1, &work.least));
        MT_TRY(clip_bound(c, 2, &work.most));
    }
    motet_tensor *out;
    MT_TRY(mt_out(c, 0, in->type, in->rank, in->dims, &out));
    work.out = out;
    mt_ranges(c->pool, in->count, 16384, clip_part, &work);
    return MOTET_OK;
}
