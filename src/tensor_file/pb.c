/* A tensor as the backend tests of ONNX store it: the file is one TensorProto. It is read by the same guarded way as a
 * model, then copied, so that nothing of the file stays mapped. A list is a SequenceProto or an OptionalProto, whose
 * schema (onnx-data.proto) is not installed with that of models; of both, field 3 holds tensors and field 5 sequences.
 */
#include <inttypes.h>
#include <stdbool.h>

#include "core/status.h"
#include "onnx/file.h"
#include "onnx/tensor.h"
#include "onnx/wire.h"
#include "onnx/writer.h"
#include "tensor_file/formats.h"

/* `shown` shows the map, or owns what had to be decoded. */
static motet_status take(motet_tensor *shown, motet_tensor *out)
{
    if (shown->buffer) {
        *out = *shown;
        out->constant = false;
        return MOTET_OK;
    }
    return mt_tensor_copy(out, shown);
}

static motet_status take_and_close(mt_file *file, motet_tensor *out)
{
    motet_tensor shown = {0};
    motet_status status = mt_file_tensor(file, (const Onnx__TensorProto *)file->message, &shown);
    if (status == MOTET_OK) status = take(&shown, out);
    mt_file_close(file);
    return status;
}

motet_status mt_pb_read(const char *path, motet_tensor *out)
{
    mt_file *file;
    MT_TRY_AS(mt_file_open_message(path, &onnx__tensor_proto__descriptor, &file), "not a TensorProto");
    return take_and_close(file, out);
}

/* --- lists ---------------------------------------------------------------------------------------------------- */

enum { FIELD_TENSOR = 3, FIELD_SEQUENCE = 5 };

static bool is_item(const mt_wire_field *field, motet_kind kind)
{
    if (field->type != MT_WIRE_BYTES) return false;
    return field->number == FIELD_TENSOR || (kind == MOTET_OPTIONAL && field->number == FIELD_SEQUENCE);
}

static motet_status count_items(const uint8_t *at, const uint8_t *end, motet_kind kind, int64_t *out)
{
    *out = 0;
    while (at < end) {
        mt_wire_field field;
        const char *wrong = mt_wire_next(&at, end, &field);
        if (wrong) return mt_fail(MOTET_ERROR_FORMAT, "not a list of tensors: %s", wrong);
        *out += is_item(&field, kind);
    }
    return MOTET_OK;
}

static motet_status fill_list(const uint8_t *at, const uint8_t *end, motet_kind kind, motet_tensor *list)
{
    for (int64_t count = 0; at < end;) {
        mt_wire_field field;
        mt_file *file;
        mt_wire_next(&at, end, &field); /* has gone well before */
        if (!is_item(&field, kind)) continue;
        motet_tensor *item = &mt_items(list)[count++];
        if (field.number == FIELD_SEQUENCE) {
            MT_TRY(mt_pb_read_list(field.payload, field.length, MOTET_SEQUENCE, item));
            continue;
        }
        MT_TRY_AS(mt_file_open_message_memory(field.payload, field.length, &onnx__tensor_proto__descriptor, &file),
                  "item %" PRId64, count - 1);
        MT_TRY_AS(take_and_close(file, item), "item %" PRId64, count - 1);
    }
    return mt_list_check(list);
}

motet_status mt_pb_read_list(const void *bytes, size_t size, motet_kind kind, motet_tensor *out)
{
    const uint8_t *at = bytes;
    int64_t count;
    MT_TRY(count_items(at, at + size, kind, &count));
    MT_TRY(mt_list_alloc(out, kind, count));
    motet_status status = fill_list(at, at + size, kind, out);
    if (status != MOTET_OK) mt_tensor_clear(out);
    return status;
}

motet_status mt_pb_write(const char *path, const motet_tensor *tensor)
{
    mt_writer w = {0};
    mt_write_tensor(&w, tensor, "", NULL);
    motet_status status = mt_writer_save(&w, path);
    mt_writer_clear(&w);
    return status;
}
