/* Outputs leave by handing over their buffer where it comes from the stock and nobody else holds it; all others are
 * copied: those that show an input, a weight or another output, and those in a run's own memory. So the caller gets
 * memory that is nobody else's. With a list this holds for every item. */
#include "engine/transfer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "engine/stock.h"

/* --- inputs --------------------------------------------------------------------------------------------------- */

enum { INFO_TEXT = 512 };

static bool tensor_fits(const motet_value_info *info, const motet_tensor *tensor)
{
    if (info->type != MOTET_UNDEFINED && info->type != tensor->type) return false;
    if (info->rank < 0) return true;
    if (info->rank != tensor->rank) return false;
    for (int i = 0; i < info->rank; i++)
        if (info->dims[i] >= 0 && info->dims[i] != tensor->dims[i]) return false;
    return true;
}

/* The kind and the items; of a map, what the file says about its types is not held against it. */
static bool list_fits(const motet_value_info *info, const motet_tensor *list)
{
    for (int64_t i = 0; i < list->count; i++) {
        const motet_tensor *item = &mt_items(list)[i];
        if (item->kind != info->item) return false;
        if (item->kind == MOTET_TENSOR && list->kind != MOTET_MAP && !tensor_fits(info, item)) return false;
        for (int64_t k = 0; item->kind == MOTET_SEQUENCE && k < item->count; k++)
            if (mt_items(item)[k].kind == MOTET_TENSOR && !tensor_fits(info, &mt_items(item)[k])) return false;
    }
    return true;
}

/* An optional that holds something may be fed as what it holds. */
static bool fits(const motet_value_info *info, const motet_tensor *value)
{
    bool optional = info->kind == MOTET_OPTIONAL && value->kind != MOTET_OPTIONAL;
    motet_kind kind = optional ? info->item : info->kind;
    if (value->kind != kind) return false;
    if (kind == MOTET_TENSOR) return tensor_fits(info, value);
    motet_value_info inner = *info;
    if (optional) inner.item = value->count ? mt_items(value)[0].kind : MOTET_TENSOR;
    return list_fits(&inner, value);
}

/* "float32[batch,300,80]", with "?" for what has neither a size nor a name; "sequence of float32". */
static const char *describe(const motet_value_info *info, char *text, size_t size)
{
    size_t used = 0;
    if (info->kind != MOTET_TENSOR) used += (size_t)snprintf(text, size, "%s of ", motet_kind_name(info->kind));
    if (info->item != MOTET_TENSOR)
        used += (size_t)snprintf(text + used, size - used, "%s of ", motet_kind_name(info->item));
    used += (size_t)snprintf(text + used, size - used, "%s%s", motet_type_name(info->type), info->rank < 0 ? "" : "[");
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
    motet_value_info wanted = *info;
    if (t->any_shape) wanted.rank = -1;
    if (!fits(&wanted, t->inputs[i])) {
        char expected[INFO_TEXT], got[MT_SHAPE_TEXT];
        return mt_fail(MOTET_ERROR_SHAPE, "input '%s': expected %s, got %s", info->name,
                       describe(&wanted, expected, sizeof expected), mt_tensor_describe(t->inputs[i], got, sizeof got));
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

static bool is_own(const motet_tensor *value)
{
    const mt_buffer *buffer = value->buffer;
    if (!buffer || mt_buffers_own(buffer)) return false;
    return atomic_load_explicit(&buffer->references, memory_order_acquire) == 1;
}

/* Makes what an output shows its own, where it is not yet: memory that is borrowed, shared or a run's is copied. */
static motet_status make_own(motet_tensor *value)
{
    value->constant = false;
    if (!is_own(value)) {
        motet_tensor copy = {0};
        MT_TRY(mt_tensor_copy(&copy, value));
        mt_tensor_clear(value);
        *value = copy;
    } else if (value->kind != MOTET_TENSOR) {
        for (int64_t i = 0; i < value->count; i++) MT_TRY(make_own(&mt_items(value)[i]));
    }
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
static motet_tensor *taken_before(const mt_transfer *t, size_t i, int value)
{
    for (size_t k = 0; k < i; k++) {
        int other;
        if (find_output(t, k, &other) == MOTET_OK && other == value) return t->outputs[k];
    }
    return NULL;
}

/* Strings and lists, for which the stock has no room. */
static motet_status hand_out_loose(motet_tensor *made, bool take, motet_tensor **out)
{
    *out = mt_alloc_zero(1, sizeof **out);
    if (!*out) return mt_fail_memory(sizeof **out);
    if (!take) return mt_tensor_copy(*out, made);
    **out = *made;
    memset(made, 0, sizeof *made);
    return make_own(*out);
}

/* `take`: the tensor may be emptied; else it stays as it is. */
static motet_status hand_out(mt_run *run, motet_tensor *made, bool take, motet_tensor **out)
{
    if (made->kind != MOTET_TENSOR || made->type == MOTET_STRING) return hand_out_loose(made, take, out);
    motet_tensor own = {0};
    if (take && is_own(made) && made->buffer->handle) {
        own = *made;
        own.constant = false;
        memset(made, 0, sizeof *made);
    } else {
        MT_TRY(mt_stock_tensor(run->stock, &own, made->type, made->rank, made->dims));
        if (made->count) memcpy(own.data, made->data, mt_tensor_bytes(made));
    }
    *out = own.buffer->handle;
    **out = own;
    return MOTET_OK;
}

static motet_status fill_output(mt_run *run, const mt_transfer *t, size_t i)
{
    int value = MT_NO_VALUE;
    MT_TRY(find_output(t, i, &value));
    motet_tensor *made = mt_run_value(run, value);
    if (!made->data) return hand_out(run, taken_before(t, i, value), false, &t->outputs[i]);
    return hand_out(run, made, made == &run->slots[value], &t->outputs[i]); /* not a constant */
}

motet_status mt_take_outputs(mt_run *run, const mt_transfer *t)
{
    motet_status status = MOTET_OK;
    for (size_t i = 0; i < t->output_count && status == MOTET_OK; i++) status = fill_output(run, t, i);
    if (status == MOTET_OK) return MOTET_OK;
    for (size_t i = 0; i < t->output_count; i++) {
        motet_tensor_destroy(t->outputs[i]);
        t->outputs[i] = NULL;
    }
    return status;
}
