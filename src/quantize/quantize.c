/* From a float model's file to a quantised one's: the layers are listed, watched while the model runs on samples
 * (quantize/observe.h), chosen (quantize/choose.h), rewritten (quantize/rewrite.h) and written. */
#include "motet/quantize.h"

#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "graph/write.h"
#include "model/simple.h"
#include "quantize/choose.h"

void motet_quantize_options_init(motet_quantize_options *options)
{
    *options = (motet_quantize_options){.method = MOTET_QUANTIZE_DYNAMIC, .percentile = 99.99, .measured = 16};
}

/* --- the report ----------------------------------------------------------------------------------------------- */

struct motet_quantized {
    mt_arena arena; /* of names */
    motet_quantized_layer *layers;
    size_t count, capacity;
};

typedef struct listing {
    const mt_file *file; /* of the weights, which leave memory once they have been looked at */
    motet_quantized *report;
} listing;

static motet_status note_layer(void *context, const mt_layer *layer)
{
    const listing *list = context;
    motet_quantized *report = list->report;
    mt_file_let_go(list->file, layer->weights->data, mt_tensor_bytes(layer->weights));
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

/* --- the file ------------------------------------------------------------------------------------------------- */

static motet_status quantize(mt_model *model, const mt_file *file, const motet_quantized *report,
                             const mt_byte_scale *scales)
{
    bool *integer = mt_alloc_array(report->count, sizeof *integer);
    if (!integer) return mt_fail_memory(report->count);
    for (size_t i = 0; i < report->count; i++) integer[i] = report->layers[i].quantized;
    motet_status status = mt_layers_quantize(model, file, integer, scales);
    mt_free(integer);
    return status;
}

/* Watches, chooses and writes. */
static motet_status work(const char *path, mt_file *file, mt_model *model, const char *quantized,
                         const motet_quantize_options *options, motet_quantized *report, mt_byte_scale *scales)
{
    mt_tally tally = {.options = options};
    bool known = options->method != MOTET_QUANTIZE_DYNAMIC && report->count, chosen = options->min_cosine > 0;
    if (known) tally.most += options->sample_count * (options->method == MOTET_QUANTIZE_MIN_MAX ? 1 : 2);
    if (chosen) tally.most += mt_choose_runs(options, report->count);
    if (known) MT_TRY(mt_observe(path, report->count, &tally, scales));
    if (chosen) MT_TRY(mt_choose(path, &tally, known ? scales : NULL, report->layers, report->count));
    MT_TRY_AS(quantize(model, file, report, known ? scales : NULL), "%s", path);
    MT_TRY_AS(mt_model_write(model, file, quantized, options->external), "%s", path);
    return MOTET_OK;
}

static motet_status check_samples(const motet_quantize_options *options)
{
    bool needed = options->min_cosine > 0 || options->method != MOTET_QUANTIZE_DYNAMIC;
    if (!needed || (options->sample && options->sample_count)) return MOTET_OK;
    return mt_fail(MOTET_ERROR_ARGUMENT, "no samples are given to run the model on");
}

static motet_status convert(const char *path, mt_file *file, mt_model *model, const char *quantized,
                            const motet_quantize_options *options, motet_quantized *report)
{
    MT_TRY(check_samples(options));
    MT_TRY_AS(mt_layers_visit(model, note_layer, &(listing){file, report}), "%s", path);
    MT_TRY_AS(exclude(report, options), "%s", path);
    mt_byte_scale *scales = mt_alloc_zero(report->count, sizeof *scales);
    if (!scales) return mt_fail_memory(report->count * sizeof *scales);
    motet_status status = work(path, file, model, quantized, options, report, scales);
    mt_free(scales);
    return status;
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
