/* motet model quantize: a smaller, faster file, and what it costs. */
#include "model.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "motet/model.h"
#include "motet/quantize.h"
#include "progress.h"
#include "samples.h"

static const char command[] = "model quantize";

enum { MAX_RUNS = 100000 };

typedef struct settings {
    model_feed feed;
    samples samples;
    motet_quantize_options quantize;
    const char *exclude[MODEL_MAX_VALUES];
    int runs;
    bool json;
} settings;

/* A model, and how long its runs take. */
typedef struct contender {
    motet_session *session;
    model_values outputs;
    int64_t bytes; /* of weights */
    double *ms, median_ms;
} contender;

/* Inner products of an output of both over all samples. */
typedef struct nearness {
    double both, before, after;
    bool apart; /* other types or shapes */
} nearness;

typedef struct outcome {
    contender before, after;
    motet_quantized *layers;
    size_t count, quantized;
    nearness near[MODEL_MAX_VALUES]; /* by output */
    double worst;
} outcome;

static void help(void)
{
    fputs(
        "usage: motet model quantize [OPTION...] FILE QUANTIZED\n\n"
        "Writes a model whose matrix products and convolutions run on bytes: weights int8 with a scale for each\n"
        "channel, what they meet uint8. The file is standard ONNX. What layers meet is scaled by its range in each "
        "run\n"
        "(dynamic), or by a range that is found now, on samples of what the model will meet. Layers that cost too "
        "much\n"
        "stay float: they are left out until every output's cosine is what was asked. Then both are run in turns, and\n"
        "what came of it is told: size, cosine of each output over the samples, speed.\n\n"
        "      --calibrate PATH    samples for the first input: a recording, .npy or .pb, or a folder of such; may be\n"
        "                          given again. Recordings are cut into windows as the model wants them; an array is "
        "a\n"
        "                          sample, or many along its first axis\n"
        "      --samples N         keep so many of them at most, evenly spread (default 32)\n"
        "      --method METHOD     dynamic (default), min-max (the whole range of the samples), percentile (but for a\n"
        "                          few outliers) or entropy (where cutting outliers changes the distribution least)\n"
        "      --percentile P      of values that are within the range (default 99.99)\n"
        "      --min-cosine C      of each output, quantised against float (default 0.99; 0: quantise everything)\n"
        "      --exclude NODE      leave this layer float; may be given again\n" MODEL_FEED_HELP
        "      --threads N         threads that work on a run (default: all there are)\n"
        "      --runs N            runs of each that are timed (default 10)\n"
        "      --external          weights in a file of their own, QUANTIZED.data (always so beyond 2 GiB)\n"
        "      --json              what came of it, for programs, with every layer\n"
        "  -h, --help\n\n"
        "Examples:\n"
        "  motet model quantize --input audio=speech.npy wav2vec2.onnx wav2vec2-int8.onnx\n"
        "  motet model quantize --calibrate recordings/ --method percentile --shape audio=1x48000 float.onnx "
        "int8.onnx\n"
        "  motet model quantize --min-cosine 0.995 --exclude /conv1/Conv float.onnx int8.onnx\n\n"
        "Exit status: 0 done, 1 failed, or the written file is not as near as was asked; 2 wrong usage.\n",
        stdout);
}

static bool say_failure(void)
{
    cli_say(command, "%s", motet_error_message());
    return false;
}

/* --- runs ----------------------------------------------------------------------------------------------------- */

static bool open_contender(const settings *s, const char *path, contender *out)
{
    motet_model *model;
    motet_session_options options;
    motet_session_options_init(&options);
    options.threads = s->quantize.threads;
    if (motet_model_open(path, &model) != MOTET_OK) return say_failure();
    out->bytes = motet_model_describe(model)->bytes;
    motet_model_close(model);
    if (motet_session_open(path, &options, &out->session) != MOTET_OK) return say_failure();
    return model_name_outputs(command, out->session, &out->outputs);
}

static bool time_run(contender *c, const model_values *inputs, double *ms)
{
    double start = monotonic_seconds();
    if (cli_interrupted()) return false;
    model_values_clear(&c->outputs);
    motet_status status = model_run_once(c->session, inputs, &c->outputs);
    *ms = 1e3 * (monotonic_seconds() - start);
    return status == MOTET_OK || say_failure();
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Alternating, so that both meet the same machine; the first run of each does not count. */
static bool time_both(const settings *s, const model_values *inputs, contender *a, contender *b)
{
    size_t runs = (size_t)s->runs + 1;
    a->ms = malloc(runs * sizeof *a->ms);
    b->ms = malloc(runs * sizeof *b->ms);
    if (!a->ms || !b->ms) return cli_say(command, "out of memory"), false;
    for (size_t i = 0; i < runs; i++)
        if (!time_run(a, inputs, &a->ms[i]) || !time_run(b, inputs, &b->ms[i])) return false;
    qsort(a->ms + 1, runs - 1, sizeof *a->ms, by_size);
    qsort(b->ms + 1, runs - 1, sizeof *b->ms, by_size);
    a->median_ms = a->ms[1 + (runs - 1) / 2];
    b->median_ms = b->ms[1 + (runs - 1) / 2];
    return true;
}

static void add_nearness(nearness *n, const motet_tensor *before, const motet_tensor *after)
{
    int rank = motet_tensor_rank(before);
    n->apart = n->apart || motet_tensor_type(before) != motet_tensor_type(after) || rank != motet_tensor_rank(after) ||
               motet_tensor_type(before) == MOTET_STRING || motet_tensor_kind(before) != MOTET_TENSOR;
    for (int i = 0; !n->apart && i < rank; i++) n->apart = motet_tensor_dims(before)[i] != motet_tensor_dims(after)[i];
    for (int64_t i = 0; !n->apart && i < motet_tensor_count(before); i++) {
        double x = motet_tensor_number(before, i), y = motet_tensor_number(after, i);
        if (!isfinite(x) && !isfinite(y)) continue; /* masks: minus infinity on both sides */
        n->both += x * y;
        n->before += x * x;
        n->after += y * y;
    }
}

static double cosine_of(const nearness *n)
{
    if (n->apart) return (double)NAN;
    if (n->before > 0 && n->after > 0) return n->both / sqrt(n->before) / sqrt(n->after);
    return n->before > 0 || n->after > 0 ? 0 : 1;
}

static bool run_on(contender *c, const model_values *inputs, const motet_tensor *const *fed)
{
    if (cli_interrupted()) return false;
    model_values_clear(&c->outputs);
    return motet_session_run(c->session, inputs->names, fed, inputs->count, c->outputs.names, c->outputs.tensors,
                             c->outputs.count) == MOTET_OK ||
           say_failure();
}

/* Both on every sample. */
static bool compare(settings *s, const model_values *inputs, outcome *o)
{
    static const motet_tensor *fed[MODEL_MAX_VALUES];
    for (size_t sample = 0; sample < samples_count(&s->samples); sample++) {
        if (samples_take(&s->samples, sample, fed) != MOTET_OK || !run_on(&o->before, inputs, fed) ||
            !run_on(&o->after, inputs, fed))
            return false;
        for (size_t i = 0; i < o->before.outputs.count; i++)
            add_nearness(&o->near[i], o->before.outputs.tensors[i], o->after.outputs.tensors[i]);
    }
    o->worst = 1;
    for (size_t i = 0; i < o->before.outputs.count; i++) {
        double cosine = cosine_of(&o->near[i]);
        o->worst = fmin(o->worst, isnan(cosine) ? -1 : cosine);
    }
    return true;
}

/* --- telling -------------------------------------------------------------------------------------------------- */

static void print_layers(const outcome *o)
{
    const motet_quantized_layer *layer;
    for (size_t i = 0; (layer = motet_quantized_layer_at(o->layers, i)); i++) {
        char name[512];
        if (layer->quantized) continue;
        snprintf(name, sizeof name, "%s", layer->name);
        cli_make_printable(name);
        printf("  float     %s  %s, %lld parameters, ", name, layer->type, (long long)layer->parameters);
        if (layer->excluded)
            printf("excluded\n");
        else
            printf("alone cosine %.6f\n", layer->cosine);
    }
}

static bool tell_text(const settings *s, const outcome *o)
{
    printf("layers      %zu of %zu quantised\n", o->quantized, o->count);
    print_layers(o);
    printf("weights     %.1f -> %.1f MB\n", (double)o->before.bytes / 1e6, (double)o->after.bytes / 1e6);
    for (size_t i = 0; i < o->before.outputs.count; i++) {
        char name[512];
        snprintf(name, sizeof name, "%s", o->before.outputs.names[i]);
        cli_make_printable(name);
        printf("cosine      %.6f  %s\n", cosine_of(&o->near[i]), name);
    }
    printf("run         %.3f -> %.3f ms, %.2f x as fast (medians of %d, in turns)\n", o->before.median_ms,
           o->after.median_ms, o->before.median_ms / o->after.median_ms, s->runs);
    return cli_print(command, "", 0);
}

static json_t *layers_json(const outcome *o)
{
    const motet_quantized_layer *layer;
    json_t *list = json_array();
    for (size_t i = 0; (layer = motet_quantized_layer_at(o->layers, i)); i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:I, s:b, s:b, s:o}", "name", layer->name, "type", layer->type,
                                        "parameters", (json_int_t)layer->parameters, "quantized", layer->quantized,
                                        "excluded", layer->excluded, "cosine_alone", model_number(layer->cosine)));
    return list;
}

static bool tell_json(const outcome *o)
{
    json_t *outputs = json_array();
    for (size_t i = 0; i < o->before.outputs.count; i++)
        json_array_append_new(outputs, json_pack("{s:s, s:o}", "name", o->before.outputs.names[i], "cosine",
                                                 model_number(cosine_of(&o->near[i]))));
    return model_print_json(command, json_pack("{s:o, s:o, s:{s:I, s:o}, s:{s:I, s:o}}", "layers", layers_json(o),
                                               "outputs", outputs, "before", "bytes", (json_int_t)o->before.bytes,
                                               "p50_ms", model_number(o->before.median_ms), "after", "bytes",
                                               (json_int_t)o->after.bytes, "p50_ms", model_number(o->after.median_ms)));
}

/* --- all of it ------------------------------------------------------------------------------------------------ */

/* ^C is heard between two runs. */
static void show(void *context, size_t done, size_t most)
{
    if (cli_interrupted()) motet_cancel_request(context);
    if (isatty(STDERR_FILENO) != 1) return;
    fprintf(stderr, "\r\033[Krun %zu of at most %zu", done, most);
    if (done == most) fputs("\r\033[K", stderr);
    fflush(stderr);
}

static bool quantize(settings *s, const char *path, const char *quantized, outcome *o)
{
    const motet_quantized_layer *layer;
    s->quantize.exclude = s->exclude;
    s->quantize.sample = samples_take;
    s->quantize.sample_context = &s->samples;
    s->quantize.sample_count = samples_count(&s->samples);
    s->quantize.progress = show;
    if (motet_cancel_create(&s->quantize.cancel) != MOTET_OK) return say_failure();
    s->quantize.progress_context = s->quantize.cancel;
    motet_status status = motet_model_quantize(path, quantized, &s->quantize, &o->layers);
    motet_cancel_destroy(s->quantize.cancel);
    if (isatty(STDERR_FILENO) == 1) fputs("\r\033[K", stderr);
    if (status != MOTET_OK && cli_interrupted())
        return cli_say(command, "%s: interrupted, nothing written", quantized), false;
    if (status != MOTET_OK) return say_failure();
    for (; (layer = motet_quantized_layer_at(o->layers, o->count)); o->count++) o->quantized += layer->quantized;
    return true;
}

static bool judge(const settings *s, const char *quantized, const outcome *o)
{
    if (s->quantize.min_cosine <= 0 || o->worst >= s->quantize.min_cosine) return true;
    cli_say(command, "%s: cosine %.6f, not the %.6f that was asked", quantized, o->worst, s->quantize.min_cosine);
    return false;
}

static bool work(settings *s, const char *path, const char *quantized, model_values *inputs, outcome *o)
{
    return open_contender(s, path, &o->before) && model_feed_make(command, &s->feed, o->before.session, inputs) &&
           samples_read(&s->samples, path, o->before.session, inputs) && quantize(s, path, quantized, o) &&
           open_contender(s, quantized, &o->after) && time_both(s, inputs, &o->before, &o->after) &&
           compare(s, inputs, o) && (s->json ? tell_json(o) : tell_text(s, o)) && judge(s, quantized, o);
}

static void clear(contender *c)
{
    model_values_clear(&c->outputs);
    motet_session_close(c->session);
    free(c->ms);
}

static bool set_method(settings *s, const char *text)
{
    static const char *const names[] = {"dynamic", "min-max", "percentile", "entropy"};
    for (int i = MOTET_QUANTIZE_DYNAMIC; i <= MOTET_QUANTIZE_ENTROPY; i++) {
        if (strcmp(text, names[i])) continue;
        s->quantize.method = (motet_quantize_method)i;
        return true;
    }
    return cli_misuse(command, "--method %s: expected dynamic, min-max, percentile or entropy", text), false;
}

static bool add_path(samples *s, const char *path)
{
    if (s->path_count == SAMPLES_MAX_PATHS)
        return cli_misuse(command, "more than %d --calibrate", SAMPLES_MAX_PATHS), false;
    s->paths[s->path_count++] = path;
    return true;
}

static bool set_option(settings *s, int option, const char *text)
{
    enum { MOST_SAMPLES = 100000 };
    motet_quantize_options *q = &s->quantize;
    switch (option) {
    case 'a': return add_path(&s->samples, text);
    case 's': return cli_int(command, "samples", text, 1, MOST_SAMPLES, &s->samples.most);
    case 'm': return set_method(s, text);
    case 'p': return cli_number(command, "percentile", text, 0, 100, &q->percentile);
    case 'c': return cli_number(command, "min-cosine", text, 0, 1, &q->min_cosine);
    case 'x':
        if (q->exclude_count == MODEL_MAX_VALUES)
            return cli_misuse(command, "more than %d --exclude", MODEL_MAX_VALUES), false;
        s->exclude[q->exclude_count++] = text;
        return true;
    case 't': return cli_int(command, "threads", text, 1, 1024, &q->threads);
    case 'n': return cli_int(command, "runs", text, 1, MAX_RUNS, &s->runs);
    case 'e': return q->external = true;
    case 'j': return s->json = true;
    default: return model_feed_option(command, &s->feed, option, text);
    }
}

int model_quantize(int argc, char **argv)
{
    static const struct option options[] = {MODEL_FEED_OPTIONS,
                                            {"calibrate", required_argument, NULL, 'a'},
                                            {"samples", required_argument, NULL, 's'},
                                            {"method", required_argument, NULL, 'm'},
                                            {"percentile", required_argument, NULL, 'p'},
                                            {"min-cosine", required_argument, NULL, 'c'},
                                            {"exclude", required_argument, NULL, 'x'},
                                            {"threads", required_argument, NULL, 't'},
                                            {"runs", required_argument, NULL, 'n'},
                                            {"external", no_argument, NULL, 'e'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    static settings s = {.runs = 10, .samples = {.command = command, .most = 32}};
    static outcome o;
    static model_values inputs;
    motet_quantize_options_init(&s.quantize);
    s.quantize.min_cosine = 0.99;
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (option == 'h') {
            help();
            return EXIT_DONE;
        }
        if (!set_option(&s, option, optarg)) return EXIT_MISUSE;
    }
    if (argc - optind != 2) return cli_misuse(command, "expected FILE and QUANTIZED");
    if (s.quantize.method != MOTET_QUANTIZE_DYNAMIC && !s.samples.path_count && !s.feed.file_count)
        return cli_misuse(command, "--method looks at what the model will meet: give --calibrate or --input");
    s.samples.threads = s.quantize.threads;
    cli_catch_signals();
    bool good = work(&s, argv[optind], argv[optind + 1], &inputs, &o);
    samples_clear(&s.samples);
    model_values_clear(&inputs);
    clear(&o.before);
    clear(&o.after);
    motet_quantized_destroy(o.layers);
    if (cli_interrupted()) return cli_die_of_signal();
    return good ? EXIT_DONE : EXIT_FAILED;
}
