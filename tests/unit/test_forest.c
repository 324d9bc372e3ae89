/* Forests: the quick trees lead every row, odd ones too, to the leaves that the plain walk comes to; and an exported
 * IsolationForest becomes one node that yields the very scores that the file's thousands of nodes yield. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/evaluate.h"
#include "engine/operators.h"
#include "graph/build.h"
#include "graph/passes/passes.h"
#include "motet/motet.h"
#include "op_driver.h"

/* --- random forests --------------------------------------------------------------------------------------------- */

enum { TREES = 5, NODES = 21, ALL = TREES * NODES, FEATURES = 3, ROWS = 77, TARGETS = 2 };

static uint32_t seed = 1;

static uint32_t random_below(uint32_t limit)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % limit;
}

/* Few different numbers, so that many a feature equals a split. */
static float random_number(bool odd)
{
    static const float odds[] = {NAN, INFINITY, -INFINITY, -0.0f, 1e-42f};
    if (odd && random_below(12) == 0) return odds[random_below(5)];
    return (float)random_below(9) / 4 - 1;
}

/* Trees whose node i has children 2i + 1 and 2i + 2 or is a leaf, as ten interior nodes and eleven leaves. */
typedef struct wood {
    int64_t trees[ALL], nodes[ALL], features[ALL], yes[ALL], no[ALL], missing[ALL];
    float values[ALL], weights[ALL];
    mt_string modes[ALL];
    int64_t weight_trees[ALL], weight_nodes[ALL], targets[ALL];
    size_t weight_count;
    float x[ROWS * FEATURES];
} wood;

static void grow(wood *w, uint32_t modes, bool missing, bool one_target)
{
    static char names[][16] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "LEAF"};
    memset(w, 0, sizeof *w);
    for (int i = 0; i < ALL; i++) {
        int node = i % NODES;
        bool leaf = node >= NODES / 2;
        char *name = names[leaf ? 5 : random_below(modes)];
        w->trees[i] = i / NODES;
        w->nodes[i] = node;
        w->features[i] = leaf ? 0 : random_below(FEATURES);
        w->yes[i] = leaf ? 0 : 2 * node + 1;
        w->no[i] = leaf ? 0 : 2 * node + 2;
        w->missing[i] = missing && random_below(2);
        w->values[i] = random_number(false);
        w->modes[i] = (mt_string){name, strlen(name)};
        for (int k = 0; leaf && k < 1 + (!one_target && random_below(2)); k++) {
            size_t at = w->weight_count++;
            w->weight_trees[at] = i / NODES;
            w->weight_nodes[at] = node;
            w->targets[at] = one_target ? 1 : random_below(TARGETS);
            w->weights[at] = random_number(false) / 3;
        }
    }
    for (int i = 0; i < ROWS * FEATURES; i++) w->x[i] = random_number(true);
}

static driver *plant(const wood *w, const char *aggregate, bool reference)
{
    driver *d = drive_in("ai.onnx.ml", "TreeEnsembleRegressor", 3);
    d->context.reference = reference;
    drive_input(d, MOTET_FLOAT, 2, (const int64_t[]){ROWS, FEATURES}, w->x);
    drive_int(d, "n_targets", TARGETS);
    drive_string(d, "aggregate_function", aggregate);
    drive_ints(d, "nodes_treeids", ALL, w->trees);
    drive_ints(d, "nodes_nodeids", ALL, w->nodes);
    drive_ints(d, "nodes_featureids", ALL, w->features);
    drive_ints(d, "nodes_truenodeids", ALL, w->yes);
    drive_ints(d, "nodes_falsenodeids", ALL, w->no);
    drive_ints(d, "nodes_missing_value_tracks_true", ALL, w->missing);
    drive_floats(d, "nodes_values", ALL, w->values);
    drive_strings(d, "nodes_modes", ALL, w->modes);
    drive_ints(d, "target_treeids", w->weight_count, w->weight_trees);
    drive_ints(d, "target_nodeids", w->weight_count, w->weight_nodes);
    drive_ints(d, "target_ids", w->weight_count, w->targets);
    drive_floats(d, "target_weights", w->weight_count, w->weights);
    assert_int_equal(drive_run(d, 1), MOTET_OK);
    return d;
}

static void quick_trees_lead_where_plain_ones_do(void **state)
{
    (void)state;
    static const char *const aggregates[] = {"SUM", "AVERAGE", "MIN", "MAX"};
    static wood w;
    for (int round = 0; round < 64; round++) {
        grow(&w, 1 + round % 5, round & 8, round & 16);
        driver *quick = plant(&w, aggregates[round % 4], false), *plain = plant(&w, aggregates[round % 4], true);
        assert_memory_equal(quick->out[0]->data, plain->out[0]->data, ROWS * TARGETS * sizeof(float));
        drive_end(quick);
        drive_end(plain);
    }
}

/* --- IsolationForest -------------------------------------------------------------------------------------------- */

static const char exported[] = MOTET_SOURCE_DIR "/tests/unit/data/isolation_forest.onnx";

static void an_exported_isolation_forest_is_one_node(void **state)
{
    (void)state;
    mt_file *file;
    mt_model *model;
    bool reference = false;
    int trees = 0;
    assert_int_equal(mt_file_open(exported, &file), MOTET_OK);
    assert_int_equal(mt_model_build(file, &model), MOTET_OK);
    assert_int_equal(mt_find_operators(model), MOTET_OK);
    assert_true(model->main->node_count > 80);
    assert_int_equal(mt_simplify(model, 0, mt_evaluate, &reference), MOTET_OK);
    assert_int_equal(mt_pass_forest(model, mt_evaluate, &reference), MOTET_OK);
    assert_true(model->main->node_count <= 10); /* one for the trees, the others make scores and labels of their sum */
    for (int i = 0; i < model->main->node_count; i++)
        trees += strcmp(model->main->nodes[i]->type, "TreeEnsembleRegressor") == 0;
    assert_int_equal(trees, 1);
    mt_model_destroy(model);
    mt_file_close(file);
}

static void score(const float *x, bool reference, motet_tensor *out[2])
{
    static const char *const in[] = {"X"}, *const outputs[] = {"label", "scores"};
    motet_session_options options;
    motet_session *session;
    motet_tensor *rows;
    motet_session_options_init(&options);
    options.reference = reference;
    assert_int_equal(motet_session_open(exported, &options, &session), MOTET_OK);
    assert_int_equal(motet_tensor_create(MOTET_FLOAT, 2, (const int64_t[]){ROWS, 4}, &rows), MOTET_OK);
    memcpy(motet_tensor_data(rows), x, ROWS * 4 * sizeof *x);
    for (int run = 0; run < 2; run++) { /* the second finds the forest kept */
        const motet_tensor *inputs[] = {rows};
        if (run) motet_tensor_destroy(out[0]);
        if (run) motet_tensor_destroy(out[1]);
        assert_int_equal(motet_session_run(session, in, inputs, 1, outputs, out, 2), MOTET_OK);
    }
    motet_tensor_destroy(rows);
    motet_session_close(session);
}

static void its_scores_stay_the_same(void **state)
{
    (void)state;
    float x[ROWS * 4];
    motet_tensor *quick[2], *plain[2];
    for (int i = 0; i < ROWS * 4; i++) x[i] = random_number(true);
    score(x, false, quick);
    score(x, true, plain);
    assert_memory_equal(motet_tensor_const_data(quick[0]), motet_tensor_const_data(plain[0]), ROWS * sizeof(int64_t));
    assert_memory_equal(motet_tensor_const_data(quick[1]), motet_tensor_const_data(plain[1]), ROWS * sizeof(float));
    for (int i = 0; i < 2; i++) {
        motet_tensor_destroy(quick[i]);
        motet_tensor_destroy(plain[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quick_trees_lead_where_plain_ones_do),
        cmocka_unit_test(an_exported_isolation_forest_is_one_node),
        cmocka_unit_test(its_scores_stay_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
