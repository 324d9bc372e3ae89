/* Fuzz target: any bytes as protobuf, through the wire reader and the compactor, which guards protobuf-c. What the
 * compactor lets pass, protobuf-c must be able to take or refuse. */
#include "core/memory.h"
#include "fuzz.h"
#include "onnx/compact.h"
#include "onnx/onnx.pb-c.h"
#include "onnx/wire.h"

static void walk(const uint8_t *at, const uint8_t *end)
{
    mt_wire_field field;
    while (at < end && !mt_wire_next(&at, end, &field)) {
        if (field.payload < field.start || field.length > (size_t)(end - field.payload)) abort();
        if (at != field.payload + field.length) abort();
    }
}

static void compact(const uint8_t *bytes, size_t size, const ProtobufCMessageDescriptor *message)
{
    uint8_t *copy;
    size_t length;
    if (mt_compact((mt_map){bytes, size}, message, &copy, &length) != MOTET_OK) return;
    ProtobufCMessage *unpacked = protobuf_c_message_unpack(message, NULL, length, copy);
    if (unpacked) protobuf_c_message_free_unpacked(unpacked, NULL);
    mt_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    walk(bytes, bytes + size);
    compact(bytes, size, &onnx__model_proto__descriptor);
    compact(bytes, size, &onnx__tensor_proto__descriptor);
    return 0;
}
