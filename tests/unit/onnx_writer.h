/* Small models for tests, written as bytes: every function returns a piece of the protobuf wire format, and pieces are
 * joined and nested. So a test can also write what no exporter would.
 *
 *     piece bytes = model(17, JOIN(input("x", MOTET_FLOAT, "batch 3"), output("y"), node("Relu", "x", "y", NONE)));
 *
 * Pieces live until forget_pieces(). */
#ifndef TESTS_ONNX_WRITER_H
#define TESTS_ONNX_WRITER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "motet/tensor.h"
#include "onnx/wire.h"

#define UNUSED __attribute__((unused)) static

typedef struct piece {
    const uint8_t *bytes;
    size_t size;
} piece;

static mt_arena pieces;

UNUSED void forget_pieces(void)
{
    mt_arena_clear(&pieces);
}

/* --- the wire ------------------------------------------------------------------------------------------------- */

static piece raw(const void *bytes, size_t size)
{
    return (piece){(const uint8_t *)mt_arena_bytes(&pieces, bytes, size), size};
}

#define NONE      ((piece){NULL, 0})
#define JOIN(...) join((const piece[]){__VA_ARGS__}, sizeof(const piece[]){__VA_ARGS__} / sizeof(piece))

static piece join(const piece *parts, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) size += parts[i].size;
    uint8_t *bytes = mt_arena_alloc(&pieces, size);
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].size) memcpy(bytes + used, parts[i].bytes, parts[i].size);
        used += parts[i].size;
    }
    return (piece){bytes, size};
}

static piece number(unsigned field, uint64_t value)
{
    uint8_t bytes[20];
    size_t size = mt_wire_put_varint(bytes, (uint64_t)field << 3 | MT_WIRE_VARINT);
    size += mt_wire_put_varint(bytes + size, value);
    return raw(bytes, size);
}

static piece message(unsigned field, piece inner)
{
    uint8_t bytes[20];
    size_t size = mt_wire_put_varint(bytes, (uint64_t)field << 3 | MT_WIRE_BYTES);
    size += mt_wire_put_varint(bytes + size, inner.size);
    return JOIN(raw(bytes, size), inner);
}

static piece text(unsigned field, const char *value)
{
    return message(field, raw(value, strlen(value)));
}

static piece single(unsigned field, float value)
{
    uint8_t key[10];
    size_t size = mt_wire_put_varint(key, (uint64_t)field << 3 | MT_WIRE_32);
    return JOIN(raw(key, size), raw(&value, sizeof value));
}

/* A field for every word of a text; "-" stands for an empty one. */
static piece words(unsigned field, const char *list)
{
    piece all = NONE;
    while (*list) {
        size_t length = strcspn(list, " ");
        bool empty = length == 1 && *list == '-';
        all = JOIN(all, message(field, raw(list, empty ? 0 : length)));
        list += length + strspn(list + length, " ");
    }
    return all;
}

/* --- tensors -------------------------------------------------------------------------------------------------- */

/* dims: "2 3", "" for a scalar. */
static piece dims(unsigned field, const char *list)
{
    piece all = NONE;
    for (char *end; *list; list = end + strspn(end, " "))
        all = JOIN(all, number(field, (uint64_t)strtoll(list, &end, 10)));
    return all;
}

/* A TensorProto of which `elements` (raw_data, float_data, ...) are the rest. */
UNUSED piece tensor(const char *name, int type, const char *shape, piece elements)
{
    return JOIN(dims(1, shape), number(2, (uint64_t)type), elements, text(8, name));
}

UNUSED piece raw_data(const void *bytes, size_t size)
{
    return message(9, raw(bytes, size));
}

UNUSED piece initializer(piece tensor_piece)
{
    return message(5, tensor_piece);
}

/* A SparseTensorProto: what is not 0, and where. */
UNUSED piece sparse(piece values, piece places, const char *shape)
{
    return JOIN(message(1, values), message(2, places), dims(3, shape));
}

UNUSED piece sparse_initializer(piece sparse_piece)
{
    return message(15, sparse_piece);
}

#define FLOATS(...) raw_data((const float[]){__VA_ARGS__}, sizeof(const float[]){__VA_ARGS__})
#define INT64S(...) raw_data((const int64_t[]){__VA_ARGS__}, sizeof(const int64_t[]){__VA_ARGS__})

/* --- values --------------------------------------------------------------------------------------------------- */

static piece dimension(const char *word, size_t length)
{
    bool fixed = *word >= '0' && *word <= '9';
    if (length == 1 && *word == '?') return message(1, NONE);
    return message(1, fixed ? number(1, (uint64_t)strtoll(word, NULL, 10)) : message(2, raw(word, length)));
}

/* A ValueInfoProto. shape: "batch 3 ?", "" for a scalar, NULL for none. */
static piece value(const char *name, int type, const char *shape)
{
    piece axes = NONE;
    for (const char *at = shape; at && *at;) {
        size_t length = strcspn(at, " ");
        axes = JOIN(axes, dimension(at, length));
        at += length + strspn(at + length, " ");
    }
    piece about = shape ? JOIN(number(1, (uint64_t)type), message(2, axes)) : number(1, (uint64_t)type);
    return JOIN(text(1, name), message(2, message(1, about)));
}

UNUSED piece input(const char *name, int type, const char *shape)
{
    return message(11, value(name, type, shape));
}

UNUSED piece output(const char *name)
{
    return message(12, value(name, MOTET_FLOAT, NULL));
}

/* --- nodes and graphs ----------------------------------------------------------------------------------------- */

/* A NodeProto as a field of a graph; names of values in words. */
UNUSED piece node(const char *type, const char *inputs, const char *outputs, piece rest)
{
    return message(1, JOIN(words(1, inputs), words(2, outputs), text(4, type), rest));
}

UNUSED piece named(const char *name)
{
    return text(3, name);
}

UNUSED piece in_domain(const char *domain)
{
    return text(7, domain);
}

static piece attribute(const char *name, int type, piece content)
{
    return message(5, JOIN(text(1, name), content, number(20, (uint64_t)type)));
}

UNUSED piece attribute_int(const char *name, int64_t n)
{
    return attribute(name, 2, number(3, (uint64_t)n));
}

/* list: "3 1 1" */
UNUSED piece attribute_ints(const char *name, const char *list)
{
    return attribute(name, 7, dims(8, list));
}

UNUSED piece attribute_float(const char *name, float f)
{
    return attribute(name, 1, single(2, f));
}

UNUSED piece attribute_tensor(const char *name, piece tensor_piece)
{
    return attribute(name, 4, message(5, tensor_piece));
}

UNUSED piece attribute_sparse(const char *name, piece sparse_piece)
{
    return attribute(name, 11, message(22, sparse_piece));
}

UNUSED piece attribute_graph(const char *name, piece graph)
{
    return attribute(name, 5, message(6, graph));
}

UNUSED piece attribute_reference(const char *name, int type, const char *of)
{
    return attribute(name, type, text(21, of));
}

UNUSED piece import(const char *domain, int version)
{
    return message(8, JOIN(text(1, domain), number(2, (uint64_t)version)));
}

/* A ModelProto: the opset of ai.onnx, and what the graph is made of. */
UNUSED piece model(int opset, piece graph)
{
    return JOIN(number(1, 8), import("", opset), message(7, graph));
}

#undef UNUSED
#endif
