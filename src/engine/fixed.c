/* Which nodes of the main graph depend on nothing but the shapes of the inputs. Known of a value is its shape, when it
 * follows from the shapes of the inputs, or all of it, when its elements do too: Shape makes elements of a shape, and
 * an operator whose inputs are all known makes what is known. The table says of which inputs an operator's output shape
 * depends on the elements and not just on their shapes; what is not in it may do anything, and nothing is known of its
 * outputs. So are operators on lists, those with graphs within, and those that are different every time. */
#include "engine/fixed.h"

#include <string.h>

#include "core/memory.h"
#include "core/status.h"

enum { SHAPE = 1, ELEMENTS = 2 };

/* By input: bit i is set where the shape of the output depends on the elements of input i. */
typedef struct rule {
    unsigned by_elements;
    const char *domain; /* motet's own are any other's with something added at the end */
    const char *types;  /* with a space before and after each */
} rule;

static const rule rules[] = {
    {0, "",
     " Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization BitShift BitwiseAnd "
     "BitwiseNot BitwiseOr BitwiseXor Cast CastLike Ceil Celu Clip Concat Conv ConvInteger "
     "ConvIntegerNormalization ConvIntegerToFloat ConvNormalization ConvTranspose Cos Cosh CumSum DepthToSpace "
     "DequantizeLinear Det Div DynamicQuantizeLinear Einsum Elu Equal Erf "
     "Exp "
     "EyeLike Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool "
     "Greater GreaterOrEqual GroupNormalization HardSigmoid HardSwish Hardmax Identity InstanceNormalization IsInf "
     "IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization LpPool MatMul "
     "MatMulInteger Max MaxPool Mean MeanVarianceNormalization Min Mish Mod Mul Neg Not Or PRelu Pow Projections "
     "QLinearConv "
     "QLinearMatMul QuantizeLinear RMSNormalization RNN Reciprocal Relu Round ScatterElements ScatterND Selu Shape "
     "Sigmoid Sign Sin Sinh Size Softmax Softplus Softsign SpaceToDepth Sqrt Sub Sum Swish Tan Tanh ThresholdedRelu "
     "Transpose Trilu Where Xor "},
    {0, "com.microsoft",
     " BiasGelu DynamicQuantizeMatMul FastGelu FusedConv FusedGemm FusedMatMul Gelu MatMulIntegerToFloat MatMulNBits "
     "QuickGelu SkipLayerNormalization SkipSimplifiedLayerNormalization "},
    {1u << 0, "", " ConstantOfShape "},
    {1u << 0 | 1u << 1 | 1u << 2, "", " Range "},
    {1u << 1, "",
     " Expand OneHot ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd "
     "ReduceSum "
     "ReduceSumSquare Reshape Split Squeeze Tile TopK Unsqueeze "},
    {1u << 1 | 1u << 2 | 1u << 3 | 1u << 4, "", " Slice "},
    {1u << 1 | 1u << 3, "", " Pad "},
    {1u << 4, "", " Attention "}, /* of motet's own; the standard's has something else there */
};

static const rule *find_rule(const mt_node *node)
{
    char word[64];
    size_t length = strlen(node->type);
    bool own = strcmp(node->domain, "motet") == 0;
    if (length + 3 > sizeof word) return NULL;
    word[0] = word[length + 1] = ' ';
    memcpy(word + 1, node->type, length);
    word[length + 2] = '\0';
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if ((own || strcmp(rules[i].domain, node->domain) == 0) && strstr(rules[i].types, word)) return &rules[i];
    return NULL;
}

static int known_of(const mt_plan *plan, const uint8_t *known, int value)
{
    return plan->model->values[value].tensor ? SHAPE | ELEMENTS : known[value];
}

/* What is known of a node's outputs. */
static uint8_t judge(const mt_plan *plan, const uint8_t *known, const mt_node *node)
{
    const rule *found = find_rule(node);
    int all = SHAPE | ELEMENTS;
    if (!found) return 0;
    for (int i = 0; i < node->input_count; i++) {
        if (node->inputs[i] == MT_NO_VALUE) continue;
        int of = known_of(plan, known, node->inputs[i]);
        all &= of;
        if (i < 32 && found->by_elements >> i & 1 && !(of & ELEMENTS)) return 0;
    }
    if (!(all & SHAPE)) return 0;
    bool of_shape = strcmp(node->type, "Shape") == 0 || strcmp(node->type, "Size") == 0;
    return of_shape ? SHAPE | ELEMENTS : (uint8_t)all;
}

typedef struct reader {
    mt_plan *plan;
    const uint8_t *known;
    bool *wanted; /* by value: read by a node that is not idle */
} reader;

/* A value that is read by a node that is not idle. */
static void note_read(void *context, int value)
{
    const reader *r = context;
    r->wanted[value] = true;
    if (r->plan->model->values[value].tensor || !(r->known[value] & ELEMENTS)) return;
    if (r->plan->known_place[value] < 0) r->plan->known_place[value] = r->plan->known_count++;
}

static bool makes_wanted(const reader *r, const mt_node *node)
{
    for (int i = 0; i < node->output_count; i++)
        if (node->outputs[i] != MT_NO_VALUE && r->wanted[node->outputs[i]]) return true;
    return false;
}

/* From the last node to the first: when a node is reached, all that may read its outputs have been seen. */
static void find_idle(reader *r)
{
    const mt_graph *main = r->plan->model->main;
    for (int i = 0; i < main->output_count; i++) note_read(r, main->outputs[i]);
    for (int i = main->node_count - 1; i >= 0; i--) {
        r->plan->idle[i] = r->plan->fixed[i] || !makes_wanted(r, main->nodes[i]);
        if (!r->plan->idle[i]) mt_node_reads(main->nodes[i], note_read, r);
    }
}

static void find_fixed(mt_plan *plan, uint8_t *known)
{
    const mt_graph *main = plan->model->main;
    for (int i = 0; i < main->input_count; i++)
        if (plan->model->inputs[i].kind == MOTET_TENSOR) known[main->inputs[i]] = SHAPE;
    for (int i = 0; i < main->node_count; i++) {
        const mt_node *node = main->nodes[i];
        uint8_t now = judge(plan, known, node);
        plan->fixed[i] = (now & ELEMENTS) != 0;
        for (int k = 0; k < node->output_count; k++)
            if (node->outputs[k] != MT_NO_VALUE) known[node->outputs[k]] = now;
    }
}

motet_status mt_find_fixed(mt_plan *plan)
{
    size_t values = plan->model->value_count;
    uint8_t *known = mt_alloc_zero(values, sizeof *known);
    reader r = {plan, known, mt_alloc_zero(values, sizeof *r.wanted)};
    for (size_t i = 0; i < values; i++) plan->known_place[i] = -1;
    if (known && r.wanted) {
        find_fixed(plan, known);
        find_idle(&r);
    }
    bool done = known && r.wanted;
    mt_free(known);
    mt_free(r.wanted);
    return done ? MOTET_OK : mt_fail_memory(values);
}
