/* Unique: of the elements, or of the slices along an axis. Slices are sorted by their elements as integers or doubles
 * that order like them (NaN last), equal ones by where they stand, so that the first of a group is the first in the
 * input. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/support.h"

typedef struct slices {
    const mt_string *texts; /* or NULL, then one of these two: */
    const double *reals;
    const int64_t *ints;
    bool is_unsigned;            /* ints are uint64 */
    int64_t count, length, step; /* slices; elements of each; between the elements of two slices */
    int64_t outer_step;          /* between runs of `step` elements of one slice */
} slices;

/* Element k of slice i. */
static int64_t place(const slices *s, int64_t i, int64_t k)
{
    return k / s->step * s->outer_step + i * s->step + k % s->step;
}

static int compare_texts(const mt_string *a, const mt_string *b)
{
    size_t length = a->length < b->length ? a->length : b->length;
    int order = length ? memcmp(a->bytes, b->bytes, length) : 0;
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

static int compare_reals(double a, double b)
{
    if (isnan(a) || isnan(b)) return !!isnan(a) - !!isnan(b);
    return (a > b) - (a < b);
}

static int compare_slices(const slices *s, int64_t a, int64_t b)
{
    int order = 0;
    for (int64_t k = 0; k < s->length && order == 0; k++) {
        int64_t i = place(s, a, k), j = place(s, b, k);
        if (s->texts)
            order = compare_texts(&s->texts[i], &s->texts[j]);
        else if (s->reals)
            order = compare_reals(s->reals[i], s->reals[j]);
        else if (s->is_unsigned)
            order = ((uint64_t)s->ints[i] > (uint64_t)s->ints[j]) - ((uint64_t)s->ints[i] < (uint64_t)s->ints[j]);
        else
            order = (s->ints[i] > s->ints[j]) - (s->ints[i] < s->ints[j]);
    }
    return order;
}

static int by_value(const void *a, const void *b, void *context)
{
    int64_t i = *(const int64_t *)a, k = *(const int64_t *)b;
    int order = compare_slices(context, i, k);
    return order ? order : (i > k) - (i < k);
}

/* A group of equal slices. */
typedef struct group {
    int64_t first, count, number; /* number: before they were brought into another order */
} group;

static int by_first(const void *a, const void *b)
{
    const group *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

static motet_status read_slices(mt_op_context *c, const motet_tensor *in, int axis, slices *s)
{
    const void *values;
    bool flat = axis < 0;
    s->count = flat ? in->count : in->dims[axis];
    s->step = flat ? 1 : mt_span(in->dims, axis + 1, in->rank);
    s->outer_step = s->count * s->step;
    s->length = flat ? 1 : s->step * mt_span(in->dims, 0, axis);
    if (in->type == MOTET_STRING) {
        s->texts = in->data;
        return MOTET_OK;
    }
    bool real = mt_is_float(in->type) || mt_is_small_float(in->type);
    s->is_unsigned = in->type == MOTET_UINT64;
    MT_TRY(mt_values(c, in, real ? MOTET_DOUBLE : s->is_unsigned ? MOTET_UINT64 : MOTET_INT64, &values));
    s->reals = real ? values : NULL;
    s->ints = real ? NULL : values;
    return MOTET_OK;
}

/* The groups, in the order that is asked for, and the group of each slice. */
static motet_status find_groups(mt_op_context *c, slices *s, group **groups, int64_t *count, int64_t **group_of)
{
    void *order, *members, *list, *moved;
    MT_TRY(mt_scratch_array(c, s->count, sizeof(int64_t), &order));
    MT_TRY(mt_scratch_array(c, s->count, sizeof(int64_t), &members));
    MT_TRY(mt_scratch_array(c, s->count, sizeof(int64_t), &moved));
    MT_TRY(mt_scratch_array(c, s->count, sizeof(group), &list));
    int64_t *sorted = order, *new_number = moved;
    *groups = list;
    *group_of = members;
    *count = 0;
    for (int64_t i = 0; i < s->count; i++) sorted[i] = i;
    if (s->count) qsort_r(sorted, (size_t)s->count, sizeof *sorted, by_value, s);
    for (int64_t i = 0; i < s->count; i++) {
        if (i == 0 || compare_slices(s, sorted[i - 1], sorted[i]) != 0) {
            (*groups)[*count] = (group){sorted[i], 0, *count};
            ++*count;
        }
        (*groups)[*count - 1].count++;
        (*group_of)[sorted[i]] = *count - 1;
    }
    if (mt_attr_int(c, "sorted", 1) || *count == 0) return MOTET_OK;
    qsort(*groups, (size_t)*count, sizeof **groups, by_first);
    for (int64_t i = 0; i < *count; i++) new_number[(*groups)[i].number] = i;
    for (int64_t i = 0; i < s->count; i++) (*group_of)[i] = new_number[(*group_of)[i]];
    return MOTET_OK;
}

/* Output i, int64, when somebody reads it. */
static motet_status wanted_list(mt_op_context *c, int i, int64_t count, int64_t **out)
{
    motet_tensor *tensor;
    *out = NULL;
    if (!mt_wanted(c, i)) return MOTET_OK;
    MT_TRY(mt_out(c, i, MOTET_INT64, 1, &count, &tensor));
    *out = tensor->data;
    return MOTET_OK;
}

motet_status mt_op_unique(mt_op_context *c)
{
    const motet_tensor *in;
    motet_tensor *out;
    slices s = {0};
    group *groups;
    int64_t count, *group_of, *indices, *inverse, *counts, dims[MOTET_MAX_RANK];
    int axis = -1;
    MT_TRY(mt_need(c, 0, &in));
    if (mt_has_attr(c, "axis")) MT_TRY(mt_axis(c, mt_attr_int(c, "axis", 0), in->rank, &axis));
    MT_TRY(read_slices(c, in, axis, &s));
    MT_TRY(find_groups(c, &s, &groups, &count, &group_of));
    memcpy(dims, in->dims, sizeof dims);
    dims[axis < 0 ? 0 : axis] = count;
    MT_TRY(mt_out(c, 0, in->type, axis < 0 ? 1 : in->rank, dims, &out));
    MT_TRY(wanted_list(c, 1, count, &indices));
    MT_TRY(wanted_list(c, 2, s.count, &inverse));
    MT_TRY(wanted_list(c, 3, count, &counts));
    int64_t outer = s.step ? s.length / s.step : 0;
    for (int64_t i = 0; i < count; i++) {
        for (int64_t k = 0; k < outer; k++)
            MT_TRY(mt_copy_row(out, (k * count + i) * s.step, in, k * s.outer_step + groups[i].first * s.step, s.step));
        if (indices) indices[i] = groups[i].first;
        if (counts) counts[i] = groups[i].count;
    }
    if (inverse && s.count) memcpy(inverse, group_of, (size_t)s.count * sizeof *inverse);
    return MOTET_OK;
}
