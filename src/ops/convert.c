/* Conversion between all number types in two short loops a type rather than one for every pair: every value is first
 * widened to int64, uint64 or double, whichever holds all values of its type, a few hundred at a time, and from there
 * narrowed to the wanted type.
 *
 * Integers wrap into smaller integers. A float outside an integer's range takes the nearest value it has, and NaN
 * becomes 0: the standard leaves both undefined, and C would make them undefined behaviour. */
#include <string.h>

#include "ops/support.h"

enum { CHUNK = 256 };

typedef enum wide { WIDE_INT, WIDE_UNSIGNED, WIDE_FLOAT } wide;

typedef union wide_values {
    int64_t ints[CHUNK];
    uint64_t unsigneds[CHUNK];
    double floats[CHUNK];
} wide_values;

#define WIDEN(TYPE, tag, S, T, LOAD, STORE, SIMD, member)                                                              \
    static void widen_##tag(wide_values *restrict to, const void *from, int n)                                         \
    {                                                                                                                  \
        const S *x = from;                                                                                             \
        for (int i = 0; i < n; i++) to->member[i] = LOAD(x[i]);                                                        \
    }

MT_FLOATS(WIDEN, floats)
MT_SIGNED(WIDEN, ints)
MT_UNSIGNED(WIDEN, unsigneds)

static void widen_bool(wide_values *restrict to, const void *from, int n)
{
    const uint8_t *x = from;
    for (int i = 0; i < n; i++) to->unsigneds[i] = x[i] != 0;
}

static const struct {
    wide kind;
    void (*run)(wide_values *, const void *, int);
} wideners[MT_TYPES] = {
#define WIDENER(TYPE, tag, S, T, LOAD, STORE, SIMD, kind) [MOTET_##TYPE] = {kind, widen_##tag},
    MT_FLOATS(WIDENER, WIDE_FLOAT) MT_SIGNED(WIDENER, WIDE_INT) MT_UNSIGNED(WIDENER, WIDE_UNSIGNED)
        MT_BOOL(WIDENER, WIDE_UNSIGNED)
#undef WIDENER
};

/* The least and the greatest value of an integer type, and how a double gets between them. */
#define LEAST_OF(T) ((T)-1 < (T)1 ? -(double)(UINT64_C(1) << (8 * sizeof(T) - 1)) : 0.0)
#define BEYOND(T)                                                                                                      \
    ((T)-1 < (T)1 ? (double)(UINT64_C(1) << (8 * sizeof(T) - 1)) : 2.0 * (double)(UINT64_C(1) << (8 * sizeof(T) - 1)))
#define GREATEST(T) ((T)-1 < (T)1 ? (T)(((UINT64_C(1) << (8 * sizeof(T) - 1)) - 1)) : (T)-1)
#define SATURATE(T, value)                                                                                             \
    ((value) >= BEYOND(T)     ? GREATEST(T)                                                                            \
     : (value) > LEAST_OF(T)  ? (T)(value)                                                                             \
     : (value) <= LEAST_OF(T) ? (T)LEAST_OF(T)                                                                         \
                              : (T)0)

#define NARROW_INTS(TYPE, tag, S, T, LOAD, STORE, SIMD, ...)                                                           \
    static void narrow_##tag(void *to, const wide_values *from, wide kind, int n)                                      \
    {                                                                                                                  \
        S *restrict out = to;                                                                                          \
        if (kind == WIDE_FLOAT)                                                                                        \
            for (int i = 0; i < n; i++) out[i] = SATURATE(T, from->floats[i]);                                         \
        else                                                                                                           \
            for (int i = 0; i < n; i++) out[i] = (T)from->unsigneds[i];                                                \
    }
#define NARROW_FLOATS(TYPE, tag, S, T, LOAD, STORE, SIMD, FROM_DOUBLE)                                                 \
    static void narrow_##tag(void *to, const wide_values *from, wide kind, int n)                                      \
    {                                                                                                                  \
        S *restrict out = to;                                                                                          \
        if (kind == WIDE_FLOAT)                                                                                        \
            for (int i = 0; i < n; i++) out[i] = STORE(FROM_DOUBLE(from->floats[i]));                                  \
        else if (kind == WIDE_INT)                                                                                     \
            for (int i = 0; i < n; i++) out[i] = STORE((T)from->ints[i]);                                              \
        else                                                                                                           \
            for (int i = 0; i < n; i++) out[i] = STORE((T)from->unsigneds[i]);                                         \
    }
#define PLAIN_FLOAT(x) ((float)(x))

MT_INTS(NARROW_INTS)
MT_F32(NARROW_FLOATS, PLAIN_FLOAT)
MT_F64(NARROW_FLOATS, MT_AS_IS)
MT_F16(NARROW_FLOATS, mt_double_to_odd_float)
MT_BF16(NARROW_FLOATS, mt_double_to_odd_float)

static void narrow_bool(void *to, const wide_values *from, wide kind, int n)
{
    uint8_t *restrict out = to;
    if (kind == WIDE_FLOAT)
        for (int i = 0; i < n; i++) out[i] = from->floats[i] != 0;
    else
        for (int i = 0; i < n; i++) out[i] = from->unsigneds[i] != 0;
}

static void (*const narrowers[MT_TYPES])(void *, const wide_values *, wide,
                                         int) = {MT_NUMBERS(MT_ENTRY, narrow) MT_BOOL(MT_ENTRY, narrow)};

bool mt_is_number(motet_type type)
{
    return MT_PICK(narrowers, type) != NULL;
}

void mt_convert(void *to, motet_type to_type, const void *from, motet_type from_type, int64_t count)
{
    size_t to_size = motet_type_size(to_type), from_size = motet_type_size(from_type);
    if (to_type == from_type) {
        if (count > 0) memcpy(to, from, (size_t)count * to_size);
        return;
    }
    wide_values values;
    for (int64_t done = 0; done < count; done += CHUNK) {
        int n = (int)mt_min(CHUNK, count - done);
        wideners[from_type].run(&values, (const char *)from + (size_t)done * from_size, n);
        narrowers[to_type]((char *)to + (size_t)done * to_size, &values, wideners[from_type].kind, n);
    }
}
