/* Constant nodes: a value that stands in one of several attributes. */
#include <string.h>

#include "core/status.h"
#include "graph/builder.h"

static motet_status fill_list(motet_type type, int rank, size_t count, const void *values, motet_tensor *out)
{
    int64_t dims[] = {(int64_t)count};
    MT_TRY(mt_tensor_alloc(out, type, rank, dims));
    if (count) memcpy(out->data, values, count * motet_type_size(type));
    out->constant = true;
    return MOTET_OK;
}

static motet_status fill_strings(int rank, size_t count, const mt_string *values, motet_tensor *out)
{
    int64_t dims[] = {(int64_t)count};
    MT_TRY(mt_tensor_alloc(out, MOTET_STRING, rank, dims));
    for (size_t i = 0; i < count; i++)
        MT_TRY(motet_tensor_set_string(out, (int64_t)i, values[i].bytes, values[i].length));
    out->constant = true;
    return MOTET_OK;
}

static motet_status fill(const mt_attribute *value, motet_tensor *out)
{
    switch (value->kind) {
    case MT_ATTRIBUTE_FLOAT: return fill_list(MOTET_FLOAT, 0, 1, &value->f, out);
    case MT_ATTRIBUTE_INT: return fill_list(MOTET_INT64, 0, 1, &value->i, out);
    case MT_ATTRIBUTE_STRING: return fill_strings(0, 1, &value->s, out);
    case MT_ATTRIBUTE_FLOATS: return fill_list(MOTET_FLOAT, 1, value->count, value->floats, out);
    case MT_ATTRIBUTE_INTS: return fill_list(MOTET_INT64, 1, value->count, value->ints, out);
    case MT_ATTRIBUTE_STRINGS: return fill_strings(1, value->count, value->strings, out);
    case MT_ATTRIBUTE_SPARSE:
    case MT_ATTRIBUTE_TENSOR: mt_tensor_share(out, value->tensor, value->tensor->rank, value->tensor->dims); break;
    default: return mt_fail(MOTET_ERROR_UNSUPPORTED, "the attribute '%s' is of an unsupported kind", value->name);
    }
    return MOTET_OK;
}

motet_status mt_build_constant(mt_builder *b, const mt_node *node, motet_tensor **out)
{
    for (int i = 0; i < node->attribute_count; i++) {
        const mt_attribute *attribute = &node->attributes[i];
        /* value, value_float, value_ints, ..., sparse_value */
        if (!strstr(attribute->name, "value")) continue;
        MT_TRY(mt_model_tensor(b->model, out));
        return fill(attribute, *out);
    }
    return mt_fail(MOTET_ERROR_FORMAT, "it has no value");
}
