/* protobuf-c copies every bytes field it unpacks, which for a model means every weight. So the file is first walked
 * here, message by message along protobuf-c's own descriptors, and copied without what nobody reads (documentation,
 * inferred shapes, fields of newer releases) and with every TensorProto.raw_data, wherever a tensor stands, replaced by
 * its place in the file. As the payload of each raw_data is written here and never taken from the file, a place cannot
 * be forged.
 *
 * The walk also is the guard before protobuf-c: it bounds how deeply messages nest (protobuf-c recurses without a
 * limit) and how many there are (each takes some hundred bytes of memory for two of the file), refuses the merging of
 * a message that occurs twice, and knows the byte at which a damaged file goes wrong. */
#include "onnx/compact.h"

#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "onnx/onnx.pb-c.h"
#include "onnx/wire.h"

enum {
    MAX_DEPTH = 128,        /* messages in messages; a nested graph takes three levels */
    MAX_MESSAGES = 2000000, /* a model of 100,000 nodes has about a million */
    MAX_STRINGS = 16000000,
    KEY_BYTES = 5,
    LENGTH_BYTES = 5 /* lengths are written in a fixed five bytes, so that they can be filled in afterwards */
};

/* Lengths above this do not fit the five bytes as protobuf-c reads them. */
static const size_t max_size = INT32_MAX;

typedef struct compactor {
    const uint8_t *base; /* of the file */
    uint8_t *out;
    size_t used, capacity;
    size_t messages, strings;
} compactor;

static motet_status wrong_at(const compactor *c, const uint8_t *place, const char *what)
{
    return mt_fail(MOTET_ERROR_FORMAT, "byte %zu: %s", (size_t)(place - c->base), what);
}

/* --- writing -------------------------------------------------------------------------------------------------- */

static motet_status make_room(compactor *c, size_t bytes)
{
    if (bytes <= c->capacity - c->used) return MOTET_OK;
    if (bytes > max_size || c->used > max_size)
        return mt_fail(MOTET_ERROR_LIMIT, "more than 2 GiB of structure besides the weights");
    size_t wanted = c->capacity ? c->capacity : 4096;
    while (wanted - c->used < bytes) wanted *= 2;
    uint8_t *grown = mt_grow(c->out, wanted, 1);
    if (!grown) return mt_fail_memory(wanted);
    c->out = grown;
    c->capacity = wanted;
    return MOTET_OK;
}

static motet_status put(compactor *c, const void *bytes, size_t count)
{
    MT_TRY(make_room(c, count));
    if (count) memcpy(c->out + c->used, bytes, count);
    c->used += count;
    return MOTET_OK;
}

/* Key and room for a length; *place is where the length goes. */
static motet_status begin(compactor *c, uint32_t number, size_t *place)
{
    MT_TRY(make_room(c, KEY_BYTES + LENGTH_BYTES));
    c->used += mt_wire_put_varint(c->out + c->used, (uint64_t)number << 3 | MT_WIRE_BYTES);
    *place = c->used;
    c->used += LENGTH_BYTES;
    return MOTET_OK;
}

static void end(compactor *c, size_t place)
{
    size_t length = c->used - place - LENGTH_BYTES;
    for (int i = 0; i < LENGTH_BYTES; i++) {
        c->out[place + (size_t)i] = (uint8_t)((length & 0x7f) | (i < LENGTH_BYTES - 1 ? 0x80 : 0));
        length >>= 7;
    }
}

static motet_status put_span(compactor *c, const mt_wire_field *field)
{
    mt_span span = {(uint64_t)(field->payload - c->base), field->length};
    size_t place;
    MT_TRY(begin(c, field->number, &place));
    MT_TRY(put(c, &span, sizeof span));
    end(c, place);
    return MOTET_OK;
}

/* --- walking -------------------------------------------------------------------------------------------------- */

static bool is_unread(const ProtobufCMessageDescriptor *message, const char *name)
{
    static const struct {
        const ProtobufCMessageDescriptor *message; /* NULL: in any */
        const char *name;
    } unread[] = {{NULL, "doc_string"},
                  {&onnx__graph_proto__descriptor, "value_info"},
                  {&onnx__graph_proto__descriptor, "quantization_annotation"},
                  {&onnx__model_proto__descriptor, "training_info"}};
    for (size_t i = 0; i < sizeof unread / sizeof *unread; i++) {
        if ((!unread[i].message || unread[i].message == message) && strcmp(unread[i].name, name) == 0) return true;
    }
    return false;
}

/* The message type of a field, NULL when it is none. */
static const ProtobufCMessageDescriptor *submessage(const ProtobufCMessageDescriptor *message, uint32_t number,
                                                    const ProtobufCFieldDescriptor *known)
{
    if (message == &onnx__function_proto__descriptor && number == MT_FUNCTION_ATTRIBUTE_PROTO)
        return &onnx__attribute_proto__descriptor;
    return known && known->type == PROTOBUF_C_TYPE_MESSAGE ? known->descriptor : NULL;
}

static bool is_overload(const ProtobufCMessageDescriptor *message, uint32_t number)
{
    return (message == &onnx__function_proto__descriptor && number == MT_FUNCTION_OVERLOAD) ||
           (message == &onnx__node_proto__descriptor && number == MT_NODE_OVERLOAD);
}

static bool is_text(const ProtobufCFieldDescriptor *known)
{
    return known && (known->type == PROTOBUF_C_TYPE_STRING || known->type == PROTOBUF_C_TYPE_BYTES);
}

static motet_status copy_message(compactor *c, const ProtobufCMessageDescriptor *message, const uint8_t *at,
                                 const uint8_t *limit, int depth);

static motet_status copy_submessage(compactor *c, const ProtobufCMessageDescriptor *inner, const mt_wire_field *field,
                                    int depth)
{
    size_t place;
    MT_TRY(begin(c, field->number, &place));
    MT_TRY(copy_message(c, inner, field->payload, field->payload + field->length, depth + 1));
    end(c, place);
    return MOTET_OK;
}

static motet_status copy_field(compactor *c, const ProtobufCMessageDescriptor *message, const mt_wire_field *field,
                               int depth)
{
    const ProtobufCFieldDescriptor *known = protobuf_c_message_descriptor_get_field(message, field->number);
    const ProtobufCMessageDescriptor *inner = submessage(message, field->number, known);
    bool text = is_text(known) || is_overload(message, field->number);
    if (known ? is_unread(message, known->name) : !inner && !text) return MOTET_OK;
    if ((inner || text) && field->type != MT_WIRE_BYTES)
        return wrong_at(c, field->start, "a number where text or a message is expected");
    if (inner) return copy_submessage(c, inner, field, depth);
    if (text && ++c->strings > MAX_STRINGS) return mt_fail(MOTET_ERROR_LIMIT, "more than %d strings", MAX_STRINGS);
    if (known && message == &onnx__tensor_proto__descriptor && strcmp(known->name, "raw_data") == 0)
        return put_span(c, field);
    return put(c, field->start, (size_t)(field->payload - field->start) + field->length);
}

/* protobuf merges a message that occurs twice where one is expected. No writer does that, so it is refused. */
static motet_status check_single(const compactor *c, const ProtobufCMessageDescriptor *message,
                                 const mt_wire_field *field, uint64_t *seen)
{
    const ProtobufCFieldDescriptor *known = protobuf_c_message_descriptor_get_field(message, field->number);
    if (!known || known->type != PROTOBUF_C_TYPE_MESSAGE || known->label == PROTOBUF_C_LABEL_REPEATED) return MOTET_OK;
    uint64_t bit = (uint64_t)1 << (known - message->fields);
    if (*seen & bit) return wrong_at(c, field->start, "a second message where there is one at most");
    *seen |= bit;
    return MOTET_OK;
}

static motet_status copy_message(compactor *c, const ProtobufCMessageDescriptor *message, const uint8_t *at,
                                 const uint8_t *limit, int depth)
{
    uint64_t seen = 0;
    if (depth > MAX_DEPTH) return mt_fail(MOTET_ERROR_LIMIT, "messages nest deeper than %d levels", MAX_DEPTH);
    if (++c->messages > MAX_MESSAGES) return mt_fail(MOTET_ERROR_LIMIT, "more than %d messages", MAX_MESSAGES);
    while (at < limit) {
        mt_wire_field field;
        const char *wrong = mt_wire_next(&at, limit, &field);
        if (wrong) return wrong_at(c, at, wrong);
        MT_TRY(check_single(c, message, &field, &seen));
        MT_TRY(copy_field(c, message, &field, depth));
    }
    return MOTET_OK;
}

motet_status mt_compact(mt_map file, const ProtobufCMessageDescriptor *message, uint8_t **out, size_t *size)
{
    compactor c = {.base = file.bytes};
    *out = NULL;
    motet_status status = copy_message(&c, message, file.bytes, file.bytes + file.size, 0);
    if (status == MOTET_OK && c.used > max_size)
        status = mt_fail(MOTET_ERROR_LIMIT, "more than 2 GiB of structure besides the weights");
    if (status != MOTET_OK) {
        mt_free(c.out);
        return status;
    }
    *out = c.out;
    *size = c.used;
    return MOTET_OK;
}
