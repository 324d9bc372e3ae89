/* Conversion between all number types in two short loops a type rather than one for every pair: every value is first
 * widened to int64, uint64 or double, whichever holds all values of its type, a few hundred at a time, and from there
 * narrowed to the wanted type.
 *
 * Types of fewer than 8 bits lie in memory as int8 or uint8, and small floats go through double one by one.
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

#define WIDEN_SMALL(TYPE)                                                                                              \
    static void widen_##TYPE(wide_values *restrict to, const void *from, int n)                                        \
    {                                                                                                                  \
        const uint8_t *x = from;                                                                                       \
        for (int i = 0; i < n; i++) to->floats[i] = mt_small_float_decode(MOTET_##TYPE, x[i]);                         \
    }
#define SMALL_FLOATS(X)                                                                                                \
    X(FLOAT8E4M3FN)                                                                                                    \
    X(FLOAT8E4M3FNUZ) X(FLOAT8E5M2) X(FLOAT8E5M2FNUZ) X(FLOAT8E8M0) X(FLOAT6E2M3) X(FLOAT6E3M2) X(FLOAT4E2M1)
SMALL_FLOATS(WIDEN_SMALL)

static const struct {
    wide kind;
    void (*run)(wide_values *, const void *, int);
} wideners[MT_TYPES] = {
#define WIDENER(TYPE, tag, S, T, LOAD, STORE, SIMD, kind) [MOTET_##TYPE] = {kind, widen_##tag},
    MT_FLOATS(WIDENER, WIDE_FLOAT) MT_SIGNED(WIDENER, WIDE_INT) MT_UNSIGNED(WIDENER, WIDE_UNSIGNED)
        MT_BOOL(WIDENER, WIDE_UNSIGNED)
#undef WIDENER
#define SMALL_WIDENER(TYPE) [MOTET_##TYPE] = {WIDE_FLOAT, widen_##TYPE},
            SMALL_FLOATS(SMALL_WIDENER)
#undef SMALL_WIDENER
                [MOTET_INT4] = {WIDE_INT, widen_i8},
    [MOTET_INT2] = {WIDE_INT, widen_i8},
    [MOTET_UINT4] = {WIDE_UNSIGNED, widen_u8},
    [MOTET_UINT2] = {WIDE_UNSIGNED, widen_u8},
};

#define NARROW_INTS(TYPE, tag, S, T, LOAD, STORE, SIMD, ...)                                                           \
    static void narrow_##tag(void *to, const wide_values *from, wide kind, int n)                                      \
    {                                                                                                                  \
        S *restrict out = to;                                                                                          \
        if (kind == WIDE_FLOAT)                                                                                        \
            for (int i = 0; i < n; i++) out[i] = MT_SATURATE(T, from->floats[i]);                                      \
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

/* Integers of `bits`. Everything wraps, floats too by way of int64, as the backend cases of the standard have it. */
static void narrow_to_bits(uint8_t *restrict out, const wide_values *from, wide kind, int n, int bits, bool is_signed)
{
    uint64_t sign = is_signed ? UINT64_C(1) << (bits - 1) : 0, mask = (UINT64_C(1) << bits) - 1;
    for (int i = 0; i < n; i++) {
        uint64_t value = from->unsigneds[i];
        if (kind == WIDE_FLOAT) value = (uint64_t)MT_SATURATE(int64_t, from->floats[i]);
        out[i] = (uint8_t)(((value & mask) ^ sign) - sign);
    }
}

#define NARROW_BITS(tag, bits, is_signed)                                                                              \
    static void narrow_##tag(void *to, const wide_values *from, wide kind, int n)                                      \
    {                                                                                                                  \
        narrow_to_bits(to, from, kind, n, bits, is_signed);                                                            \
    }
NARROW_BITS(i4, 4, true)
NARROW_BITS(i2, 2, true)
NARROW_BITS(u4, 4, false)
NARROW_BITS(u2, 2, false)

static void narrow_small(uint8_t *out, motet_type type, const wide_values *from, wide kind, int n,
                         const mt_small_rules *rules)
{
    for (int i = 0; i < n; i++) {
        double value = kind == WIDE_FLOAT ? from->floats[i]
                       : kind == WIDE_INT ? (double)from->ints[i]
                                          : (double)from->unsigneds[i];
        out[i] = mt_small_float_encode(type, value, rules);
    }
}

static void (*const narrowers[MT_TYPES])(void *, const wide_values *, wide, int) = {
    MT_NUMBERS(MT_ENTRY, narrow) MT_BOOL(MT_ENTRY, narrow)[MOTET_INT4] = narrow_i4, [MOTET_INT2] = narrow_i2,
    [MOTET_UINT4] = narrow_u4, [MOTET_UINT2] = narrow_u2};

bool mt_is_number(motet_type type)
{
    return (unsigned)type < MT_TYPES && wideners[type].run;
}

void mt_convert(void *to, motet_type to_type, const void *from, motet_type from_type, int64_t count)
{
    mt_convert_by(&(mt_small_rules){0}, to, to_type, from, from_type, count);
}

void mt_convert_by(const mt_small_rules *rules, void *to, motet_type to_type, const void *from, motet_type from_type,
                   int64_t count)
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
        char *out = (char *)to + (size_t)done * to_size;
        if (mt_is_small_float(to_type))
            narrow_small((uint8_t *)out, to_type, &values, wideners[from_type].kind, n, rules);
        else
            narrowers[to_type](out, &values, wideners[from_type].kind, n);
    }
}
