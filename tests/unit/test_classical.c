/* ops: trees, maps and fused attention, as far as ONNX Runtime is no witness: files that are no trees, nodes out of
 * order, sizes that do not fit, maps, and the packed layouts that it has on other devices only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/half.h"
#include "op_driver.h"

#define LIST(...) ((int64_t[]){__VA_ARGS__})

/* --- trees ---------------------------------------------------------------------------------------------------- */

/* One split on feature 0 at 0.5, leaves 1 and 2 with weights -1 and 4. */
typedef struct tree {
    int64_t trees[3], nodes[3], features[3], yes[3], no[3];
    float values[3];
    mt_string modes[3];
    int64_t weight_trees[2], weight_nodes[2], targets[2];
    float weights[2];
} tree;

static char branch[] = "BRANCH_LEQ", leaf[] = "LEAF", unknown[] = "BRANCH_UP";
static const tree sapling = {.nodes = {0, 1, 2},
                             .yes = {1, 0, 0},
                             .no = {2, 0, 0},
                             .values = {0.5f, 0, 0},
                             .modes = {{branch, 10}, {leaf, 4}, {leaf, 4}},
                             .weight_nodes = {1, 2},
                             .weights = {-1, 4}};

static driver *plant(const tree *t, const float *x)
{
    driver *d = drive_in("ai.onnx.ml", "TreeEnsembleRegressor", 3);
    drive_input(d, MOTET_FLOAT, 2, LIST(2, 1), x);
    drive_ints(d, "nodes_treeids", 3, t->trees);
    drive_ints(d, "nodes_nodeids", 3, t->nodes);
    drive_ints(d, "nodes_featureids", 3, t->features);
    drive_ints(d, "nodes_truenodeids", 3, t->yes);
    drive_ints(d, "nodes_falsenodeids", 3, t->no);
    drive_floats(d, "nodes_values", 3, t->values);
    drive_strings(d, "nodes_modes", 3, t->modes);
    drive_ints(d, "target_treeids", 2, t->weight_trees);
    drive_ints(d, "target_nodeids", 2, t->weight_nodes);
    drive_ints(d, "target_ids", 2, t->targets);
    drive_floats(d, "target_weights", 2, t->weights);
    return d;
}

static void expect_growth(const tree *t)
{
    driver *d = plant(t, (const float[]){0.25f, 0.75f});
    assert_int_equal(drive_run(d, 1), MOTET_OK);
    const float *y = d->out[0]->data;
    assert_true(y[0] == -1 && y[1] == 4);
    drive_end(d);
}

static void expect_refusal(const tree *t)
{
    driver *d = plant(t, (const float[]){0.25f, 0.75f});
    assert_int_not_equal(drive_run(d, 1), MOTET_OK);
    drive_end(d);
}

static void trees_stand_in_any_order(void **state)
{
    (void)state;
    tree t = sapling;
    expect_growth(&t);
    for (int i = 0; i < 3; i++) {
        int from = 2 - i;
        t.nodes[i] = sapling.nodes[from];
        t.yes[i] = sapling.yes[from];
        t.no[i] = sapling.no[from];
        t.values[i] = sapling.values[from];
        t.modes[i] = sapling.modes[from];
    }
    expect_growth(&t);
    for (int i = 0; i < 3; i++) t.nodes[i] += INT64_MAX - 2; /* numbers are names, not places */
    t.yes[2] += INT64_MAX - 2;
    t.no[2] += INT64_MAX - 2;
    for (int i = 0; i < 2; i++) t.weight_nodes[i] += INT64_MAX - 2;
    expect_growth(&t);
}

static void what_is_no_tree_is_refused(void **state)
{
    (void)state;
    tree t = sapling;
    t.yes[0] = 0; /* its own child */
    t.modes[1] = t.modes[2] = sapling.modes[0];
    expect_refusal(&t);
    t = sapling;
    t.modes[1] = sapling.modes[0]; /* leads back to the root and to a node that has a parent */
    t.no[1] = 2;
    t.modes[2] = sapling.modes[0];
    expect_refusal(&t);
    t = sapling;
    t.no[0] = 7; /* nowhere */
    expect_refusal(&t);
    t = sapling;
    t.nodes[2] = 1; /* two nodes of one number */
    expect_refusal(&t);
    t = sapling;
    t.features[0] = 1; /* the rows have one */
    expect_refusal(&t);
    t = sapling;
    t.features[0] = -1;
    expect_refusal(&t);
    t = sapling;
    t.weight_nodes[1] = 9;
    expect_refusal(&t);
    t = sapling;
    t.targets[1] = 1;
    expect_refusal(&t);
    t = sapling;
    t.modes[0] = (mt_string){unknown, 9};
    expect_refusal(&t);
}

/* --- maps ----------------------------------------------------------------------------------------------------- */

static void rows_become_maps_and_maps_rows(void **state)
{
    (void)state;
    const float x[] = {0.25f, 0.75f, 1, 0};
    driver *d = drive_in("ai.onnx.ml", "ZipMap", 1);
    drive_input(d, MOTET_FLOAT, 2, LIST(2, 2), x);
    drive_ints(d, "classlabels_int64s", 2, LIST(5, 3));
    assert_int_equal(drive_run(d, 1), MOTET_OK);
    assert_int_equal(motet_tensor_kind(d->out[0]), MOTET_SEQUENCE);
    assert_int_equal(motet_tensor_count(d->out[0]), 2);
    const motet_tensor *map = motet_tensor_item(d->out[0], 0);
    assert_int_equal(motet_tensor_kind(map), MOTET_MAP);

    driver *cast = drive_in("ai.onnx.ml", "CastMap", 1);
    cast->in[cast->context.in_count++] = map;
    assert_int_equal(drive_run(cast, 1), MOTET_OK);
    const float *y = cast->out[0]->data; /* by ascending key */
    assert_true(cast->out[0]->count == 2 && y[0] == 0.75f && y[1] == 0.25f);
    drive_string(cast, "map_form", "SPARSE");
    drive_int(cast, "max_map", 5); /* key 5 is beyond */
    assert_int_equal(drive_run(cast, 1), MOTET_OK);
    y = cast->out[0]->data;
    assert_true(cast->out[0]->count == 5 && y[0] == 0 && y[3] == 0.75f && y[4] == 0);
    drive_end(cast);

    driver *row = drive_in("ai.onnx.ml", "DictVectorizer", 1);
    row->in[row->context.in_count++] = map;
    drive_ints(row, "int64_vocabulary", 3, LIST(3, 4, 5));
    assert_int_equal(drive_run(row, 1), MOTET_OK);
    y = row->out[0]->data;
    assert_true(row->out[0]->count == 3 && y[0] == 0.75f && y[1] == 0 && y[2] == 0.25f);
    drive_end(row);
    drive_end(d);
}

/* --- attention ------------------------------------------------------------------------------------------------ */

enum { LENGTH = 3, HEADS = 2, SIZE = 2, WIDTH = HEADS * SIZE };

static void packed_heads_are_unpacked(void **state)
{
    (void)state;
    float packed[LENGTH * HEADS * 3 * SIZE], apart[3][LENGTH * WIDTH];
    for (int i = 0; i < LENGTH * HEADS; i++)
        for (int part = 0; part < 3; part++)
            for (int k = 0; k < SIZE; k++)
                packed[(i * 3 + part) * SIZE + k] = apart[part][i * SIZE + k] =
                    (float)((i * 7 + part * 5 + k * 3) % 11) - 5;
    driver *whole = drive_in("com.microsoft", "MultiHeadAttention", 1),
           *parts = drive_in("com.microsoft", "MultiHeadAttention", 1);
    drive_int(whole, "num_heads", HEADS);
    drive_int(parts, "num_heads", HEADS);
    drive_input(whole, MOTET_FLOAT, 5, LIST(1, LENGTH, HEADS, 3, SIZE), packed);
    for (int part = 0; part < 3; part++) drive_input(parts, MOTET_FLOAT, 3, LIST(1, LENGTH, WIDTH), apart[part]);
    assert_int_equal(drive_run(whole, 1), MOTET_OK);
    assert_int_equal(drive_run(parts, 1), MOTET_OK);
    assert_int_equal(whole->out[0]->count, LENGTH * WIDTH);
    assert_memory_equal(whole->out[0]->data, parts->out[0]->data, LENGTH * WIDTH * sizeof(float));
    drive_end(whole);
    drive_end(parts);
}

static void positions_beyond_the_cache_are_refused(void **state)
{
    (void)state;
    const float x[LENGTH * WIDTH] = {0}, cache[LENGTH * SIZE / 2] = {0};
    const int64_t starts[] = {0, 1, -1, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        driver *d = drive_in("com.microsoft", "RotaryEmbedding", 1);
        drive_int(d, "num_heads", HEADS);
        drive_input(d, MOTET_FLOAT, 3, LIST(1, LENGTH, WIDTH), x);
        drive_input(d, MOTET_INT64, 1, LIST(1), &starts[i]);
        for (int k = 0; k < 2; k++) drive_input(d, MOTET_FLOAT, 2, LIST(LENGTH, SIZE / 2), cache);
        assert_int_equal(drive_run(d, 1), i == 0 ? MOTET_OK : MOTET_ERROR_SHAPE);
        drive_end(d);
    }
}

static void lengths_beyond_the_cache_are_refused(void **state)
{
    (void)state;
    const float x[WIDTH] = {0}, cache[2 * WIDTH] = {0};
    for (int32_t length = -2; length < 6; length++) {
        const int32_t longest = 3;
        driver *d = drive_in("com.microsoft", "GroupQueryAttention", 1);
        drive_int(d, "num_heads", HEADS);
        drive_int(d, "kv_num_heads", HEADS);
        for (int i = 0; i < 3; i++) drive_input(d, MOTET_FLOAT, 3, LIST(1, 1, WIDTH), x);
        for (int i = 0; i < 2; i++) drive_input(d, MOTET_FLOAT, 4, LIST(1, HEADS, 2, SIZE), cache);
        drive_input(d, MOTET_INT32, 1, LIST(1), &length);
        drive_input(d, MOTET_INT32, 0, NULL, &longest);
        bool fits = length >= 0 && length <= 2;
        assert_int_equal(drive_run(d, 3) == MOTET_OK, fits);
        drive_end(d);
    }
}

static driver *drive_heads(motet_type type, const void *x)
{
    driver *d = drive_in("com.microsoft", "MultiHeadAttention", 1);
    drive_int(d, "num_heads", HEADS);
    for (int i = 0; i < 3; i++) drive_input(d, type, 3, LIST(1, LENGTH, WIDTH), x);
    return d;
}

/* float16 in, float16 out; the past is handed on in it, too. */
static void attention_of_halves_is_that_of_floats(void **state)
{
    (void)state;
    float x[LENGTH * WIDTH];
    uint16_t narrow[LENGTH * WIDTH];
    for (int i = 0; i < LENGTH * WIDTH; i++) {
        x[i] = (float)(i * 7 % 11) / 4 - 1;
        narrow[i] = mt_float_to_half(x[i]);
    }
    driver *wide = drive_heads(MOTET_FLOAT, x), *half = drive_heads(MOTET_FLOAT16, narrow);
    assert_int_equal(drive_run(wide, 3), MOTET_OK);
    assert_int_equal(drive_run(half, 3), MOTET_OK);
    for (int k = 0; k < 3; k++) {
        assert_int_equal(half->out[k]->type, MOTET_FLOAT16);
        assert_int_equal(half->out[k]->count, wide->out[k]->count);
        for (int64_t i = 0; i < wide->out[k]->count; i++)
            assert_int_equal(((const uint16_t *)half->out[k]->data)[i],
                             mt_float_to_half(((const float *)wide->out[k]->data)[i]));
    }
    drive_end(wide);
    drive_end(half);
}

/* An option that is not supported is refused, never passed over, and called by its name. */
static void options_are_refused_by_name(void **state)
{
    (void)state;
    static const char *const attributes[] = {"smooth_softmax", "sliding_window_cache", "qk_output"};
    static const char *const inputs[] = {"head_sink", "k_scale", "v_scale", "q_norm_weight", "k_norm_weight"};
    const float x[WIDTH] = {0};
    const int32_t length = 0, longest = 1;
    for (size_t i = 0; i < 8; i++) {
        driver *d = drive_in("com.microsoft", "GroupQueryAttention", 1);
        drive_int(d, "num_heads", HEADS);
        drive_int(d, "kv_num_heads", HEADS);
        for (int k = 0; k < 3; k++) drive_input(d, MOTET_FLOAT, 3, LIST(1, 1, WIDTH), x);
        for (int k = 0; k < 2; k++) drive_no_input(d);
        drive_input(d, MOTET_INT32, 1, LIST(1), &length);
        drive_input(d, MOTET_INT32, 0, NULL, &longest);
        assert_int_equal(drive_run(d, 3), MOTET_OK);
        if (i < 3) drive_int(d, attributes[i], 1);
        while (i >= 3 && d->context.in_count < 11 + (int)(i - 3)) drive_no_input(d);
        if (i >= 3) drive_input(d, MOTET_FLOAT, 1, LIST(WIDTH), x);
        assert_int_equal(drive_run(d, 3), MOTET_ERROR_UNSUPPORTED);
        assert_non_null(strstr(motet_error_message(), i < 3 ? attributes[i] : inputs[i - 3]));
        drive_end(d);
    }
}

/* --- weights of few bits ---------------------------------------------------------------------------------------- */

static void packed_weights_must_fit(void **state)
{
    (void)state;
    const float a[16] = {1, 2}, scales[2] = {0.5f, 2};
    const uint8_t weights[2 * 8] = {0x98, [8] = 0xa7}; /* 8 is zero, so 0 and 1; -1 and 2 */
    driver *d = drive_in("com.microsoft", "MatMulNBits", 1);
    drive_int(d, "K", 16);
    drive_int(d, "N", 2);
    drive_int(d, "block_size", 16);
    drive_input(d, MOTET_FLOAT, 2, LIST(1, 16), a);
    drive_input(d, MOTET_UINT8, 3, LIST(2, 1, 8), weights);
    drive_input(d, MOTET_FLOAT, 1, LIST(2), scales);
    assert_int_equal(drive_run(d, 1), MOTET_OK);
    const float *y = d->out[0]->data; /* the other products are with zeros of a */
    assert_true(y[0] == 1 && y[1] == 6);
    drive_int(d, "bits", 8);
    assert_int_equal(drive_run(d, 1), MOTET_ERROR_SHAPE);
    drive_end(d);
    const int64_t token = 9;
    d = drive_in("com.microsoft", "GatherBlockQuantized", 1);
    drive_int(d, "block_size", 16);
    drive_input(d, MOTET_UINT8, 2, LIST(2, 8), weights);
    drive_input(d, MOTET_INT64, 0, NULL, &token);
    drive_input(d, MOTET_FLOAT, 2, LIST(2, 1), scales);
    assert_int_equal(drive_run(d, 1), MOTET_OK); /* a token that is not there is a row of zeros */
    for (int i = 0; i < 16; i++) assert_true(((const float *)d->out[0]->data)[i] == 0);
    drive_end(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trees_stand_in_any_order),
        cmocka_unit_test(what_is_no_tree_is_refused),
        cmocka_unit_test(rows_become_maps_and_maps_rows),
        cmocka_unit_test(packed_heads_are_unpacked),
        cmocka_unit_test(positions_beyond_the_cache_are_refused),
        cmocka_unit_test(lengths_beyond_the_cache_are_refused),
        cmocka_unit_test(attention_of_halves_is_that_of_floats),
        cmocka_unit_test(options_are_refused_by_name),
        cmocka_unit_test(packed_weights_must_fit),
    };
    return cmocka_run_group_tests_name("classical", tests, NULL, NULL);
}
