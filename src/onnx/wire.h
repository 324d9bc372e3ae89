/* The protobuf wire format: a message is a row of fields, each a key (number and wire type) and a payload.
 * https://protobuf.dev/programming-guides/encoding/ */
#ifndef MT_ONNX_WIRE_H
#define MT_ONNX_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum mt_wire_type { MT_WIRE_VARINT = 0, MT_WIRE_64 = 1, MT_WIRE_BYTES = 2, MT_WIRE_32 = 5 } mt_wire_type;

typedef struct mt_wire_field {
    uint32_t number;
    mt_wire_type type;
    const uint8_t *start;   /* of the key */
    const uint8_t *payload; /* after the key, and after the length when type is MT_WIRE_BYTES */
    size_t length;          /* of the payload */
} mt_wire_field;

/* Reads the field at *at, which must lie before `end`, and moves *at behind it. NULL when that went well, else what is
 * wrong, in words; then *at still stands at the field. */
const char *mt_wire_next(const uint8_t **at, const uint8_t *end, mt_wire_field *out);

/* Writes `value` as a varint, in the fewest bytes; returns how many (at most 10). */
size_t mt_wire_put_varint(uint8_t *to, uint64_t value);

#endif
