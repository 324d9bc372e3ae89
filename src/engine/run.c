/* Running is a loop over the steps of the plan. A step's context is made of ready lists of pointers, so that what a
 * node costs besides its operator is a few stores. Nested graphs run in the same array of slots. */
#include "engine/run.h"

#include <string.h>
#include <time.h>

#include "core/memory.h"
#include "core/status.h"
#include "engine/watch.h"

static const mt_op_host host;

motet_status mt_run_create(const mt_plan *plan, mt_pool *pool, mt_stock *stock, bool reference, mt_run **out)
{
    *out = NULL;
    mt_run *run = mt_alloc_zero(1, sizeof *run);
    if (!run) return mt_fail_memory(sizeof *run);
    *run = (mt_run){.plan = plan, .pool = pool, .stock = stock, .reference = reference};
    run->slots = mt_alloc_zero((size_t)plan->slots, sizeof *run->slots);
    run->in = mt_alloc_array((size_t)plan->in_count, sizeof *run->in);
    run->out = mt_alloc_array((size_t)plan->out_count, sizeof *run->out);
    const mt_graph *main = plan->model->main;
    run->inputs = mt_alloc_array((size_t)main->input_count, sizeof *run->inputs);
    if (!run->slots || !run->in || !run->out || !run->inputs) {
        mt_run_destroy(run);
        return mt_fail_memory((size_t)plan->slots * sizeof *run->slots);
    }
    for (int i = 0; i < plan->in_count; i++)
        run->in[i] = plan->in[i] == MT_NO_VALUE ? NULL : mt_run_value(run, plan->in[i]);
    for (int i = 0; i < plan->out_count; i++) run->out[i] = &run->slots[plan->out[i]];
    for (int i = 0; i < main->input_count; i++) run->inputs[i] = &run->slots[main->inputs[i]];
    *out = run;
    return MOTET_OK;
}

static void clear_slots(mt_run *run)
{
    for (int i = 0; i < run->plan->slots; i++) mt_tensor_clear(&run->slots[i]);
}

void mt_run_destroy(mt_run *run)
{
    if (!run) return;
    if (run->slots) clear_slots(run);
    mt_buffers_drop(&run->buffers);
    mt_free(run->slots);
    mt_free(run->in);
    mt_free(run->out);
    mt_free(run->inputs);
    mt_free(run->scratch);
    mt_free(run);
}

motet_tensor *mt_run_value(mt_run *run, int value)
{
    motet_tensor *constant = run->plan->model->values[value].tensor;
    return constant ? constant : &run->slots[value];
}

/* --- steps ---------------------------------------------------------------------------------------------------- */

static void release_scratch(mt_run *run, size_t mark)
{
    while (run->scratch_count > mark) mt_buffers_give(run->scratch[--run->scratch_count]);
}

/* An operator that forgets an output must not make the next one read nothing. */
static motet_status check_made(const mt_step *step, motet_tensor *const *out)
{
    for (int i = 0; i < step->out_count; i++)
        if (!out[i]->data && step->node->outputs[i] != MT_NO_VALUE)
            return mt_fail(MOTET_ERROR_UNSUPPORTED, "output %d is not supported", i);
    return MOTET_OK;
}

static motet_status call_operator(mt_run *run, const mt_step *step)
{
    motet_tensor *const *out = run->out + step->out;
    mt_op_context context = {.node = step->node,
                             .version = step->version,
                             .in_count = step->in_count,
                             .out_count = step->out_count,
                             .in = run->in + step->in,
                             .out = out,
                             .reference = run->reference,
                             .pool = run->pool,
                             .host = &host,
                             .run = run};
    size_t mark = run->scratch_count;
    motet_status status = mt_op_run(&context);
    release_scratch(run, mark);
    return status == MOTET_OK ? check_made(step, out) : status;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Counts a node's own time: what nodes nested in it take is theirs. */
static motet_status call_and_time(mt_run *run, const mt_step *step)
{
    double outer = run->nested_seconds, start = now();
    run->nested_seconds = 0;
    MT_TRY(call_operator(run, step));
    double all = now() - start, own = all - run->nested_seconds;
    run->nested_seconds = outer + all;
    return mt_profile_add(run->profile, step->node, own > 0 ? own : 0);
}

static void release_values(mt_run *run, const mt_step *step)
{
    const int *releases = run->plan->releases + step->release;
    for (int i = 0; i < step->release_count; i++) mt_tensor_clear(&run->slots[releases[i]]);
}

static motet_status run_step(mt_run *run, const mt_step *step)
{
    motet_tensor *const *out = run->out + step->out;
    motet_status status = run->profile ? call_and_time(run, step) : call_operator(run, step);
    if (status != MOTET_OK) return mt_fail_in(status, "node '%s' (%s)", step->node->name, step->node->type);
    for (int i = 0; i < step->out_count; i++)
        if (step->node->outputs[i] == MT_NO_VALUE) mt_tensor_clear(out[i]);
    return MOTET_OK;
}

/* A step whose outputs are the same for all inputs of these shapes, which are found now. */
static motet_status learn_from_step(mt_run *run, const mt_step *step)
{
    for (int i = 0; i < step->out_count; i++) {
        int value = step->node->outputs[i];
        if (value != MT_NO_VALUE) MT_TRY(mt_known_keep(run->known, run->plan, value, &run->slots[value]));
    }
    return MOTET_OK;
}

/* Whether what follows from the shapes of this run's inputs need not be computed. */
static bool is_known(const mt_run *run)
{
    return run->known && run->known->whole && !run->learning;
}

static motet_status check_cancelled(const mt_run *run)
{
    if (!run->cancel || !atomic_load_explicit(&run->cancel->requested, memory_order_relaxed)) return MOTET_OK;
    return mt_fail(MOTET_ERROR_CANCELLED, "the run is cancelled");
}

static motet_status run_steps(mt_run *run, const mt_graph *graph)
{
    mt_step_range range = run->plan->graphs[graph->number];
    const bool *idle = is_known(run) ? run->plan->idle : NULL, *fixed = run->learning ? run->plan->fixed : NULL;
    MT_TRY(check_cancelled(run)); /* a loop may well have an empty body */
    for (int i = 0; i < range.count; i++) {
        MT_TRY(check_cancelled(run));
        const mt_step *step = &run->plan->steps[range.first + i];
        if (!idle || !idle[range.first + i]) MT_TRY(run_step(run, step));
        if (fixed && fixed[range.first + i]) MT_TRY(learn_from_step(run, step));
        release_values(run, step);
    }
    return MOTET_OK;
}

/* Makes an empty slot show what is fed to it. */
static void feed(motet_tensor *slot, const motet_tensor *tensor)
{
    mt_tensor_share(slot, tensor, tensor->rank, tensor->dims);
    slot->constant = false;
}

void mt_run_feed(mt_run *run, int index, const motet_tensor *tensor)
{
    motet_tensor *slot = &run->slots[run->plan->model->main->inputs[index]];
    mt_tensor_clear(slot);
    feed(slot, tensor);
}

/* The values of a graph end with it: inputs and outputs, as all others have been released on the way. */
static void leave_graph(mt_run *run, const mt_graph *graph)
{
    for (int i = 0; i < graph->input_count; i++) mt_tensor_clear(&run->slots[graph->inputs[i]]);
    for (int i = 0; i < graph->output_count; i++) {
        const mt_value *value = &run->plan->model->values[graph->outputs[i]];
        if (value->home == graph) mt_tensor_clear(&run->slots[graph->outputs[i]]);
    }
}

/* Puts what is known where the steps would have put it. */
static void show_known(mt_run *run)
{
    const mt_plan *plan = run->plan;
    for (size_t value = 0; value < plan->model->value_count; value++) {
        if (plan->known_place[value] < 0) continue;
        const motet_tensor *known = &run->known->tensors[plan->known_place[value]];
        feed(&run->slots[value], known);
    }
}

motet_status mt_run_main(mt_run *run)
{
    if (is_known(run)) show_known(run);
    motet_status status = run_steps(run, run->plan->model->main);
    if (status != MOTET_OK) clear_slots(run); /* whatever the run had come to */
    return status;
}

void mt_run_reset(mt_run *run)
{
    leave_graph(run, run->plan->model->main);
    mt_buffers_trim(&run->buffers);
}

/* --- what operators ask for ----------------------------------------------------------------------------------- */

static motet_status host_alloc(mt_op_context *c, motet_tensor *tensor, motet_type type, int rank, const int64_t *dims)
{
    mt_run *run = c->run;
    bool leaves = tensor >= run->slots && tensor < run->slots + run->plan->slots &&
                  run->plan->leaves[tensor - run->slots] && type != MOTET_STRING;
    return leaves ? mt_stock_tensor(run->stock, tensor, type, rank, dims)
                  : mt_buffers_tensor(&run->buffers, tensor, type, rank, dims);
}

static motet_status host_alloc_list(mt_op_context *c, motet_tensor *list, motet_kind kind, int64_t count)
{
    (void)c;
    return mt_list_alloc(list, kind, count);
}

static motet_status host_scratch(mt_op_context *c, size_t bytes, void **out)
{
    mt_run *run = c->run;
    if (!mt_reserve((void **)&run->scratch, run->scratch_count, &run->scratch_capacity, sizeof *run->scratch))
        return mt_fail_memory(sizeof *run->scratch);
    mt_buffer *buffer = mt_buffers_take(&run->buffers, bytes);
    if (!buffer) return mt_fail_memory(bytes);
    run->scratch[run->scratch_count++] = buffer;
    *out = buffer->elements;
    return MOTET_OK;
}

static motet_status host_keep(mt_op_context *c, int i, const mt_layout *layout, const void **out)
{
    mt_run *run = c->run;
    ptrdiff_t place = MT_LAYOUTS * (c->in - run->in + i) + layout->place;
    return mt_keeper_find(run->plan->keeper, c->pool, c->in[i], layout, &run->plan->kept[place], out);
}

static const void *host_kept(mt_op_context *c, int i)
{
    mt_run *run = c->run;
    return mt_keeper_look(&run->plan->kept[MT_LAYOUTS * (c->in - run->in + i)]);
}

static motet_status host_run_graph(mt_op_context *c, const mt_graph *graph, const motet_tensor *const *inputs,
                                   int input_count, motet_tensor *outputs, int output_count)
{
    mt_run *run = c->run;
    if (input_count != graph->input_count || output_count > graph->output_count)
        return mt_fail(MOTET_ERROR_FORMAT, "expected a graph of %d inputs and %d outputs, got %d and %d", input_count,
                       output_count, graph->input_count, graph->output_count);
    for (int i = 0; i < input_count; i++) feed(&run->slots[graph->inputs[i]], inputs[i]);
    MT_TRY(run_steps(run, graph));
    for (int i = 0; i < output_count; i++) {
        const motet_tensor *made = mt_run_value(run, graph->outputs[i]);
        mt_tensor_share(&outputs[i], made, made->rank, made->dims);
    }
    leave_graph(run, graph);
    return MOTET_OK;
}

static const mt_op_host host = {host_alloc, host_alloc_list, host_scratch, host_run_graph, host_keep, host_kept};
