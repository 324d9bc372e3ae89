/* The choice is made in one session on a model that has every layer twice (quantize/rewrite.h), with inputs that say
 * which of both counts: nothing is loaded or packed again between the runs. With n layers the float model is run, the
 * one with all quantised, and when that is not near enough one for each layer alone and log2(n) to find how many of
 * those that cost most must stay float; each of them on a few of the samples. */
#include "quantize/choose.h"

#include <math.h>
#include <stdlib.h>

#include "core/memory.h"
#include "core/status.h"
#include "engine/session.h"
#include "model/simple.h"

typedef struct trial {
    mt_tally *tally;
    motet_quantized_layer *layers;
    size_t count, measured; /* samples */
    motet_session *session;
    size_t outputs;
    motet_tensor **switches; /* one for each layer */
    motet_tensor **expected; /* of the float model: outputs of the first measured sample, of the next, ... */
    motet_tensor **got;
    struct nearness *near; /* by output */
} trial;

static size_t measured_samples(const motet_quantize_options *options)
{
    return options->measured < options->sample_count ? options->measured : options->sample_count;
}

size_t mt_choose_runs(const motet_quantize_options *options, size_t count)
{
    size_t most = count + 2;
    for (size_t left = count; left > 1; left -= left / 2) most++;
    return most * measured_samples(options);
}

/* --- how near ------------------------------------------------------------------------------------------------- */

/* Of an output over all measured samples, as if it were one vector. */
typedef struct nearness {
    double both, expected, got; /* inner products */
    bool apart;                 /* other shapes, or what is finite in one and not in the other */
} nearness;

static bool same_shape(const motet_tensor *a, const motet_tensor *b)
{
    bool same = a->kind == MOTET_TENSOR && b->kind == MOTET_TENSOR && a->type == b->type && a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++) same = a->dims[i] == b->dims[i];
    return same;
}

static void add_nearness(nearness *n, const motet_tensor *expected, const motet_tensor *got)
{
    if (!same_shape(expected, got)) n->apart = true;
    if (n->apart || expected->type == MOTET_STRING) return;
    for (int64_t i = 0; i < expected->count; i++) {
        double a = motet_tensor_number(expected, i), b = motet_tensor_number(got, i);
        if (isfinite(a) != isfinite(b)) n->apart = true;
        if (!isfinite(a) || !isfinite(b)) continue;
        n->both += a * b;
        n->expected += a * a;
        n->got += b * b;
    }
}

/* The cosine; 1 for two zeros. */
static double near_to_cosine(const nearness *n)
{
    if (n->apart) return -1;
    if (n->expected > 0 && n->got > 0) return n->both / sqrt(n->expected) / sqrt(n->got);
    return n->expected > 0 || n->got > 0 ? 0 : 1;
}

/* --- runs ----------------------------------------------------------------------------------------------------- */

static void set(trial *t, size_t layer, bool on)
{
    *(bool *)t->switches[layer]->data = on;
}

/* The samples are spread evenly over all there are. */
static motet_status run(trial *t, size_t measured, motet_tensor **outputs)
{
    size_t index = measured * t->tally->options->sample_count / t->measured;
    return mt_run_sample(t->tally, t->session, index, (const motet_tensor *const *)t->switches, t->count, outputs);
}

/* Runs as the switches are: the smallest cosine of the outputs. */
static motet_status measure(trial *t, double *cosine)
{
    for (size_t i = 0; i < t->outputs; i++) t->near[i] = (nearness){0};
    for (size_t sample = 0; sample < t->measured; sample++) {
        MT_TRY(run(t, sample, t->got));
        for (size_t i = 0; i < t->outputs; i++) {
            add_nearness(&t->near[i], t->expected[sample * t->outputs + i], t->got[i]);
            motet_tensor_destroy(t->got[i]);
            t->got[i] = NULL;
        }
    }
    *cosine = 1;
    for (size_t i = 0; i < t->outputs; i++) *cosine = fmin(*cosine, near_to_cosine(&t->near[i]));
    return MOTET_OK;
}

/* --- the search ----------------------------------------------------------------------------------------------- */

static motet_status measure_alone(trial *t, size_t layer)
{
    set(t, layer, true);
    motet_status status = measure(t, &t->layers[layer].cosine);
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
        for (size_t i = 0; i < count; i++) set(t, (size_t)(sorted[i] - t->layers), i >= middle);
        MT_TRY(measure(t, &cosine));
        if (cosine >= t->tally->options->min_cosine)
            high = middle;
        else
            low = middle;
    }
    for (size_t i = 0; i < high; i++) sorted[i]->quantized = false;
    return MOTET_OK;
}

static motet_status search_among(trial *t, motet_quantized_layer **sorted)
{
    size_t count = 0;
    for (size_t i = 0; i < t->count; i++) {
        set(t, i, false);
        if (t->layers[i].quantized) sorted[count++] = &t->layers[i];
    }
    for (size_t i = 0; i < count; i++) MT_TRY(measure_alone(t, (size_t)(sorted[i] - t->layers)));
    if (count) qsort(sorted, count, sizeof *sorted, by_cosine);
    return find_fewest(t, sorted, count);
}

static motet_status search(trial *t)
{
    double cosine;
    for (size_t i = 0; i < t->measured; i++) MT_TRY(run(t, i, t->expected + i * t->outputs));
    for (size_t i = 0; i < t->count; i++) set(t, i, t->layers[i].quantized);
    MT_TRY(measure(t, &cosine));
    if (cosine >= t->tally->options->min_cosine) return MOTET_OK;
    motet_quantized_layer **sorted = mt_alloc_array(t->count, sizeof *sorted);
    if (!sorted) return mt_fail_memory(t->count * sizeof *sorted);
    motet_status status = search_among(t, sorted);
    mt_free(sorted);
    return status;
}

/* --- a session with every layer twice ------------------------------------------------------------------------- */

static motet_status open_doubled(const char *path, const mt_byte_scale *scales, trial *t)
{
    mt_file *file;
    mt_model *model;
    motet_session_options options;
    motet_session_options_init(&options);
    options.threads = t->tally->options->threads;
    MT_TRY(mt_model_open_simple(path, &file, &model));
    motet_status status = mt_layers_double(model, t->count, scales);
    if (status == MOTET_OK) return mt_session_open_model(path, &options, file, model, &t->session);
    mt_model_destroy(model);
    mt_file_close(file);
    return mt_fail_in(status, "%s", path);
}

static motet_status prepare(trial *t)
{
    t->outputs = motet_session_output_count(t->session);
    t->switches = mt_alloc_zero(t->count, sizeof *t->switches);
    t->expected = mt_alloc_zero(t->outputs * t->measured, sizeof *t->expected);
    t->got = mt_alloc_zero(t->outputs, sizeof *t->got);
    t->near = mt_alloc_zero(t->outputs, sizeof *t->near);
    if (!t->switches || !t->expected || !t->got || !t->near) return mt_fail_memory(t->count * sizeof *t->switches);
    for (size_t i = 0; i < t->count; i++) {
        MT_TRY(motet_tensor_create(MOTET_BOOL, 0, NULL, &t->switches[i]));
        set(t, i, false);
    }
    return MOTET_OK;
}

static void clear(trial *t)
{
    for (size_t i = 0; i < t->count && t->switches; i++) motet_tensor_destroy(t->switches[i]);
    for (size_t i = 0; i < t->outputs * t->measured && t->expected; i++) motet_tensor_destroy(t->expected[i]);
    mt_free((void *)t->switches);
    mt_free((void *)t->expected);
    mt_free((void *)t->got);
    mt_free(t->near);
    motet_session_close(t->session);
}

motet_status mt_choose(const char *path, mt_tally *tally, const mt_byte_scale *scales, motet_quantized_layer *layers,
                       size_t count)
{
    trial t = {.tally = tally, .layers = layers, .count = count, .measured = measured_samples(tally->options)};
    if (!count) return MOTET_OK;
    motet_status status = open_doubled(path, scales, &t);
    if (status == MOTET_OK) status = prepare(&t);
    if (status == MOTET_OK) status = search(&t);
    clear(&t);
    return status;
}
