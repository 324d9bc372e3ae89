/* Single elements as numbers, whatever their type: for summaries, comparisons and tests. Loops that matter know their
 * type. float16 is IEEE 754-2019 binary16, bfloat16 the upper half of a float32. */
#include <math.h>
#include <string.h>

#include "core/narrow.h"
#include "core/tensor.h"

static double from_half(uint16_t bits)
{
    int exponent = bits >> 10 & 31;
    double fraction = bits & 1023;
    double size = exponent == 31 ? (fraction != 0 ? (double)NAN : (double)INFINITY)
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

double motet_tensor_number(const motet_tensor *tensor, int64_t i)
{
    const void *data = tensor->data;
    if (i < 0 || i >= tensor->count) return (double)NAN;
    if (mt_is_small_float(tensor->type)) return mt_small_float_decode(tensor->type, ((const uint8_t *)data)[i]);
    switch (tensor->type) {
    case MOTET_FLOAT: return ((const float *)data)[i];
    case MOTET_DOUBLE: return ((const double *)data)[i];
    case MOTET_FLOAT16: return from_half(((const uint16_t *)data)[i]);
    case MOTET_BFLOAT16: return from_bfloat(((const uint16_t *)data)[i]);
    case MOTET_COMPLEX64: return ((const float *)data)[2 * i];
    case MOTET_COMPLEX128: return ((const double *)data)[2 * i];
    case MOTET_BOOL:
    case MOTET_UINT4:
    case MOTET_UINT2:
    case MOTET_UINT8: return ((const uint8_t *)data)[i];
    case MOTET_INT4:
    case MOTET_INT2:
    case MOTET_INT8: return ((const int8_t *)data)[i];
    case MOTET_UINT16: return ((const uint16_t *)data)[i];
    case MOTET_INT16: return ((const int16_t *)data)[i];
    case MOTET_UINT32: return ((const uint32_t *)data)[i];
    case MOTET_INT32: return ((const int32_t *)data)[i];
    case MOTET_UINT64: return (double)((const uint64_t *)data)[i];
    case MOTET_INT64: return (double)((const int64_t *)data)[i];
    default: return (double)NAN;
    }
}
