/* The plain operators and the fast path must agree on graphs that nobody thought of. The fast path runs with two
 * threads and with one, which must give the same bytes.
 *
 *     MOTET_RANDOM_GRAPHS=10000    how many graphs (default 300)
 *     MOTET_RANDOM_FIRST=123       the seed of the first
 *     MOTET_RANDOM_KEEP=FOLDER     writes the model of each failure there
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph.h"
#include "motet/compare.h"
#include "motet/session.h"

typedef struct results {
    motet_status status;
    char message[512];
    motet_tensor *outputs[RANDOM_OUTPUTS];
} results;

static void run(const random_graph *g, bool reference, int threads, const motet_tensor *const *inputs, results *out)
{
    const char *input_names[RANDOM_INPUTS], *output_names[RANDOM_OUTPUTS];
    motet_session_options options;
    motet_session *session = NULL;
    motet_session_options_init(&options);
    options.reference = reference;
    options.threads = threads;
    *out = (results){0};
    for (int i = 0; i < g->input_count; i++) input_names[i] = g->inputs[i].name;
    for (int i = 0; i < g->output_count; i++) output_names[i] = g->outputs[i].name;
    out->status = motet_session_open_memory(g->model.bytes, g->model.used, &options, &session);
    for (int round = 0; round < 2 && out->status == MOTET_OK; round++) { /* the second finds kept weights and buffers */
        for (int i = 0; i < g->output_count; i++) motet_tensor_destroy(out->outputs[i]);
        out->status = motet_session_run(session, input_names, inputs, (size_t)g->input_count, output_names,
                                        out->outputs, (size_t)g->output_count);
    }
    if (out->status != MOTET_OK) snprintf(out->message, sizeof out->message, "%s", motet_error_message());
    motet_session_close(session);
}

static void complain(const random_graph *g, uint64_t seed, const char *what, const char *why)
{
    const char *folder = getenv("MOTET_RANDOM_KEEP");
    printf("seed %llu: %s: %s\n  %s\n", (unsigned long long)seed, what, why, g->story);
    if (!folder) return;
    char path[512];
    snprintf(path, sizeof path, "%s/random-%llu.onnx", folder, (unsigned long long)seed);
    FILE *file = fopen(path, "wb");
    if (!file) return;
    fwrite(g->model.bytes, 1, g->model.used, file);
    fclose(file);
}

/* Differences grow along a chain, with the size of what goes through it. */
static bool agree(const random_graph *g, uint64_t seed, const results *plain, const results *fast)
{
    if (plain->status != MOTET_OK || fast->status != MOTET_OK) {
        complain(g, seed, "it does not run", plain->status ? plain->message : fast->message);
        return false;
    }
    for (int i = 0; i < g->output_count; i++) {
        double largest = 0;
        for (int64_t k = 0; k < motet_tensor_count(plain->outputs[i]); k++) {
            double size = motet_tensor_number(plain->outputs[i], k);
            if (size < 0) size = -size;
            if (size > largest) largest = size;
        }
        motet_tolerance within = {1e-3, 1e-5 + 2e-5 * largest, -1, -1, -1};
        if (motet_tensor_compare(plain->outputs[i], fast->outputs[i], &within, NULL) == MOTET_OK) continue;
        complain(g, seed, "plain and fast operators differ", motet_error_message());
        return false;
    }
    return true;
}

static bool same_bytes(const random_graph *g, uint64_t seed, const results *one, const results *two)
{
    for (int i = 0; i < g->output_count; i++) {
        size_t size = (size_t)motet_tensor_count(one->outputs[i]) * sizeof(float);
        if (size && memcmp(motet_tensor_const_data(one->outputs[i]), motet_tensor_const_data(two->outputs[i]), size)) {
            complain(g, seed, "one thread and two", "other bytes");
            return false;
        }
    }
    return true;
}

static bool try_seed(uint64_t seed)
{
    static random_graph g;
    motet_tensor *inputs[RANDOM_INPUTS];
    results all[3];
    random_graph_make(&g, seed);
    for (int i = 0; i < g.input_count; i++) {
        assert_int_equal(motet_tensor_create(MOTET_FLOAT, g.inputs[i].rank, g.inputs[i].dims, &inputs[i]), MOTET_OK);
        for (int64_t k = 0; k < motet_tensor_count(inputs[i]); k++)
            ((float *)motet_tensor_data(inputs[i]))[k] = random_real(&g);
    }
    const motet_tensor *const *fed = (const motet_tensor *const *)inputs;
    run(&g, true, 1, fed, &all[0]);
    run(&g, false, 2, fed, &all[1]);
    run(&g, false, 1, fed, &all[2]);
    bool good = agree(&g, seed, &all[0], &all[1]) && agree(&g, seed, &all[0], &all[2]) &&
                same_bytes(&g, seed, &all[1], &all[2]);
    for (int r = 0; r < 3; r++)
        for (int i = 0; all[r].status == MOTET_OK && i < g.output_count; i++) motet_tensor_destroy(all[r].outputs[i]);
    for (int i = 0; i < g.input_count; i++) motet_tensor_destroy(inputs[i]);
    random_graph_clear(&g);
    return good;
}

static uint64_t number(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : fallback;
}

static void plain_and_fast_operators_agree(void **state)
{
    (void)state;
    uint64_t first = number("MOTET_RANDOM_FIRST", 1), count = number("MOTET_RANDOM_GRAPHS", 300), failures = 0;
    for (uint64_t i = 0; i < count; i++) failures += !try_seed(first + i);
    printf("%llu of %llu random graphs agree\n", (unsigned long long)(count - failures), (unsigned long long)count);
    assert_int_equal(failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(plain_and_fast_operators_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
