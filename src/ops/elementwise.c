/* Operators that combine elements pairwise (or three by three) under broadcasting: arithmetic, comparison, logic, bits,
 * Where.
 *
 * Each is an expression of x and y; a macro makes a loop of it for every element type, in three variants the compiler
 * vectorises: both operands dense, or one of them a single value. Integers wrap on overflow, x / 0 and x mod 0 are 0
 * (as in numpy), so nothing here is undefined behaviour. */
#include <math.h>
#include <string.h>

#include "graph/graph.h"
#include "ops/support.h"

/* n elements of out from a and b, which move by steps of 0 or 1, at least one of them by 1. */
typedef void (*pair_loop)(void *out, const void *a, const void *b, int64_t n, int64_t a_step, int64_t b_step);

#define PAIR_LOOP(name, S, T, LOAD, OUT, STORE, SIMD, F)                                                               \
    SIMD static void name(void *out, const void *a, const void *b, int64_t n, int64_t a_step, int64_t b_step)          \
    {                                                                                                                  \
        OUT *restrict o = out;                                                                                         \
        const S *p = a, *q = b;                                                                                        \
        if (a_step && b_step) {                                                                                        \
            for (int64_t i = 0; i < n; i++) o[i] = STORE(F(T, (T)LOAD(p[i]), (T)LOAD(q[i])));                          \
        } else if (a_step) {                                                                                           \
            const T y = LOAD(*q);                                                                                      \
            for (int64_t i = 0; i < n; i++) o[i] = STORE(F(T, (T)LOAD(p[i]), y));                                      \
        } else {                                                                                                       \
            const T x = LOAD(*p);                                                                                      \
            for (int64_t i = 0; i < n; i++) o[i] = STORE(F(T, x, (T)LOAD(q[i])));                                      \
        }                                                                                                              \
    }

#define ARITHMETIC(TYPE, tag, S, T, LOAD, STORE, SIMD, name, F) PAIR_LOOP(name##_##tag, S, T, LOAD, S, STORE, SIMD, F)
#define PREDICATE(TYPE, tag, S, T, LOAD, STORE, SIMD, name, F)                                                         \
    PAIR_LOOP(name##_##tag, S, T, LOAD, uint8_t, MT_AS_IS, SIMD, F)

/* The remainder of a floored division: it takes the divisor's sign, zero included. */
static double floor_mod(double x, double y)
{
    double rest = fmod(x, y);
    if (rest == 0) return copysign(0, y);
    return (rest < 0) != (y < 0) ? rest + y : rest;
}

/* --- the expressions ------------------------------------------------------------------------------------------ */

/* Through uint64_t, where overflow wraps; the low bits are those of the signed result. */
#define WRAP(T, x, operator, y) ((T)((uint64_t)(x) operator(uint64_t)(y)))

#define ADD(T, x, y)      ((x) + (y))
#define SUB(T, x, y)      ((x) - (y))
#define MUL(T, x, y)      ((x) * (y))
#define DIV(T, x, y)      ((x) / (y))
#define ADD_INT(T, x, y)  WRAP(T, x, +, y)
#define SUB_INT(T, x, y)  WRAP(T, x, -, y)
#define MUL_INT(T, x, y)  WRAP(T, x, *, y)
#define IS_MINUS_1(T, y)  ((T)-1 < (T)1 && (y) == (T)-1)
#define DIV_INT(T, x, y)  ((y) == 0 ? (T)0 : IS_MINUS_1(T, y) ? WRAP(T, 0, -, x) : (T)((x) / (y)))
#define NEGATIVE(T, x)    ((T)-1 < (T)1 && (x) < (T)1 && (x) != 0) /* also right, and no warning, for unsigned types */
#define FMOD_INT(T, x, y) ((y) == 0 || IS_MINUS_1(T, y) ? (T)0 : (T)((x) % (y)))
#define MOD_SIGN(T, m, y) ((m) != 0 && NEGATIVE(T, m) != NEGATIVE(T, y) ? (T)((m) + (y)) : (m))
#define MOD_INT(T, x, y)  MOD_SIGN(T, FMOD_INT(T, x, y), y)
#define FMOD(T, x, y)     ((T)fmod(x, y))
#define MOD(T, x, y)      ((T)floor_mod(x, y))
#define POW(T, x, y)      ((T) _Generic((x), float : powf, double : pow)(x, y))
#define MIN_INT(T, x, y)  ((y) < (x) ? (y) : (x))
#define MAX_INT(T, x, y)  ((y) > (x) ? (y) : (x))
/* NaN wins, whichever side it is on */
#define MIN(T, x, y)         ((y) < (x) || (y) != (y) ? (y) : (x))
#define MAX(T, x, y)         ((y) > (x) || (y) != (y) ? (y) : (x))
#define EQUAL(T, x, y)       ((x) == (y))
#define LESS(T, x, y)        ((x) < (y))
#define AT_MOST(T, x, y)     ((x) <= (y))
#define MORE(T, x, y)        ((x) > (y))
#define AT_LEAST(T, x, y)    ((x) >= (y))
#define AND(T, x, y)         ((x) && (y))
#define OR(T, x, y)          ((x) || (y))
#define XOR(T, x, y)         (!(x) != !(y))
#define BIT_AND(T, x, y)     ((T)((x) & (y)))
#define BIT_OR(T, x, y)      ((T)((x) | (y)))
#define BIT_XOR(T, x, y)     ((T)((x) ^ (y)))
#define SHIFTS_OUT(T, y)     (NEGATIVE(T, y) || (uint64_t)(y) >= 8 * sizeof(T))
#define SHIFT_LEFT(T, x, y)  (SHIFTS_OUT(T, y) ? (T)0 : (T)((uint64_t)(x) << (y)))
#define SHIFT_RIGHT(T, x, y) (SHIFTS_OUT(T, y) ? (T)-NEGATIVE(T, x) : (T)((x) >> (y)))
#define PRELU(T, x, y)       ((x) < 0 ? MUL(T, x, y) : (x))
#define PRELU_INT(T, x, y)   (NEGATIVE(T, x) ? MUL_INT(T, x, y) : (x))

/* x to the y-th by squaring; a negative power of an integer is 0 but for +1 and -1. */
static uint64_t int_power(uint64_t x, uint64_t y)
{
    uint64_t result = 1;
    for (; y; y >>= 1, x *= x)
        if (y & 1) result *= x;
    return result;
}

#define POW_INT(T, x, y)                                                                                               \
    (NEGATIVE(T, y) ? ((x) == 1           ? (T)1                                                                       \
                       : IS_MINUS_1(T, x) ? ((y)&1 ? (x) : (T)1)                                                       \
                                          : (T)0)                                                                      \
                    : (T)int_power((uint64_t)(x), (uint64_t)(y)))

/* --- the tables ----------------------------------------------------------------------------------------------- */

#define TABLE(name, ...) static const pair_loop name##_loops[MT_TYPES] = {__VA_ARGS__};

#define NUMBER_TABLE(name, KIND, F, F_INT)                                                                             \
    MT_FLOATS(KIND, name, F)                                                                                           \
    MT_INTS(KIND, name, F_INT)                                                                                         \
    TABLE(name, MT_NUMBERS(MT_ENTRY, name))

NUMBER_TABLE(add, ARITHMETIC, ADD, ADD_INT)
NUMBER_TABLE(sub, ARITHMETIC, SUB, SUB_INT)
NUMBER_TABLE(mul, ARITHMETIC, MUL, MUL_INT)
NUMBER_TABLE(div, ARITHMETIC, DIV, DIV_INT)
NUMBER_TABLE(pow, ARITHMETIC, POW, POW_INT)
NUMBER_TABLE(min, ARITHMETIC, MIN, MIN_INT)
NUMBER_TABLE(max, ARITHMETIC, MAX, MAX_INT)
NUMBER_TABLE(fmod, ARITHMETIC, FMOD, FMOD_INT)
NUMBER_TABLE(mod, ARITHMETIC, MOD, MOD_INT)
NUMBER_TABLE(prelu, ARITHMETIC, PRELU, PRELU_INT)
NUMBER_TABLE(less, PREDICATE, LESS, LESS)
NUMBER_TABLE(at_most, PREDICATE, AT_MOST, AT_MOST)
NUMBER_TABLE(more, PREDICATE, MORE, MORE)
NUMBER_TABLE(at_least, PREDICATE, AT_LEAST, AT_LEAST)

MT_NUMBERS(PREDICATE, equal, EQUAL)
MT_BOOL(PREDICATE, equal, EQUAL)
TABLE(equal, MT_NUMBERS(MT_ENTRY, equal) MT_BOOL(MT_ENTRY, equal))

MT_BOOL(PREDICATE, and, AND)
TABLE(and, MT_BOOL(MT_ENTRY, and))
MT_BOOL(PREDICATE, or, OR)
TABLE(or, MT_BOOL(MT_ENTRY, or))
MT_BOOL(PREDICATE, xor, XOR)
TABLE(xor, MT_BOOL(MT_ENTRY, xor))

MT_INTS(ARITHMETIC, bit_and, BIT_AND)
TABLE(bit_and, MT_INTS(MT_ENTRY, bit_and))
MT_INTS(ARITHMETIC, bit_or, BIT_OR)
TABLE(bit_or, MT_INTS(MT_ENTRY, bit_or))
MT_INTS(ARITHMETIC, bit_xor, BIT_XOR)
TABLE(bit_xor, MT_INTS(MT_ENTRY, bit_xor))
MT_INTS(ARITHMETIC, shift_left, SHIFT_LEFT)
TABLE(shift_left, MT_INTS(MT_ENTRY, shift_left))
MT_INTS(ARITHMETIC, shift_right, SHIFT_RIGHT)
TABLE(shift_right, MT_INTS(MT_ENTRY, shift_right))

/* --- running one ---------------------------------------------------------------------------------------------- */

typedef struct pair_work {
    pair_loop loop;
    size_t in_size, out_size;
    char *out;
    const char *a, *b;
} pair_work;

static void pair_row(void *context, int64_t at, const int64_t *from, const int64_t *steps, int64_t n)
{
    const pair_work *w = context;
    w->loop(w->out + (size_t)at * w->out_size, w->a + (size_t)from[0] * w->in_size, w->b + (size_t)from[1] * w->in_size,
            n, steps[0], steps[1]);
}

/* `out` has the planned shape. */
static void run_pair(mt_op_context *c, const mt_broadcast *plan, pair_loop loop, void *out, motet_type out_type,
                     const void *a, const void *b, motet_type type)
{
    pair_work work = {loop, motet_type_size(type), motet_type_size(out_type), out, a, b};
    mt_broadcast_rows(c->pool, plan, pair_row, &work);
}

/* Up to opset 6 the second operand's axes stand at "axis" of the first one's, where the attribute "broadcast" is set;
 * a PRelu slope along axis 1. `aligned` becomes the operand with the axes it lacks behind. */
static motet_status align_operand(mt_op_context *c, const motet_tensor **in, motet_tensor *aligned)
{
    bool is_prelu = in[1]->rank == 1 && in[0]->rank > 2 && strcmp(c->node->type, "PRelu") == 0;
    int rank = in[0]->rank, axis = rank - in[1]->rank;
    if (!is_prelu && (!mt_attr_int(c, "broadcast", 0) || !mt_has_attr(c, "axis"))) return MOTET_OK;
    MT_TRY(mt_axis(c, mt_attr_int(c, "axis", 1), rank, &axis));
    if (axis + in[1]->rank > rank) return mt_op_fail(c, MOTET_ERROR_SHAPE, "the second operand has too many axes");
    *aligned = *in[1];
    aligned->rank = rank - axis;
    for (int i = in[1]->rank; i < aligned->rank; i++) aligned->dims[i] = 1;
    in[1] = aligned;
    return MOTET_OK;
}

/* The two operands, of one type, the loop for it, and how they stretch. */
static motet_status prepare_pair(mt_op_context *c, const pair_loop *loops, const motet_tensor **in, pair_loop *loop,
                                 mt_broadcast *plan)
{
    motet_tensor aligned;
    MT_TRY(mt_need(c, 0, &in[0]));
    MT_TRY(mt_need(c, 1, &in[1]));
    MT_TRY(mt_need_same_type(c, 0, 1));
    *loop = MT_PICK(loops, in[0]->type);
    if (!*loop) return mt_op_fail_type(c, 0);
    const motet_tensor *operands[2] = {in[0], in[1]};
    if (c->version < 7) MT_TRY(align_operand(c, operands, &aligned));
    return mt_broadcast_plan(c, operands, 2, plan);
}

static motet_status pairwise(mt_op_context *c, const pair_loop *loops, bool predicate)
{
    const motet_tensor *in[2];
    pair_loop loop;
    mt_broadcast plan;
    motet_tensor *out;
    MT_TRY(prepare_pair(c, loops, in, &loop, &plan));
    MT_TRY(mt_out(c, 0, predicate ? MOTET_BOOL : in[0]->type, plan.rank, plan.dims, &out));
    run_pair(c, &plan, loop, out->data, out->type, in[0]->data, in[1]->data, in[0]->type);
    return MOTET_OK;
}

#define PAIRWISE(name, loops, predicate)                                                                               \
    motet_status mt_op_##name(mt_op_context *c)                                                                        \
    {                                                                                                                  \
        return pairwise(c, loops##_loops, predicate);                                                                  \
    }

PAIRWISE(add, add, false)
PAIRWISE(sub, sub, false)
PAIRWISE(mul, mul, false)
PAIRWISE(div, div, false)
PAIRWISE(prelu, prelu, false)
PAIRWISE(less, less, true)
PAIRWISE(less_or_equal, at_most, true)
PAIRWISE(greater, more, true)
PAIRWISE(greater_or_equal, at_least, true)
PAIRWISE(and, and, true)
PAIRWISE(or, or, true)
PAIRWISE(xor, xor, true)
PAIRWISE(bitwise_and, bit_and, false)
PAIRWISE(bitwise_or, bit_or, false)
PAIRWISE(bitwise_xor, bit_xor, false)

motet_status mt_op_mod(mt_op_context *c)
{
    return pairwise(c, mt_attr_int(c, "fmod", 0) ? fmod_loops : mod_loops, false);
}

motet_status mt_op_bit_shift(mt_op_context *c)
{
    const char *direction = mt_attr_string(c, "direction", "");
    if (strcmp(direction, "LEFT") == 0) return pairwise(c, shift_left_loops, false);
    if (strcmp(direction, "RIGHT") == 0) return pairwise(c, shift_right_loops, false);
    return mt_op_fail(c, MOTET_ERROR_FORMAT, "direction is \"%s\": expected LEFT or RIGHT", direction);
}

/* --- Equal on strings ----------------------------------------------------------------------------------------- */

typedef struct string_work {
    uint8_t *out;
    const mt_string *a, *b;
} string_work;

static void equal_strings(void *context, int64_t at, const int64_t *from, const int64_t *steps, int64_t n)
{
    const string_work *w = context;
    for (int64_t i = 0; i < n; i++) {
        const mt_string *a = w->a + from[0] + i * steps[0], *b = w->b + from[1] + i * steps[1];
        w->out[at + i] = a->length == b->length && (a->length == 0 || memcmp(a->bytes, b->bytes, a->length) == 0);
    }
}

motet_status mt_op_equal(mt_op_context *c)
{
    const motet_tensor *in[2];
    MT_TRY(mt_need(c, 0, &in[0]));
    MT_TRY(mt_need(c, 1, &in[1]));
    if (in[0]->type != MOTET_STRING || in[1]->type != MOTET_STRING) return pairwise(c, equal_loops, true);
    mt_broadcast plan;
    MT_TRY(mt_broadcast_plan(c, in, 2, &plan));
    motet_tensor *out;
    MT_TRY(mt_out(c, 0, MOTET_BOOL, plan.rank, plan.dims, &out));
    string_work work = {out->data, in[0]->data, in[1]->data};
    mt_broadcast_rows(c->pool, &plan, equal_strings, &work);
    return MOTET_OK;
}

/* --- Pow, whose exponent may be of another type --------------------------------------------------------------- */

/* Both sides in the base's type, or in double where an integer is raised to a float. */
motet_status mt_op_pow(mt_op_context *c)
{
    const motet_tensor *in[2];
    for (int i = 0; i < 2; i++) {
        MT_TRY(mt_need(c, i, &in[i]));
        if (!MT_PICK(pow_loops, in[i]->type)) return mt_op_fail_type(c, i);
    }
    motet_type out_type = in[0]->type,
               type = !mt_is_float(out_type) && mt_is_float(in[1]->type) ? MOTET_DOUBLE : out_type;
    mt_broadcast plan;
    MT_TRY(mt_broadcast_plan(c, in, 2, &plan));
    motet_tensor *out;
    MT_TRY(mt_out(c, 0, out_type, plan.rank, plan.dims, &out));
    const void *base, *exponent;
    void *result = out->data;
    MT_TRY(mt_values(c, in[0], type, &base));
    MT_TRY(mt_values(c, in[1], type, &exponent));
    if (type != out_type) MT_TRY(mt_scratch_array(c, out->count, motet_type_size(type), &result));
    if (in[1]->count == 1 && type == MOTET_FLOAT && *(const float *)exponent == 2.0f) {
        MT_TRY(mt_broadcast_plan(c, (const motet_tensor *[]){in[0], in[0]}, 2, &plan));
        run_pair(c, &plan, mul_loops[type], result, type, base, base, type);
    } else {
        run_pair(c, &plan, pow_loops[type], result, type, base, exponent, type);
    }
    if (type != out_type) mt_convert(out->data, out_type, result, type, out->count);
    return MOTET_OK;
}

/* --- any number of operands: Sum, Mean, Min, Max -------------------------------------------------------------- */

/* One step of a fold: partial and next into `result`. */
static motet_status fold_step(mt_op_context *c, pair_loop loop, motet_tensor *partial, const motet_tensor *next,
                              motet_type type, int last)
{
    mt_broadcast plan;
    MT_TRY(mt_broadcast_plan(c, (const motet_tensor *[]){partial, next}, 2, &plan));
    void *result;
    if (last) {
        motet_tensor *out;
        MT_TRY(mt_out(c, 0, type, plan.rank, plan.dims, &out));
        result = out->data;
    } else {
        MT_TRY(mt_scratch_array(c, plan.count, motet_type_size(type), &result));
    }
    run_pair(c, &plan, loop, result, type, partial->data, next->data, type);
    return mt_tensor_wrap(partial, type, plan.rank, plan.dims, result);
}

/* Folds the operands from the left; a mean is then divided by their number. Partial results lie in scratch, since a
 * loop's output may not be its input; the last one lands in the output. */
static motet_status fold(mt_op_context *c, const pair_loop *loops, bool mean)
{
    const motet_tensor *next;
    MT_TRY(mt_need(c, 0, &next));
    motet_type type = next->type;
    pair_loop loop = MT_PICK(loops, type);
    if (!loop) return mt_op_fail_type(c, 0);
    if (c->in_count == 1) return mt_out_view(c, 0, next, next->rank, next->dims);
    motet_tensor partial = *next;
    for (int i = 1; i < c->in_count; i++) {
        MT_TRY(mt_need(c, i, &next));
        MT_TRY(mt_need_same_type(c, 0, i));
        MT_TRY(fold_step(c, loop, &partial, next, type, !mean && i == c->in_count - 1));
    }
    if (!mean) return MOTET_OK;
    double element;
    motet_tensor divisor;
    mt_convert(&element, type, &(int64_t){c->in_count}, MOTET_INT64, 1);
    MT_TRY(mt_tensor_wrap(&divisor, type, 0, NULL, &element));
    return fold_step(c, div_loops[type], &partial, &divisor, type, true);
}

motet_status mt_op_sum(mt_op_context *c)
{
    return fold(c, add_loops, false);
}
motet_status mt_op_min(mt_op_context *c)
{
    return fold(c, min_loops, false);
}
motet_status mt_op_max(mt_op_context *c)
{
    return fold(c, max_loops, false);
}
motet_status mt_op_mean(mt_op_context *c)
{
    return fold(c, add_loops, true);
}

/* --- Where ---------------------------------------------------------------------------------------------------- */

typedef struct where_work {
    motet_tensor *out;
    const uint8_t *condition;
    const motet_tensor *x, *y;
    motet_status status; /* copying strings, in one thread, may fail */
} where_work;

#define WHERE_LOOP(T)                                                                                                  \
    static void where_##T(T *restrict out, const uint8_t *condition, const T *x, const T *y, const int64_t *steps,     \
                          int64_t n)                                                                                   \
    {                                                                                                                  \
        for (int64_t i = 0; i < n; i++) out[i] = condition[i * steps[0]] ? x[i * steps[1]] : y[i * steps[2]];          \
    }

WHERE_LOOP(uint8_t)
WHERE_LOOP(uint16_t)
WHERE_LOOP(uint32_t)
WHERE_LOOP(uint64_t)

static void where_any(where_work *w, int64_t at, const int64_t *from, const int64_t *steps, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        bool first = w->condition[from[0] + i * steps[0]] != 0;
        const motet_tensor *source = first ? w->x : w->y;
        int64_t source_at = first ? from[1] + i * steps[1] : from[2] + i * steps[2];
        motet_status status = mt_copy_row(w->out, at + i, source, source_at, 1);
        if (status != MOTET_OK) w->status = status;
    }
}

static void where_row(void *context, int64_t at, const int64_t *from, const int64_t *steps, int64_t n)
{
    where_work *w = context;
    const uint8_t *condition = w->condition + from[0];
    void *out = mt_at(w->out, at), *x = mt_at(w->x, from[1]), *y = mt_at(w->y, from[2]);
    switch (motet_type_size(w->out->type)) {
    case 1: where_uint8_t(out, condition, x, y, steps, n); break;
    case 2: where_uint16_t(out, condition, x, y, steps, n); break;
    case 4: where_uint32_t(out, condition, x, y, steps, n); break;
    case 8: where_uint64_t(out, condition, x, y, steps, n); break;
    default: where_any(w, at, from, steps, n); break;
    }
}

motet_status mt_op_where(mt_op_context *c)
{
    const motet_tensor *in[3];
    for (int i = 0; i < 3; i++) MT_TRY(mt_need(c, i, &in[i]));
    if (in[0]->type != MOTET_BOOL) return mt_op_fail_type(c, 0);
    MT_TRY(mt_need_same_type(c, 1, 2));
    mt_broadcast plan;
    MT_TRY(mt_broadcast_plan(c, in, 3, &plan));
    motet_tensor *out;
    MT_TRY(mt_out(c, 0, in[1]->type, plan.rank, plan.dims, &out));
    where_work work = {.out = out, .condition = in[0]->data, .x = in[1], .y = in[2]};
    mt_broadcast_rows(out->type == MOTET_STRING ? NULL : c->pool, &plan, where_row, &work);
    return work.status;
}

/* --- SwiGLU --------------------------------------------------------------------------------------------------- */

/* a * sigmoid(alpha * a) * b (Shazeer, GLU Variants Improve Transformer, 2020), without broadcasting. */
motet_status mt_op_swiglu(mt_op_context *c)
{
    const motet_tensor *a, *b;
    mt_value_out out;
    const void *x, *gate;
    double alpha = (double)mt_attr_float(c, "alpha", 1);
    MT_TRY(mt_need(c, 0, &a));
    MT_TRY(mt_need(c, 1, &b));
    MT_TRY(mt_need_same_type(c, 0, 1));
    if (!mt_is_float(a->type)) return mt_op_fail_type(c, 0);
    if (!mt_same_shape(a, b)) return mt_op_fail(c, MOTET_ERROR_SHAPE, "the two inputs must have the same shape");
    MT_TRY(mt_values(c, a, MOTET_DOUBLE, &x));
    MT_TRY(mt_values(c, b, MOTET_DOUBLE, &gate));
    MT_TRY(mt_value_out_make_in(c, 0, a->type, MOTET_DOUBLE, a->rank, a->dims, &out));
    for (int64_t i = 0; i < a->count; i++) {
        double value = ((const double *)x)[i];
        ((double *)out.values)[i] = value / (1 + exp(-alpha * value)) * ((const double *)gate)[i];
    }
    mt_value_out_store(&out);
    return MOTET_OK;
}
