/* A graph grows step by step: a step picks a value that suits it, adds nodes and weights, and the shape of what they
 * make is known. A step that finds nothing suitable does nothing.
 *
 * Steps whose result jumps where their input hardly moves (rounding, comparing, quantising) would turn a last bit into
 * a difference; they come only where their input is fed, and so the same for everybody. */
#include "graph.h"

#include <stdio.h>
#include <string.h>

enum { MAX_STEPS = 8, MAX_ELEMENTS = 20000, OPSET = 20 };

/* --- chance --------------------------------------------------------------------------------------------------- */

/* splitmix64 */
static uint64_t next(random_graph *g)
{
    uint64_t z = g->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

unsigned random_below(random_graph *g, unsigned count)
{
    return (unsigned)(next(g) >> 33) % count;
}

float random_real(random_graph *g)
{
    return (float)((int64_t)(next(g) >> 40) - (1 << 23)) / (float)(1 << 23);
}

/* Mostly small, now and then beyond a vector or a tile. */
static int64_t random_dim(random_graph *g)
{
    unsigned kind = random_below(g, 8);
    return kind == 0 ? 1 : kind < 6 ? 2 + random_below(g, 8) : 10 + random_below(g, 40);
}

/* --- parts of a model ----------------------------------------------------------------------------------------- */

static int64_t elements(const random_value *v)
{
    int64_t count = 1;
    for (int i = 0; i < v->rank; i++) count *= v->dims[i];
    return count;
}

static void new_name(random_graph *g, char name[12])
{
    snprintf(name, 12, "v%d", g->names++);
}

static void put_dims(mt_writer *w, int rank, const int64_t *dims)
{
    for (int i = 0; i < rank; i++) mt_write_int(w, 1, dims[i]);
}

/* A weight of numbers between low and high. */
static random_value weight(random_graph *g, int rank, const int64_t *dims, float low, float high)
{
    random_value v = {.rank = rank};
    memcpy(v.dims, dims, (size_t)rank * sizeof *dims);
    new_name(g, v.name);
    mt_mark tensor = mt_write_begin(&g->weights, 5), data;
    put_dims(&g->weights, rank, dims);
    mt_write_int(&g->weights, 2, MOTET_FLOAT);
    mt_write_text(&g->weights, 8, v.name);
    data = mt_write_begin(&g->weights, 4); /* packed float_data */
    for (int64_t i = elements(&v); i > 0; i--) {
        float value = low + (high - low) * (random_real(g) + 1) / 2;
        mt_writer_raw(&g->weights, &value, sizeof value);
    }
    mt_write_end(&g->weights, data);
    mt_write_end(&g->weights, tensor);
    return v;
}

static random_value scalar(random_graph *g, float value)
{
    return weight(g, 0, (int64_t[]){0}, value, value);
}

static random_value bytes(random_graph *g, motet_type type, int rank, const int64_t *dims)
{
    random_value v = {.rank = rank};
    memcpy(v.dims, dims, (size_t)rank * sizeof *dims);
    new_name(g, v.name);
    mt_mark tensor = mt_write_begin(&g->weights, 5), data;
    put_dims(&g->weights, rank, dims);
    mt_write_int(&g->weights, 2, type);
    mt_write_text(&g->weights, 8, v.name);
    data = mt_write_begin(&g->weights, 9);
    for (int64_t i = elements(&v); i > 0; i--) mt_writer_raw(&g->weights, &(uint8_t){(uint8_t)next(g)}, 1);
    mt_write_end(&g->weights, data);
    mt_write_end(&g->weights, tensor);
    return v;
}

static random_value list(random_graph *g, int count, const int64_t *values)
{
    random_value v = {.rank = 1, .dims = {count}};
    new_name(g, v.name);
    mt_mark tensor = mt_write_begin(&g->weights, 5);
    mt_write_int(&g->weights, 1, count);
    mt_write_int(&g->weights, 2, MOTET_INT64);
    mt_write_text(&g->weights, 8, v.name);
    for (int i = 0; i < count; i++) mt_write_int(&g->weights, 7, values[i]);
    mt_write_end(&g->weights, tensor);
    return v;
}

/* node(g, "Gemm", 1, out, a, b, NULL); attribute(...); ... close_node(g, n); */
static mt_mark open_node(random_graph *g, const char *type)
{
    size_t used = strlen(g->story);
    snprintf(g->story + used, sizeof g->story - used, " %s", type);
    mt_mark mark = mt_write_begin(&g->nodes, 1);
    mt_write_text(&g->nodes, 4, type);
    return mark;
}

static void close_node(random_graph *g, mt_mark mark)
{
    mt_write_end(&g->nodes, mark);
}

static void reads(random_graph *g, const char *name)
{
    mt_write_text(&g->nodes, 1, name);
}

static void makes(random_graph *g, const char *name)
{
    mt_write_text(&g->nodes, 2, name);
}

static void attribute_int(random_graph *g, const char *name, int64_t value)
{
    mt_mark mark = mt_write_begin(&g->nodes, 5);
    mt_write_text(&g->nodes, 1, name);
    mt_write_int(&g->nodes, 3, value);
    mt_write_int(&g->nodes, 20, 2);
    mt_write_end(&g->nodes, mark);
}

static void attribute_float(random_graph *g, const char *name, float value)
{
    mt_mark mark = mt_write_begin(&g->nodes, 5);
    mt_write_text(&g->nodes, 1, name);
    mt_write_float(&g->nodes, 2, value);
    mt_write_int(&g->nodes, 20, 1);
    mt_write_end(&g->nodes, mark);
}

static void attribute_ints(random_graph *g, const char *name, int count, const int64_t *values)
{
    mt_mark mark = mt_write_begin(&g->nodes, 5);
    mt_write_text(&g->nodes, 1, name);
    for (int i = 0; i < count; i++) mt_write_int(&g->nodes, 8, values[i]);
    mt_write_int(&g->nodes, 20, 7);
    mt_write_end(&g->nodes, mark);
}

static void attribute_text(random_graph *g, const char *name, const char *text)
{
    mt_mark mark = mt_write_begin(&g->nodes, 5);
    mt_write_text(&g->nodes, 1, name);
    mt_write_text(&g->nodes, 4, text);
    mt_write_int(&g->nodes, 20, 3);
    mt_write_end(&g->nodes, mark);
}

/* A new value of that shape, that a node is about to make. */
static random_value *result(random_graph *g, int rank, const int64_t *dims)
{
    random_value *v = &g->values[g->value_count++];
    *v = (random_value){.rank = rank};
    memcpy(v->dims, dims, (size_t)rank * sizeof *dims);
    new_name(g, v->name);
    return v;
}

/* A node of one or two inputs and one output, without attributes. */
static random_value *simple(random_graph *g, const char *type, const random_value *a, const random_value *b,
                            const random_value *shape)
{
    random_value from = *shape;
    mt_mark node = open_node(g, type);
    reads(g, a->name);
    if (b) reads(g, b->name);
    random_value *out = result(g, from.rank, from.dims);
    makes(g, out->name);
    close_node(g, node);
    return out;
}

/* A value of a rank from low to high, or NULL. */
static const random_value *pick(random_graph *g, int low, int high)
{
    for (int tries = 0; tries < 8; tries++) {
        /* the youngest is the likeliest, so that chains grow */
        int index = random_below(g, 2) ? g->value_count - 1 : (int)random_below(g, (unsigned)g->value_count);
        const random_value *v = &g->values[index];
        if (v->rank >= low && v->rank <= high) return v;
    }
    return NULL;
}

static bool is_small(int rank, const int64_t *dims)
{
    random_value v = {.rank = rank};
    memcpy(v.dims, dims, (size_t)rank * sizeof *dims);
    for (int i = 0; i < rank; i++)
        if (dims[i] < 1 || dims[i] > MAX_ELEMENTS) return false;
    return elements(&v) <= MAX_ELEMENTS;
}

/* --- element by element --------------------------------------------------------------------------------------- */

static void unary(random_graph *g)
{
    static const char *const types[] = {"Relu", "Sigmoid",  "Tanh",      "Erf",       "Gelu",     "Neg",      "Abs",
                                        "Elu",  "Softplus", "LeakyRelu", "HardSwish", "Identity", "Softsign", "Mish"};
    const random_value *x = pick(g, 0, RANDOM_AXES);
    if (x) simple(g, types[random_below(g, sizeof types / sizeof *types)], x, NULL, x);
}

static void binary(random_graph *g)
{
    static const char *const types[] = {"Add", "Sub", "Mul", "Max", "Min", "Div"};
    unsigned which = random_below(g, sizeof types / sizeof *types);
    const random_value *x = pick(g, 1, RANDOM_AXES);
    if (!x) return;
    random_value a = *x;
    int drop = (int)random_below(g, (unsigned)a.rank + 1); /* leading axes that the other has not */
    int64_t dims[RANDOM_AXES];
    for (int i = drop; i < a.rank; i++) dims[i - drop] = random_below(g, 4) ? a.dims[i] : 1;
    random_value b = weight(g, a.rank - drop, dims, which == 5 ? 0.5f : -1, which == 5 ? 2 : 1);
    bool swapped = which != 5 && random_below(g, 2);
    simple(g, types[which], swapped ? &b : &a, swapped ? &a : &b, &a);
}

static void residual(random_graph *g)
{
    const random_value *x = pick(g, 1, RANDOM_AXES);
    for (int i = 0; x && i < g->value_count; i++) {
        const random_value *y = &g->values[i];
        if (y == x || y->rank != x->rank || memcmp(y->dims, x->dims, sizeof(int64_t) * (size_t)x->rank)) continue;
        simple(g, random_below(g, 2) ? "Add" : "Mul", x, y, x);
        return;
    }
}

/* x * 0.5 * (1 + erf(x / sqrt 2)), as exporters write it */
static void gelu(random_graph *g)
{
    const random_value *x = pick(g, 1, RANDOM_AXES);
    if (!x || g->value_count + 6 > RANDOM_VALUES) return;
    random_value a = *x, root = scalar(g, 1.41421356f), one = scalar(g, 1), half = scalar(g, 0.5f);
    random_value *d = simple(g, "Div", &a, &root, &a), *e = simple(g, "Erf", d, NULL, d);
    random_value *s = simple(g, "Add", e, &one, e);
    if (random_below(g, 2)) {
        random_value *m = simple(g, "Mul", &a, s, s);
        simple(g, "Mul", m, &half, m);
    } else {
        random_value *h = simple(g, "Mul", &a, &half, &a);
        simple(g, "Mul", h, s, h);
    }
}

/* --- products ------------------------------------------------------------------------------------------------- */

static void matmul(random_graph *g)
{
    const random_value *x = pick(g, 1, RANDOM_AXES);
    if (!x) return;
    random_value a = *x;
    int64_t inner = a.dims[a.rank - 1], columns = random_dim(g), dims[RANDOM_AXES];
    memcpy(dims, a.dims, sizeof dims);
    dims[a.rank - 1] = columns;
    if (!is_small(a.rank, dims) || inner * columns > MAX_ELEMENTS) return;
    random_value b = weight(g, 2, (int64_t[]){inner, columns}, -0.5f, 0.5f);
    random_value *y =
        simple(g, "MatMul", &a, &b, &(random_value){.rank = a.rank, .dims = {dims[0], dims[1], dims[2], dims[3]}});
    if (random_below(g, 2)) {
        random_value bias = weight(g, 1, &columns, -1, 1), shape = *y;
        simple(g, "Add", y, &bias, &shape);
    }
}

static void gemm(random_graph *g)
{
    const random_value *x = pick(g, 2, 2);
    if (!x) return;
    random_value a = *x;
    bool trans_a = random_below(g, 2), trans_b = random_below(g, 2);
    int64_t rows = a.dims[trans_a], inner = a.dims[!trans_a], columns = random_dim(g);
    random_value b = weight(g, 2, (int64_t[]){trans_b ? columns : inner, trans_b ? inner : columns}, -0.5f, 0.5f);
    int64_t c_dims[] = {random_below(g, 2) ? rows : 1, columns};
    random_value c = weight(g, 2, c_dims, -1, 1);
    mt_mark node = open_node(g, "Gemm");
    reads(g, a.name);
    reads(g, b.name);
    if (random_below(g, 4)) reads(g, c.name);
    makes(g, result(g, 2, (int64_t[]){rows, columns})->name);
    attribute_int(g, "transA", trans_a);
    attribute_int(g, "transB", trans_b);
    if (random_below(g, 2)) attribute_float(g, "alpha", random_real(g));
    if (random_below(g, 2)) attribute_float(g, "beta", random_real(g));
    close_node(g, node);
}

static random_value *transposed(random_graph *g, const random_value *x, const int64_t *perm)
{
    random_value a = *x;
    int64_t dims[RANDOM_AXES];
    for (int i = 0; i < a.rank; i++) dims[i] = a.dims[perm[i]];
    mt_mark node = open_node(g, "Transpose");
    reads(g, a.name);
    random_value *out = result(g, a.rank, dims);
    makes(g, out->name);
    attribute_ints(g, "perm", a.rank, perm);
    close_node(g, node);
    return out;
}

static random_value *softmax_of(random_graph *g, const random_value *x, const char *type, int axis)
{
    random_value a = *x;
    mt_mark node = open_node(g, type);
    reads(g, a.name);
    random_value *out = result(g, a.rank, a.dims);
    makes(g, out->name);
    attribute_int(g, "axis", axis);
    close_node(g, node);
    return out;
}

/* softmax(x x' / sqrt d) x, over the last two axes */
static void attention(random_graph *g)
{
    const random_value *x = pick(g, 3, RANDOM_AXES);
    if (!x || g->value_count + 5 > RANDOM_VALUES) return;
    random_value a = *x, scale = scalar(g, 0.3f);
    int64_t perm[RANDOM_AXES] = {0, 1, 2, 3}, dims[RANDOM_AXES];
    perm[a.rank - 1] = a.rank - 2;
    perm[a.rank - 2] = a.rank - 1;
    memcpy(dims, a.dims, sizeof dims);
    dims[a.rank - 1] = a.dims[a.rank - 2];
    if (!is_small(a.rank, dims)) return;
    random_value scores = {.rank = a.rank, .dims = {dims[0], dims[1], dims[2], dims[3]}};
    random_value *k = transposed(g, &a, perm), *s = simple(g, "MatMul", &a, k, &scores);
    s = simple(g, "Mul", s, &scale, s);
    s = softmax_of(g, s, "Softmax", random_below(g, 2) ? -1 : a.rank - 1);
    simple(g, "MatMul", s, &a, &a);
}

/* --- networks ------------------------------------------------------------------------------------------------- */

typedef struct windows {
    int64_t kernel[2], strides[2], dilations[2], pads[4], out[2];
    int axes;
} windows;

static bool choose_windows(random_graph *g, const random_value *x, bool dilated, windows *w)
{
    *w = (windows){.axes = x->rank - 2};
    for (int i = 0; i < w->axes; i++) {
        w->kernel[i] = 1 + random_below(g, 5);
        w->strides[i] = 1 + random_below(g, 3);
        w->dilations[i] = dilated && !random_below(g, 3) ? 2 : 1;
        w->pads[i] = random_below(g, (unsigned)w->kernel[i]);
        w->pads[i + w->axes] = random_below(g, (unsigned)w->kernel[i]);
        int64_t reach = w->dilations[i] * (w->kernel[i] - 1) + 1;
        int64_t room = x->dims[i + 2] + w->pads[i] + w->pads[i + w->axes] - reach;
        if (room < 0) return false;
        w->out[i] = room / w->strides[i] + 1;
    }
    return true;
}

static void put_windows(random_graph *g, const windows *w)
{
    attribute_ints(g, "kernel_shape", w->axes, w->kernel);
    attribute_ints(g, "strides", w->axes, w->strides);
    attribute_ints(g, "pads", 2 * w->axes, w->pads);
}

static int64_t choose_group(random_graph *g, int64_t channels)
{
    unsigned kind = random_below(g, 4);
    if (kind == 0) return channels;
    return kind == 1 && channels % 2 == 0 ? 2 : 1;
}

static void conv(random_graph *g)
{
    const random_value *x = pick(g, 3, 4);
    windows w;
    if (!x || !choose_windows(g, x, true, &w)) return;
    random_value a = *x;
    int64_t group = choose_group(g, a.dims[1]), filters = group * (1 + random_below(g, group > 4 ? 2 : 12));
    int64_t dims[] = {a.dims[0], filters, w.out[0], w.out[1]},
            k_dims[] = {filters, a.dims[1] / group, w.kernel[0], w.kernel[1]};
    if (!is_small(a.rank, dims) || !is_small(a.rank, k_dims)) return;
    random_value kernel = weight(g, a.rank, k_dims, -0.5f, 0.5f), bias = weight(g, 1, &filters, -1, 1);
    mt_mark node = open_node(g, "Conv");
    reads(g, a.name);
    reads(g, kernel.name);
    if (random_below(g, 2)) reads(g, bias.name);
    random_value *y = result(g, a.rank, dims);
    makes(g, y->name);
    put_windows(g, &w);
    attribute_ints(g, "dilations", w.axes, w.dilations);
    attribute_int(g, "group", group);
    close_node(g, node);
    if (random_below(g, 2)) simple(g, random_below(g, 2) ? "Relu" : "Sigmoid", y, NULL, y);
}

static void conv_transpose(random_graph *g)
{
    const random_value *x = pick(g, 3, 4);
    windows w;
    if (!x || !choose_windows(g, x, false, &w)) return;
    random_value a = *x;
    int64_t filters = 1 + random_below(g, 6), dims[] = {a.dims[0], filters, 0, 0};
    for (int i = 0; i < w.axes; i++)
        dims[i + 2] = (a.dims[i + 2] - 1) * w.strides[i] + w.kernel[i] - w.pads[i] - w.pads[i + w.axes];
    if (!is_small(a.rank, dims)) return;
    random_value kernel = weight(g, a.rank, (int64_t[]){a.dims[1], filters, w.kernel[0], w.kernel[1]}, -0.5f, 0.5f);
    mt_mark node = open_node(g, "ConvTranspose");
    reads(g, a.name);
    reads(g, kernel.name);
    makes(g, result(g, a.rank, dims)->name);
    put_windows(g, &w);
    close_node(g, node);
}

static void pool(random_graph *g)
{
    const random_value *x = pick(g, 3, 4);
    windows w;
    if (!x || !choose_windows(g, x, false, &w)) return;
    random_value a = *x;
    int64_t dims[] = {a.dims[0], a.dims[1], w.out[0], w.out[1]};
    bool average = random_below(g, 2);
    mt_mark node = open_node(g, average ? "AveragePool" : "MaxPool");
    reads(g, a.name);
    makes(g, result(g, a.rank, dims)->name);
    put_windows(g, &w);
    if (average) attribute_int(g, "count_include_pad", random_below(g, 2));
    close_node(g, node);
}

static void recurrent(random_graph *g)
{
    static const struct {
        const char *type;
        int gates;
    } kinds[] = {{"LSTM", 4}, {"GRU", 3}, {"RNN", 1}};
    static const char *const directions[] = {"forward", "reverse", "bidirectional"};
    unsigned kind = random_below(g, 3), way = random_below(g, 3);
    const random_value *x = pick(g, 3, 3);
    if (!x || x->dims[0] > 20) return;
    random_value a = *x;
    int64_t hidden = 1 + random_below(g, 12), ways = way == 2 ? 2 : 1, rows = kinds[kind].gates * hidden;
    if (a.dims[2] > 64 || !is_small(4, (int64_t[]){a.dims[0], ways, a.dims[1], hidden})) return;
    random_value w = weight(g, 3, (int64_t[]){ways, rows, a.dims[2]}, -0.5f, 0.5f);
    random_value r = weight(g, 3, (int64_t[]){ways, rows, hidden}, -0.5f, 0.5f);
    random_value b = weight(g, 2, (int64_t[]){ways, 2 * rows}, -0.5f, 0.5f);
    mt_mark node = open_node(g, kinds[kind].type);
    reads(g, a.name);
    reads(g, w.name);
    reads(g, r.name);
    if (random_below(g, 2)) reads(g, b.name);
    makes(g, result(g, 4, (int64_t[]){a.dims[0], ways, a.dims[1], hidden})->name);
    if (random_below(g, 2)) makes(g, result(g, 3, (int64_t[]){ways, a.dims[1], hidden})->name);
    attribute_int(g, "hidden_size", hidden);
    attribute_text(g, "direction", directions[way]);
    if (kind == 1) attribute_int(g, "linear_before_reset", random_below(g, 2));
    close_node(g, node);
}

/* --- along axes ----------------------------------------------------------------------------------------------- */

static void softmax(random_graph *g)
{
    const random_value *x = pick(g, 1, RANDOM_AXES);
    if (x) softmax_of(g, x, random_below(g, 2) ? "Softmax" : "LogSoftmax", (int)random_below(g, (unsigned)x->rank));
}

static void layer_norm(random_graph *g)
{
    const random_value *x = pick(g, 2, RANDOM_AXES);
    if (!x || x->dims[x->rank - 1] < 3) return; /* two elements become -1 and 1, however close they are */
    random_value a = *x;
    int64_t width = a.dims[a.rank - 1];
    random_value scale = weight(g, 1, &width, 0.5f, 1.5f), bias = weight(g, 1, &width, -1, 1);
    mt_mark node = open_node(g, "LayerNormalization");
    reads(g, a.name);
    reads(g, scale.name);
    if (random_below(g, 2)) reads(g, bias.name);
    makes(g, result(g, a.rank, a.dims)->name);
    attribute_float(g, "epsilon", 0.01f);
    close_node(g, node);
}

static void reduce(random_graph *g)
{
    static const char *const types[] = {"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"};
    const random_value *x = pick(g, 1, RANDOM_AXES);
    if (!x) return;
    random_value a = *x;
    int64_t axis = random_below(g, (unsigned)a.rank), dims[RANDOM_AXES];
    bool keep = random_below(g, 2);
    int rank = 0;
    for (int i = 0; i < a.rank; i++)
        if (i != axis || keep) dims[rank++] = i == axis ? 1 : a.dims[i];
    random_value axes = list(g, 1, &axis);
    mt_mark node = open_node(g, types[random_below(g, sizeof types / sizeof *types)]);
    reads(g, a.name);
    reads(g, axes.name);
    makes(g, result(g, rank, dims)->name);
    attribute_int(g, "keepdims", keep);
    close_node(g, node);
}

/* --- moving --------------------------------------------------------------------------------------------------- */

static void transpose(random_graph *g)
{
    const random_value *x = pick(g, 2, RANDOM_AXES);
    int64_t perm[RANDOM_AXES] = {0, 1, 2, 3};
    if (!x) return;
    for (int i = x->rank - 1; i > 0; i--) {
        int k = (int)random_below(g, (unsigned)i + 1);
        int64_t swap = perm[i];
        perm[i] = perm[k];
        perm[k] = swap;
    }
    transposed(g, x, perm);
}

/* Two neighbouring axes become one, or one of even length two. */
static void reshape(random_graph *g)
{
    const random_value *x = pick(g, 1, RANDOM_AXES);
    if (!x) return;
    random_value a = *x;
    int64_t dims[RANDOM_AXES];
    int rank = 0, at = (int)random_below(g, (unsigned)a.rank);
    bool split = a.rank < RANDOM_AXES && a.dims[at] % 2 == 0 && random_below(g, 2);
    for (int i = 0; i < a.rank; i++) {
        if (split && i == at) {
            dims[rank++] = 2;
            dims[rank++] = a.dims[i] / 2;
        } else if (!split && i == at && i + 1 < a.rank) {
            dims[rank++] = a.dims[i] * a.dims[i + 1];
            i++;
        } else {
            dims[rank++] = a.dims[i];
        }
    }
    random_value shape = list(g, rank, dims);
    simple(g, "Reshape", &a, &shape,
           &(random_value){.rank = rank,
                           .dims = {dims[0], rank > 1 ? dims[1] : 0, rank > 2 ? dims[2] : 0, rank > 3 ? dims[3] : 0}});
}

static void concat(random_graph *g)
{
    const random_value *x = pick(g, 1, RANDOM_AXES);
    if (!x) return;
    random_value a = *x;
    int axis = (int)random_below(g, (unsigned)a.rank);
    int64_t dims[RANDOM_AXES];
    memcpy(dims, a.dims, sizeof dims);
    dims[axis] = 1 + random_below(g, 5);
    random_value b = weight(g, a.rank, dims, -1, 1);
    dims[axis] += a.dims[axis];
    if (!is_small(a.rank, dims)) return;
    mt_mark node = open_node(g, "Concat");
    reads(g, a.name);
    reads(g, b.name);
    makes(g, result(g, a.rank, dims)->name);
    attribute_int(g, "axis", axis);
    close_node(g, node);
}

static void slice(random_graph *g)
{
    const random_value *x = pick(g, 1, RANDOM_AXES);
    if (!x) return;
    random_value a = *x;
    int64_t axis = random_below(g, (unsigned)a.rank), size = a.dims[axis], step = 1 + random_below(g, 3);
    int64_t start = random_below(g, (unsigned)size), end = start + 1 + random_below(g, (unsigned)(size - start)),
            dims[RANDOM_AXES];
    memcpy(dims, a.dims, sizeof dims);
    dims[axis] = (end - start + step - 1) / step;
    random_value s = list(g, 1, &start), e = list(g, 1, &end), x_axis = list(g, 1, &axis), t = list(g, 1, &step);
    mt_mark node = open_node(g, "Slice");
    reads(g, a.name);
    reads(g, s.name);
    reads(g, e.name);
    reads(g, x_axis.name);
    reads(g, t.name);
    makes(g, result(g, a.rank, dims)->name);
    close_node(g, node);
}

/* --- quantised ------------------------------------------------------------------------------------------------ */

static const random_value *pick_fed(random_graph *g, int low, int high)
{
    const random_value *x = pick(g, low, high);
    return x && x->input ? x : NULL;
}

/* DynamicQuantizeLinear, MatMulInteger or ConvInteger, Cast, Mul: as ONNX Runtime's dynamic quantiser writes it. */
static void quantised(random_graph *g)
{
    bool convolution = random_below(g, 2);
    const random_value *x = convolution ? pick_fed(g, 3, 3) : pick_fed(g, 2, RANDOM_AXES);
    if (!x || g->value_count + 3 > RANDOM_VALUES) return;
    random_value a = *x, scale = scalar(g, 0.01f), sum = {.rank = a.rank}, b, zero;
    motet_type type = random_below(g, 2) ? MOTET_INT8 : MOTET_UINT8;
    int64_t columns = random_dim(g),
            taps = 1 + random_below(g, (unsigned)(a.rank == 3 && a.dims[2] < 4 ? a.dims[2] : 4));
    memcpy(sum.dims, a.dims, sizeof sum.dims);
    if (convolution) {
        if (a.dims[2] < taps) return;
        b = bytes(g, type, 3, (int64_t[]){columns, a.dims[1], taps});
        sum.dims[1] = columns;
        sum.dims[2] = a.dims[2] - taps + 1;
    } else {
        b = bytes(g, type, 2, (int64_t[]){a.dims[a.rank - 1], columns});
        sum.dims[a.rank - 1] = columns;
    }
    if (!is_small(sum.rank, sum.dims)) return;
    zero = bytes(g, type, 0, (int64_t[]){0});
    char q[12], s[12], z[12], product[12];
    new_name(g, q);
    new_name(g, s);
    new_name(g, z);
    new_name(g, product);
    mt_mark node = open_node(g, "DynamicQuantizeLinear");
    reads(g, a.name);
    makes(g, q);
    makes(g, s);
    makes(g, z);
    close_node(g, node);
    node = open_node(g, convolution ? "ConvInteger" : "MatMulInteger");
    reads(g, q);
    reads(g, b.name);
    reads(g, z);
    if (random_below(g, 2)) reads(g, zero.name);
    makes(g, product);
    close_node(g, node);
    node = open_node(g, "Cast");
    reads(g, product);
    random_value *f = result(g, sum.rank, sum.dims);
    makes(g, f->name);
    attribute_int(g, "to", MOTET_FLOAT);
    close_node(g, node);
    random_value both = {.rank = 0};
    new_name(g, both.name);
    node = open_node(g, "Mul");
    reads(g, s);
    reads(g, scale.name);
    makes(g, both.name);
    close_node(g, node);
    simple(g, "Mul", f, &both, f);
}

/* --- all of it ------------------------------------------------------------------------------------------------ */

static void (*const steps[])(random_graph *) = {
    unary, binary,    residual, gelu,       matmul, matmul,    gemm,    attention, conv,  conv,      conv_transpose,
    pool,  recurrent, softmax,  layer_norm, reduce, transpose, reshape, concat,    slice, quantised, quantised};

static void put_value(mt_writer *w, uint32_t field, const random_value *v)
{
    mt_mark value = mt_write_begin(w, field);
    mt_write_text(w, 1, v->name);
    mt_mark type = mt_write_begin(w, 2), tensor = mt_write_begin(w, 1);
    mt_write_int(w, 1, MOTET_FLOAT);
    mt_mark shape = mt_write_begin(w, 2);
    for (int i = 0; i < v->rank; i++) {
        mt_mark dim = mt_write_begin(w, 1);
        mt_write_int(w, 1, v->dims[i]);
        mt_write_end(w, dim);
    }
    mt_write_end(w, shape);
    mt_write_end(w, tensor);
    mt_write_end(w, type);
    mt_write_end(w, value);
}

static void put_model(random_graph *g)
{
    mt_writer *w = &g->model;
    mt_write_int(w, 1, 8);
    mt_mark import = mt_write_begin(w, 8);
    mt_write_int(w, 2, OPSET);
    mt_write_end(w, import);
    mt_mark graph = mt_write_begin(w, 7);
    mt_writer_raw(w, g->nodes.bytes, g->nodes.used);
    mt_write_text(w, 2, "random");
    mt_writer_raw(w, g->weights.bytes, g->weights.used);
    for (int i = 0; i < g->input_count; i++) put_value(w, 11, &g->inputs[i]);
    for (int i = 0; i < g->output_count; i++) put_value(w, 12, &g->outputs[i]);
    mt_write_end(w, graph);
}

void random_graph_make(random_graph *g, uint64_t seed)
{
    *g = (random_graph){.state = seed};
    g->input_count = 1 + (int)random_below(g, RANDOM_INPUTS);
    for (int i = 0; i < g->input_count; i++) {
        int64_t dims[RANDOM_AXES];
        int rank = 2 + (int)random_below(g, 3);
        do
            for (int k = 0; k < rank; k++) dims[k] = random_dim(g);
        while (!is_small(rank, dims));
        random_value *v = result(g, rank, dims);
        v->input = true;
        g->inputs[i] = *v;
    }
    for (int wanted = 1 + (int)random_below(g, MAX_STEPS); wanted > 0 && g->value_count + 8 < RANDOM_VALUES; wanted--)
        steps[random_below(g, sizeof steps / sizeof *steps)](g);
    if (g->value_count == g->input_count) unary(g);
    g->outputs[g->output_count++] = g->values[g->value_count - 1];
    const random_value *other = &g->values[random_below(g, (unsigned)g->value_count)];
    if (!other->input && other != &g->values[g->value_count - 1]) g->outputs[g->output_count++] = *other;
    put_model(g);
}

void random_graph_clear(random_graph *g)
{
    mt_writer_clear(&g->nodes);
    mt_writer_clear(&g->weights);
    mt_writer_clear(&g->model);
}
