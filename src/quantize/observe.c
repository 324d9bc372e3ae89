/* The model is run with the inputs of its layers as outputs. Ranges take one pass over the samples, histograms a second
 * one, as they are histograms of the range: nothing of a sample stays but what its values have been counted as. */
#include "quantize/observe.h"

#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "engine/session.h"
#include "model/simple.h"

motet_status mt_run_sample(mt_tally *tally, motet_session *session, size_t index, const motet_tensor *const *more,
                           size_t more_count, motet_tensor **outputs)
{
    const motet_quantize_options *o = tally->options;
    motet_run_options options;
    motet_run_options_init(&options);
    options.cancel = o->cancel;
    size_t inputs = motet_session_input_count(session), wanted = motet_session_output_count(session);
    const char **names = mt_alloc_array(inputs + wanted, sizeof *names);
    const motet_tensor **fed = mt_alloc_zero(inputs, sizeof *fed);
    motet_status status = names && fed ? o->sample(o->sample_context, index, fed) : mt_fail_memory(sizeof *fed);
    for (size_t i = 0; i < inputs && status == MOTET_OK; i++) names[i] = motet_session_input(session, i)->name;
    for (size_t i = 0; i < wanted && status == MOTET_OK; i++)
        names[inputs + i] = motet_session_output(session, i)->name;
    if (status == MOTET_OK && more_count) memcpy(fed + inputs - more_count, more, more_count * sizeof *fed);
    if (status == MOTET_OK)
        status = motet_session_run_with(session, &options, names, fed, inputs, names + inputs, outputs, wanted);
    mt_free((void *)names);
    mt_free((void *)fed);
    tally->done++;
    if (status == MOTET_OK && o->progress) o->progress(o->progress_context, tally->done, tally->most);
    return status;
}

/* --- watching ------------------------------------------------------------------------------------------------- */

typedef struct observation {
    mt_tally *tally;
    motet_session *session;
    int *taps;              /* by layer: which of the tapped values it is fed, or MT_NO_VALUE */
    mt_range *ranges;       /* of tapped values */
    size_t tapped, outputs; /* the tapped values are the last of the session's outputs */
    motet_tensor **made;
} observation;

static motet_status open_tapped(const char *path, size_t layers, observation *o)
{
    mt_file *file;
    mt_model *model;
    motet_session_options options;
    motet_session_options_init(&options);
    options.threads = o->tally->options->threads;
    MT_TRY(mt_model_open_simple(path, &file, &model));
    o->taps = mt_alloc_array(layers, sizeof *o->taps);
    motet_status status = o->taps ? mt_layers_tap(model, o->taps, &o->tapped) : mt_fail_memory(layers);
    if (status == MOTET_OK) return mt_session_open_model(path, &options, file, model, &o->session);
    mt_model_destroy(model);
    mt_file_close(file);
    return mt_fail_in(status, "%s", path);
}

static void look(const observation *o, bool counting)
{
    for (size_t i = 0; i < o->tapped; i++) {
        const motet_tensor *fed = o->made[o->outputs - o->tapped + i];
        if (fed->type != MOTET_FLOAT) continue;
        if (counting)
            mt_range_count(&o->ranges[i], fed->data, fed->count);
        else
            mt_range_widen(&o->ranges[i], fed->data, fed->count);
    }
}

static motet_status watch(observation *o, bool counting)
{
    for (size_t i = 0; i < o->tally->options->sample_count; i++) {
        MT_TRY(mt_run_sample(o->tally, o->session, i, NULL, 0, o->made));
        look(o, counting);
        for (size_t k = 0; k < o->outputs; k++) {
            motet_tensor_destroy(o->made[k]);
            o->made[k] = NULL;
        }
    }
    return MOTET_OK;
}

static motet_status make_bins(observation *o)
{
    for (size_t i = 0; i < o->tapped; i++) {
        o->ranges[i].bins = mt_alloc_zero(MT_RANGE_BINS, sizeof *o->ranges[i].bins);
        if (!o->ranges[i].bins) return mt_fail_memory(MT_RANGE_BINS * sizeof *o->ranges[i].bins);
    }
    return MOTET_OK;
}

static motet_status observe(observation *o, bool spread)
{
    o->outputs = motet_session_output_count(o->session);
    o->ranges = mt_alloc_zero(o->tapped, sizeof *o->ranges);
    o->made = mt_alloc_zero(o->outputs, sizeof *o->made);
    if (!o->ranges || !o->made) return mt_fail_memory(o->outputs * sizeof *o->made);
    MT_TRY(watch(o, false));
    if (!spread) return MOTET_OK;
    MT_TRY(make_bins(o));
    return watch(o, true);
}

motet_status mt_observe(const char *path, size_t count, mt_tally *tally, mt_byte_scale *scales)
{
    const motet_quantize_options *options = tally->options;
    observation o = {.tally = tally};
    motet_status status = open_tapped(path, count, &o);
    if (status == MOTET_OK) status = observe(&o, options->method != MOTET_QUANTIZE_MIN_MAX);
    for (size_t i = 0; i < count && status == MOTET_OK; i++) {
        const mt_range *range = o.taps[i] == MT_NO_VALUE ? NULL : &o.ranges[o.taps[i]];
        bool fed = range && range->most > range->least;
        scales[i] = fed ? mt_range_scale(range, options->method, options->percentile) : (mt_byte_scale){0};
    }
    for (size_t i = 0; i < o.tapped && o.ranges; i++) mt_free(o.ranges[i].bins);
    motet_session_close(o.session);
    mt_free(o.ranges);
    mt_free(o.taps);
    mt_free((void *)o.made);
    return status;
}
