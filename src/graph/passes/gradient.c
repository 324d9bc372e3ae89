/* ai.onnx.preview.training.Gradient, in reverse mode: the node is replaced by nodes that compute the derivatives. They
 * go back from y over the nodes before it, each of which hands the gradient of its output on to its inputs by a rule;
 * where an input was stretched by broadcasting, its gradient is summed up again ("SumTo", which only motet knows). */
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "graph/passes/passes.h"

enum { VERSION = 15 }; /* of the operators that are written */

typedef struct deriver {
    mt_model *model;
    const mt_graph *graph;
    const mt_node *gradient;
    int *gradients; /* by value: the gradient so far, or MT_NO_VALUE */
    mt_node **nodes;
    size_t count, capacity;
} deriver;

/* --- writing nodes -------------------------------------------------------------------------------------------- */

static motet_status append(deriver *d, mt_node *node)
{
    if (!mt_reserve((void **)&d->nodes, d->count, &d->capacity, sizeof *d->nodes))
        return mt_fail_memory(sizeof *d->nodes);
    d->nodes[d->count++] = node;
    return MOTET_OK;
}

/* A node of one or two inputs (b may be MT_NO_VALUE), to `out`, which is a new value where it is MT_NO_VALUE. */
static motet_status emit(deriver *d, const char *domain, const char *type, int a, int b, int *out)
{
    mt_node *node = mt_arena_zero(&d->model->arena, 1, sizeof *node);
    int *values = mt_arena_zero(&d->model->arena, 3, sizeof *values);
    if (!node || !values) return mt_fail_memory(sizeof *node);
    if (*out == MT_NO_VALUE) MT_TRY(mt_model_value(d->model, "gradient", d->graph, out));
    values[0] = a;
    values[1] = b;
    values[2] = *out;
    *node = (mt_node){.name = d->gradient->name,
                      .type = type,
                      .domain = domain,
                      .version = *domain ? 1 : VERSION,
                      .input_count = b == MT_NO_VALUE ? 1 : 2,
                      .output_count = 1,
                      .inputs = values,
                      .outputs = values + 2};
    return append(d, node);
}

static motet_status plain(deriver *d, const char *type, int a, int b, int *out)
{
    *out = MT_NO_VALUE;
    return emit(d, "", type, a, b, out);
}

/* Adds `g` to the gradient of `value`. */
static motet_status contribute(deriver *d, int value, int g)
{
    int fitting = MT_NO_VALUE, sum;
    MT_TRY(emit(d, "motet", "SumTo", g, value, &fitting));
    if (d->gradients[value] == MT_NO_VALUE) {
        d->gradients[value] = fitting;
        return MOTET_OK;
    }
    MT_TRY(plain(d, "Add", d->gradients[value], fitting, &sum));
    d->gradients[value] = sum;
    return MOTET_OK;
}

/* Adds g * factor, or g / factor, negated where `minus`. */
static motet_status contribute_with(deriver *d, int value, int g, const char *type, int factor, bool minus)
{
    int scaled, negated;
    MT_TRY(plain(d, type, g, factor, &scaled));
    if (!minus) return contribute(d, value, scaled);
    MT_TRY(plain(d, "Neg", scaled, MT_NO_VALUE, &negated));
    return contribute(d, value, negated);
}

/* --- rules ---------------------------------------------------------------------------------------------------- */

static motet_status derive_add(deriver *d, const mt_node *n, int g)
{
    MT_TRY(contribute(d, n->inputs[0], g));
    return contribute(d, n->inputs[1], g);
}

static motet_status derive_sub(deriver *d, const mt_node *n, int g)
{
    int negated;
    MT_TRY(contribute(d, n->inputs[0], g));
    MT_TRY(plain(d, "Neg", g, MT_NO_VALUE, &negated));
    return contribute(d, n->inputs[1], negated);
}

static motet_status derive_mul(deriver *d, const mt_node *n, int g)
{
    MT_TRY(contribute_with(d, n->inputs[0], g, "Mul", n->inputs[1], false));
    return contribute_with(d, n->inputs[1], g, "Mul", n->inputs[0], false);
}

/* a / b: g / b, and -g (a / b) / b */
static motet_status derive_div(deriver *d, const mt_node *n, int g)
{
    int scaled;
    MT_TRY(contribute_with(d, n->inputs[0], g, "Div", n->inputs[1], false));
    MT_TRY(plain(d, "Mul", g, n->outputs[0], &scaled));
    return contribute_with(d, n->inputs[1], scaled, "Div", n->inputs[1], true);
}

static motet_status derive_identity(deriver *d, const mt_node *n, int g)
{
    return contribute(d, n->inputs[0], g);
}

static motet_status derive_neg(deriver *d, const mt_node *n, int g)
{
    int negated;
    MT_TRY(plain(d, "Neg", g, MT_NO_VALUE, &negated));
    return contribute(d, n->inputs[0], negated);
}

static motet_status derive_exp(deriver *d, const mt_node *n, int g)
{
    return contribute_with(d, n->inputs[0], g, "Mul", n->outputs[0], false);
}

static motet_status derive_log(deriver *d, const mt_node *n, int g)
{
    return contribute_with(d, n->inputs[0], g, "Div", n->inputs[0], false);
}

/* g / (2 y) */
static motet_status derive_sqrt(deriver *d, const mt_node *n, int g)
{
    int twice;
    MT_TRY(plain(d, "Add", n->outputs[0], n->outputs[0], &twice));
    return contribute_with(d, n->inputs[0], g, "Div", twice, false);
}

/* g (y - y^2) */
static motet_status derive_sigmoid(deriver *d, const mt_node *n, int g)
{
    int square, slope;
    MT_TRY(plain(d, "Mul", n->outputs[0], n->outputs[0], &square));
    MT_TRY(plain(d, "Sub", n->outputs[0], square, &slope));
    return contribute_with(d, n->inputs[0], g, "Mul", slope, false);
}

/* g - g y^2 */
static motet_status derive_tanh(deriver *d, const mt_node *n, int g)
{
    int square;
    MT_TRY(plain(d, "Mul", n->outputs[0], n->outputs[0], &square));
    MT_TRY(contribute(d, n->inputs[0], g));
    return contribute_with(d, n->inputs[0], g, "Mul", square, true);
}

/* The sign of the output is 1 where the input is let through, else 0. */
static motet_status derive_relu(deriver *d, const mt_node *n, int g)
{
    int sign;
    MT_TRY(plain(d, "Sign", n->outputs[0], MT_NO_VALUE, &sign));
    return contribute_with(d, n->inputs[0], g, "Mul", sign, false);
}

static motet_status derive_abs(deriver *d, const mt_node *n, int g)
{
    int sign;
    MT_TRY(plain(d, "Sign", n->inputs[0], MT_NO_VALUE, &sign));
    return contribute_with(d, n->inputs[0], g, "Mul", sign, false);
}

static const struct rule {
    const char *type;
    int inputs;
    motet_status (*derive)(deriver *d, const mt_node *node, int g);
} rules[] = {{"Add", 2, derive_add},   {"Sub", 2, derive_sub},           {"Mul", 2, derive_mul},
             {"Div", 2, derive_div},   {"Identity", 1, derive_identity}, {"Neg", 1, derive_neg},
             {"Exp", 1, derive_exp},   {"Log", 1, derive_log},           {"Sqrt", 1, derive_sqrt},
             {"Tanh", 1, derive_tanh}, {"Sigmoid", 1, derive_sigmoid},   {"Relu", 1, derive_relu},
             {"Abs", 1, derive_abs}};

static motet_status derive_node(deriver *d, const mt_node *node)
{
    for (int i = 1; i < node->output_count; i++)
        if (node->outputs[i] != MT_NO_VALUE && d->gradients[node->outputs[i]] != MT_NO_VALUE)
            return mt_fail(MOTET_ERROR_UNSUPPORTED, "there is no derivative of %s", node->type);
    int y = node->output_count ? node->outputs[0] : MT_NO_VALUE;
    if (y == MT_NO_VALUE || d->gradients[y] == MT_NO_VALUE) return MOTET_OK;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (!*node->domain && strcmp(rules[i].type, node->type) == 0 && node->input_count == rules[i].inputs)
            return rules[i].derive(d, node, d->gradients[y]);
    return mt_fail(MOTET_ERROR_UNSUPPORTED, "there is no derivative of %s", node->type);
}

/* --- the node ------------------------------------------------------------------------------------------------- */

static bool is_gradient(const mt_node *node)
{
    return strcmp(node->domain, "ai.onnx.preview.training") == 0 && strcmp(node->type, "Gradient") == 0;
}

static motet_status find_value(const deriver *d, const mt_string *name, int *out)
{
    for (*out = 0; (size_t)*out < d->model->value_count; ++*out) {
        const mt_value *value = &d->model->values[*out];
        if (value->home == d->graph && strcmp(value->name, name->bytes) == 0) return MOTET_OK;
    }
    return mt_fail(MOTET_ERROR_FORMAT, "there is no value '%.128s'", name->bytes);
}

/* Ones of the shape and type of y. */
static motet_status start(deriver *d, int y)
{
    int one, typed, shape;
    motet_tensor *tensor;
    MT_TRY(mt_model_value(d->model, "one", d->graph, &one));
    MT_TRY(mt_model_tensor(d->model, &tensor));
    MT_TRY(mt_tensor_alloc(tensor, MOTET_FLOAT, 0, NULL));
    *(float *)tensor->data = 1;
    tensor->constant = true;
    d->model->values[one].tensor = tensor;
    MT_TRY(plain(d, "CastLike", one, y, &typed));
    MT_TRY(plain(d, "Shape", y, MT_NO_VALUE, &shape));
    return plain(d, "Expand", typed, shape, &d->gradients[y]);
}

/* Output i is the gradient of xs[i], which is input i of the node; what y does not depend on has the gradient 0. */
static motet_status put_gradient(deriver *d, int x, int out)
{
    if (out == MT_NO_VALUE) return MOTET_OK;
    if (d->gradients[x] == MT_NO_VALUE) return emit(d, "", "Sub", x, x, &out);
    return emit(d, "", "Identity", d->gradients[x], MT_NO_VALUE, &out);
}

/* Derives over the `before` nodes in front of the node. */
static motet_status derive(deriver *d, mt_node *const *nodes, int before)
{
    const mt_node *node = d->gradient;
    const mt_attribute *xs = mt_node_attribute(node, "xs"), *name = mt_node_attribute(node, "y");
    int x, y = MT_NO_VALUE;
    if (!xs || !name || xs->kind != MT_ATTRIBUTE_STRINGS || name->kind != MT_ATTRIBUTE_STRING)
        return mt_fail(MOTET_ERROR_FORMAT, "the attributes xs and y are missing");
    if ((size_t)node->input_count < xs->count || (size_t)node->output_count > xs->count)
        return mt_fail(MOTET_ERROR_FORMAT, "%zu xs for %d inputs and %d outputs", xs->count, node->input_count,
                       node->output_count);
    MT_TRY(find_value(d, &name->s, &y));
    MT_TRY(start(d, y));
    for (int i = before - 1; i >= 0; i--) MT_TRY(derive_node(d, nodes[i]));
    for (int i = 0; i < node->output_count; i++) {
        MT_TRY(find_value(d, &xs->strings[i], &x));
        if (x != node->inputs[i])
            return mt_fail(MOTET_ERROR_UNSUPPORTED, "a gradient at other values than the graph's is not supported");
        MT_TRY(put_gradient(d, x, node->outputs[i]));
    }
    return MOTET_OK;
}

/* New values come while gradients are looked up, so there is room for them from the start: a rule makes at most 8. */
static motet_status replace(deriver *d, mt_node *const *nodes, int before)
{
    enum { PER_NODE = 16 };
    size_t room = d->model->value_count + PER_NODE * ((size_t)before + (size_t)d->gradient->output_count + 1);
    d->gradients = mt_alloc_array(room, sizeof *d->gradients);
    if (!d->gradients) return mt_fail_memory(room * sizeof *d->gradients);
    for (size_t i = 0; i < room; i++) d->gradients[i] = MT_NO_VALUE;
    motet_status status = derive(d, nodes, before);
    mt_free(d->gradients);
    return status == MOTET_OK ? status : mt_fail_in(status, "node '%s' (Gradient)", d->gradient->name);
}

static motet_status rewrite(deriver *d, mt_graph *graph)
{
    for (int i = 0; i < graph->node_count; i++) {
        d->gradient = graph->nodes[i];
        MT_TRY(is_gradient(graph->nodes[i]) ? replace(d, graph->nodes, i) : append(d, graph->nodes[i]));
    }
    mt_node **nodes = mt_arena_zero(&d->model->arena, d->count, sizeof *nodes);
    if (!nodes) return mt_fail_memory(d->count * sizeof *nodes);
    memcpy(nodes, d->nodes, d->count * sizeof *nodes);
    graph->nodes = nodes;
    graph->node_count = (int)d->count;
    return MOTET_OK;
}

motet_status mt_pass_gradient(mt_model *model)
{
    deriver d = {.model = model, .graph = model->main};
    bool any = false;
    for (int i = 0; i < model->main->node_count; i++) any = any || is_gradient(model->main->nodes[i]);
    if (!any) return MOTET_OK;
    motet_status status = rewrite(&d, model->main);
    mt_free(d.nodes);
    return status;
}
