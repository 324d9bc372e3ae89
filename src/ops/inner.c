#include "ops/inner.h"

static motet_status inner_scratch(mt_op_context *c, size_t bytes, void **out)
{
    const mt_inner *inner = c->run;
    return mt_scratch(inner->outer, bytes, out);
}

static motet_status inner_alloc(mt_op_context *c, motet_tensor *tensor, motet_type type, int rank, const int64_t *dims)
{
    const mt_inner *inner = c->run;
    bool own = tensor >= inner->made && tensor < inner->made + MT_INNER_OUTPUTS;
    if (!own) return inner->outer->host->alloc(inner->outer, tensor, type, rank, dims);
    void *memory;
    int64_t count = rank <= MOTET_MAX_RANK ? mt_shape_count(rank, dims) : -1;
    if (type == MOTET_STRING) return mt_op_fail(c, MOTET_ERROR_UNSUPPORTED, "strings within a fused operator");
    MT_TRY(mt_scratch_array(inner->outer, count, mt_element_size(type), &memory));
    return mt_tensor_wrap(tensor, type, rank, dims, memory);
}

static motet_status inner_list(mt_op_context *c, motet_tensor *list, motet_kind kind, int64_t count)
{
    (void)list;
    (void)count;
    return mt_op_fail(c, MOTET_ERROR_UNSUPPORTED, "a %s within a fused operator", motet_kind_name(kind));
}

static motet_status inner_graph(mt_op_context *c, const mt_graph *graph, const motet_tensor *const *inputs,
                                int input_count, motet_tensor *outputs, int output_count)
{
    mt_op_context *outer = ((const mt_inner *)c->run)->outer;
    return mt_run_graph(outer, graph, inputs, input_count, outputs, output_count);
}

/* What is made of a constant of the outer operator is kept there. */
static motet_status inner_keep(mt_op_context *c, int i, const mt_layout *layout, const void **out)
{
    mt_op_context *outer = ((const mt_inner *)c->run)->outer;
    void *memory;
    for (int k = 0; k < outer->in_count; k++) {
        const motet_tensor *in = mt_in(outer, k);
        if (in && in->constant && in->data == c->in[i]->data) return mt_keep(outer, k, layout, out);
    }
    MT_TRY(mt_scratch(outer, layout->bytes, &memory));
    layout->fill(layout->context, outer->pool, memory);
    *out = memory;
    return MOTET_OK;
}

void mt_inner_begin(mt_inner *inner, mt_op_context *outer)
{
    static const mt_op_host host = {inner_alloc, inner_list, inner_scratch, inner_graph, inner_keep, NULL};
    *inner = (mt_inner){.outer = outer, .node = *outer->node, .context = *outer};
    inner->node.outputs = inner->wanted;
    inner->context.node = &inner->node;
    inner->context.in = inner->in;
    inner->context.in_count = 0;
    inner->context.out = inner->out;
    inner->context.host = &host;
    inner->context.run = inner;
    for (int i = 0; i < MT_INNER_OUTPUTS; i++) inner->out[i] = &inner->made[i];
}

void mt_inner_feed(mt_inner *inner, const motet_tensor *tensor)
{
    inner->in[inner->context.in_count++] = tensor;
}

static mt_attribute *own_attribute(mt_inner *inner, const char *name, mt_attribute_kind kind)
{
    if (inner->node.attributes != inner->attributes) {
        inner->node.attributes = inner->attributes;
        inner->node.attribute_count = 0;
    }
    mt_attribute *attribute = &inner->attributes[inner->node.attribute_count++];
    *attribute = (mt_attribute){.name = name, .kind = kind};
    return attribute;
}

void mt_inner_int(mt_inner *inner, const char *name, int64_t value)
{
    own_attribute(inner, name, MT_ATTRIBUTE_INT)->i = value;
}

void mt_inner_float(mt_inner *inner, const char *name, float value)
{
    own_attribute(inner, name, MT_ATTRIBUTE_FLOAT)->f = value;
}

void mt_inner_into(mt_inner *inner, int i, int outer)
{
    if (mt_wanted(inner->outer, outer))
        inner->out[i] = inner->outer->out[outer];
    else
        inner->wanted[i] = MT_NO_VALUE;
}

void mt_inner_unwanted(mt_inner *inner, int i)
{
    inner->wanted[i] = MT_NO_VALUE;
}

motet_status mt_inner_run(mt_inner *inner, mt_op_function function, int version, int outputs)
{
    inner->context.version = inner->node.version = version;
    inner->context.out_count = inner->node.output_count = outputs;
    return function(&inner->context);
}

static motet_status hand_out(mt_op_context *c, int i, const motet_tensor *made, motet_type type)
{
    motet_tensor *out;
    if (made->type != MOTET_FLOAT) type = made->type;
    MT_TRY(mt_out(c, i, type, made->rank, made->dims, &out));
    mt_convert(out->data, type, made->data, made->type, made->count);
    return MOTET_OK;
}

motet_status mt_inner_in_float(mt_op_context *c, mt_op_function function)
{
    const motet_tensor *first;
    motet_tensor wide[MT_INNER_INPUTS];
    mt_inner inner;
    MT_TRY(mt_need(c, 0, &first));
    if (first->type == MOTET_FLOAT || mt_working_type(first->type) != MOTET_FLOAT) return function(c);
    if (c->in_count > MT_INNER_INPUTS || c->out_count > MT_INNER_OUTPUTS)
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "%d inputs and %d outputs are too many", c->in_count, c->out_count);
    mt_inner_begin(&inner, c);
    for (int i = 0; i < c->in_count; i++) {
        const motet_tensor *in = mt_in(c, i);
        const void *values;
        bool narrow = in && mt_working_type(in->type) == MOTET_FLOAT && in->type != MOTET_FLOAT;
        if (narrow) {
            MT_TRY(mt_values(c, in, MOTET_FLOAT, &values));
            MT_TRY(mt_tensor_wrap(&wide[i], MOTET_FLOAT, in->rank, in->dims, values));
        }
        mt_inner_feed(&inner, narrow ? &wide[i] : in);
    }
    for (int i = 0; i < c->out_count; i++)
        if (!mt_wanted(c, i)) mt_inner_unwanted(&inner, i);
    motet_status status = mt_inner_run(&inner, function, c->version, c->out_count);
    for (int i = 0; i < c->out_count; i++) {
        if (status == MOTET_OK && mt_wanted(c, i)) status = hand_out(c, i, &inner.made[i], first->type);
        mt_tensor_clear(&inner.made[i]); /* it may show an input */
    }
    return status;
}
