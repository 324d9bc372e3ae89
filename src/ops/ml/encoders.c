/* LabelEncoder, CategoryMapper and OneHotEncoder: values looked up in a list of keys.
 *
 * Keys are strings, integers or floats. They are sorted once a run and searched by halves; of equal keys the last one
 * counts. NaN equals NaN, from version 4 of LabelEncoder on. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/ml/scores.h"

/* --- a list of values of any kind -------------------------------------------------------------------------------- */

typedef struct value_list {
    motet_type type; /* MOTET_STRING, MOTET_INT64, MOTET_FLOAT, or that of a tensor; MOTET_UNDEFINED: none */
    const void *values;
    int64_t count;
} value_list;

/* The values of whichever attribute is there of PREFIX_strings, PREFIX_int64s, PREFIX_floats and PREFIX_tensor. */
static value_list list_attr(const mt_op_context *c, const char *strings, const char *ints, const char *floats,
                            const char *tensor)
{
    size_t count;
    const void *values = mt_attr_strings(c, strings, &count);
    if (count) return (value_list){MOTET_STRING, values, (int64_t)count};
    values = mt_attr_ints(c, ints, &count);
    if (count) return (value_list){MOTET_INT64, values, (int64_t)count};
    values = floats ? mt_attr_floats(c, floats, &count) : NULL;
    if (values && count) return (value_list){MOTET_FLOAT, values, (int64_t)count};
    const motet_tensor *given = tensor ? mt_attr_tensor(c, tensor) : NULL;
    if (given) return (value_list){given->type, given->data, given->count};
    return (value_list){0};
}

static int compare_strings(const mt_string *a, const mt_string *b)
{
    size_t shorter = a->length < b->length ? a->length : b->length;
    int sign = shorter ? memcmp(a->bytes, b->bytes, shorter) : 0;
    return sign ? sign : (a->length > b->length) - (a->length < b->length);
}

static int compare_doubles(double a, double b)
{
    if (isnan(a) || isnan(b)) return (isnan(a) != 0) - (isnan(b) != 0);
    return (a > b) - (a < b);
}

/* Floats are compared as doubles, integers as int64. */
static int compare_values(motet_type type, const void *a, const void *b)
{
    if (type == MOTET_STRING) return compare_strings(a, b);
    if (mt_is_float(type)) {
        double x, y;
        mt_convert(&x, MOTET_DOUBLE, a, type, 1);
        mt_convert(&y, MOTET_DOUBLE, b, type, 1);
        return compare_doubles(x, y);
    }
    int64_t x, y;
    mt_convert(&x, MOTET_INT64, a, type, 1);
    mt_convert(&y, MOTET_INT64, b, type, 1);
    return (x > y) - (x < y);
}

static bool is_nan(motet_type type, const void *value)
{
    double number = 0;
    if (mt_is_float(type)) mt_convert(&number, MOTET_DOUBLE, value, type, 1);
    return isnan(number);
}

/* --- finding ------------------------------------------------------------------------------------------------------ */

typedef struct dictionary {
    value_list keys;
    size_t size; /* of a key */
    int64_t *order;
} dictionary;

static const char *key_at(const dictionary *d, int64_t i)
{
    return (const char *)d->keys.values + (size_t)i * d->size;
}

static int by_key(const void *a, const void *b, void *context)
{
    const dictionary *d = context;
    int64_t i = *(const int64_t *)a, j = *(const int64_t *)b;
    int sign = compare_values(d->keys.type, key_at(d, i), key_at(d, j));
    return sign ? sign : (i > j) - (i < j);
}

static motet_status make_dictionary(mt_op_context *c, value_list keys, dictionary *d)
{
    void *memory;
    MT_TRY(mt_scratch_array(c, keys.count, sizeof(int64_t), &memory));
    *d = (dictionary){keys, mt_element_size(keys.type), memory};
    for (int64_t i = 0; i < keys.count; i++) d->order[i] = i;
    qsort_r(d->order, (size_t)keys.count, sizeof *d->order, by_key, d);
    return MOTET_OK;
}

/* The place of a key of the keys' type in their list, or -1. */
static int64_t look_up(const dictionary *d, const void *key)
{
    int64_t low = 0, high = d->keys.count; /* finds the first that is larger; the one before is the last that is not */
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (compare_values(d->keys.type, key_at(d, d->order[middle]), key) > 0)
            high = middle;
        else
            low = middle + 1;
    }
    bool found = low > 0 && compare_values(d->keys.type, key_at(d, d->order[low - 1]), key) == 0;
    return found ? d->order[low - 1] : -1;
}

/* --- LabelEncoder and CategoryMapper ------------------------------------------------------------------------------ */

static motet_status put_value(motet_tensor *out, int64_t i, const value_list *from, int64_t at)
{
    if (out->type != MOTET_STRING) {
        size_t size = mt_element_size(out->type);
        memcpy(mt_at(out, i), (const char *)from->values + (size_t)at * size, size);
        return MOTET_OK;
    }
    const mt_string *string = (const mt_string *)from->values + at;
    return motet_tensor_set_string(out, i, string->bytes, string->length);
}

/* Input 0's elements, keys, become the values at their places; `other` holds the value for all else. */
static motet_status map_elements(mt_op_context *c, value_list keys, const value_list *values, const value_list *other)
{
    const motet_tensor *in;
    motet_tensor *out;
    dictionary d;
    MT_TRY(mt_need(c, 0, &in));
    if (keys.type == MOTET_UNDEFINED || keys.count != values->count)
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "%" PRId64 " keys for %" PRId64 " values", keys.count, values->count);
    if (in->type != keys.type)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "the input is %s, the keys are %s", motet_type_name(in->type),
                          motet_type_name(keys.type));
    MT_TRY(make_dictionary(c, keys, &d));
    MT_TRY(mt_out(c, 0, values->type, in->rank, in->dims, &out));
    for (int64_t i = 0; i < in->count; i++) {
        int64_t at = c->version < 4 && is_nan(in->type, mt_at(in, i)) ? -1 : look_up(&d, mt_at(in, i));
        MT_TRY(put_value(out, i, at < 0 ? other : values, at < 0 ? 0 : at));
    }
    return MOTET_OK;
}

/* The value for keys that are not listed: default_tensor, or the default of the values' kind. */
static motet_status default_value(mt_op_context *c, const value_list *values, value_list *out)
{
    const motet_tensor *given = mt_attr_tensor(c, "default_tensor");
    void *memory;
    if (given && given->count >= 1 && given->type == values->type) {
        *out = (value_list){given->type, given->data, 1};
        return MOTET_OK;
    }
    if (values->type != MOTET_STRING && !mt_is_number(values->type))
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "there is no list of values");
    MT_TRY(mt_scratch(c, sizeof(mt_string), &memory));
    *out = (value_list){values->type, memory, 1};
    if (values->type == MOTET_STRING) {
        const char *text = mt_attr_string(c, "default_string", "_Unused");
        *(mt_string *)memory = (mt_string){(char *)(uintptr_t)text, strlen(text)};
    } else if (mt_is_float(values->type)) {
        float number = mt_attr_float(c, "default_float", -0.0f);
        mt_convert(memory, values->type, &number, MOTET_FLOAT, 1);
    } else {
        int64_t number = mt_attr_int(c, "default_int64", -1);
        mt_convert(memory, values->type, &number, MOTET_INT64, 1);
    }
    return MOTET_OK;
}

/* Before version 2: classes_strings, a list whose places are the integers; either way round, by the input's type. */
static motet_status map_classes(mt_op_context *c)
{
    value_list strings = list_attr(c, "classes_strings", "", NULL, NULL), places, other;
    void *memory;
    MT_TRY(mt_scratch_array(c, strings.count, sizeof(int64_t), &memory));
    for (int64_t i = 0; i < strings.count; i++) ((int64_t *)memory)[i] = i;
    places = (value_list){MOTET_INT64, memory, strings.count};
    bool to_strings = mt_in(c, 0) && mt_in(c, 0)->type != MOTET_STRING;
    MT_TRY(default_value(c, to_strings ? &strings : &places, &other));
    return to_strings ? map_elements(c, places, &strings, &other) : map_elements(c, strings, &places, &other);
}

motet_status mt_op_label_encoder(mt_op_context *c)
{
    if (c->version < 2) return map_classes(c);
    value_list keys = list_attr(c, "keys_strings", "keys_int64s", "keys_floats", "keys_tensor");
    value_list values = list_attr(c, "values_strings", "values_int64s", "values_floats", "values_tensor"), other;
    MT_TRY(default_value(c, &values, &other));
    return map_elements(c, keys, &values, &other);
}

/* Strings to integers or back, by the input's type. */
motet_status mt_op_category_mapper(mt_op_context *c)
{
    value_list strings = list_attr(c, "cats_strings", "", NULL, NULL);
    value_list ints = list_attr(c, "", "cats_int64s", NULL, NULL), other;
    bool to_strings = mt_in(c, 0) && mt_in(c, 0)->type != MOTET_STRING;
    MT_TRY(default_value(c, to_strings ? &strings : &ints, &other));
    return to_strings ? map_elements(c, ints, &strings, &other) : map_elements(c, strings, &ints, &other);
}

/* --- OneHotEncoder ------------------------------------------------------------------------------------------------ */

motet_status mt_op_one_hot_encoder(mt_op_context *c)
{
    const motet_tensor *in;
    motet_tensor *out;
    dictionary d;
    const void *elements;
    int64_t dims[MOTET_MAX_RANK + 1];
    bool zeros = mt_attr_int(c, "zeros", 1) != 0;
    MT_TRY(mt_need(c, 0, &in));
    value_list keys = list_attr(c, "cats_strings", "cats_int64s", NULL, NULL);
    if (keys.type == MOTET_UNDEFINED) return mt_op_fail(c, MOTET_ERROR_FORMAT, "there are no categories");
    if ((in->type == MOTET_STRING) != (keys.type == MOTET_STRING)) return mt_op_fail_type(c, 0);
    elements = in->data;
    if (keys.type == MOTET_INT64) MT_TRY(mt_values(c, in, MOTET_INT64, &elements));
    MT_TRY(make_dictionary(c, keys, &d));
    memcpy(dims, in->dims, (size_t)in->rank * sizeof *dims);
    dims[in->rank] = keys.count;
    MT_TRY(mt_out(c, 0, MOTET_FLOAT, in->rank + 1, dims, &out));
    memset(out->data, 0, (size_t)out->count * sizeof(float));
    for (int64_t i = 0; i < in->count; i++) {
        int64_t at = look_up(&d, (const char *)elements + (size_t)i * d.size);
        if (at < 0 && !zeros) return mt_op_fail(c, MOTET_ERROR_ARGUMENT, "element %" PRId64 " is in no category", i);
        if (at >= 0) ((float *)out->data)[i * keys.count + at] = 1;
    }
    return MOTET_OK;
}
