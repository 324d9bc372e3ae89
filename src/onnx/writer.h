/* Writing protobuf messages, with large payloads left where they lie.
 *
 *     mt_writer w = {0};
 *     mt_mark node = mt_write_begin(&w, 1);
 *     mt_write_text(&w, 4, "Relu");
 *     mt_write_end(&w, node);
 *     MT_TRY(mt_writer_save(&w, path));
 *
 * Failure is remembered, so that a writer writes and writes and asks once, at the end. */
#ifndef MT_ONNX_WRITER_H
#define MT_ONNX_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/tensor.h"

typedef struct mt_writer {
    uint8_t *bytes; /* all but the borrowed payloads */
    size_t used, capacity;
    struct mt_borrowed *borrowed; /* payloads that lie elsewhere, in order */
    size_t borrowed_count, borrowed_capacity;
    uint64_t borrowed_bytes;
    bool failed; /* for want of memory */
} mt_writer;     /* all zero: empty */

/* An open message. */
typedef struct mt_mark {
    size_t used;
    uint64_t borrowed;
} mt_mark;

mt_mark mt_write_begin(mt_writer *w, uint32_t field);
void mt_write_end(mt_writer *w, mt_mark mark);

void mt_write_int(mt_writer *w, uint32_t field, int64_t value);
void mt_write_float(mt_writer *w, uint32_t field, float value);
void mt_write_bytes(mt_writer *w, uint32_t field, const void *bytes, size_t length);
void mt_write_text(mt_writer *w, uint32_t field, const char *text);

/* Bytes as they are: elements of a packed field, or fields written elsewhere. */
void mt_writer_raw(mt_writer *w, const void *bytes, size_t length);

/* The bytes must stay until the writer has saved. */
void mt_write_borrowed(mt_writer *w, uint32_t field, const void *bytes, size_t length);

/* How long it has become. */
uint64_t mt_writer_size(const mt_writer *w);

/* Writes the file, whole or not at all. Errors: MEMORY, IO, LIMIT beyond 2 GiB, which protobuf cannot hold. */
motet_status mt_writer_save(const mt_writer *w, const char *path);

/* Frees what the writer holds. */
void mt_writer_clear(mt_writer *w);

/* Weights that are to stand in a file of their own, beside the model. */
typedef struct mt_external_writer {
    const char *location; /* the file's name, without a folder */
    struct mt_part *parts;
    size_t count, capacity;
    uint64_t size;
} mt_external_writer;

motet_status mt_external_writer_save(const mt_external_writer *external, const char *path);
void mt_external_writer_clear(mt_external_writer *external);

/* The fields of a TensorProto; the elements are borrowed. With `external`, elements of 1 KiB and more go there. */
void mt_write_tensor(mt_writer *w, const motet_tensor *tensor, const char *name, mt_external_writer *external);

#endif
