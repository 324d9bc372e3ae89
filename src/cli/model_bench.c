/* motet model bench: how long a model takes to load, to run first, to run again. */
#include "model.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char command[] = "model bench";

enum { MAX_RUNS = 1000000 };

typedef struct settings {
    model_feed feed;
    motet_session_options session;
    int runs, warm_up;
    bool profile, json;
} settings;

typedef struct figures {
    double load_ms, first_run_ms, min_ms, p50_ms, p95_ms, p99_ms, runs_per_s, peak_rss_mb;
} figures;

/* The lines of a profile, one a type of operator. */
typedef struct kind {
    const char *type, *domain;
    int64_t nodes, calls;
    double seconds;
} kind;

static void help(void)
{
    fputs("usage: motet model bench [OPTION...] FILE\n\n"
          "Loads a model, runs it once, and then again and again, and tells how long that took: load, first run,\n"
          "smallest, median, 95th and 99th percentile of the other runs, runs a second, and the most memory in "
          "use.\n\n" MODEL_FEED_HELP "      --threads N         threads that work on a run (default: all there are)\n"
          "      --runs N            runs that are measured (default 100)\n"
          "      --warm-up N         runs before them, after the first (default 5)\n"
          "      --reference         plain reference operators, no fast kernels\n" MODEL_PASS_HELP
          "      --cache-dir FOLDER  keep packed weights there for the next time (as large as the weights)\n"
          "      --profile           where the time goes, by operator (costs a little time itself)\n"
          "      --json              for programs\n"
          "  -h, --help\n\n"
          "Examples:\n"
          "  motet model bench --shape audio=1x48000 --threads 2 wav2vec2.onnx\n"
          "  motet model bench --profile --runs 20 model.onnx\n\n"
          "Exit status: 0 done, 1 failed, 2 wrong usage.\n",
          stdout);
}

/* --- measuring ------------------------------------------------------------------------------------------------ */

static double now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return 1e3 * (double)time.tv_sec + 1e-6 * (double)time.tv_nsec;
}

/* Of this program alone: what getrusage tells is at least as much as the program that started it had. */
static double peak_rss_mb(void)
{
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    double kilobytes = 0;
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "VmHWM: %lf kB", &kilobytes) == 1) break;
    if (status) fclose(status);
    return kilobytes * 1024 / 1e6;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The nearest rank: the smallest value that a share `p` of all does not exceed. */
static double percentile(const double *sorted, int count, double p)
{
    int rank = (int)(p * count);
    if (rank < p * count) rank++;
    return sorted[rank > 0 ? rank - 1 : 0];
}

static bool time_run(motet_session *session, const motet_run_options *options, const model_values *inputs,
                     model_values *outputs, double *ms)
{
    double start = now_ms();
    motet_status status =
        motet_session_run_with(session, options, inputs->names, (const motet_tensor *const *)inputs->tensors,
                               inputs->count, outputs->names, outputs->tensors, outputs->count);
    *ms = now_ms() - start;
    model_values_clear(outputs);
    if (status != MOTET_OK) cli_say(command, "%s", motet_error_message());
    return status == MOTET_OK;
}

static void sum_up(double *ms, int count, figures *f)
{
    double all = 0;
    for (int i = 0; i < count; i++) all += ms[i];
    qsort(ms, (size_t)count, sizeof *ms, by_size);
    f->min_ms = ms[0];
    f->p50_ms = percentile(ms, count, 0.5);
    f->p95_ms = percentile(ms, count, 0.95);
    f->p99_ms = percentile(ms, count, 0.99);
    f->runs_per_s = 1e3 * count / all;
    f->peak_rss_mb = peak_rss_mb();
}

static bool measure(const settings *s, motet_session *session, const model_values *inputs, model_values *outputs,
                    motet_profile *profile, figures *f)
{
    double ignored, *ms = malloc((size_t)s->runs * sizeof *ms);
    motet_run_options options;
    motet_run_options_init(&options);
    if (!ms) return cli_say(command, "out of memory"), false;
    bool good = time_run(session, &options, inputs, outputs, &f->first_run_ms);
    for (int i = 0; good && i < s->warm_up; i++) good = time_run(session, &options, inputs, outputs, &ignored);
    options.profile = profile;
    for (int i = 0; good && i < s->runs; i++) good = time_run(session, &options, inputs, outputs, &ms[i]);
    if (good) sum_up(ms, s->runs, f);
    free(ms);
    return good;
}

/* --- the profile ---------------------------------------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
    const kind *x = a, *y = b;
    return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

/* Adds up nodes by type; *out is to be freed, NULL when there are none or memory is short. */
static size_t gather(const motet_profile *profile, kind **out)
{
    const motet_profile_node *node;
    size_t count = 0, nodes = 0;
    while (motet_profile_node_at(profile, nodes)) nodes++;
    kind *kinds = *out = nodes ? calloc(nodes, sizeof *kinds) : NULL;
    for (size_t i = 0; kinds && (node = motet_profile_node_at(profile, i)); i++) {
        size_t k = 0;
        while (k < count && (strcmp(kinds[k].type, node->type) || strcmp(kinds[k].domain, node->domain))) k++;
        if (k == count) kinds[count++] = (kind){.type = node->type, .domain = node->domain};
        kinds[k].nodes++;
        kinds[k].calls += node->calls;
        kinds[k].seconds += node->seconds;
    }
    if (count) qsort(kinds, count, sizeof *kinds, by_time);
    return count;
}

static double total_seconds(const kind *kinds, size_t count)
{
    double all = 0;
    for (size_t i = 0; i < count; i++) all += kinds[i].seconds;
    return all > 0 ? all : 1;
}

static void print_profile(const motet_profile *profile, int runs)
{
    kind *kinds;
    size_t count = gather(profile, &kinds);
    double all = total_seconds(kinds, count);
    printf("\n  ms a run   share  nodes  calls a run  operator\n");
    for (size_t i = 0; i < count; i++) {
        char name[256];
        snprintf(name, sizeof name, "%.120s%s%.120s", kinds[i].domain, *kinds[i].domain ? "." : "", kinds[i].type);
        cli_make_printable(name);
        printf("%10.4f  %5.1f%%  %5" PRId64 "  %11.1f  %s\n", 1e3 * kinds[i].seconds / runs,
               100 * kinds[i].seconds / all, kinds[i].nodes, (double)kinds[i].calls / runs, name);
    }
    free(kinds);
}

static json_t *profile_json(const motet_profile *profile, int runs)
{
    kind *kinds;
    size_t count = gather(profile, &kinds);
    double all = total_seconds(kinds, count);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:o, s:o, s:o}", "type", kinds[i].type, "domain",
                                              *kinds[i].domain ? kinds[i].domain : "ai.onnx", "nodes",
                                              (json_int_t)kinds[i].nodes, "calls_per_run",
                                              model_number((double)kinds[i].calls / runs), "ms_per_run",
                                              model_number(1e3 * kinds[i].seconds / runs), "share",
                                              model_number(kinds[i].seconds / all)));
    free(kinds);
    return list;
}

/* --- telling -------------------------------------------------------------------------------------------------- */

static bool tell(const settings *s, const char *path, const figures *f, const motet_profile *profile)
{
    if (s->json) {
        json_t *root = json_pack("{s:s, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "file", path, "runs", s->runs,
                                 "load_ms", model_number(f->load_ms), "first_run_ms", model_number(f->first_run_ms),
                                 "min_ms", model_number(f->min_ms), "p50_ms", model_number(f->p50_ms), "p95_ms",
                                 model_number(f->p95_ms), "p99_ms", model_number(f->p99_ms), "runs_per_s",
                                 model_number(f->runs_per_s), "peak_rss_mb", model_number(f->peak_rss_mb));
        if (root && profile) json_object_set_new(root, "profile", profile_json(profile, s->runs));
        return model_print_json(command, root);
    }
    printf("load %.3f ms, first run %.3f ms\n", f->load_ms, f->first_run_ms);
    printf("%d runs: min %.3f ms, p50 %.3f, p95 %.3f, p99 %.3f; %.1f runs/s\n", s->runs, f->min_ms, f->p50_ms,
           f->p95_ms, f->p99_ms, f->runs_per_s);
    printf("peak memory %.1f MB\n", f->peak_rss_mb);
    if (profile) print_profile(profile, s->runs);
    return cli_print(command, "", 0);
}

static bool bench_session(const settings *s, const char *path, motet_session *session, figures *f)
{
    static model_values inputs, outputs;
    motet_profile *profile = NULL;
    bool good = model_feed_make(command, &s->feed, session, &inputs) && model_name_outputs(command, session, &outputs);
    if (good && s->profile && motet_profile_create(&profile) != MOTET_OK) {
        cli_say(command, "%s", motet_error_message());
        good = false;
    }
    good = good && measure(s, session, &inputs, &outputs, profile, f) && tell(s, path, f, profile);
    motet_profile_destroy(profile);
    model_values_clear(&inputs);
    return good;
}

static int bench(const settings *s, const char *path)
{
    figures f = {0};
    motet_session *session;
    double start = now_ms();
    if (motet_session_open(path, &s->session, &session) != MOTET_OK) {
        cli_say(command, "%s", motet_error_message());
        return EXIT_FAILED;
    }
    f.load_ms = now_ms() - start;
    bool good = bench_session(s, path, session, &f);
    motet_session_close(session);
    return good ? EXIT_DONE : EXIT_FAILED;
}

static bool set_option(settings *s, int option, const char *text)
{
    switch (option) {
    case 't': return cli_int(command, "threads", text, 1, 1024, &s->session.threads);
    case 'n': return cli_int(command, "runs", text, 1, MAX_RUNS, &s->runs);
    case 'w': return cli_int(command, "warm-up", text, 0, MAX_RUNS, &s->warm_up);
    case 'r': return s->session.reference = true;
    case 'C': return (s->session.cache = text) != NULL;
    case 'x': return model_leave_out(command, &s->session, text);
    case 'p': return s->profile = true;
    case 'j': return s->json = true;
    default: return model_feed_option(command, &s->feed, option, text);
    }
}

int model_bench(int argc, char **argv)
{
    static const struct option options[] = {MODEL_FEED_OPTIONS,
                                            {"threads", required_argument, NULL, 't'},
                                            {"runs", required_argument, NULL, 'n'},
                                            {"warm-up", required_argument, NULL, 'w'},
                                            {"reference", no_argument, NULL, 'r'},
                                            {"cache-dir", required_argument, NULL, 'C'},
                                            {"no-pass", required_argument, NULL, 'x'},
                                            {"profile", no_argument, NULL, 'p'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    static settings s = {.runs = 100, .warm_up = 5};
    motet_session_options_init(&s.session);
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (option == 'h') {
            help();
            return EXIT_DONE;
        }
        if (!set_option(&s, option, optarg)) return EXIT_MISUSE;
    }
    if (argc - optind != 1) return cli_misuse(command, "expected one FILE");
    return bench(&s, argv[optind]);
}
