/* ZipMap, CastMap and DictVectorizer: rows of scores as maps from labels to scores, and maps as rows. A map is a list
 * of two tensors, its keys and its values. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/ml/scores.h"

/* --- ZipMap ----------------------------------------------------------------------------------------------------- */

static motet_status make_keys(mt_op_context *c, const mt_labels *labels, motet_tensor *keys)
{
    MT_TRY(mt_item_alloc(c, keys, labels->strings ? MOTET_STRING : MOTET_INT64, 1, &labels->count));
    for (int64_t i = 0; i < labels->count; i++) MT_TRY(mt_label_put(keys, i, labels, i));
    return MOTET_OK;
}

/* A sequence of one map a row; all maps share their keys. */
motet_status mt_op_zip_map(mt_op_context *c)
{
    const motet_tensor *in;
    motet_tensor *maps, *first = NULL;
    mt_labels labels;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_labels_read(c, "classlabels_strings", "classlabels_int64s", &labels));
    if (in->type != MOTET_FLOAT) return mt_op_fail_type(c, 0);
    if (in->rank < 1 || in->rank > 2 || in->dims[in->rank - 1] != labels.count)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "the input's columns are not the %" PRId64 " labels", labels.count);
    int64_t rows = in->rank == 2 ? in->dims[0] : 1;
    MT_TRY(mt_out_list(c, 0, MOTET_SEQUENCE, rows, &maps));
    for (int64_t row = 0; row < rows; row++) {
        MT_TRY(c->host->alloc_list(c, &maps[row], MOTET_MAP, 2));
        motet_tensor *pair = mt_items(&maps[row]);
        if (first)
            mt_item_share(&pair[0], first);
        else
            MT_TRY(make_keys(c, &labels, &pair[0]));
        first = &pair[0];
        MT_TRY(mt_item_alloc(c, &pair[1], MOTET_FLOAT, 1, &labels.count));
        memcpy(pair[1].data, mt_at(in, row * labels.count), (size_t)labels.count * sizeof(float));
    }
    return mt_list_check(c->out[0]);
}

/* --- CastMap ---------------------------------------------------------------------------------------------------- */

static motet_status need_map(mt_op_context *c, const motet_tensor **keys, const motet_tensor **values)
{
    const motet_tensor *in;
    MT_TRY(mt_need(c, 0, &in));
    if (in->kind != MOTET_MAP)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "input 0 is a %s: expected a map", motet_kind_name(in->kind));
    *keys = &mt_items(in)[0];
    *values = &mt_items(in)[1];
    return MOTET_OK;
}

typedef struct numbered {
    int64_t key, place;
} numbered;

static int by_key(const void *a, const void *b)
{
    int64_t x = ((const numbered *)a)->key, y = ((const numbered *)b)->key;
    return (x > y) - (x < y);
}

/* The keys in ascending order and where their values stand. */
static motet_status sort_keys(mt_op_context *c, const motet_tensor *keys, numbered **out)
{
    void *memory;
    if (keys->type != MOTET_INT64) return mt_op_fail(c, MOTET_ERROR_UNSUPPORTED, "the keys are not int64");
    MT_TRY(mt_scratch_array(c, keys->count, sizeof(numbered), &memory));
    numbered *list = memory;
    for (int64_t i = 0; i < keys->count; i++) list[i] = (numbered){((const int64_t *)keys->data)[i], i};
    qsort(list, (size_t)keys->count, sizeof *list, by_key);
    *out = list;
    return MOTET_OK;
}

/* One value, a string or a number, as element i of `out`. */
static motet_status cast_value(mt_op_context *c, const motet_tensor *values, int64_t at, motet_tensor *out, int64_t i)
{
    const char *text = values->type == MOTET_STRING ? motet_tensor_string(values, at, NULL) : NULL;
    double number = 0;
    if (text && out->type == MOTET_STRING) return motet_tensor_set_string(out, i, text, strlen(text));
    if (text) {
        char *end;
        number = strtod(text, &end);
        if (end == text || *end)
            return mt_op_fail(c, MOTET_ERROR_ARGUMENT, "the value \"%.64s\" is not a number", text);
    } else {
        mt_convert(&number, MOTET_DOUBLE, mt_at(values, at), values->type, 1);
    }
    if (out->type != MOTET_STRING) {
        mt_convert(mt_at(out, i), out->type, &number, MOTET_DOUBLE, 1);
        return MOTET_OK;
    }
    char buffer[400]; /* the largest double has 309 digits before the point */
    int length = snprintf(buffer, sizeof buffer, "%f", number);
    return motet_tensor_set_string(out, i, buffer, (size_t)length);
}

/* What ONNX Runtime puts where there is no value. */
static motet_status fill_gaps(motet_tensor *out)
{
    static const char gap[] = "0.f";
    if (out->type != MOTET_STRING) {
        memset(out->data, 0, (size_t)out->count * mt_element_size(out->type));
        return MOTET_OK;
    }
    for (int64_t i = 0; i < out->count; i++) MT_TRY(motet_tensor_set_string(out, i, gap, sizeof gap - 1));
    return MOTET_OK;
}

/* [1, n]: the values in the order of their keys, or each at the place its key says (keys beyond max_map are left out).
 */
motet_status mt_op_cast_map(mt_op_context *c)
{
    const motet_tensor *keys, *values;
    motet_tensor *out;
    numbered *sorted;
    const char *to = mt_attr_string(c, "cast_to", "TO_FLOAT"), *form = mt_attr_string(c, "map_form", "DENSE");
    bool sparse = strcmp(form, "SPARSE") == 0, strings = strcmp(to, "TO_STRING") == 0;
    motet_type type = strings ? MOTET_STRING : strcmp(to, "TO_INT64") == 0 ? MOTET_INT64 : MOTET_FLOAT;
    if ((!sparse && strcmp(form, "DENSE") != 0) || (type == MOTET_FLOAT && strcmp(to, "TO_FLOAT") != 0))
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "map_form \"%.32s\" or cast_to \"%.32s\" is not known", form, to);
    MT_TRY(need_map(c, &keys, &values));
    MT_TRY(sort_keys(c, keys, &sorted));
    int64_t width = sparse ? mt_attr_int(c, "max_map", 1) : keys->count;
    if (width < 0) return mt_op_fail(c, MOTET_ERROR_FORMAT, "max_map is %" PRId64, width);
    MT_TRY(mt_out(c, 0, type, 2, (int64_t[]){1, width}, &out));
    MT_TRY(fill_gaps(out));
    for (int64_t i = 0; i < keys->count; i++) {
        int64_t to_place = sparse ? sorted[i].key : i;
        if (to_place < 0 || to_place >= width) continue;
        MT_TRY(cast_value(c, values, sorted[i].place, out, to_place));
    }
    return MOTET_OK;
}

/* --- DictVectorizer --------------------------------------------------------------------------------------------- */

/* The place of key `at` in the vocabulary, or -1. */
static int64_t place_of(const motet_tensor *keys, int64_t at, const mt_labels *vocabulary)
{
    if (!vocabulary->strings) {
        int64_t key = 0;
        mt_convert(&key, MOTET_INT64, mt_at(keys, at), keys->type, 1);
        for (int64_t i = 0; i < vocabulary->count; i++)
            if (vocabulary->ints[i] == key) return i;
        return -1;
    }
    const mt_string *key = (const mt_string *)keys->data + at;
    for (int64_t i = 0; i < vocabulary->count; i++) {
        const mt_string *word = &vocabulary->strings[i];
        if (word->length == key->length && (!key->length || memcmp(word->bytes, key->bytes, key->length) == 0))
            return i;
    }
    return -1;
}

/* [1, words of the vocabulary]: the value of each, 0 or "" where the map has none. Other keys are left out. */
motet_status mt_op_dict_vectorizer(mt_op_context *c)
{
    const motet_tensor *keys, *values;
    motet_tensor *out;
    mt_labels vocabulary;
    MT_TRY(need_map(c, &keys, &values));
    MT_TRY(mt_labels_read(c, "string_vocabulary", "int64_vocabulary", &vocabulary));
    if ((keys->type == MOTET_STRING) != (vocabulary.strings != NULL))
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "keys of type %s for another vocabulary", motet_type_name(keys->type));
    MT_TRY(mt_out(c, 0, values->type, 2, (int64_t[]){1, vocabulary.count}, &out));
    if (out->type != MOTET_STRING) memset(out->data, 0, (size_t)out->count * mt_element_size(out->type));
    for (int64_t i = 0; i < keys->count; i++) {
        int64_t place = place_of(keys, i, &vocabulary);
        if (place >= 0) MT_TRY(mt_copy_row(out, place, values, i, 1));
    }
    return MOTET_OK;
}
