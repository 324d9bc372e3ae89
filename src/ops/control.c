/* If, Loop and Scan: operators whose attributes are graphs, run by the engine through mt_run_graph.
 *
 * What a body yields at each step (Loop's and Scan's scan outputs) is kept as the tensors it came in until the number
 * of steps is known, and then stacked. Counters and slices handed to a body are tensors that own their elements, since
 * the body may hand them on and keep them alive. */
#include <inttypes.h>
#include <string.h>

#include "graph/graph.h"
#include "ops/support.h"

static void clear_all(motet_tensor *tensors, int count)
{
    for (int i = 0; i < count; i++) mt_tensor_clear(&tensors[i]);
}

static motet_status truth(mt_op_context *c, const motet_tensor *tensor, bool *out)
{
    if (tensor->type != MOTET_BOOL || tensor->count != 1)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "a condition must be one boolean");
    *out = *(const uint8_t *)tensor->data != 0;
    return MOTET_OK;
}

/* An array of empty tensors in scratch. */
static motet_status empty_tensors(mt_op_context *c, int count, motet_tensor **out)
{
    void *memory;
    MT_TRY(mt_scratch_array(c, count, sizeof **out, &memory));
    memset(memory, 0, (size_t)count * sizeof **out);
    *out = memory;
    return MOTET_OK;
}

static motet_status body_of(mt_op_context *c, const char *name, const mt_graph **out)
{
    *out = mt_attr_graph(c, name);
    return *out ? MOTET_OK : mt_op_fail(c, MOTET_ERROR_FORMAT, "the graph \"%s\" is missing", name);
}

/* --- If ------------------------------------------------------------------------------------------------------- */

motet_status mt_op_if(mt_op_context *c)
{
    const motet_tensor *condition;
    const mt_graph *branch;
    motet_tensor *values;
    bool taken;
    MT_TRY(mt_need(c, 0, &condition));
    MT_TRY(truth(c, condition, &taken));
    MT_TRY(body_of(c, taken ? "then_branch" : "else_branch", &branch));
    MT_TRY(empty_tensors(c, c->out_count, &values));
    motet_status status = mt_run_graph(c, branch, NULL, 0, values, c->out_count);
    for (int i = 0; i < c->out_count && status == MOTET_OK; i++) mt_out_move(c, i, &values[i]);
    clear_all(values, c->out_count);
    return status;
}

/* --- what bodies yield ---------------------------------------------------------------------------------------- */

/* `count` tensors, `width` a step. */
typedef struct yields {
    size_t width, count, capacity;
    motet_tensor *tensors;
} yields;

/* Takes over the step's tensors. */
static motet_status keep_yields(yields *y, motet_tensor *values)
{
    for (size_t i = 0; i < y->width; i++) {
        if (!mt_reserve((void **)&y->tensors, y->count, &y->capacity, sizeof *y->tensors))
            return mt_fail_memory(sizeof *y->tensors);
        y->tensors[y->count++] = values[i];
        memset(&values[i], 0, sizeof values[i]);
    }
    return MOTET_OK;
}

static void drop_yields(yields *y)
{
    for (size_t i = 0; i < y->count; i++) mt_tensor_clear(&y->tensors[i]);
    mt_free(y->tensors);
}

/* Output i from the `which`-th yield of every step, along a new axis, from the last step on when `reverse`. */
static motet_status stack_yields(mt_op_context *c, int i, const yields *y, size_t which, int64_t axis_given,
                                 bool reverse)
{
    motet_tensor *out, none = {.type = MOTET_FLOAT};
    const motet_tensor *first = y->count ? &y->tensors[which] : &none;
    int64_t steps = y->width ? (int64_t)(y->count / y->width) : 0, dims[MOTET_MAX_RANK + 1];
    int axis = 0, rank = first->rank + 1;
    MT_TRY(mt_axis(c, axis_given, rank, &axis));
    for (int k = 0; k < rank; k++) dims[k] = k == axis ? steps : first->dims[k - (k > axis)];
    MT_TRY(mt_out(c, i, first->type, rank, dims, &out));
    int64_t outer = mt_span(dims, 0, axis), inner = mt_span(dims, axis + 1, rank);
    for (int64_t step = 0; step < steps; step++) {
        const motet_tensor *part = &y->tensors[(size_t)step * y->width + which];
        if (part->kind != MOTET_TENSOR || part->type != first->type || !mt_same_shape(part, first))
            return mt_op_fail(c, MOTET_ERROR_SHAPE,
                              "scan output %zu is no tensor, or changes its type or shape between steps", which);
        mt_copy box = {.rank = 2, .dims = {outer, inner}, .from = {inner, 1}, .to = {steps * inner, 1}};
        box.to_start = (reverse ? steps - 1 - step : step) * inner;
        MT_TRY(mt_copy_box(c, out, part, &box));
    }
    return MOTET_OK;
}

/* --- Loop ----------------------------------------------------------------------------------------------------- */

typedef struct loop_state {
    const mt_graph *body;
    int64_t trips; /* at most; INT64_MAX without a limit */
    int carried;
    bool going;
    motet_tensor counter, condition; /* the body's first two inputs */
    motet_tensor *values;            /* the carried ones */
    motet_tensor *made;              /* what one step makes: condition, carried, scan outputs */
    const motet_tensor **inputs;
    yields scans;
} loop_state;

static motet_status loop_prepare(mt_op_context *c, loop_state *s)
{
    const motet_tensor *limit = mt_in(c, 0), *condition = mt_in(c, 1), *value;
    MT_TRY(body_of(c, "body", &s->body));
    s->carried = c->in_count > 2 ? c->in_count - 2 : 0;
    if (s->body->output_count < s->carried + 1 || c->out_count > s->body->output_count - 1)
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "a body of %d outputs for %d carried values and %d outputs",
                          s->body->output_count, s->carried, c->out_count);
    s->scans.width = (size_t)(s->body->output_count - 1 - s->carried);
    s->trips = INT64_MAX;
    if (limit && (limit->type != MOTET_INT64 || limit->count != 1)) return mt_op_fail_type(c, 0);
    if (limit) s->trips = *(const int64_t *)limit->data;
    s->going = true;
    if (condition) MT_TRY(truth(c, condition, &s->going));
    MT_TRY(mt_tensor_alloc(&s->condition, MOTET_BOOL, 0, NULL));
    *(uint8_t *)s->condition.data = s->going;
    MT_TRY(empty_tensors(c, s->carried, &s->values));
    MT_TRY(empty_tensors(c, s->body->output_count, &s->made));
    void *memory;
    MT_TRY(mt_scratch_array(c, s->carried + 2, sizeof *s->inputs, &memory));
    s->inputs = memory;
    for (int i = 0; i < s->carried; i++) {
        MT_TRY(mt_need(c, i + 2, &value));
        mt_tensor_share(&s->values[i], value, value->rank, value->dims);
        s->inputs[i + 2] = &s->values[i];
    }
    s->inputs[0] = &s->counter;
    s->inputs[1] = &s->condition;
    return MOTET_OK;
}

/* What a step made becomes the state of the next. */
static motet_status loop_step(mt_op_context *c, loop_state *s, int64_t step)
{
    MT_TRY(mt_tensor_alloc(&s->counter, MOTET_INT64, 0, NULL));
    *(int64_t *)s->counter.data = step;
    MT_TRY(mt_run_graph(c, s->body, s->inputs, s->carried + 2, s->made, s->body->output_count));
    mt_tensor_clear(&s->counter);
    MT_TRY(truth(c, &s->made[0], &s->going));
    clear_all(s->values, s->carried);
    mt_tensor_clear(&s->condition);
    s->condition = s->made[0];
    memcpy(s->values, s->made + 1, (size_t)s->carried * sizeof *s->values);
    memset(s->made, 0, (size_t)(s->carried + 1) * sizeof *s->made);
    return keep_yields(&s->scans, s->made + 1 + s->carried);
}

static motet_status loop_run(mt_op_context *c, loop_state *s)
{
    MT_TRY(loop_prepare(c, s));
    for (int64_t step = 0; step < s->trips && s->going; step++) MT_TRY(loop_step(c, s, step));
    for (int i = 0; i < c->out_count; i++) {
        if (i < s->carried)
            mt_out_move(c, i, &s->values[i]);
        else
            MT_TRY(stack_yields(c, i, &s->scans, (size_t)(i - s->carried), 0, false));
    }
    return MOTET_OK;
}

motet_status mt_op_loop(mt_op_context *c)
{
    loop_state state = {0};
    motet_status status = loop_run(c, &state);
    mt_tensor_clear(&state.counter);
    mt_tensor_clear(&state.condition);
    if (state.values) clear_all(state.values, state.carried);
    if (state.made) clear_all(state.made, state.body->output_count);
    drop_yields(&state.scans);
    return status;
}

/* --- Scan ----------------------------------------------------------------------------------------------------- */

typedef struct scan_state {
    const mt_graph *body;
    int carried, scanned;
    int64_t steps;
    motet_tensor *values; /* carried ones, then a slice of each scanned input: the body's inputs */
    motet_tensor *made;
    const motet_tensor **inputs;
    yields scans;
} scan_state;

/* Attribute `name` for scan input or output i; 0 where the list is left out. */
static motet_status scan_setting(mt_op_context *c, const char *name, int i, int expected, int64_t *out)
{
    size_t count;
    const int64_t *list = mt_attr_ints(c, name, &count);
    *out = 0;
    if (list && count != (size_t)expected)
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "%s has %zu values: expected %d", name, count, expected);
    if (list) *out = list[i];
    return MOTET_OK;
}

static motet_status scan_prepare(mt_op_context *c, scan_state *s)
{
    MT_TRY(body_of(c, "body", &s->body));
    int64_t scanned = mt_attr_int(c, "num_scan_inputs", 0);
    if (scanned < 1 || scanned > c->in_count || s->body->output_count < c->in_count - scanned)
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "num_scan_inputs %" PRId64 " of %d inputs", scanned, c->in_count);
    s->scanned = (int)scanned;
    s->carried = c->in_count - s->scanned;
    if (c->out_count > s->body->output_count)
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "%d outputs of a body that has %d", c->out_count,
                          s->body->output_count);
    s->scans.width = (size_t)(s->body->output_count - s->carried);
    MT_TRY(empty_tensors(c, c->in_count, &s->values));
    MT_TRY(empty_tensors(c, s->body->output_count, &s->made));
    void *memory;
    MT_TRY(mt_scratch_array(c, c->in_count, sizeof *s->inputs, &memory));
    s->inputs = memory;
    for (int i = 0; i < c->in_count; i++) {
        const motet_tensor *in;
        MT_TRY(mt_need(c, i, &in));
        s->inputs[i] = &s->values[i];
        if (i < s->carried) {
            mt_tensor_share(&s->values[i], in, in->rank, in->dims);
            continue;
        }
        int64_t axis_given;
        int axis = 0;
        if (in->kind != MOTET_TENSOR) return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d is no tensor to scan", i);
        MT_TRY(scan_setting(c, "scan_input_axes", i - s->carried, s->scanned, &axis_given));
        MT_TRY(mt_axis(c, axis_given, in->rank, &axis));
        if (i > s->carried && in->dims[axis] != s->steps)
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "scan inputs of %" PRId64 " and %" PRId64 " steps", s->steps,
                              in->dims[axis]);
        s->steps = in->dims[axis];
    }
    return MOTET_OK;
}

/* The slice of scanned input k at `step`, without the scanned axis. */
static motet_status scan_slice(mt_op_context *c, scan_state *s, int k, int64_t step)
{
    const motet_tensor *in = mt_in(c, s->carried + k);
    motet_tensor *slice = &s->values[s->carried + k];
    int64_t axis_given, reverse, dims[MOTET_MAX_RANK];
    int axis = 0;
    MT_TRY(scan_setting(c, "scan_input_axes", k, s->scanned, &axis_given));
    MT_TRY(scan_setting(c, c->version < 9 ? "directions" : "scan_input_directions", k, s->scanned, &reverse));
    MT_TRY(mt_axis(c, axis_given, in->rank, &axis));
    for (int i = 0, to = 0; i < in->rank; i++)
        if (i != axis) dims[to++] = in->dims[i];
    mt_tensor_clear(slice);
    MT_TRY(mt_tensor_alloc(slice, in->type, in->rank - 1, dims));
    int64_t outer = mt_span(in->dims, 0, axis), inner = mt_span(in->dims, axis + 1, in->rank);
    mt_copy box = {.rank = 2, .dims = {outer, inner}, .from = {s->steps * inner, 1}, .to = {inner, 1}};
    box.from_start = (reverse ? s->steps - 1 - step : step) * inner;
    return mt_copy_box(c, slice, in, &box);
}

static motet_status scan_step(mt_op_context *c, scan_state *s, int64_t step)
{
    for (int k = 0; k < s->scanned; k++) MT_TRY(scan_slice(c, s, k, step));
    MT_TRY(mt_run_graph(c, s->body, s->inputs, c->in_count, s->made, s->body->output_count));
    clear_all(s->values, s->carried);
    memcpy(s->values, s->made, (size_t)s->carried * sizeof *s->values);
    memset(s->made, 0, (size_t)s->carried * sizeof *s->made);
    return keep_yields(&s->scans, s->made + s->carried);
}

static motet_status scan_run(mt_op_context *c, scan_state *s)
{
    MT_TRY(scan_prepare(c, s));
    for (int64_t step = 0; step < s->steps; step++) MT_TRY(scan_step(c, s, step));
    for (int i = 0; i < c->out_count; i++) {
        int64_t axis, reverse;
        int which = i - s->carried, width = (int)s->scans.width;
        if (which < 0) {
            mt_out_move(c, i, &s->values[i]);
            continue;
        }
        MT_TRY(scan_setting(c, "scan_output_axes", which, width, &axis));
        MT_TRY(scan_setting(c, "scan_output_directions", which, width, &reverse));
        MT_TRY(stack_yields(c, i, &s->scans, (size_t)which, axis, reverse != 0));
    }
    return MOTET_OK;
}

motet_status mt_op_scan(mt_op_context *c)
{
    scan_state state = {0};
    motet_status status = scan_run(c, &state);
    if (state.values) clear_all(state.values, c->in_count);
    if (state.made) clear_all(state.made, state.body->output_count);
    drop_yields(&state.scans);
    return status;
}

/* --- Scan before opset 9: every input has a batch axis, over which Scan as it is now is repeated. Input 0 may say how
 * long each sequence is; what a shorter one leaves of a scan output is 0, as ONNX Runtime has it. -------------------
 */

typedef struct batched_scan {
    mt_op_context inner;
    motet_tensor *slices, *made;
    const motet_tensor **in;
    motet_tensor **out;
    int scanned; /* inputs, the last ones */
    int64_t batches, steps;
    const int64_t *lengths; /* by batch; NULL: all are `steps` */
    yields results;
} batched_scan;

static bool is_scanned(const mt_op_context *c, const batched_scan *s, int i)
{
    return i >= c->in_count - s->scanned;
}

/* Image `batch` of every input but the first, of sequences the first `steps` elements. */
static motet_status take_batch(mt_op_context *c, batched_scan *s, int64_t batch, int64_t steps)
{
    for (int i = 1; i < c->in_count; i++) {
        const motet_tensor *in = c->in[i];
        motet_tensor *slice = &s->slices[i - 1];
        int64_t dims[MOTET_MAX_RANK];
        memcpy(dims, in->dims, sizeof dims);
        if (is_scanned(c, s, i)) dims[1] = steps;
        MT_TRY(mt_tensor_alloc(slice, in->type, in->rank - 1, dims + 1));
        MT_TRY(mt_copy_row(slice, 0, in, batch * mt_span(in->dims, 1, in->rank), slice->count));
    }
    return MOTET_OK;
}

/* Zeros behind the elements along the first axis, so that it is `steps` long. */
static motet_status fill_up(motet_tensor *tensor, int64_t steps)
{
    motet_tensor whole = {0};
    int64_t dims[MOTET_MAX_RANK];
    if (tensor->dims[0] == steps) return MOTET_OK;
    memcpy(dims, tensor->dims, sizeof dims);
    dims[0] = steps;
    MT_TRY(mt_tensor_alloc(&whole, tensor->type, tensor->rank, dims));
    if (whole.type != MOTET_STRING && whole.count) memset(whole.data, 0, mt_tensor_bytes(&whole));
    motet_status status = mt_copy_row(&whole, 0, tensor, 0, tensor->count);
    mt_tensor_clear(status == MOTET_OK ? tensor : &whole);
    if (status == MOTET_OK) *tensor = whole;
    return status;
}

static motet_status read_lengths(mt_op_context *c, batched_scan *s)
{
    const motet_tensor *lengths = mt_in(c, 0);
    if (!lengths) return MOTET_OK;
    if (lengths->type != MOTET_INT64) return mt_op_fail_type(c, 0);
    if (lengths->count != s->batches)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%" PRId64 " lengths of %" PRId64 " sequences", lengths->count,
                          s->batches);
    s->lengths = lengths->data;
    for (int64_t i = 0; i < s->batches; i++)
        if (s->lengths[i] != s->steps && (s->lengths[i] < 1 || s->lengths[i] > s->steps))
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "a sequence of length %" PRId64 ": expected 1 to %" PRId64,
                              s->lengths[i], s->steps);
    return MOTET_OK;
}

/* The batch axis of every input but the first, and the steps of those that are scanned. */
static motet_status measure_batches(mt_op_context *c, batched_scan *s)
{
    int64_t scanned = mt_attr_int(c, "num_scan_inputs", 0);
    if (scanned < 1 || scanned > c->in_count - 1)
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "num_scan_inputs %" PRId64 " of %d inputs", scanned, c->in_count - 1);
    s->scanned = (int)scanned;
    for (int i = 1; i < c->in_count; i++) {
        const motet_tensor *tensor;
        bool sequence = is_scanned(c, s, i);
        MT_TRY(mt_need(c, i, &tensor));
        if (tensor->kind != MOTET_TENSOR || tensor->rank < 1 + sequence)
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d: expected a batch%s", i, sequence ? " of sequences" : "");
        if (i > 1 && tensor->dims[0] != s->batches) return mt_op_fail(c, MOTET_ERROR_SHAPE, "batches of two sizes");
        s->batches = tensor->dims[0];
        if (sequence && i > c->in_count - s->scanned && tensor->dims[1] != s->steps)
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "scan inputs of %" PRId64 " and %" PRId64 " steps", s->steps,
                              tensor->dims[1]);
        if (sequence) s->steps = tensor->dims[1];
    }
    return read_lengths(c, s);
}

static motet_status prepare_batches(mt_op_context *c, batched_scan *s)
{
    void *in, *out;
    MT_TRY(measure_batches(c, s));
    MT_TRY(empty_tensors(c, c->in_count, &s->slices));
    MT_TRY(empty_tensors(c, c->out_count, &s->made));
    MT_TRY(mt_scratch_array(c, c->in_count, sizeof *s->in, &in));
    MT_TRY(mt_scratch_array(c, c->out_count, sizeof *s->out, &out));
    s->in = in;
    s->out = out;
    for (int i = 0; i < c->in_count; i++) s->in[i] = &s->slices[i];
    for (int i = 0; i < c->out_count; i++) s->out[i] = &s->made[i];
    s->inner = *c;
    s->inner.in = s->in;
    s->inner.out = s->out;
    s->inner.in_count = c->in_count - 1;
    s->results.width = (size_t)c->out_count;
    return MOTET_OK;
}

static motet_status run_batches(mt_op_context *c, batched_scan *s)
{
    if (c->in_count < 2) return mt_op_fail(c, MOTET_ERROR_FORMAT, "there is nothing to scan");
    MT_TRY(prepare_batches(c, s));
    for (int64_t batch = 0; batch < s->batches; batch++) {
        MT_TRY(take_batch(c, s, batch, s->lengths ? s->lengths[batch] : s->steps));
        MT_TRY(mt_op_scan(&s->inner));
        for (int i = s->inner.in_count - s->scanned; i < c->out_count; i++) MT_TRY(fill_up(&s->made[i], s->steps));
        MT_TRY(keep_yields(&s->results, s->made));
        clear_all(s->slices, c->in_count);
    }
    for (int i = 0; i < c->out_count; i++) MT_TRY(stack_yields(c, i, &s->results, (size_t)i, 0, false));
    return MOTET_OK;
}

motet_status mt_op_scan_8(mt_op_context *c)
{
    batched_scan state = {.batches = 0};
    motet_status status = run_batches(c, &state);
    if (state.slices) clear_all(state.slices, c->in_count);
    if (state.made) clear_all(state.made, c->out_count);
    drop_yields(&state.results);
    return status;
}
