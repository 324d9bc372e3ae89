/* External data: weights in files of their own, beside the model. The model names them, and models are untrusted, so a
 * name may only lead to a regular file in the model's own folder or below: no absolute path, no "..", no symbolic link
 * on the way. https://github.com/onnx/onnx/blob/main/docs/ExternalData.md */
#ifndef MT_ONNX_EXTERNAL_H
#define MT_ONNX_EXTERNAL_H

#include "onnx/map.h"
#include "onnx/onnx.pb-c.h"

typedef struct mt_external mt_external;

/* For the model at `path`. */
motet_status mt_external_open(const char *path, mt_external **out);
void mt_external_close(mt_external *external); /* NULL is allowed */

/* No further tensor will be looked for: lets go of the folder, and keeps the files. NULL is allowed. */
void mt_external_leave_folder(mt_external *external);

/* Whether a mapped file has the address; letting all pages go, as mt_map_let_go does. NULL is allowed. */
bool mt_external_holds(const mt_external *external, const void *address);
void mt_external_let_go(const mt_external *external);

/* The `needed` bytes of a tensor whose data_location is EXTERNAL. The file stays mapped until mt_external_close. */
motet_status mt_external_find(mt_external *external, const Onnx__TensorProto *tensor, size_t needed,
                              const uint8_t **out);

#endif
