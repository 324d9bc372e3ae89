/* Attention as exporters write it out - q k', scaled, masked, through softmax, times v - becomes one node of motet's
 * own (ops/attention_fused.c), and so does the standard's Attention. Transposes that bring heads to the front are left
 * out, as the node reads and writes heads where projections have them; so are scales on q, on k or on their product.
 * After it comes a Reshape, before the Transpose that takes heads back: what shape it makes is only known in a run, so
 * it goes in as an input, and the node looks whether it changes anything.
 *
 * Softmax of a row that is masked as a whole is NaN, which PyTorch's newer exporter makes 0; the attribute "empty" says
 * so. All of this is for float32 and narrower: where a model has float64 at all, it stays as it is. */
#include <string.h>

#include "core/status.h"
#include "graph/passes/match.h"
#include "graph/passes/passes.h"

enum { AXES = 4, LONGEST_CHAIN = 8 };

typedef struct operand {
    int value;
    const char *layout; /* NULL: not found */
    double scale;
} operand;

typedef struct attention {
    operand q, k, v;
    int mask;
    double scale;
    bool zero_when_empty;
    bool padded;         /* the mask may end before the keys do: those are left out */
    const mt_node *like; /* whose name it takes */
} attention;

/* --- transposes ----------------------------------------------------------------------------------------------- */

static bool read_perm(const mt_node *node, int64_t *perm)
{
    const mt_attribute *a = mt_node_attribute(node, "perm");
    if (!a || a->kind != MT_ATTRIBUTE_INTS || a->count != AXES) return false;
    for (int i = 0; i < AXES; i++) {
        if (a->ints[i] < 0 || a->ints[i] >= AXES) return false;
        perm[i] = a->ints[i];
    }
    return true;
}

static bool is_perm(const int64_t *perm, int64_t a, int64_t b, int64_t c, int64_t d)
{
    return perm[0] == a && perm[1] == b && perm[2] == c && perm[3] == d;
}

/* The layout of x, where x transposed by perm is [batch, heads, length, size] (keys: [batch, heads, size, length]). */
static const char *layout_of(const int64_t *perm, bool keys)
{
    if (keys && is_perm(perm, 0, 2, 3, 1)) return "bthd";
    if (keys && is_perm(perm, 0, 1, 3, 2)) return "bhtd";
    if (is_perm(perm, 0, 1, 2, 3)) return keys ? "bhdt" : "bhtd";
    return !keys && is_perm(perm, 0, 2, 1, 3) ? "bthd" : NULL;
}

/* True when input i of `node` is elements [begin, end) of the shape of `value`; an end beyond the axes is the last. */
static bool is_slice_of_shape(const mt_match *m, int part, int value, int64_t begin, int64_t end)
{
    const mt_node *slice = part == MT_NO_VALUE ? NULL : m->maker[part];
    if (!slice || !mt_match_is(slice, "Slice")) return false;
    const mt_node *shape = mt_match_maker(m, slice, 0, "Shape");
    int64_t from, to, step = 1;
    if (!shape || mt_match_input(shape, 0) != value || mt_match_int(shape, "start", 0) != 0) return false;
    if (mt_node_attribute(shape, "end") || !mt_match_index(m, slice, 1, &from) || !mt_match_index(m, slice, 2, &to))
        return false;
    if (mt_match_input(slice, 4) != MT_NO_VALUE && (!mt_match_index(m, slice, 4, &step) || step != 1)) return false;
    from = from < -AXES ? 0 : from < 0 ? from + AXES : from;
    to = to < 0 ? to + AXES : to > AXES ? AXES : to;
    return from == begin && to == end;
}

/* The newer exporter transposes keys of opset 18 in three steps, with all heads as one batch:
 * Reshape to (-1, length, size), Transpose, Reshape to (batch, heads, size, length). What came in, or MT_NO_VALUE. */
static int keys_before_batches(const mt_match *m, const mt_node *node)
{
    const mt_node *turn = mt_match_is(node, "Reshape") ? mt_match_maker(m, node, 0, "Transpose") : NULL;
    const mt_node *merge = turn ? mt_match_maker(m, turn, 0, "Reshape") : NULL;
    const mt_attribute *perm = turn ? mt_node_attribute(turn, "perm") : NULL;
    if (!merge || !perm || perm->kind != MT_ATTRIBUTE_INTS || perm->count != 3) return MT_NO_VALUE;
    if (perm->ints[0] != 0 || perm->ints[1] != 2 || perm->ints[2] != 1) return MT_NO_VALUE;
    const mt_node *merged = mt_match_maker(m, merge, 1, "Concat"), *split = mt_match_maker(m, node, 1, "Concat");
    int64_t rest;
    int x = mt_match_input(merge, 0);
    if (x == MT_NO_VALUE || !merged || !split || merged->input_count != 3 || split->input_count != 3)
        return MT_NO_VALUE;
    if (!mt_match_index(m, merged, 0, &rest) || rest != -1) return MT_NO_VALUE;
    bool whole = is_slice_of_shape(m, merged->inputs[1], x, 2, 3) && is_slice_of_shape(m, merged->inputs[2], x, 3, 4);
    whole = whole && is_slice_of_shape(m, split->inputs[0], x, 0, 2);
    whole = whole && is_slice_of_shape(m, split->inputs[1], x, 3, 4) && is_slice_of_shape(m, split->inputs[2], x, 2, 3);
    return whole ? x : MT_NO_VALUE;
}

/* --- operands ------------------------------------------------------------------------------------------------- */

/* The other input of a product with, or a quotient by, one number; *scale is multiplied by that. */
static int scaled_by(const mt_match *m, const mt_node *node, double *scale)
{
    double number;
    bool divides = mt_match_is(node, "Div");
    if (!divides && !mt_match_is(node, "Mul")) return MT_NO_VALUE;
    for (int i = divides; i < 2; i++) {
        int other = mt_match_input(node, 1 - i);
        if (!mt_match_number(m, node, i, 1, &number) || other == MT_NO_VALUE) continue;
        *scale *= divides ? 1 / number : number;
        return other;
    }
    return MT_NO_VALUE;
}

/* Goes from `value`, with four axes in the order of a product, back as far as there are scales and transposes. */
static operand find_operand(const mt_match *m, int value, bool keys, bool scales)
{
    int64_t perm[AXES] = {0, 1, 2, 3}, next[AXES], one[AXES];
    operand found = {.layout = NULL};
    double scale = 1;
    bool four_axes = false;
    for (int i = 0; i < LONGEST_CHAIN && value != MT_NO_VALUE; i++) {
        const char *layout = layout_of(perm, keys);
        four_axes = four_axes || mt_match_rank(m, value) == AXES;
        if (layout && four_axes) found = (operand){value, layout, scale};
        const mt_node *maker = m->maker[value];
        int before = MT_NO_VALUE;
        if (!maker) break;
        if (mt_match_is(maker, "Transpose") && read_perm(maker, one)) {
            before = mt_match_input(maker, 0);
            four_axes = true;
        } else if (keys && (before = keys_before_batches(m, maker)) != MT_NO_VALUE) {
            memcpy(one, (const int64_t[]){0, 1, 3, 2}, sizeof one);
            four_axes = true;
        } else if (scales && (before = scaled_by(m, maker, &scale)) != MT_NO_VALUE) {
            memcpy(one, (const int64_t[]){0, 1, 2, 3}, sizeof one);
        }
        if (before == MT_NO_VALUE) break;
        for (int k = 0; k < AXES; k++) next[k] = one[perm[k]];
        memcpy(perm, next, sizeof perm);
        value = before;
    }
    return found;
}

/* --- the whole ------------------------------------------------------------------------------------------------ */

/* The product that `value` is, perhaps scaled; *scale is multiplied by that. Nobody else reads what is between. */
static const mt_node *scaled_product(const mt_match *m, int value, double *scale)
{
    for (int i = 0; i < LONGEST_CHAIN && value != MT_NO_VALUE && m->maker[value] && m->reads[value] == 1; i++) {
        if (mt_match_is(m->maker[value], "MatMul")) return m->maker[value];
        value = scaled_by(m, m->maker[value], scale);
    }
    return NULL;
}

/* The product whose scores go into `softmax`, through a mask or not. */
static const mt_node *find_scores(const mt_match *m, const mt_node *softmax, attention *a)
{
    int value = mt_match_input(softmax, 0);
    const mt_node *add = mt_match_maker(m, softmax, 0, "Add");
    a->mask = MT_NO_VALUE;
    a->scale = 1;
    if (!add || m->reads[value] != 1) return scaled_product(m, value, &a->scale);
    for (int i = 0; i < 2; i++) {
        a->scale = 1;
        const mt_node *product = scaled_product(m, mt_match_input(add, i), &a->scale);
        a->mask = mt_match_input(add, 1 - i);
        if (product && a->mask != MT_NO_VALUE) return product;
    }
    return NULL;
}

/* The softmax that makes the probabilities, perhaps with 0 in place of NaN. */
static const mt_node *find_softmax(const mt_match *m, const mt_node *product, attention *a)
{
    const mt_node *choice = mt_match_maker(m, product, 0, "Where");
    const mt_node *reader = choice ? choice : product;
    int made = mt_match_input(reader, choice ? 2 : 0);
    const mt_node *softmax = mt_match_maker(m, reader, choice ? 2 : 0, "Softmax");
    if (!softmax || m->reads[made] != (choice ? 2 : 1)) return NULL;
    if (choice) {
        const mt_node *empty = mt_match_maker(m, choice, 0, "IsNaN");
        double zero;
        if (!empty || mt_match_input(empty, 0) != made) return NULL;
        if (!mt_match_number(m, choice, 1, 1, &zero) || zero != 0) return NULL;
        a->zero_when_empty = true;
    }
    int64_t axis = mt_match_int(softmax, "axis", softmax->version >= 13 ? -1 : 1);
    return axis == -1 || axis == AXES - 1 ? softmax : NULL;
}

static bool find_written_out(const mt_match *m, const mt_node *last, attention *a)
{
    const mt_node *softmax = find_softmax(m, last, a);
    const mt_node *scores = softmax ? find_scores(m, softmax, a) : NULL;
    if (!scores) return false;
    a->q = find_operand(m, mt_match_input(scores, 0), false, true);
    a->k = find_operand(m, mt_match_input(scores, 1), true, true);
    a->v = find_operand(m, mt_match_input(last, 1), false, false);
    if (!a->q.layout || !a->k.layout || !a->v.layout) return false;
    a->scale *= a->q.scale * a->k.scale;
    a->like = last;
    return true;
}

/* The standard's Attention, where it is no more than this. The default scale is not known here. */
static bool find_standard(const mt_match *m, const mt_node *node, attention *a)
{
    const mt_attribute *scale = mt_node_attribute(node, "scale"), *cap = mt_node_attribute(node, "softcap");
    if (!scale || scale->kind != MT_ATTRIBUTE_FLOAT || (cap && (cap->kind != MT_ATTRIBUTE_FLOAT || cap->f != 0)))
        return false;
    if (mt_match_int(node, "is_causal", 0) != 0) return false;
    if (mt_match_int(node, "left_window_size", -1) != -1 || mt_match_int(node, "right_window_size", -1) != -1)
        return false;
    for (int i = 4; i < node->input_count; i++)
        if (node->inputs[i] != MT_NO_VALUE) return false;
    for (int i = 1; i < node->output_count; i++)
        if (node->outputs[i] != MT_NO_VALUE) return false;
    a->q = find_operand(m, mt_match_input(node, 0), false, false);
    a->k = find_operand(m, mt_match_input(node, 1), false, false);
    a->v = find_operand(m, mt_match_input(node, 2), false, false);
    a->mask = mt_match_input(node, 3);
    a->padded = true;
    a->scale = (double)scale->f;
    a->zero_when_empty = true;
    a->like = node;
    return a->q.layout && a->k.layout && a->v.layout;
}

static bool find_attention(const mt_match *m, const mt_node *node, attention *a)
{
    *a = (attention){0};
    if (mt_match_is(node, "MatMul")) return find_written_out(m, node, a);
    return mt_match_is(node, "Attention") && find_standard(m, node, a);
}

/* `shape`: to which the output is brought before its heads go back; MT_NO_VALUE for none. */
static motet_status become(mt_match *m, mt_node *node, const attention *a, const char *y_layout, int shape)
{
    int inputs[] = {a->q.value, a->k.value, a->v.value, a->mask, shape};
    mt_node name_of = {.name = a->like->name};
    MT_TRY(mt_match_become(m, node, "motet", "Attention", 1, inputs, 5, &name_of));
    MT_TRY(mt_match_attribute(m, node, "q_layout", a->q.layout));
    MT_TRY(mt_match_attribute(m, node, "k_layout", a->k.layout));
    MT_TRY(mt_match_attribute(m, node, "v_layout", a->v.layout));
    MT_TRY(mt_match_attribute(m, node, "y_layout", y_layout));
    if (a->padded) MT_TRY(mt_match_attribute(m, node, "mask", "padded"));
    if (a->zero_when_empty) MT_TRY(mt_match_attribute(m, node, "empty", "zero"));
    return mt_match_attribute_float(m, node, "scale", (float)a->scale);
}

/* Those whose heads go back to their places. */
static motet_status try_at_transpose(mt_match *m, mt_node *node)
{
    int64_t perm[AXES];
    attention a;
    if (!mt_match_is(node, "Transpose") || !read_perm(node, perm) || !is_perm(perm, 0, 2, 1, 3)) return MOTET_OK;
    const mt_node *reshape = mt_match_maker(m, node, 0, "Reshape");
    int made = mt_match_input(reshape ? reshape : node, 0);
    const mt_node *maker = made == MT_NO_VALUE ? NULL : m->maker[made];
    if (!maker || !find_attention(m, maker, &a)) return MOTET_OK;
    return become(m, node, &a, "bthd", reshape ? mt_match_input(reshape, 1) : MT_NO_VALUE);
}

static motet_status try_at_product(mt_match *m, mt_node *node)
{
    attention a;
    return find_attention(m, node, &a) ? become(m, node, &a, "bhtd", MT_NO_VALUE) : MOTET_OK;
}

motet_status mt_pass_attention(mt_model *model)
{
    if (mt_match_has_double(model)) return MOTET_OK;
    MT_TRY(mt_match_each(model, try_at_transpose));
    return mt_match_each(model, try_at_product);
}
