/* Which layers bear integers is found in one session on a model that has every layer twice (quantize/rewrite.h), with
 * inputs that say which of both counts: nothing is loaded or packed again between the runs. With n layers there is a
 * run of the float model, one with all quantised, and when that is not near enough one for each layer alone and
 * log2(n) to find how many of those that cost most must stay float. */
#include "motet/quantize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "engine/session.h"
#include "graph/write.h"
#include "model/simple.h"
#include "motet/compare.h"
#include "quantize/rewrite.h"

void motet_quantize_options_init(motet_quantize_options *options)
{
    *options = (motet_quantize_options){.min_cosine = 0};
}

/* --- the report ----------------------------------------------------------------------------------------------- */

struct motet_quantized {
    mt_arena arena; /* of names */
    motet_quantized_layer *layers;
    size_t count, capacity;
};

static motet_status note_layer(void *context, const mt_layer *layer)
{
    motet_quantized *report = context;
    if (!mt_reserve((void **)&report->layers, report->count, &report->capacity, sizeof *report->layers))
        return mt_fail_memory(sizeof *report->layers);
    motet_quantized_layer *noted = &report->layers[report->count];
    *noted = (motet_quantized_layer){.name = mt_arena_string(&report->arena, layer->node->name),
                                     .type = mt_arena_string(&report->arena, layer->node->type),
                                     .parameters = layer->weights->count,
                                     .quantized = true,
                                     .cosine = (double)NAN};
    if (!noted->name || !noted->type) return mt_fail_memory(strlen(layer->node->name));
    report->count++;
    return MOTET_OK;
}

static motet_status exclude(motet_quantized *report, const motet_quantize_options *options)
{
    for (size_t i = 0; i < options->exclude_count; i++) {
        bool found = false;
        for (size_t k = 0; k < report->count; k++) {
            motet_quantized_layer *layer = &report->layers[k];
            if (strcmp(layer->name, options->exclude[i])) continue;
            found = layer->excluded = true;
            layer->quantized = false;
        }
        if (!found)
            return mt_fail(MOTET_ERROR_ARGUMENT, "there is no layer '%s' that could be quantised", options->exclude[i]);
    }
    return MOTET_OK;
}

const motet_quantized_layer *motet_quantized_layer_at(const motet_quantized *report, size_t index)
{
    return index < report->count ? &report->layers[index] : NULL;
}

void motet_quantized_destroy(motet_quantized *report)
{
    if (!report) return;
    mt_free(report->layers);
    mt_arena_clear(&report->arena);
    mt_free(report);
}

/* --- runs ----------------------------------------------------------------------------------------------------- */

typedef struct trial {
    const motet_quantize_options *options;
    motet_quantized *report;
    motet_session *session;
    size_t inputs, outputs; /* of the session */
    const char **input_names, **output_names;
    const motet_tensor **fed;
    motet_tensor **switches; /* one for each layer */
    motet_tensor **expected, **got;
    size_t done, most; /* runs */
} trial;

static void set(trial *t, size_t layer, bool on)
{
    *(bool *)motet_tensor_data(t->switches[layer]) = on;
}

static motet_status run(trial *t, motet_tensor **outputs)
{
    MT_TRY(motet_session_run(t->session, t->input_names, t->fed, t->inputs, t->output_names, outputs, t->outputs));
    t->done++;
    if (t->options->progress) t->options->progress(t->options->progress_context, t->done, t->most);
    return MOTET_OK;
}

/* -1 for outputs of other shapes, and for floats that are not finite where they should be. */
static motet_status compare(const motet_tensor *expected, const motet_tensor *got, double *cosine)
{
    static const motet_tolerance anything = {-1, -1, -1, -1, -1};
    motet_distance distance;
    motet_distance_init(&distance);
    motet_status status = motet_tensor_compare(expected, got, &anything, &distance);
    if (status == MOTET_ERROR_MEMORY) return status;
    motet_type type = motet_tensor_type(expected);
    bool floats = type == MOTET_FLOAT || type == MOTET_DOUBLE;
    *cosine = status == MOTET_OK || (status == MOTET_ERROR_DIFFERENT && !floats) ? distance.cosine : -1;
    return MOTET_OK;
}

/* Runs as the switches are: the smallest cosine of the outputs. */
static motet_status measure(trial *t, double *cosine)
{
    motet_status status = run(t, t->got);
    *cosine = 1;
    for (size_t i = 0; i < t->outputs; i++) {
        double one = 1;
        if (status == MOTET_OK) status = compare(t->expected[i], t->got[i], &one);
        *cosine = fmin(*cosine, one);
        motet_tensor_destroy(t->got[i]);
        t->got[i] = NULL;
    }
    return status;
}

/* --- the search ----------------------------------------------------------------------------------------------- */

static motet_status measure_alone(trial *t, size_t layer)
{
    set(t, layer, true);
    motet_status status = measure(t, &t->report->layers[layer].cosine);
    set(t, layer, false);
    return status;
}

static int by_cosine(const void *a, const void *b)
{
    const motet_quantized_layer *x = *(motet_quantized_layer *const *)a, *y = *(motet_quantized_layer *const *)b;
    if (x->cosine != y->cosine) return x->cosine < y->cosine ? -1 : 1;
    return (x > y) - (x < y); /* the earlier layer */
}

/* The fewest of the `count` layers, the first of them, that must stay float; with all of them there is nothing left
 * that could go wrong. */
static motet_status find_fewest(trial *t, motet_quantized_layer **sorted, size_t count)
{
    size_t low = 0, high = count; /* `low` are too few, `high` are enough */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        double cosine;
        for (size_t i = 0; i < count; i++) set(t, (size_t)(sorted[i] - t->report->layers), i >= middle);
        MT_TRY(measure(t, &cosine));
        if (cosine >= t->options->min_cosine)
            high = middle;
        else
            low = middle;
    }
    for (size_t i = 0; i < high; i++) sorted[i]->quantized = false;
    return MOTET_OK;
}

static motet_status search(trial *t)
{
    motet_quantized *report = t->report;
    size_t count = 0;
    double cosine;
    MT_TRY(run(t, t->expected));
    for (size_t i = 0; i < report->count; i++) set(t, i, report->layers[i].quantized);
    MT_TRY(measure(t, &cosine));
    if (cosine >= t->options->min_cosine) return MOTET_OK;
    motet_quantized_layer **sorted = mt_alloc_array(report->count, sizeof *sorted);
    if (!sorted) return mt_fail_memory(report->count * sizeof *sorted);
    motet_status status = MOTET_OK;
    for (size_t i = 0; i < report->count; i++) {
        set(t, i, false);
        if (report->layers[i].quantized) sorted[count++] = &report->layers[i];
    }
    for (size_t i = 0; i < count && status == MOTET_OK; i++)
        status = measure_alone(t, (size_t)(sorted[i] - report->layers));
    if (count) qsort(sorted, count, sizeof *sorted, by_cosine);
    if (status == MOTET_OK) status = find_fewest(t, sorted, count);
    mt_free(sorted);
    return status;
}

/* --- a session with every layer twice ------------------------------------------------------------------------- */

static motet_status open_doubled(const char *path, trial *t)
{
    mt_file *file;
    mt_model *model;
    motet_session_options options;
    motet_session_options_init(&options);
    options.threads = t->options->threads;
    MT_TRY(mt_model_open_simple(path, &file, &model));
    motet_status status = mt_layers_double(model, t->report->count);
    if (status == MOTET_OK) return mt_session_open_model(path, &options, file, model, &t->session);
    mt_model_destroy(model);
    mt_file_close(file);
    return mt_fail_in(status, "%s", path);
}

static motet_status feed(const char *path, trial *t)
{
    size_t own = t->inputs - t->report->count;
    if (own != t->options->input_count)
        return mt_fail(MOTET_ERROR_ARGUMENT, "%s: it has %zu inputs, %zu are given", path, own,
                       t->options->input_count);
    for (size_t i = 0; i < t->inputs; i++) t->input_names[i] = motet_session_input(t->session, i)->name;
    for (size_t i = 0; i < t->outputs; i++) t->output_names[i] = motet_session_output(t->session, i)->name;
    for (size_t i = 0; i < own; i++) t->fed[i] = t->options->inputs[i];
    for (size_t i = 0; i < t->report->count; i++) {
        MT_TRY(motet_tensor_create(MOTET_BOOL, 0, NULL, &t->switches[i]));
        t->fed[own + i] = t->switches[i];
    }
    return MOTET_OK;
}

static motet_status prepare(const char *path, trial *t)
{
    MT_TRY(open_doubled(path, t));
    t->inputs = motet_session_input_count(t->session);
    t->outputs = motet_session_output_count(t->session);
    t->input_names = mt_alloc_zero(t->inputs, sizeof *t->input_names);
    t->output_names = mt_alloc_zero(t->outputs, sizeof *t->output_names);
    t->fed = mt_alloc_zero(t->inputs, sizeof *t->fed);
    t->switches = mt_alloc_zero(t->report->count, sizeof *t->switches);
    t->expected = mt_alloc_zero(t->outputs, sizeof *t->expected);
    t->got = mt_alloc_zero(t->outputs, sizeof *t->got);
    if (!t->input_names || !t->output_names || !t->fed || !t->switches || !t->expected || !t->got)
        return mt_fail_memory(t->inputs * sizeof *t->fed);
    t->most = t->report->count + 2;
    for (size_t left = t->report->count; left > 1; left -= left / 2) t->most++;
    return feed(path, t);
}

static void clear(trial *t)
{
    for (size_t i = 0; i < t->report->count && t->switches; i++) motet_tensor_destroy(t->switches[i]);
    for (size_t i = 0; i < t->outputs && t->expected; i++) motet_tensor_destroy(t->expected[i]);
    mt_free((void *)t->input_names);
    mt_free((void *)t->output_names);
    mt_free((void *)t->fed);
    mt_free((void *)t->switches);
    mt_free((void *)t->expected);
    mt_free((void *)t->got);
    motet_session_close(t->session);
}

static motet_status choose(const char *path, const motet_quantize_options *options, motet_quantized *report)
{
    trial t = {.options = options, .report = report};
    if (!(options->min_cosine > 0) || !report->count) return MOTET_OK;
    motet_status status = prepare(path, &t);
    if (status == MOTET_OK) status = search(&t);
    clear(&t);
    return status;
}

/* --- the file ------------------------------------------------------------------------------------------------- */

static motet_status quantize(mt_model *model, const motet_quantized *report)
{
    bool *integer = mt_alloc_array(report->count, sizeof *integer);
    if (!integer) return mt_fail_memory(report->count);
    for (size_t i = 0; i < report->count; i++) integer[i] = report->layers[i].quantized;
    motet_status status = mt_layers_quantize(model, integer);
    mt_free(integer);
    return status;
}

static motet_status convert(const char *path, mt_file *file, mt_model *model, const char *quantized,
                            const motet_quantize_options *options, motet_quantized *report)
{
    MT_TRY_AS(mt_layers_visit(model, note_layer, report), "%s", path);
    MT_TRY_AS(exclude(report, options), "%s", path);
    MT_TRY(choose(path, options, report));
    MT_TRY_AS(quantize(model, report), "%s", path);
    MT_TRY_AS(mt_model_write(model, file, quantized, options->external), "%s", path);
    return MOTET_OK;
}

motet_status motet_model_quantize(const char *path, const char *quantized, const motet_quantize_options *options,
                                  motet_quantized **report)
{
    mt_file *file;
    mt_model *model;
    motet_quantize_options defaults;
    motet_quantize_options_init(&defaults);
    if (report) *report = NULL;
    MT_TRY(mt_model_open_simple(path, &file, &model));
    motet_quantized *made = mt_alloc_zero(1, sizeof *made);
    motet_status status = made ? convert(path, file, model, quantized, options ? options : &defaults, made)
                               : mt_fail_memory(sizeof *made);
    mt_model_destroy(model);
    mt_file_close(file);
    if (status == MOTET_OK && report)
        *report = made;
    else
        motet_quantized_destroy(made);
    return status;
}
