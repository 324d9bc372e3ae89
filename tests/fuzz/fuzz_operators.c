/* Fuzz target: one operator on small inputs. The bytes choose the operator among all of the registry, types, shapes,
 * elements, attributes and how many outputs are read; some inputs are constants, so that folding is tried too. The node
 * goes through the whole engine, once with the plain operators and once with the fast kernels.
 *
 *     MOTET_FUZZ_OPERATORS=Conv,Pool    only operators with one of these in their names: a family at a time
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "fuzz.h"
#include "onnx/writer.h"

typedef struct registered {
    const char *domain, *name;
    int since;
} registered;

static const registered registry[] = {
#define MT_OP(domain, name, since, function)      {domain, #name, since},
#define MT_LIST_OP(domain, name, since, function) {domain, #name, since},
#include "ops/registry.def"
#undef MT_LIST_OP
#undef MT_OP
};

enum { OPERATORS = sizeof registry / sizeof *registry, MAX_INPUTS = 7, MAX_OUTPUTS = 3, MAX_ATTRIBUTES = 5 };
enum { MAX_DIM = 5, MAX_AXES = 5, MAX_ELEMENTS = 512 };

/* --- which operators ------------------------------------------------------------------------------------------ */

static const registered *chosen[OPERATORS];
static unsigned chosen_count;

static bool is_wanted(const char *name, const char *list)
{
    for (size_t length; *list; list += length + (list[length] == ',')) {
        char word[64];
        length = strcspn(list, ",");
        snprintf(word, sizeof word, "%.*s", (int)length, list);
        if (*word && strstr(name, word)) return true;
    }
    return false;
}

static void choose_operators(void)
{
    const char *only = getenv("MOTET_FUZZ_OPERATORS");
    for (int i = 0; i < OPERATORS; i++)
        if (!only || is_wanted(registry[i].name, only)) chosen[chosen_count++] = &registry[i];
    if (!chosen_count) abort();
}

/* --- the node's parts ----------------------------------------------------------------------------------------- */

static const char *const attribute_names[] = {"axis",
                                              "axes",
                                              "perm",
                                              "kernel_shape",
                                              "strides",
                                              "pads",
                                              "dilations",
                                              "group",
                                              "auto_pad",
                                              "keepdims",
                                              "alpha",
                                              "beta",
                                              "gamma",
                                              "transA",
                                              "transB",
                                              "to",
                                              "mode",
                                              "hidden_size",
                                              "direction",
                                              "linear_before_reset",
                                              "epsilon",
                                              "num_outputs",
                                              "split",
                                              "value",
                                              "equation",
                                              "blocksize",
                                              "allowzero",
                                              "largest",
                                              "sorted",
                                              "k",
                                              "fmod",
                                              "exclusive",
                                              "reverse",
                                              "batch_dims",
                                              "reduction",
                                              "ceil_mode",
                                              "count_include_pad",
                                              "storage_order",
                                              "output_shape",
                                              "output_padding",
                                              "coordinate_transformation_mode",
                                              "nearest_mode",
                                              "num_heads",
                                              "q_num_heads",
                                              "kv_num_heads",
                                              "scale",
                                              "is_causal",
                                              "softcap",
                                              "dtype",
                                              "shape",
                                              "layout",
                                              "activations",
                                              "clip",
                                              "detect_positive",
                                              "upper",
                                              "noop_with_empty_axes",
                                              "select_last_index",
                                              "stash_type",
                                              "training_mode",
                                              "num_groups",
                                              "size",
                                              "bias",
                                              "lambd",
                                              "min",
                                              "max",
                                              "p",
                                              "onesided",
                                              "periodic",
                                              "align_corners",
                                              "padding_mode",
                                              "block_size",
                                              "saturate",
                                              "axis_w",
                                              "unidirectional",
                                              "rotary_embedding_dim",
                                              "interleaved",
                                              "bits",
                                              "starts",
                                              "ends",
                                              "nodes_treeids",
                                              "post_transform",
                                              "classlabels_strings",
                                              "keys_int64s",
                                              "values_floats",
                                              "default_float",
                                              "kernel_type",
                                              "coefficients",
                                              "offset",
                                              "cats_int64s",
                                              "norm",
                                              "imputed_value_floats",
                                              "is_case_sensitive",
                                              "stopwords",
                                              "case_change_action",
                                              "ignore_index",
                                              "new_axis",
                                              "body",
                                              "antialias",
                                              "cubic_coeff_a",
                                              "exclude_outside",
                                              "extrapolation_value",
                                              "keep_aspect_ratio_policy",
                                              "sampling_ratio",
                                              "spatial_scale",
                                              "output_height",
                                              "output_width",
                                              "decay_factor",
                                              "sample_size",
                                              "seed",
                                              "broadcast"};

static const char *const words[] = {"SAME_UPPER",
                                    "SAME_LOWER",
                                    "VALID",
                                    "NOTSET",
                                    "constant",
                                    "edge",
                                    "reflect",
                                    "wrap",
                                    "bidirectional",
                                    "reverse",
                                    "linear",
                                    "cubic",
                                    "nearest",
                                    "ij,jk->ik",
                                    "...i,i->...",
                                    "add",
                                    "mul",
                                    "none",
                                    "mean",
                                    "sum",
                                    "Tanh",
                                    "Sigmoid",
                                    "Relu",
                                    "asymmetric",
                                    "half_pixel",
                                    "align_corners",
                                    "tanh",
                                    "DCR",
                                    "CRD",
                                    "RBF",
                                    "SOFTMAX",
                                    "L2",
                                    "",
                                    "é"};

#define ONE_OF(source, list) (list)[fuzz_choose(source, sizeof(list) / sizeof *(list))]

static int64_t choose_int(fuzz_source *source)
{
    static const int64_t odd[] = {INT64_MAX, INT64_MIN, INT32_MAX, INT32_MIN, 1000, -1000, 65536, 1ll << 40};
    unsigned value = fuzz_byte(source);
    return value < 8 ? odd[value] : (int64_t)(value % 12) - 3;
}

static float choose_float(fuzz_source *source)
{
    static const float odd[] = {3e38f, -3e38f, 1e-40f, 1.0f / 0.0f, -1.0f / 0.0f, 0.0f / 0.0f, -0.0f, 1e10f};
    unsigned value = fuzz_byte(source);
    return value < 8 ? odd[value] : ((float)value - 128) / 16;
}

static void put_attribute(mt_writer *w, fuzz_source *source)
{
    enum { FLOAT = 1, INT, STRING, FLOATS = 6, INTS, STRINGS };
    static const int kinds[] = {INT, INTS, FLOAT, STRING, INTS, INT, FLOATS, STRINGS};
    mt_mark mark = mt_write_begin(w, 5);
    int kind = ONE_OF(source, kinds);
    unsigned count = kind >= FLOATS ? fuzz_choose(source, 7) : 1;
    mt_write_text(w, 1, ONE_OF(source, attribute_names));
    mt_write_int(w, 20, kind);
    for (unsigned i = 0; i < count; i++) {
        if (kind == FLOAT || kind == FLOATS) mt_write_float(w, kind == FLOAT ? 2 : 7, choose_float(source));
        if (kind == INT || kind == INTS) mt_write_int(w, kind == INT ? 3 : 8, choose_int(source));
        if (kind == STRING || kind == STRINGS) mt_write_text(w, kind == STRING ? 4 : 9, ONE_OF(source, words));
    }
    mt_write_end(w, mark);
}

static void fill(motet_tensor *tensor, fuzz_source *source)
{
    motet_type type = motet_tensor_type(tensor);
    size_t size = motet_type_size(type);
    char *data = motet_tensor_data(tensor);
    for (int64_t i = 0; i < motet_tensor_count(tensor); i++) {
        int64_t whole = 0;
        float real = 0;
        const char *word = "";
        if (type == MOTET_FLOAT)
            real = choose_float(source);
        else if (type == MOTET_STRING)
            word = ONE_OF(source, words);
        else
            whole = choose_int(source);
        if (type == MOTET_STRING)
            (void)!motet_tensor_set_string(tensor, i, word, strlen(word));
        else if (type == MOTET_FLOAT)
            memcpy(data + (size_t)i * size, &real, sizeof real);
        else if (type == MOTET_BOOL)
            data[i] = (char)(whole & 1);
        else if (size)
            memcpy(data + (size_t)i * size, &whole, size < sizeof whole ? size : sizeof whole);
    }
}

/* Mostly floats and int64, of which most operators want some. */
static motet_tensor *choose_tensor(fuzz_source *source)
{
    static const motet_type usual[] = {MOTET_FLOAT, MOTET_INT64, MOTET_FLOAT, MOTET_INT64, MOTET_UINT8, MOTET_INT32};
    int64_t dims[MAX_AXES], count = 1;
    int rank = (int)fuzz_choose(source, MAX_AXES + 1);
    unsigned kind = fuzz_choose(source, 32);
    motet_type type = kind > MOTET_UNDEFINED && kind <= MOTET_BFLOAT16 ? (motet_type)kind : ONE_OF(source, usual);
    for (int i = 0; i < rank; i++) {
        dims[i] = fuzz_choose(source, MAX_DIM + 1);
        count *= dims[i];
    }
    motet_tensor *tensor = NULL;
    if (count > MAX_ELEMENTS || motet_tensor_create(type, rank, dims, &tensor) != MOTET_OK) return NULL;
    fill(tensor, source);
    return tensor;
}

/* --- the model ------------------------------------------------------------------------------------------------ */

typedef struct trial {
    char names[MAX_INPUTS][8];
    motet_tensor *tensors[MAX_INPUTS];
    bool constant[MAX_INPUTS];
    unsigned inputs, outputs;
} trial;

static void put_named(mt_writer *w, uint32_t field, const char *name)
{
    mt_mark mark = mt_write_begin(w, field);
    mt_write_text(w, 1, name);
    mt_write_end(w, mark);
}

static void put_import(mt_writer *w, const char *domain, int version)
{
    mt_mark mark = mt_write_begin(w, 8);
    mt_write_text(w, 1, domain);
    mt_write_int(w, 2, version);
    mt_write_end(w, mark);
}

static void put_node(mt_writer *w, const trial *t, const registered *op, fuzz_source *source)
{
    static const char *const outputs[MAX_OUTPUTS] = {"y0", "y1", "y2"};
    mt_mark mark = mt_write_begin(w, 1);
    for (unsigned i = 0; i < t->inputs; i++) mt_write_text(w, 1, t->names[i]);
    for (unsigned i = 0; i < t->outputs; i++) mt_write_text(w, 2, outputs[i]);
    mt_write_text(w, 4, op->name);
    mt_write_text(w, 7, op->domain);
    for (unsigned i = fuzz_choose(source, MAX_ATTRIBUTES + 1); i > 0; i--) put_attribute(w, source);
    mt_write_end(w, mark);
    for (unsigned i = 0; i < t->outputs; i++) put_named(w, 12, outputs[i]);
}

/* Copies the weight, so that the model is one piece. */
static void put_weight(mt_writer *w, const char *name, const motet_tensor *tensor)
{
    mt_mark mark = mt_write_begin(w, 5);
    for (int i = 0; i < motet_tensor_rank(tensor); i++) mt_write_int(w, 1, motet_tensor_dims(tensor)[i]);
    mt_write_int(w, 2, motet_tensor_type(tensor));
    mt_write_text(w, 8, name);
    if (motet_tensor_type(tensor) == MOTET_STRING)
        for (int64_t i = 0; i < motet_tensor_count(tensor); i++)
            mt_write_text(w, 6, motet_tensor_string(tensor, i, NULL));
    else
        mt_write_bytes(w, 9, motet_tensor_const_data(tensor),
                       (size_t)motet_tensor_count(tensor) * motet_type_size(motet_tensor_type(tensor)));
    mt_write_end(w, mark);
}

static void choose_inputs(trial *t, fuzz_source *source)
{
    t->inputs = fuzz_choose(source, MAX_INPUTS + 1);
    t->outputs = 1 + fuzz_choose(source, MAX_OUTPUTS);
    for (unsigned i = 0; i < t->inputs; i++) {
        unsigned how = fuzz_choose(source, 8);
        if (how == 0) continue; /* left out: the name is "" */
        t->tensors[i] = choose_tensor(source);
        if (!t->tensors[i]) continue;
        snprintf(t->names[i], sizeof t->names[i], "x%u", i);
        t->constant[i] = how < 4;
    }
}

static void write_model(mt_writer *w, const trial *t, fuzz_source *source)
{
    const registered *op = chosen[fuzz_choose(source, chosen_count)];
    int newest = *op->domain ? 5 : 28, version = op->since + (int)fuzz_choose(source, 28);
    if (version > newest) version = op->since > newest ? op->since : newest;
    mt_write_int(w, 1, 8);
    put_import(w, "", *op->domain ? 17 : version);
    if (*op->domain) put_import(w, op->domain, version);
    mt_mark graph = mt_write_begin(w, 7);
    put_node(w, t, op, source);
    for (unsigned i = 0; i < t->inputs; i++)
        if (t->tensors[i]) t->constant[i] ? put_weight(w, t->names[i], t->tensors[i]) : put_named(w, 11, t->names[i]);
    mt_write_end(w, graph);
}

static void run_model(const mt_writer *w, const trial *t, bool reference)
{
    static const char *const output_names[MAX_OUTPUTS] = {"y0", "y1", "y2"};
    const char *names[MAX_INPUTS];
    const motet_tensor *inputs[MAX_INPUTS];
    motet_tensor *outputs[MAX_OUTPUTS];
    motet_session_options options;
    motet_session *session;
    size_t count = 0;
    motet_session_options_init(&options);
    options.threads = 1;
    options.reference = reference;
    if (motet_session_open_memory(w->bytes, w->used, &options, &session) != MOTET_OK) return;
    for (unsigned i = 0; i < t->inputs; i++) {
        if (!t->tensors[i] || t->constant[i]) continue;
        names[count] = t->names[i];
        inputs[count++] = t->tensors[i];
    }
    motet_run_options run = fuzz_run_options();
    motet_status status =
        motet_session_run_with(session, &run, names, inputs, count, output_names, outputs, t->outputs);
    fuzz_run_ended();
    for (unsigned i = 0; status == MOTET_OK && i < t->outputs; i++) motet_tensor_destroy(outputs[i]);
    motet_session_close(session);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    fuzz_source source = {bytes, bytes + size};
    trial t = {0};
    mt_writer w = {0};
    if (!chosen_count) choose_operators();
    choose_inputs(&t, &source);
    write_model(&w, &t, &source);
    run_model(&w, &t, true);
    run_model(&w, &t, false);
    for (unsigned i = 0; i < t.inputs; i++) motet_tensor_destroy(t.tensors[i]);
    mt_writer_clear(&w);
    return 0;
}
