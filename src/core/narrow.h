/* The types of 8 bits and fewer: small floats, and integers of 4 and 2 bits. In memory every element has a byte of its
 * own: the code of a float in the low bits, an integer as int8 or uint8. In files several share bytes, as one stream of
 * bits from the lowest on. */
#ifndef MT_CORE_NARROW_H
#define MT_CORE_NARROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "motet/tensor.h"

/* True for float8*, float6*, float4*. */
bool mt_is_small_float(motet_type type);

/* How Cast comes to a small float: what lies beyond the type's range becomes its greatest value, or where that is not
 * wanted (only float8 has the choice) infinity or NaN; and how float8e8m0, which has powers of two alone, rounds. */
typedef struct mt_small_rules {
    bool overflow; /* no saturation */
    enum { MT_ROUND_UP, MT_ROUND_DOWN, MT_ROUND_NEAREST } scale_rounding;
} mt_small_rules; /* all zero: the defaults of Cast */

double mt_small_float_decode(motet_type type, uint8_t code);
uint8_t mt_small_float_encode(motet_type type, double value, const mt_small_rules *rules);

/* Bits of an element in a file: 2, 4 or 6 for the types that share bytes there, else 0. */
int mt_packed_bits(motet_type type);

/* The bytes that `count` elements take in a file. The type shares bytes; the result does not overflow. */
size_t mt_packed_bytes(motet_type type, size_t count);

/* From a file's bytes to a byte an element, and back. */
void mt_unpack(motet_type type, const uint8_t *packed, size_t count, uint8_t *elements);
void mt_pack(motet_type type, const uint8_t *elements, size_t count, uint8_t *packed);

#endif
