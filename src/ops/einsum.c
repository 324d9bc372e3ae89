/* Einsum: a loop nest with the output's labels outside and the summed ones inside, through which every operand moves by
 * its own strides. Repeated labels of one operand add their strides (a diagonal); the axes of an ellipsis are labels
 * too, and those of size 1 stand still. */
#include <ctype.h>
#include <string.h>

#include "ops/support.h"

enum {
    FIRST_ELLIPSIS = 52, /* labels 0 .. 51 are A-Z and a-z */
    LABELS = FIRST_ELLIPSIS + MOTET_MAX_RANK,
    MAX_OPERANDS = 16
};

typedef struct label_list {
    int count, labels[MOTET_MAX_RANK];
} label_list;

typedef struct einsum {
    int operands, ellipsis; /* the most axes an ellipsis stands for */
    label_list terms[MAX_OPERANDS], result;
    int uses[LABELS];
    int64_t size[LABELS];
    /* the nest: `outer` axes of the result, then summed ones */
    int outer, axes;
    int64_t extent[LABELS], step[MAX_OPERANDS][LABELS];
} einsum;

static int label_of(char letter)
{
    return isupper((unsigned char)letter) ? letter - 'A' : letter - 'a' + 26;
}

static bool add_label(label_list *list, int label)
{
    if (list->count == MOTET_MAX_RANK) return false;
    list->labels[list->count++] = label;
    return true;
}

/* Reads one term up to ',' or '-' or the end. An ellipsis stands for `hidden` axes, aligned at their end. */
static const char *read_term(const char *text, int rank, einsum *e, label_list *list)
{
    int letters = 0;
    for (const char *p = text; *p && *p != ',' && *p != '-'; p++) letters += isalpha((unsigned char)*p) != 0;
    for (; *text && *text != ',' && *text != '-'; text++) {
        if (*text == ' ') continue;
        if (strncmp(text, "...", 3) == 0) {
            int hidden = rank < 0 ? e->ellipsis : rank - letters;
            if (hidden < 0 || hidden > MOTET_MAX_RANK) return NULL;
            if (hidden > e->ellipsis) e->ellipsis = hidden;
            for (int i = MOTET_MAX_RANK - hidden; i < MOTET_MAX_RANK; i++)
                if (!add_label(list, FIRST_ELLIPSIS + i)) return NULL;
            text += 2;
        } else if (!isalpha((unsigned char)*text) || !add_label(list, label_of(*text))) {
            return NULL;
        }
    }
    return text;
}

/* Without "->": the ellipsis, then every label that is used once, in alphabetical order. */
static bool implied_result(einsum *e)
{
    for (int i = MOTET_MAX_RANK - e->ellipsis; i < MOTET_MAX_RANK; i++)
        if (!add_label(&e->result, FIRST_ELLIPSIS + i)) return false;
    for (int i = 0; i < FIRST_ELLIPSIS; i++)
        if (e->uses[i] == 1 && !add_label(&e->result, i)) return false;
    return true;
}

static motet_status read_equation(mt_op_context *c, einsum *e)
{
    const char *equation = mt_attr_string(c, "equation", ""), *text = equation;
    for (int k = 0; k < e->operands; k++) {
        const motet_tensor *in;
        MT_TRY(mt_need(c, k, &in));
        text = read_term(text, in->rank, e, &e->terms[k]);
        if (!text || e->terms[k].count != in->rank || *text != (k + 1 < e->operands ? ',' : *text == '-' ? '-' : '\0'))
            return mt_op_fail(c, MOTET_ERROR_FORMAT, "equation \"%s\" does not fit operand %d with %d axes", equation,
                              k, in->rank);
        for (int i = 0; i < in->rank; i++) e->uses[e->terms[k].labels[i]]++;
        if (*text == ',') text++;
    }
    bool sound = *text == '-' ? text[1] == '>' && (text = read_term(text + 2, -1, e, &e->result)) && *text == '\0'
                              : implied_result(e);
    for (int i = 0; i < e->result.count && sound; i++) {
        int label = e->result.labels[i];
        sound = e->uses[label] > 0;
        for (int k = 0; k < i; k++) sound = sound && e->result.labels[k] != label;
    }
    return sound ? MOTET_OK : mt_op_fail(c, MOTET_ERROR_FORMAT, "equation \"%s\" is not sound", equation);
}

static motet_status find_sizes(mt_op_context *c, einsum *e)
{
    for (int i = 0; i < LABELS; i++) e->size[i] = 1;
    for (int k = 0; k < e->operands; k++)
        for (int i = 0; i < e->terms[k].count; i++) {
            int label = e->terms[k].labels[i];
            int64_t size = mt_in(c, k)->dims[i];
            if (size == 1) continue;
            if (e->size[label] != 1 && e->size[label] != size)
                return mt_op_fail(c, MOTET_ERROR_SHAPE, "axis %d of operand %d does not fit its label", i, k);
            e->size[label] = size;
        }
    return MOTET_OK;
}

static void add_axis(mt_op_context *c, einsum *e, int label)
{
    int axis = e->axes++;
    e->extent[axis] = e->size[label];
    for (int k = 0; k < e->operands; k++) {
        const motet_tensor *in = mt_in(c, k);
        int64_t strides[MOTET_MAX_RANK];
        mt_strides(in->rank, in->dims, strides);
        e->step[k][axis] = 0;
        for (int i = 0; i < in->rank; i++)
            if (e->terms[k].labels[i] == label && in->dims[i] != 1) e->step[k][axis] += strides[i];
    }
}

static void build_nest(mt_op_context *c, einsum *e)
{
    bool kept[LABELS] = {false};
    for (int i = 0; i < e->result.count; i++) {
        kept[e->result.labels[i]] = true;
        add_axis(c, e, e->result.labels[i]);
    }
    e->outer = e->axes;
    for (int label = 0; label < LABELS; label++)
        if (e->uses[label] && !kept[label]) add_axis(c, e, label);
}

/* --- the nest ------------------------------------------------------------------------------------------------- */

/* Moves to the next index of axes begin .. end-1, and the operands with it; false when it has come round. */
static bool advance(const einsum *e, int begin, int end, int64_t *index, int64_t *at)
{
    for (int axis = end - 1; axis >= begin; axis--) {
        index[axis]++;
        for (int k = 0; k < e->operands; k++) at[k] += e->step[k][axis];
        if (index[axis] < e->extent[axis]) return true;
        for (int k = 0; k < e->operands; k++) at[k] -= index[axis] * e->step[k][axis];
        index[axis] = 0;
    }
    return false;
}

typedef struct nest_work {
    const einsum *e;
    const void *const *values;
    void *out;
} nest_work;

#define NEST(TYPE, tag, S, T, LOAD, STORE, SIMD, A)                                                                    \
    static void nest_##tag(void *context, int64_t begin, int64_t end)                                                  \
    {                                                                                                                  \
        const nest_work *w = context;                                                                                  \
        const einsum *e = w->e;                                                                                        \
        int64_t index[LABELS] = {0}, at[MAX_OPERANDS] = {0}, rest = begin;                                             \
        for (int axis = e->outer - 1; axis >= 0; axis--) {                                                             \
            index[axis] = rest % e->extent[axis];                                                                      \
            rest /= e->extent[axis];                                                                                   \
            for (int k = 0; k < e->operands; k++) at[k] += index[axis] * e->step[k][axis];                             \
        }                                                                                                              \
        for (int64_t o = begin; o < end; o++, advance(e, 0, e->outer, index, at)) {                                    \
            A sum = 0;                                                                                                 \
            do {                                                                                                       \
                A product = 1;                                                                                         \
                for (int k = 0; k < e->operands; k++) product *= (A)LOAD(((const S *)w->values[k])[at[k]]);            \
                sum += product;                                                                                        \
            } while (advance(e, e->outer, e->axes, index, at));                                                        \
            ((S *)w->out)[o] = STORE((T)sum);                                                                          \
        }                                                                                                              \
    }
MT_FLOATS(NEST, double)
MT_INTS(NEST, uint64_t)
static void (*const nests[MT_TYPES])(void *, int64_t, int64_t) = {MT_NUMBERS(MT_ENTRY, nest)};

motet_status mt_op_einsum(mt_op_context *c)
{
    einsum e = {.operands = c->in_count};
    const motet_tensor *first;
    motet_tensor *out;
    MT_TRY(mt_need(c, 0, &first));
    if (c->in_count > MAX_OPERANDS)
        return mt_op_fail(c, MOTET_ERROR_LIMIT, "%d operands: at most %d are supported", c->in_count, MAX_OPERANDS);
    if (!MT_PICK(nests, first->type)) return mt_op_fail_type(c, 0);
    for (int k = 1; k < c->in_count; k++) MT_TRY(mt_need_same_type(c, 0, k));
    MT_TRY(read_equation(c, &e));
    MT_TRY(find_sizes(c, &e));
    build_nest(c, &e);
    MT_TRY(mt_out(c, 0, first->type, e.result.count, e.extent, &out));
    const void *values[MAX_OPERANDS];
    bool empty = false;
    for (int k = 0; k < c->in_count; k++) {
        values[k] = mt_in(c, k)->data;
        empty = empty || mt_in(c, k)->count == 0;
    }
    nest_work work = {&e, values, out->data};
    if (empty)
        memset(out->data, 0, (size_t)out->count * motet_type_size(out->type));
    else
        mt_ranges(c->pool, out->count, 256, nests[first->type], &work);
    return MOTET_OK;
}
