/* Outputs leave by handing over their buffer where nobody else holds it; those that show an input, a weight or another
 * output are copied, so that the caller gets memory that is nobody else's. */
#include "engine/transfer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"

/* --- inputs --------------------------------------------------------------------------------------------------- */

enum { INFO_TEXT = 512 };

static bool fits(const motet_value_info *info, const motet_tensor *tensor)
{
    if (info->type != MOTET_UNDEFINED && info->type != tensor->type) return false;
    if (info->rank < 0) return true;
    if (info->rank != tensor->rank) return false;
    for (int i = 0; i < info->rank; i++)
        if (info->dims[i] >= 0 && info->dims[i] != tensor->dims[i]) return false;
    return true;
}

/* "float32[batch,300,80]", with "?" for what has neither a size nor a name. */
static const char *describe(const motet_value_info *info, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "%s%s", motet_type_name(info->type), info->rank < 0 ? "" : "[");
    for (int i = 0; i < info->rank && used < size; i++) {
        const char *comma = i ? "," : "";
        int length = info->dims[i] >= 0 ? snprintf(text + used, size - used, "%s%" PRId64, comma, info->dims[i])
                                        : snprintf(text + used, size - used, "%s%.24s", comma,
                                                   info->symbols[i] ? info->symbols[i] : "?");
        used += length > 0 ? (size_t)length : 0;
    }
    if (info->rank >= 0 && used < size) snprintf(text + used, size - used, "]");
    return text;
}

static motet_status find_input(const mt_transfer *t, const char *name, int *out)
{
    for (*out = 0; *out < t->model->main->input_count; ++*out)
        if (strcmp(t->model->inputs[*out].name, name) == 0) return MOTET_OK;
    return mt_fail(MOTET_ERROR_ARGUMENT, "the model has no input '%s'", name);
}

static motet_status feed_one(mt_run *run, const mt_transfer *t, size_t i)
{
    int index = 0;
    if (!t->input_names[i] || !t->inputs[i]) return mt_fail(MOTET_ERROR_ARGUMENT, "input %zu of the run is NULL", i);
    MT_TRY(find_input(t, t->input_names[i], &index));
    const motet_value_info *info = &t->model->inputs[index];
    if (!fits(info, t->inputs[i])) {
        char expected[INFO_TEXT], got[MT_SHAPE_TEXT];
        return mt_fail(MOTET_ERROR_SHAPE, "input '%s': expected %s, got %s", info->name,
                       describe(info, expected, sizeof expected), mt_tensor_describe(t->inputs[i], got, sizeof got));
    }
    mt_run_feed(run, index, t->inputs[i]);
    return MOTET_OK;
}

motet_status mt_feed_inputs(mt_run *run, const mt_transfer *t)
{
    const mt_graph *main = t->model->main;
    for (size_t i = 0; i < t->input_count; i++) MT_TRY(feed_one(run, t, i));
    for (int i = 0; i < main->input_count; i++)
        if (!mt_run_value(run, main->inputs[i])->data)
            return mt_fail(MOTET_ERROR_ARGUMENT, "input '%s' is not fed", t->model->inputs[i].name);
    return MOTET_OK;
}

/* --- outputs -------------------------------------------------------------------------------------------------- */

static motet_status copy_strings(const motet_tensor *from, motet_tensor *to)
{
    for (int64_t i = 0; i < from->count; i++) {
        size_t length;
        const char *bytes = motet_tensor_string(from, i, &length);
        MT_TRY(motet_tensor_set_string(to, i, bytes, length));
    }
    return MOTET_OK;
}

static motet_status copy(const motet_tensor *from, motet_tensor *to)
{
    MT_TRY(mt_tensor_alloc(to, from->type, from->rank, from->dims));
    if (from->type == MOTET_STRING) return copy_strings(from, to);
    size_t bytes = (size_t)from->count * motet_type_size(from->type);
    if (bytes) memcpy(to->data, from->data, bytes);
    return MOTET_OK;
}

static motet_status find_output(const mt_transfer *t, size_t i, int *value)
{
    const char *name = t->output_names[i];
    if (!name) return mt_fail(MOTET_ERROR_ARGUMENT, "output %zu of the run is NULL", i);
    for (int k = 0; k < t->model->main->output_count; k++) {
        if (strcmp(t->model->outputs[k].name, name)) continue;
        *value = t->model->main->outputs[k];
        return MOTET_OK;
    }
    return mt_fail(MOTET_ERROR_ARGUMENT, "the model has no output '%s'", name);
}

/* An output asked for before, under the same or another name, that took the value with it. */
static const motet_tensor *taken_before(const mt_transfer *t, size_t i, int value)
{
    for (size_t k = 0; k < i; k++) {
        int other;
        if (find_output(t, k, &other) == MOTET_OK && other == value) return t->outputs[k];
    }
    return NULL;
}

static bool may_leave(const mt_run *run, const motet_tensor *made, int value)
{
    return made == &run->slots[value] && made->buffer &&
           atomic_load_explicit(&made->buffer->references, memory_order_acquire) == 1;
}

static motet_status fill_output(mt_run *run, const mt_transfer *t, size_t i, motet_tensor *out)
{
    int value = MT_NO_VALUE;
    MT_TRY(find_output(t, i, &value));
    motet_tensor *made = mt_run_value(run, value);
    if (!made->data) return copy(taken_before(t, i, value), out);
    if (!may_leave(run, made, value)) return copy(made, out);
    *out = *made;
    out->constant = false;
    memset(made, 0, sizeof *made);
    return MOTET_OK;
}

motet_status mt_take_outputs(mt_run *run, const mt_transfer *t)
{
    motet_status status = MOTET_OK;
    for (size_t i = 0; i < t->output_count && status == MOTET_OK; i++) {
        t->outputs[i] = mt_alloc_zero(1, sizeof **t->outputs);
        status = t->outputs[i] ? fill_output(run, t, i, t->outputs[i]) : mt_fail_memory(sizeof **t->outputs);
    }
    if (status == MOTET_OK) return MOTET_OK;
    for (size_t i = 0; i < t->output_count; i++) {
        motet_tensor_destroy(t->outputs[i]);
        t->outputs[i] = NULL;
    }
    return status;
}
