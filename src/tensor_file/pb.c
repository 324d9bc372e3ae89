/* A tensor as the backend tests of ONNX store it: the file is one TensorProto. It is read by the same guarded way as a
 * model, then copied, so that nothing of the file stays mapped. */
#include <string.h>

#include "core/status.h"
#include "onnx/file.h"
#include "onnx/tensor.h"
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
    MT_TRY(mt_tensor_alloc(out, shown->type, shown->rank, shown->dims));
    size_t bytes = (size_t)shown->count * motet_type_size(shown->type);
    if (bytes) memcpy(out->data, shown->data, bytes);
    return MOTET_OK;
}

motet_status mt_pb_read(const char *path, motet_tensor *out)
{
    mt_file *file;
    motet_tensor shown = {0};
    MT_TRY_AS(mt_file_open_message(path, &onnx__tensor_proto__descriptor, &file), "not a TensorProto");
    motet_status status = mt_file_tensor(file, (const Onnx__TensorProto *)file->message, &shown);
    if (status == MOTET_OK) status = take(&shown, out);
    mt_file_close(file);
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
