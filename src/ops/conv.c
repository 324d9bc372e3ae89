/* Conv and ConvTranspose. The loops here are the plain meaning of the operators; Conv goes through the float32 kernel
 * of kernels/conv.h, or of kernels/fast_conv.h where that is faster, unless the reference is asked for or the type is
 * double. */
#include "ops/convolution.h"

#include <inttypes.h>
#include <string.h>

#include "kernels/fast_conv.h"

/* --- shapes --------------------------------------------------------------------------------------------------- */

static motet_status check_bias(mt_op_context *c, int64_t channels)
{
    const motet_tensor *bias = mt_in(c, 2);
    MT_TRY(mt_need_same_type(c, 0, 2));
    if (bias && bias->count != channels)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%" PRId64 " bias values for %" PRId64 " channels", bias->count,
                          channels);
    return MOTET_OK;
}

/* x and w must have as many axes, and channels that divide into groups. */
static motet_status read_groups(mt_op_context *c, const motet_tensor *x, const motet_tensor *w, mt_conv *conv)
{
    if (x->rank < 3 || w->rank != x->rank)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "input and weights have %d and %d axes: expected as many, at least 3",
                          x->rank, w->rank);
    conv->batch = x->dims[0];
    conv->groups = mt_attr_int(c, "group", 1);
    if (conv->groups < 1 || conv->groups > INT32_MAX || x->dims[1] % conv->groups || w->dims[0] % conv->groups)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%" PRId64 " channels and %" PRId64 " filters in %" PRId64 " groups",
                          x->dims[1], w->dims[0], conv->groups);
    conv->in_channels = x->dims[1] / conv->groups;
    return MOTET_OK;
}

motet_status mt_conv_read(mt_op_context *c, const motet_tensor *x, const motet_tensor *w, mt_conv *conv)
{
    MT_TRY(read_groups(c, x, w, conv));
    conv->out_channels = w->dims[0] / conv->groups;
    if (w->dims[1] != conv->in_channels)
        return mt_op_fail(c, MOTET_ERROR_SHAPE,
                          "filters over %" PRId64 " channels, but the input has %" PRId64 " in %" PRId64 " groups",
                          w->dims[1], x->dims[1], conv->groups);
    return mt_window_read(c, x, w->dims + 2, false, &conv->window);
}

int mt_conv_dims(const mt_conv *conv, int64_t *dims)
{
    dims[0] = conv->batch;
    dims[1] = conv->groups * conv->out_channels;
    memcpy(dims + 2, conv->window.out, (size_t)conv->window.axes * sizeof *dims);
    return conv->window.axes + 2;
}

/* --- the plain loops ------------------------------------------------------------------------------------------ */

/* The input position that reaches output position `out` through tap `tap` of a transposed convolution, or -1. */
static int64_t reaching(const mt_window *w, int64_t out, int64_t tap)
{
    int64_t at = 0, scale = 1;
    for (int i = w->axes - 1; i >= 0; i--) {
        int64_t position = out % w->out[i] + w->before[i] - tap % w->kernel[i] * w->dilation[i];
        if (position < 0 || position % w->stride[i] || position / w->stride[i] >= w->in[i]) return -1;
        at += position / w->stride[i] * scale;
        scale *= w->in[i];
        out /= w->out[i];
        tap /= w->kernel[i];
    }
    return at;
}

typedef struct plain_work {
    const mt_conv *conv;
    const void *x, *w, *bias;
    void *y;
    int64_t (*source)(const mt_window *window, int64_t out, int64_t tap);
    int64_t filter_step, channel_step; /* between the weights of two output channels, and of two input channels */
} plain_work;

/* Output channels begin .. end-1 of batch * groups * out_channels. */
#define PLAIN_CHANNELS(TYPE, tag, S, T, LOAD, STORE, SIMD, A)                                                          \
    static void plain_##tag(void *context, int64_t begin, int64_t end)                                                 \
    {                                                                                                                  \
        const plain_work *work = context;                                                                              \
        const mt_conv *conv = work->conv;                                                                              \
        const mt_window *w = &conv->window;                                                                            \
        int64_t filters = conv->in_channels * conv->out_channels * w->taps;                                            \
        for (int64_t channel = begin; channel < end; channel++) {                                                      \
            int64_t unit = channel / conv->out_channels, own = channel % conv->out_channels;                           \
            const T *x = (const T *)work->x + unit * conv->in_channels * w->in_count;                                  \
            const T *f = (const T *)work->w + unit % conv->groups * filters + own * work->filter_step;                 \
            T *y = (T *)work->y + channel * w->out_count;                                                              \
            T bias = work->bias ? ((const T *)work->bias)[channel % (conv->groups * conv->out_channels)] : 0;          \
            for (int64_t o = 0; o < w->out_count; o++) {                                                               \
                A sum = (A)bias;                                                                                       \
                for (int64_t tap = 0; tap < w->taps; tap++) {                                                          \
                    int64_t from = work->source(w, o, tap);                                                            \
                    for (int64_t i = 0; i < conv->in_channels && from >= 0; i++)                                       \
                        sum += (A)x[i * w->in_count + from] * (A)f[i * work->channel_step + tap];                      \
                }                                                                                                      \
                y[o] = (T)sum;                                                                                         \
            }                                                                                                          \
        }                                                                                                              \
    }
MT_F32(PLAIN_CHANNELS, float)
MT_F64(PLAIN_CHANNELS, double)
MT_I32(PLAIN_CHANNELS, uint32_t)

static void run_plain(mt_pool *pool, plain_work *work, motet_type type)
{
    int64_t channels = work->conv->groups * work->conv->out_channels * work->conv->batch;
    mt_ranges(pool, channels, 1, type == MOTET_FLOAT ? plain_f32 : type == MOTET_DOUBLE ? plain_f64 : plain_i32, work);
}

/* Weights as [filters, channels, taps]. */
static plain_work forward_work(const mt_conv *conv)
{
    return (plain_work){.conv = conv,
                        .source = mt_window_seen,
                        .filter_step = conv->in_channels * conv->window.taps,
                        .channel_step = conv->window.taps};
}

void mt_conv_plain(mt_pool *pool, const mt_conv *conv, motet_type type, const void *x, const void *w, const void *bias,
                   void *y)
{
    plain_work work = forward_work(conv);
    work.x = x;
    work.w = w;
    work.bias = bias;
    work.y = y;
    run_plain(pool, &work, type);
}

/* Calls `run` with x, w, bias and y in the working type. */
static motet_status with_values(mt_op_context *c, plain_work *work,
                                motet_status (*run)(mt_op_context *c, plain_work *work, motet_type type))
{
    const motet_tensor *x = mt_in(c, 0);
    int64_t dims[MOTET_MAX_RANK];
    int rank = mt_conv_dims(work->conv, dims);
    mt_value_out out;
    MT_TRY(mt_value_out_make(c, 0, x->type, rank, dims, &out));
    MT_TRY(mt_values(c, x, out.type, &work->x));
    MT_TRY(mt_values(c, mt_in(c, 1), out.type, &work->w));
    MT_TRY(mt_values(c, mt_in(c, 2), out.type, &work->bias));
    work->y = out.values;
    MT_TRY(run(c, work, out.type));
    mt_value_out_store(&out);
    return MOTET_OK;
}

/* --- the operators -------------------------------------------------------------------------------------------- */

static motet_status need_operands(mt_op_context *c, const motet_tensor **x, const motet_tensor **w)
{
    MT_TRY(mt_need(c, 0, x));
    MT_TRY(mt_need(c, 1, w));
    MT_TRY(mt_need_same_type(c, 0, 1));
    return mt_is_float((*x)->type) ? MOTET_OK : mt_op_fail_type(c, 0);
}

typedef struct packing {
    const mt_conv *conv;
    const float *weights;
} packing;

enum { SHORT, FAST, OTHER }; /* ways to lay weights out; those of OTHER exclude each other */

/* The weights as `fill` packs them in the first run: `size` floats, -1 when that overflows. */
static motet_status keep_packed(mt_op_context *c, const plain_work *work, int64_t size, mt_layout layout,
                                const void **packed)
{
    packing p = {work->conv, work->w};
    if (size < 0 || !mt_mul((size_t)size, sizeof(float), &layout.bytes)) layout.bytes = SIZE_MAX;
    layout.context = &p;
    return mt_keep(c, 1, &layout, packed);
}

static void pack_short(const void *context, mt_pool *pool, void *memory)
{
    const packing *p = context;
    mt_conv_pack(pool, p->conv, p->weights, memory);
}

static motet_status run_short(mt_op_context *c, const plain_work *work, mt_activation activate)
{
    mt_layout layout = {.fill = pack_short, .name = MT_CONV_LAYOUT, .place = SHORT, .numbers = {work->conv->groups}};
    const void *packed;
    void *room;
    MT_TRY(keep_packed(c, work, mt_conv_packed_size(work->conv), layout, &packed));
    MT_TRY(mt_scratch_array(c, mt_conv_room(work->conv), sizeof(float), &room));
    mt_conv_run_short(c->pool, work->conv, work->x, packed, work->bias, activate, room, work->y);
    return MOTET_OK;
}

static void pack_fast(const void *context, mt_pool *pool, void *memory)
{
    const packing *p = context;
    mt_fast_conv_pack(pool, p->conv, p->weights, memory);
}

static motet_status run_fast(mt_op_context *c, const plain_work *work, mt_activation activate)
{
    mt_layout layout = {.fill = pack_fast, .name = MT_FAST_CONV_LAYOUT, .place = FAST};
    const void *packed;
    layout.numbers[0] = work->conv->groups;
    layout.numbers[1] = work->conv->window.stride[0];
    MT_TRY(keep_packed(c, work, mt_fast_conv_packed_size(work->conv), layout, &packed));
    mt_fast_conv_run(c->pool, work->conv, work->x, packed, work->bias, activate, work->y);
    return MOTET_OK;
}

static void pack_tiles(const void *context, mt_pool *pool, void *memory)
{
    const packing *p = context;
    mt_conv_tiles_pack(pool, p->conv, p->weights, memory);
}

static motet_status run_tiles(mt_op_context *c, const plain_work *work, mt_activation activate)
{
    mt_layout layout = {.fill = pack_tiles, .name = MT_CONV_TILES_LAYOUT, .place = OTHER};
    const void *packed;
    layout.numbers[0] = work->conv->groups;
    MT_TRY(keep_packed(c, work, mt_conv_tiles_size(work->conv), layout, &packed));
    mt_conv_run_tiles(c->pool, work->conv, work->x, packed, work->bias, activate, work->y);
    return MOTET_OK;
}

static void copy(const void *context, mt_pool *pool, void *memory)
{
    const motet_tensor *weights = context;
    (void)pool;
    memcpy(memory, weights->data, mt_tensor_bytes(weights));
}

/* Weights that the file shows at an odd address are copied after all when they are not packed. */
static motet_status settle_weights(mt_op_context *c, plain_work *work)
{
    const motet_tensor *w = mt_in(c, 1);
    if (mt_is_aligned(w->type, w->data)) return MOTET_OK;
    mt_layout layout = {.bytes = mt_tensor_bytes(w), .fill = copy, .context = w, .place = OTHER};
    return mt_keep(c, 1, &layout, &work->w);
}

static motet_status run_conv(mt_op_context *c, plain_work *work, motet_type type)
{
    if (type == MOTET_DOUBLE || c->reference) { /* which no pass gives an activation */
        run_plain(c->pool, work, type);
        return MOTET_OK;
    }
    mt_activation activate;
    MT_TRY(mt_fused_activation(c, &activate));
    bool packs = mt_in(c, 1)->constant && type == mt_in(c, 1)->type;
    if (packs && mt_conv_is_short(work->conv)) return run_short(c, work, activate);
    if (packs && mt_fast_conv_fits(work->conv)) return run_fast(c, work, activate);
    if (packs && mt_in(c, 1)->rank == 3 && mt_conv_has_tiles(work->conv)) return run_tiles(c, work, activate);
    if (packs) MT_TRY(settle_weights(c, work));
    mt_conv_run(c->pool, work->conv, work->x, work->w, work->bias, activate, work->y);
    return MOTET_OK;
}

motet_status mt_op_conv(mt_op_context *c)
{
    const motet_tensor *x, *w;
    mt_conv conv;
    MT_TRY(need_operands(c, &x, &w));
    MT_TRY(mt_conv_read(c, x, w, &conv));
    MT_TRY(check_bias(c, w->dims[0]));
    plain_work work = forward_work(&conv);
    return with_values(c, &work, run_conv);
}

/* output_shape settles the pads; else auto_pad SAME asks for in * stride positions; else they follow from the pads. */
static motet_status transposed_positions(mt_op_context *c, mt_window *w)
{
    size_t given, extra_given;
    const int64_t *shape = mt_attr_ints(c, "output_shape", &given),
                  *extra = mt_attr_ints(c, "output_padding", &extra_given);
    const char *mode = mt_attr_string(c, "auto_pad", "NOTSET");
    bool same = strncmp(mode, "SAME_", 5) == 0, lower = strcmp(mode, "SAME_LOWER") == 0;
    if ((shape && given != (size_t)w->axes) || (extra && extra_given != (size_t)w->axes))
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "output_shape and output_padding must have %d values", w->axes);
    for (int i = 0; i < w->axes; i++) {
        int64_t added = extra ? extra[i] : 0, whole;
        if (added < 0 || added > INT32_MAX)
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "output_padding %" PRId64 " is not possible", added);
        if (__builtin_mul_overflow(w->in[i] - 1, w->stride[i], &whole) ||
            __builtin_add_overflow(whole, added + (w->kernel[i] - 1) * w->dilation[i] + 1, &whole))
            return mt_op_fail(c, MOTET_ERROR_LIMIT, "the output is too large");
        if (shape || same) {
            w->out[i] = shape ? shape[i] : w->in[i] * w->stride[i];
            int64_t cut = mt_max(0, whole - w->out[i]);
            w->before[i] = lower ? (cut + 1) / 2 : cut / 2;
        } else {
            w->out[i] = whole - w->before[i] - w->after[i];
        }
        if (w->out[i] < 0) return mt_op_fail(c, MOTET_ERROR_SHAPE, "axis %d: the pads leave no output", i);
    }
    w->out_count = mt_shape_count(w->axes, w->out);
    return w->out_count < 0 ? mt_op_fail(c, MOTET_ERROR_LIMIT, "the output is too large") : MOTET_OK;
}

static motet_status run_transposed(mt_op_context *c, plain_work *work, motet_type type)
{
    run_plain(c->pool, work, type);
    return MOTET_OK;
}

/* Weights are [in channels, out channels of a group, kernel...]. */
motet_status mt_op_conv_transpose(mt_op_context *c)
{
    const motet_tensor *x, *w;
    mt_conv conv;
    int64_t channels;
    MT_TRY(need_operands(c, &x, &w));
    MT_TRY(read_groups(c, x, w, &conv));
    conv.out_channels = w->dims[1];
    if (w->dims[0] != x->dims[1])
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "weights for %" PRId64 " channels, the input has %" PRId64, w->dims[0],
                          x->dims[1]);
    MT_TRY(mt_window_attributes(c, x, w->dims + 2, &conv.window));
    MT_TRY(transposed_positions(c, &conv.window));
    if (__builtin_mul_overflow(conv.out_channels, conv.groups, &channels))
        return mt_op_fail(c, MOTET_ERROR_LIMIT, "the output is too large");
    MT_TRY(check_bias(c, channels));
    plain_work work = {.conv = &conv,
                       .source = reaching,
                       .filter_step = conv.window.taps,
                       .channel_step = conv.out_channels * conv.window.taps};
    return with_values(c, &work, run_transposed);
}
