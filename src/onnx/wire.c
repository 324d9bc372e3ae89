/* Every length is checked against what is left before anything behind it is looked at. */
#include "onnx/wire.h"

static bool get_varint(const uint8_t **at, const uint8_t *end, uint64_t *out)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && *at < end; shift += 7) {
        uint8_t byte = *(*at)++;
        if (shift == 63 && byte > 1) return false;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    return false;
}

static const char *get_payload(const uint8_t **at, const uint8_t *end, mt_wire_field *out)
{
    uint64_t value, left;
    out->payload = *at;
    switch (out->type) {
    case MT_WIRE_VARINT:
        if (!get_varint(at, end, &value)) return "a number does not end";
        out->length = (size_t)(*at - out->payload);
        return NULL;
    case MT_WIRE_BYTES:
        if (!get_varint(at, end, &value)) return "a length does not end";
        out->payload = *at;
        break;
    case MT_WIRE_64: value = 8; break;
    case MT_WIRE_32: value = 4; break;
    default: return "a field of no known wire type";
    }
    left = (uint64_t)(end - *at);
    if (value > left) return "a field goes beyond the end";
    out->length = (size_t)value;
    *at += value;
    return NULL;
}

const char *mt_wire_next(const uint8_t **at, const uint8_t *end, mt_wire_field *out)
{
    const uint8_t *position = *at;
    uint64_t key;
    out->start = position;
    if (!get_varint(&position, end, &key)) return "a field key does not end";
    if (key >> 3 == 0 || key >> 3 > 0x1fffffff) return "a field number that cannot be";
    out->number = (uint32_t)(key >> 3);
    out->type = (mt_wire_type)(key & 7);
    const char *wrong = get_payload(&position, end, out);
    if (!wrong) *at = position;
    return wrong;
}

size_t mt_wire_put_varint(uint8_t *to, uint64_t value)
{
    size_t bytes = 0;
    for (; value >= 0x80; value >>= 7) to[bytes++] = (uint8_t)(value | 0x80);
    to[bytes++] = (uint8_t)value;
    return bytes;
}
