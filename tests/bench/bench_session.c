/* Runs a model on stored inputs and says how long each run took: the motet side of peers.py.
 *
 *     bench_session [--threads N] [--reference] MODEL.onnx INPUT_0.pb INPUT_1.pb ...
 *
 * Each line on standard input is a number of runs; for each of them a line comes back, with its milliseconds on the
 * clock and those of processor time. Between lines the process only waits, so that the peer can be timed in turn. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "motet/session.h"
#include "motet/tensor_file.h"

enum { MAX_VALUES = 64 };

typedef struct bench {
    motet_session *session;
    const char *input_names[MAX_VALUES], *output_names[MAX_VALUES];
    motet_tensor *inputs[MAX_VALUES], *outputs[MAX_VALUES];
    size_t input_count, output_count;
} bench;

static double now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return 1e3 * (double)time.tv_sec + 1e-6 * (double)time.tv_nsec;
}

static bool complain(const char *what)
{
    fprintf(stderr, "bench_session: %s\n", what);
    return false;
}

static bool prepare(bench *b, char **paths, size_t count)
{
    b->output_count = motet_session_output_count(b->session);
    if (count > MAX_VALUES || b->output_count > MAX_VALUES) return complain("too many inputs or outputs");
    if (count != motet_session_input_count(b->session)) return complain("not as many inputs as the model has");
    for (size_t i = 0; i < b->output_count; i++) b->output_names[i] = motet_session_output(b->session, i)->name;
    for (size_t i = 0; i < count; i++) {
        b->input_names[i] = motet_session_input(b->session, i)->name;
        if (motet_tensor_read(paths[i], &b->inputs[i]) != MOTET_OK) return complain(motet_error_message());
        b->input_count = i + 1;
    }
    return true;
}

/* milliseconds: on the clock, and of all processors together. */
static bool run(bench *b, double milliseconds[2])
{
    double start = now(CLOCK_MONOTONIC), cpu_start = now(CLOCK_PROCESS_CPUTIME_ID);
    if (motet_session_run(b->session, b->input_names, (const motet_tensor *const *)b->inputs, b->input_count,
                          b->output_names, b->outputs, b->output_count) != MOTET_OK)
        return complain(motet_error_message());
    milliseconds[0] = now(CLOCK_MONOTONIC) - start;
    milliseconds[1] = now(CLOCK_PROCESS_CPUTIME_ID) - cpu_start;
    for (size_t i = 0; i < b->output_count; i++) motet_tensor_destroy(b->outputs[i]);
    return true;
}

static bool serve(bench *b)
{
    char line[32];
    while (fgets(line, sizeof line, stdin)) {
        for (long left = strtol(line, NULL, 10); left > 0; left--) {
            double milliseconds[2];
            if (!run(b, milliseconds)) return false;
            printf("%.6f %.6f\n", milliseconds[0], milliseconds[1]);
        }
        fflush(stdout);
    }
    return true;
}

int main(int count, char **words)
{
    static const struct option options[] = {
        {"threads", required_argument, NULL, 't'}, {"reference", no_argument, NULL, 'r'}, {NULL, 0, NULL, 0}};
    motet_session_options settings;
    motet_session_options_init(&settings);
    bool understood = true;
    for (int option; (option = getopt_long(count, words, "", options, NULL)) != -1;) {
        if (option == 't')
            settings.threads = atoi(optarg);
        else if (option == 'r')
            settings.reference = true;
        else
            understood = false;
    }
    if (!understood || optind >= count) {
        fputs("usage: bench_session [--threads N] [--reference] MODEL.onnx INPUT.pb...\n", stderr);
        return 2;
    }
    bench b = {0};
    bool good = motet_session_open(words[optind], &settings, &b.session) == MOTET_OK
                    ? prepare(&b, words + optind + 1, (size_t)(count - optind - 1)) && serve(&b)
                    : complain(motet_error_message());
    for (size_t i = 0; i < b.input_count; i++) motet_tensor_destroy(b.inputs[i]);
    motet_session_close(b.session);
    return good ? 0 : 1;
}
