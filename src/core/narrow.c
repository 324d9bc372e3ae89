/* Small floats by their layout alone: so many bits of exponent and mantissa, a bias, and what is left out. float8:
 * Micikevicius et al., FP8 Formats for Deep Learning (2022), and Noune et al., 8-bit Numerical Formats (2022) for the
 * "fnuz" ones, which have neither infinities nor a negative zero, whose code is NaN; float6, float4 and float8e8m0: OCP
 * Microscaling Formats v1.0. Values round to nearest, ties to even, as everywhere in ONNX. */
#include "core/narrow.h"

#include <math.h>
#include <string.h>

typedef enum specials {
    NO_SPECIALS, /* every code is a number */
    ONE_NAN,     /* the last code, with either sign */
    IEEE,        /* the last exponent: infinity, then NaN */
    UNSIGNED_0   /* the code of -0 is NaN */
} specials;

typedef struct layout {
    int exponent, mantissa, bias; /* bits, bits, of the exponent */
    specials kind;
} layout;

static const layout layouts[] = {
    [MOTET_FLOAT8E4M3FN] = {4, 3, 7, ONE_NAN},   [MOTET_FLOAT8E4M3FNUZ] = {4, 3, 8, UNSIGNED_0},
    [MOTET_FLOAT8E5M2] = {5, 2, 15, IEEE},       [MOTET_FLOAT8E5M2FNUZ] = {5, 2, 16, UNSIGNED_0},
    [MOTET_FLOAT4E2M1] = {2, 1, 1, NO_SPECIALS}, [MOTET_FLOAT6E2M3] = {2, 3, 1, NO_SPECIALS},
    [MOTET_FLOAT6E3M2] = {3, 2, 3, NO_SPECIALS},
};

bool mt_is_small_float(motet_type type)
{
    if (type == MOTET_FLOAT8E8M0) return true;
    return (unsigned)type < sizeof layouts / sizeof *layouts && layouts[type].exponent > 0;
}

/* --- float8e8m0 ----------------------------------------------------------------------------------------------- */

enum { SCALE_BIAS = 127, SCALE_NAN = 255, SCALE_MOST = 254 };

/* The exponent of the value as float32; the sign is lost. */
static uint8_t encode_scale(double value, const mt_small_rules *rules)
{
    float single = (float)value;
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    unsigned exponent = bits >> 23 & 0xff, fraction = bits & 0x7fffff, half = 0x400000;
    if (exponent == SCALE_NAN) return SCALE_NAN; /* infinity and NaN */
    bool up = rules->scale_rounding == MT_ROUND_UP        ? fraction > 0
              : rules->scale_rounding == MT_ROUND_NEAREST ? fraction > half || (fraction == half && exponent > 0)
                                                          : false;
    if (exponent == SCALE_MOST && !rules->overflow) up = false;
    return (uint8_t)(exponent + up);
}

/* --- the others ----------------------------------------------------------------------------------------------- */

/* The code of the greatest finite value. */
static unsigned greatest(const layout *l)
{
    unsigned last = (1u << (l->exponent + l->mantissa)) - 1;
    return l->kind == ONE_NAN ? last - 1 : l->kind == IEEE ? last - (1u << l->mantissa) : last;
}

static unsigned nan_code(const layout *l, unsigned sign)
{
    if (l->kind == UNSIGNED_0) return 1u << (l->exponent + l->mantissa);
    return sign | ((1u << (l->exponent + l->mantissa)) - 1);
}

/* What stands for a value beyond the greatest, or for infinity. */
static unsigned beyond(const layout *l, unsigned sign, const mt_small_rules *rules)
{
    if (!rules->overflow || l->kind == NO_SPECIALS) return sign | greatest(l);
    return l->kind == IEEE ? sign | (greatest(l) + 1) : nan_code(l, sign);
}

double mt_small_float_decode(motet_type type, uint8_t code)
{
    if (type == MOTET_FLOAT8E8M0) return code == SCALE_NAN ? (double)NAN : ldexp(1, code - SCALE_BIAS);
    const layout *l = &layouts[type];
    unsigned sign = code & 1u << (l->exponent + l->mantissa), rest = code & ((1u << (l->exponent + l->mantissa)) - 1);
    if (l->kind == UNSIGNED_0 && sign && !rest) return (double)NAN;
    if (rest > greatest(l)) {
        bool infinite = l->kind == IEEE && rest == greatest(l) + 1;
        return infinite ? (sign ? -(double)INFINITY : (double)INFINITY) : (double)NAN;
    }
    unsigned exponent = rest >> l->mantissa, fraction = rest & ((1u << l->mantissa) - 1);
    if (exponent)
        fraction += 1u << l->mantissa;
    else
        exponent = 1;
    double value = ldexp(fraction, (int)exponent - l->bias - l->mantissa);
    return sign ? -value : value;
}

uint8_t mt_small_float_encode(motet_type type, double value, const mt_small_rules *rules)
{
    if (type == MOTET_FLOAT8E8M0) return encode_scale(value, rules);
    const layout *l = &layouts[type];
    unsigned sign = signbit(value) ? 1u << (l->exponent + l->mantissa) : 0;
    if (isnan(value)) return (uint8_t)(l->kind == NO_SPECIALS ? sign : nan_code(l, sign));
    if (isinf(value)) return (uint8_t)beyond(l, sign, rules);
    int exponent, least = 1 - l->bias; /* of the smallest normal number */
    frexp(fabs(value), &exponent);     /* a fraction from 0.5 to 1 */
    exponent = exponent - 1 < least || value == 0 ? least : exponent - 1;
    if (exponent > least + (1 << l->exponent)) return (uint8_t)beyond(l, sign, rules);
    /* A mantissa with its leading 1 adds 1 to the exponent's field, and one that rounds up to a power of two 2. */
    unsigned mantissa = (unsigned)rint(ldexp(fabs(value), l->mantissa - exponent));
    unsigned code = ((unsigned)(exponent - least) << l->mantissa) + mantissa;
    if (code > greatest(l)) return (uint8_t)beyond(l, sign, rules);
    return (uint8_t)(l->kind == UNSIGNED_0 && code == 0 ? 0 : sign | code);
}

/* --- in files ------------------------------------------------------------------------------------------------- */

int mt_packed_bits(motet_type type)
{
    switch (type) {
    case MOTET_INT2:
    case MOTET_UINT2: return 2;
    case MOTET_INT4:
    case MOTET_UINT4:
    case MOTET_FLOAT4E2M1: return 4;
    case MOTET_FLOAT6E2M3:
    case MOTET_FLOAT6E3M2: return 6;
    default: return 0;
    }
}

size_t mt_packed_bytes(motet_type type, size_t count)
{
    size_t bits = (size_t)mt_packed_bits(type);
    return count / 8 * bits + (count % 8 * bits + 7) / 8;
}

void mt_unpack(motet_type type, const uint8_t *packed, size_t count, uint8_t *elements)
{
    unsigned bits = (unsigned)mt_packed_bits(type), mask = (1u << bits) - 1, sign = 1u << (bits - 1);
    bool is_signed = type == MOTET_INT2 || type == MOTET_INT4;
    for (size_t i = 0; i < count; i++) {
        size_t byte = i / 8 * bits + i % 8 * bits / 8;
        unsigned shift = (unsigned)(i % 8) * bits % 8, value = packed[byte];
        if (shift + bits > 8) value |= (unsigned)packed[byte + 1] << 8;
        value = value >> shift & mask;
        elements[i] = (uint8_t)(is_signed ? (value ^ sign) - sign : value);
    }
}

void mt_pack(motet_type type, const uint8_t *elements, size_t count, uint8_t *packed)
{
    unsigned bits = (unsigned)mt_packed_bits(type), mask = (1u << bits) - 1;
    memset(packed, 0, mt_packed_bytes(type, count));
    for (size_t i = 0; i < count; i++) {
        size_t byte = i / 8 * bits + i % 8 * bits / 8;
        unsigned shift = (unsigned)(i % 8) * bits % 8, value = (elements[i] & mask) << shift;
        packed[byte] = (uint8_t)(packed[byte] | value);
        if (shift + bits > 8) packed[byte + 1] = (uint8_t)(value >> 8);
    }
}
