/* motet model quantize: a smaller, faster file, and what it costs. */
#include "model.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "motet/compare.h"
#include "motet/model.h"
#include "motet/quantize.h"
#include "progress.h"

static const char command[] = "model quantize";

enum { MAX_RUNS = 100000 };

typedef struct settings {
    model_feed feed;
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

typedef struct outcome {
    contender before, after;
    motet_quantized *layers;
    size_t count, quantized;
    double cosine[MODEL_MAX_VALUES]; /* by output; NaN: other types or shapes */
    double worst;
} outcome;

static void help(void)
{
    fputs(
        "usage: motet model quantize [OPTION...] FILE QUANTIZED\n\n"
        "Writes a model whose matrix products and convolutions run on bytes: weights int8 with a scale for each\n"
        "channel, what they meet uint8 anew in each run. The file is standard ONNX as ONNX Runtime's dynamic "
        "quantiser\n"
        "writes it. Layers that cost too much stay float: the model is run on the inputs that are given here, or on\n"
        "random ones, and layers are left out until every output's cosine is what was asked. Then both are run in\n"
        "turns, and what came of it is told: size, cosine of each output, speed.\n\n"
        "      --min-cosine C      of each output, quantised against float (default 0.99; 0: quantise everything)\n"
        "      --exclude NODE      leave this layer float; may be given again\n" MODEL_FEED_HELP
        "      --threads N         threads that work on a run (default: all there are)\n"
        "      --runs N            runs of each that are timed (default 10)\n"
        "      --external          weights in a file of their own, QUANTIZED.data (always so beyond 2 GiB)\n"
        "      --json              what came of it, for programs, with every layer\n"
        "  -h, --help\n\n"
        "Examples:\n"
        "  motet model quantize --input audio=speech.npy wav2vec2.onnx wav2vec2-int8.onnx\n"
        "  motet model quantize --shape audio=1x48000 --min-cosine 0.995 --exclude /conv1/Conv float.onnx int8.onnx\n\n"
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

static void compare(outcome *o)
{
    static const motet_tolerance anything = {-1, -1, -1, -1, -1};
    o->worst = 1;
    for (size_t i = 0; i < o->before.outputs.count; i++) {
        motet_distance distance;
        motet_distance_init(&distance);
        motet_status status =
            motet_tensor_compare(o->before.outputs.tensors[i], o->after.outputs.tensors[i], &anything, &distance);
        bool comparable = status == MOTET_OK || status == MOTET_ERROR_DIFFERENT;
        o->cosine[i] = comparable ? distance.cosine : (double)NAN;
        o->worst = fmin(o->worst, comparable ? distance.cosine : -1);
    }
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
        printf("cosine      %.6f  %s\n", o->cosine[i], name);
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
        json_array_append_new(
            outputs, json_pack("{s:s, s:o}", "name", o->before.outputs.names[i], "cosine", model_number(o->cosine[i])));
    return model_print_json(command, json_pack("{s:o, s:o, s:{s:I, s:o}, s:{s:I, s:o}}", "layers", layers_json(o),
                                               "outputs", outputs, "before", "bytes", (json_int_t)o->before.bytes,
                                               "p50_ms", model_number(o->before.median_ms), "after", "bytes",
                                               (json_int_t)o->after.bytes, "p50_ms", model_number(o->after.median_ms)));
}

/* --- all of it ------------------------------------------------------------------------------------------------ */

static void show(void *context, size_t done, size_t most)
{
    (void)context;
    fprintf(stderr, "\r\033[Krun %zu of at most %zu", done, most);
    fflush(stderr);
}

static bool quantize(settings *s, const char *path, const char *quantized, const model_values *inputs, outcome *o)
{
    bool terminal = isatty(STDERR_FILENO) == 1;
    const motet_quantized_layer *layer;
    s->quantize.exclude = s->exclude;
    s->quantize.inputs = (const motet_tensor *const *)inputs->tensors;
    s->quantize.input_count = inputs->count;
    if (terminal) s->quantize.progress = show;
    motet_status status = motet_model_quantize(path, quantized, &s->quantize, &o->layers);
    if (terminal) fputs("\r\033[K", stderr);
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
    if (!open_contender(s, path, &o->before) || !model_feed_make(command, &s->feed, o->before.session, inputs) ||
        !quantize(s, path, quantized, inputs, o) || !open_contender(s, quantized, &o->after) ||
        !time_both(s, inputs, &o->before, &o->after))
        return false;
    compare(o);
    return (s->json ? tell_json(o) : tell_text(s, o)) && judge(s, quantized, o);
}

static void clear(contender *c)
{
    model_values_clear(&c->outputs);
    motet_session_close(c->session);
    free(c->ms);
}

static bool set_option(settings *s, int option, const char *text)
{
    motet_quantize_options *q = &s->quantize;
    switch (option) {
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
                                            {"min-cosine", required_argument, NULL, 'c'},
                                            {"exclude", required_argument, NULL, 'x'},
                                            {"threads", required_argument, NULL, 't'},
                                            {"runs", required_argument, NULL, 'n'},
                                            {"external", no_argument, NULL, 'e'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    static settings s = {.runs = 10};
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
    bool good = work(&s, argv[optind], argv[optind + 1], &inputs, &o);
    model_values_clear(&inputs);
    clear(&o.before);
    clear(&o.after);
    motet_quantized_destroy(o.layers);
    return good ? EXIT_DONE : EXIT_FAILED;
}
