/* Sequences and optionals: lists of values that exist already. Nothing is copied but where tensors are cut or joined;
 * a new list shares the items of the old one. What a list may hold is checked once, when it is made (mt_list_check). */
#include <inttypes.h>
#include <string.h>

#include "graph/graph.h"
#include "ops/movement.h"
#include "ops/support.h"

/* --- what all of them ask ------------------------------------------------------------------------------------- */

static motet_status need_sequence(mt_op_context *c, int i, const motet_tensor **out)
{
    MT_TRY(mt_need(c, i, out));
    if ((*out)->kind == MOTET_SEQUENCE) return MOTET_OK;
    return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d is a %s: expected a sequence", i, motet_kind_name((*out)->kind));
}

/* Input i, one integer, as a place in a sequence: in [-places, places) and counted from the back when negative. */
static motet_status need_place(mt_op_context *c, int i, int64_t places, int64_t *out)
{
    int count;
    MT_TRY(mt_in_ints(c, i, out, 1, &count));
    if (count != 1) return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d: expected one integer", i);
    if (*out < -places || *out >= places)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "position %" PRId64 " of a sequence with %" PRId64, *out, places);
    if (*out < 0) *out += places;
    return MOTET_OK;
}

/* --- sequences ------------------------------------------------------------------------------------------------ */

motet_status mt_op_sequence_empty(mt_op_context *c)
{
    motet_tensor *items;
    return mt_out_list(c, 0, MOTET_SEQUENCE, 0, &items);
}

motet_status mt_op_sequence_construct(mt_op_context *c)
{
    motet_tensor *items;
    MT_TRY(mt_out_list(c, 0, MOTET_SEQUENCE, c->in_count, &items));
    for (int i = 0; i < c->in_count; i++) {
        const motet_tensor *in;
        MT_TRY(mt_need(c, i, &in));
        mt_item_share(&items[i], in);
    }
    return mt_list_check(c->out[0]);
}

motet_status mt_op_sequence_at(mt_op_context *c)
{
    const motet_tensor *sequence;
    int64_t place;
    MT_TRY(need_sequence(c, 0, &sequence));
    MT_TRY(need_place(c, 1, sequence->count, &place));
    return mt_out_item(c, 0, &mt_items(sequence)[place]);
}

motet_status mt_op_sequence_length(mt_op_context *c)
{
    const motet_tensor *sequence;
    motet_tensor *out;
    MT_TRY(need_sequence(c, 0, &sequence));
    MT_TRY(mt_out(c, 0, MOTET_INT64, 0, NULL, &out));
    *(int64_t *)out->data = sequence->count;
    return MOTET_OK;
}

/* At the end unless a position is given. */
motet_status mt_op_sequence_insert(mt_op_context *c)
{
    const motet_tensor *sequence, *added;
    motet_tensor *items;
    MT_TRY(need_sequence(c, 0, &sequence));
    MT_TRY(mt_need(c, 1, &added));
    int64_t count = sequence->count, place = count;
    if (mt_in(c, 2)) {
        int given;
        MT_TRY(mt_in_ints(c, 2, &place, 1, &given));
        if (given != 1) return mt_op_fail(c, MOTET_ERROR_SHAPE, "the position: expected one integer");
        if (place < -count || place > count)
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "position %" PRId64 " of a sequence with %" PRId64, place, count);
        if (place < 0) place += count;
    }
    MT_TRY(mt_out_list(c, 0, MOTET_SEQUENCE, count + 1, &items));
    for (int64_t i = 0; i < count; i++) mt_item_share(&items[i + (i >= place)], &mt_items(sequence)[i]);
    mt_item_share(&items[place], added);
    return mt_list_check(c->out[0]);
}

/* The last one unless a position is given. */
motet_status mt_op_sequence_erase(mt_op_context *c)
{
    const motet_tensor *sequence;
    motet_tensor *items;
    MT_TRY(need_sequence(c, 0, &sequence));
    int64_t place = sequence->count - 1;
    if (mt_in(c, 1)) MT_TRY(need_place(c, 1, sequence->count, &place));
    if (place < 0) return mt_op_fail(c, MOTET_ERROR_SHAPE, "the sequence is empty");
    MT_TRY(mt_out_list(c, 0, MOTET_SEQUENCE, sequence->count - 1, &items));
    for (int64_t i = 0; i < sequence->count - 1; i++) mt_item_share(&items[i], &mt_items(sequence)[i + (i >= place)]);
    return MOTET_OK;
}

/* --- between tensors and sequences ---------------------------------------------------------------------------- */

motet_status mt_op_concat_from_sequence(mt_op_context *c)
{
    const motet_tensor *sequence;
    void *memory;
    MT_TRY(need_sequence(c, 0, &sequence));
    MT_TRY(mt_scratch_array(c, sequence->count, sizeof(motet_tensor), &memory));
    motet_tensor *parts = memory;
    int64_t axis = mt_attr_int(c, "axis", 0);
    bool stack = mt_attr_int(c, "new_axis", 0) != 0;
    for (int64_t i = 0; i < sequence->count; i++) {
        parts[i] = mt_items(sequence)[i]; /* a view without a reference, for the time of this call */
        if (parts[i].kind != MOTET_TENSOR) return mt_op_fail(c, MOTET_ERROR_SHAPE, "a sequence of maps");
        if (!stack) continue;
        int at = 0;
        if (parts[i].rank == MOTET_MAX_RANK)
            return mt_op_fail(c, MOTET_ERROR_LIMIT, "more than %d axes are not supported", MOTET_MAX_RANK);
        MT_TRY(mt_axis(c, axis, parts[i].rank + 1, &at));
        memmove(&parts[i].dims[at + 1], &parts[i].dims[at], (size_t)(parts[i].rank - at) * sizeof *parts[i].dims);
        parts[i].dims[at] = 1;
        parts[i].rank++;
    }
    return mt_concat(c, parts, sequence->count, axis);
}

/* How SplitToSequence cuts an axis: into `count` parts, part i being lengths[i] long, or `each` without a list. */
typedef struct cut {
    int axis;
    int64_t count, each;
    const int64_t *lengths;
    bool keep_axis;
} cut;

static motet_status read_lengths(mt_op_context *c, const motet_tensor *split, int64_t size, cut *out)
{
    const void *lengths;
    if (split->type != MOTET_INT32 && split->type != MOTET_INT64) return mt_op_fail_type(c, 1);
    if (split->rank > 1) return mt_need_rank(c, 1, 1);
    MT_TRY(mt_values(c, split, MOTET_INT64, &lengths));
    if (split->rank == 0) {
        out->each = *(const int64_t *)lengths;
        if (out->each < 1) return mt_op_fail(c, MOTET_ERROR_SHAPE, "parts of %" PRId64, out->each);
        out->count = size / out->each + (size % out->each != 0);
        return MOTET_OK;
    }
    out->lengths = lengths;
    out->count = split->count;
    int64_t left = size;
    for (int64_t i = 0; i < split->count; i++) {
        if (out->lengths[i] < 0 || out->lengths[i] > left) left = -1;
        if (left >= 0) left -= out->lengths[i];
    }
    if (left)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "the parts do not add up to the %" PRId64 " elements of axis %d", size,
                          out->axis);
    return MOTET_OK;
}

static motet_status read_cut(mt_op_context *c, const motet_tensor *in, cut *out)
{
    const motet_tensor *split = mt_in(c, 1);
    MT_TRY(mt_axis(c, mt_attr_int(c, "axis", 0), in->rank, &out->axis));
    out->each = 1;
    out->count = in->dims[out->axis];
    out->keep_axis = split || mt_attr_int(c, "keepdims", 1) != 0; /* keepdims is for parts of one element alone */
    return split ? read_lengths(c, split, in->dims[out->axis], out) : MOTET_OK;
}

motet_status mt_op_split_to_sequence(mt_op_context *c)
{
    const motet_tensor *in;
    motet_tensor *items;
    cut plan = {0};
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(read_cut(c, in, &plan));
    MT_TRY(mt_out_list(c, 0, MOTET_SEQUENCE, plan.count, &items));
    int64_t outer = mt_span(in->dims, 0, plan.axis), inner = mt_span(in->dims, plan.axis + 1, in->rank);
    int64_t size = in->dims[plan.axis], start = 0;
    for (int64_t i = 0; i < plan.count; i++) {
        int64_t length = plan.lengths ? plan.lengths[i] : mt_min(plan.each, size - start), dims[MOTET_MAX_RANK];
        int rank = 0;
        for (int k = 0; k < in->rank; k++)
            if (k != plan.axis || plan.keep_axis) dims[rank++] = k == plan.axis ? length : in->dims[k];
        MT_TRY(mt_item_alloc(c, &items[i], in->type, rank, dims));
        mt_copy box = {
            .rank = 2, .dims = {outer, length * inner}, .from = {size * inner, 1}, .to = {length * inner, 1}};
        box.from_start = start * inner;
        MT_TRY(mt_copy_box(c, &items[i], in, &box));
        start += length;
    }
    return MOTET_OK;
}

/* --- optionals ------------------------------------------------------------------------------------------------ */

/* Since opset 18 what stands where an optional is expected may also be a plain value, which then is there. */
motet_status mt_op_optional(mt_op_context *c)
{
    const motet_tensor *in = mt_in(c, 0);
    motet_tensor *items;
    MT_TRY(mt_out_list(c, 0, MOTET_OPTIONAL, in != NULL, &items));
    if (in) mt_item_share(&items[0], in);
    return mt_list_check(c->out[0]);
}

motet_status mt_op_optional_has_element(mt_op_context *c)
{
    const motet_tensor *in = mt_in(c, 0);
    motet_tensor *out;
    MT_TRY(mt_out(c, 0, MOTET_BOOL, 0, NULL, &out));
    *(uint8_t *)out->data = in && (in->kind != MOTET_OPTIONAL || in->count == 1);
    return MOTET_OK;
}

motet_status mt_op_optional_get_element(mt_op_context *c)
{
    const motet_tensor *in;
    MT_TRY(mt_need(c, 0, &in));
    if (in->kind != MOTET_OPTIONAL) return mt_out_view(c, 0, in, in->rank, in->dims);
    if (in->count == 0) return mt_op_fail(c, MOTET_ERROR_SHAPE, "the optional is empty");
    return mt_out_item(c, 0, &mt_items(in)[0]);
}

/* --- SequenceMap ---------------------------------------------------------------------------------------------- */

static motet_status map_length(mt_op_context *c, int64_t *out)
{
    const motet_tensor *in;
    MT_TRY(need_sequence(c, 0, &in));
    *out = in->count;
    for (int i = 1; i < c->in_count; i++) {
        MT_TRY(mt_need(c, i, &in));
        if (in->kind == MOTET_SEQUENCE && in->count != *out)
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "sequences of %" PRId64 " and %" PRId64 " items", *out, in->count);
    }
    return MOTET_OK;
}

/* The body for item k of every sequence; its results become item k of the outputs. Tensors among the inputs are the
 * same each time. */
static motet_status map_item(mt_op_context *c, const mt_graph *body, int64_t k, const motet_tensor **inputs,
                             motet_tensor *made)
{
    for (int i = 0; i < c->in_count; i++)
        inputs[i] = c->in[i]->kind == MOTET_SEQUENCE ? &mt_items(c->in[i])[k] : c->in[i];
    motet_status status = mt_run_graph(c, body, inputs, c->in_count, made, c->out_count);
    for (int i = 0; i < c->out_count; i++) {
        if (status == MOTET_OK) mt_item_share(&mt_items(c->out[i])[k], &made[i]);
        mt_tensor_clear(&made[i]);
    }
    return status;
}

motet_status mt_op_sequence_map(mt_op_context *c)
{
    const mt_graph *body = mt_attr_graph(c, "body");
    motet_tensor *items;
    int64_t length;
    void *inputs, *made;
    if (!body) return mt_op_fail(c, MOTET_ERROR_FORMAT, "the graph \"body\" is missing");
    MT_TRY(map_length(c, &length));
    MT_TRY(mt_scratch_array(c, c->in_count, sizeof(motet_tensor *), &inputs));
    MT_TRY(mt_scratch_array(c, c->out_count, sizeof(motet_tensor), &made));
    memset(made, 0, (size_t)c->out_count * sizeof(motet_tensor));
    for (int i = 0; i < c->out_count; i++) MT_TRY(mt_out_list(c, i, MOTET_SEQUENCE, length, &items));
    for (int64_t k = 0; k < length; k++) MT_TRY(map_item(c, body, k, inputs, made));
    for (int i = 0; i < c->out_count; i++) MT_TRY(mt_list_check(c->out[i]));
    return MOTET_OK;
}
