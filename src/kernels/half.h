/* float16 and bfloat16 as float32 and back, rounding to nearest, ties to even. Written without branches on the way in,
 * and without subnormal operands, so that loops vectorise and a flush-to-zero mode changes nothing. */
#ifndef MT_KERNELS_HALF_H
#define MT_KERNELS_HALF_H

#include <stdint.h>
#include <string.h>

static inline float mt_bits_to_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t mt_float_to_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float mt_half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, rest = (uint32_t)(half & 0x7fff) << 13;
    uint32_t exponent = rest & 0x0f800000;
    const uint32_t smallest = 113u << 23; /* 2^-14, the smallest normal float16 */
    uint32_t subnormal = mt_float_to_bits(mt_bits_to_float(smallest | rest) - mt_bits_to_float(smallest));
    uint32_t normal = rest + (112u << 23);
    uint32_t special = rest | 0x7f800000; /* infinity and NaN */
    return mt_bits_to_float(sign | (exponent == 0 ? subnormal : exponent == 0x0f800000 ? special : normal));
}

static inline uint16_t mt_float_to_half(float value)
{
    uint32_t bits = mt_float_to_bits(value), sign = bits & 0x80000000u, half;
    bits ^= sign;
    if (bits >= 0x47800000) /* 65536 and above */
        half = bits > 0x7f800000 ? 0x7e00 : 0x7c00;
    else if (bits < 0x38800000) /* subnormal: adding 0.5 shifts the mantissa into place and rounds it */
        half = mt_float_to_bits(mt_bits_to_float(bits) + 0.5f) - 0x3f000000;
    else
        half = (bits - (112u << 23) + 0xfff + (bits >> 13 & 1)) >> 13;
    return (uint16_t)(sign >> 16 | half);
}

static inline float mt_bfloat_to_float(uint16_t value)
{
    return mt_bits_to_float((uint32_t)value << 16);
}

static inline uint16_t mt_float_to_bfloat(float value)
{
    uint32_t bits = mt_float_to_bits(value);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40); /* NaN stays NaN */
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* The float from which rounding once more, to a 16-bit format, gives what rounding `value` at once would ("round to
 * odd": an inexact result gets its last bit set). */
static inline float mt_double_to_odd_float(double value)
{
    float nearest = (float)value;
    if ((double)nearest == value || value != value) return nearest;
    uint32_t bits = mt_float_to_bits(nearest);
    if ((bits & 0x7fffffff) == 0x7f800000) return nearest;
    double magnitude = value < 0 ? -value : value, rounded = nearest < 0 ? -(double)nearest : (double)nearest;
    if (rounded > magnitude) bits--;
    return mt_bits_to_float(bits | 1);
}

#endif
