/* To quantised tensors and back: QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear. */
#include "ops/quant.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/bytes.h"

/* Bits of the integer types that are quantised to, negative for the signed ones; 0 for any other type. */
static int quantised_bits(motet_type type)
{
    switch (type) {
    case MOTET_INT8: return -8;
    case MOTET_UINT8: return 8;
    case MOTET_INT16: return -16;
    case MOTET_UINT16: return 16;
    case MOTET_INT4: return -4;
    case MOTET_UINT4: return 4;
    case MOTET_INT2: return -2;
    case MOTET_UINT2: return 2;
    default: return 0;
    }
}

bool mt_is_quantised(motet_type type)
{
    return quantised_bits(type) >= 8 || quantised_bits(type) <= -8;
}

int32_t mt_quantised(float x, int32_t zero, motet_type type)
{
    int bits = quantised_bits(type);
    int32_t least = bits < 0 ? -(1 << (-bits - 1)) : 0, most = least + (1 << abs(bits)) - 1;
    float value = rintf(x) + (float)zero;
    return value >= (float)most ? most : value > (float)least ? (int32_t)value : least;
}

/* --- scales and zero points along a tensor -------------------------------------------------------------------- */

/* One parameter for the whole tensor, for each position of an axis, or for each block of positions of an axis. Rows are
 * `inner` elements that share an axis position. */
typedef struct spread {
    int64_t rows, inner, size, block; /* size: of the axis */
    enum { WHOLE, AXIS, BLOCKS } kind;
} spread;

static motet_status find_spread(mt_op_context *c, const motet_tensor *in, const motet_tensor *scale, spread *s)
{
    *s = (spread){.rows = 1, .inner = in->count, .size = 1, .block = 1, .kind = WHOLE};
    int64_t block = mt_attr_int(c, "block_size", 0);
    if (scale->count == 1 && block == 0) return MOTET_OK;
    int axis = 0;
    MT_TRY(mt_axis(c, mt_attr_int(c, "axis", 1), in->rank, &axis));
    s->size = in->dims[axis];
    s->inner = mt_span(in->dims, axis + 1, in->rank);
    s->rows = mt_span(in->dims, 0, axis + 1);
    s->kind = block ? BLOCKS : AXIS;
    bool fits = scale->rank == (block ? in->rank : 1) && block >= 0;
    for (int i = 0; i < in->rank && fits && block; i++)
        fits = scale->dims[i] == (i == axis ? mt_blocks(in->dims[i], block) : in->dims[i]);
    if (fits && !block) fits = scale->dims[0] == s->size;
    s->block = block ? block : 1;
    if (fits) return MOTET_OK;
    char input[MT_SHAPE_TEXT], scales[MT_SHAPE_TEXT];
    return mt_op_fail(c, MOTET_ERROR_SHAPE, "scales %s do not fit axis %d of %s",
                      mt_tensor_describe(scale, scales, sizeof scales), axis,
                      mt_tensor_describe(in, input, sizeof input));
}

/* The first parameter of a row; along it they move by *step. */
static int64_t row_parameter(const spread *s, int64_t row, int64_t *step)
{
    int64_t at = row % s->size;
    *step = s->kind == BLOCKS;
    if (s->kind == WHOLE) return 0;
    return s->kind == AXIS ? at : (row / s->size * mt_blocks(s->size, s->block) + at / s->block) * s->inner;
}

/* The zero points as int32, or NULL where they are left out (all 0). */
static motet_status read_zeros(mt_op_context *c, int i, const motet_tensor *scale, const int32_t **out)
{
    const motet_tensor *zeros = mt_in(c, i);
    const void *values;
    if (zeros && zeros->count != scale->count)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%" PRId64 " zero points for %" PRId64 " scales", zeros->count,
                          scale->count);
    MT_TRY(mt_values(c, zeros, MOTET_INT32, &values));
    *out = values;
    return MOTET_OK;
}

/* --- float32 to uint8 by one scale ----------------------------------------------------------------------------- */

enum { GRAIN = 1 << 16 };

typedef struct to_bytes {
    const float *x;
    uint8_t *y;
    int64_t count;
    float scale;
    int32_t zero;
} to_bytes;

static void quantise_block(void *context, size_t block)
{
    const to_bytes *b = context;
    int64_t begin = (int64_t)block * GRAIN;
    mt_byte_quantise(b->y + begin, b->x + begin, mt_min(GRAIN, b->count - begin), b->scale, b->zero);
}

static void quantise_bytes(mt_pool *pool, const to_bytes *b)
{
    mt_parallel(pool, (size_t)mt_blocks(b->count, GRAIN), quantise_block, (void *)(uintptr_t)b);
}

/* --- QuantizeLinear and DequantizeLinear ---------------------------------------------------------------------- */

/* The type of the zero points, or the attribute's, or uint8. */
static motet_status quantised_type(mt_op_context *c, motet_type *type)
{
    int64_t wanted = mt_attr_int(c, "output_dtype", 0);
    *type = mt_in(c, 2) ? mt_in(c, 2)->type : wanted ? (motet_type)mt_min(wanted, MT_TYPES) : MOTET_UINT8;
    if (quantised_bits(*type) || (mt_is_small_float(*type) && *type != MOTET_FLOAT8E8M0)) return MOTET_OK;
    return mt_op_fail(c, MOTET_ERROR_UNSUPPORTED, "quantising to type %d (%s) is not supported", (int)*type,
                      motet_type_name(*type));
}

/* The division happens in float32, or since opset 23 in the type that "precision" names. */
static float divide(float x, float scale, motet_type precision)
{
    float quotient = x / scale;
    if (precision == MOTET_FLOAT16) return mt_half_to_float(mt_float_to_half(quotient));
    if (precision == MOTET_BFLOAT16) return mt_bfloat_to_float(mt_float_to_bfloat(quotient));
    return quotient;
}

/* Zero points of small floats are 0: x / scale, as Cast would bring it there. */
static void quantise_row(const mt_small_rules *rules, motet_tensor *out, int64_t at, float *values,
                         const int32_t *zeros, int64_t step, int64_t count)
{
    if (mt_is_small_float(out->type)) {
        mt_convert_by(rules, mt_at(out, at), out->type, values, MOTET_FLOAT, count);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        int32_t value = mt_quantised(values[i], zeros ? zeros[i * step] : 0, out->type);
        memcpy(values + i, &value, sizeof value);
    }
    mt_convert(mt_at(out, at), out->type, values, MOTET_INT32, count);
}

motet_status mt_op_quantize_linear(mt_op_context *c)
{
    const motet_tensor *in, *scale;
    motet_tensor *out;
    motet_type type, precision = (motet_type)mt_attr_int(c, "precision", 0);
    mt_small_rules rules = {.overflow = mt_attr_int(c, "saturate", 1) == 0};
    spread s;
    const int32_t *zeros;
    const void *x, *scales;
    void *memory;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_need(c, 1, &scale));
    MT_TRY(quantised_type(c, &type));
    MT_TRY(find_spread(c, in, scale, &s));
    MT_TRY(read_zeros(c, 2, scale, &zeros));
    MT_TRY(mt_values(c, in, MOTET_FLOAT, &x));
    MT_TRY(mt_values(c, scale, MOTET_FLOAT, &scales));
    MT_TRY(mt_out(c, 0, type, in->rank, in->dims, &out));
    if (type == MOTET_UINT8 && s.kind == WHOLE && scale->type == MOTET_FLOAT && !precision && !c->reference) {
        quantise_bytes(c->pool, &(to_bytes){x, out->data, in->count, *(const float *)scales, zeros ? *zeros : 0});
        return MOTET_OK;
    }
    MT_TRY(mt_scratch_array(c, s.inner, sizeof(float), &memory));
    float *values = memory;
    for (int64_t row = 0; row < (in->count ? s.rows : 0); row++) {
        int64_t step, first = row_parameter(&s, row, &step);
        for (int64_t i = 0; i < s.inner; i++)
            values[i] =
                divide(((const float *)x)[row * s.inner + i], ((const float *)scales)[first + i * step], precision);
        quantise_row(&rules, out, row * s.inner, values, zeros ? zeros + first : NULL, step, s.inner);
    }
    return MOTET_OK;
}

motet_status mt_op_dequantize_linear(mt_op_context *c)
{
    const motet_tensor *in, *scale;
    mt_value_out out;
    spread s;
    const int32_t *zeros;
    const void *x, *scales;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_need(c, 1, &scale));
    bool small = mt_is_small_float(in->type);
    motet_type type = (motet_type)mt_attr_int(c, "output_dtype", 0);
    if (type == MOTET_UNDEFINED) type = scale->type;
    if (!quantised_bits(in->type) && in->type != MOTET_INT32 && !small) return mt_op_fail_type(c, 0);
    if (mt_working_type(scale->type) != MOTET_FLOAT && scale->type != MOTET_FLOAT8E8M0) return mt_op_fail_type(c, 1);
    if (mt_working_type(type) != MOTET_FLOAT)
        return mt_op_fail(c, MOTET_ERROR_UNSUPPORTED, "dequantising to %s is not supported", motet_type_name(type));
    MT_TRY(find_spread(c, in, scale, &s));
    MT_TRY(read_zeros(c, 2, scale, &zeros));
    MT_TRY(mt_values(c, in, small ? MOTET_FLOAT : MOTET_INT32, &x));
    MT_TRY(mt_values(c, scale, MOTET_FLOAT, &scales));
    MT_TRY(mt_value_out_make(c, 0, type, in->rank, in->dims, &out));
    for (int64_t row = 0; row < (in->count ? s.rows : 0); row++) {
        int64_t step, first = row_parameter(&s, row, &step);
        for (int64_t i = 0; i < s.inner; i++) {
            int64_t at = row * s.inner + i, value = small ? 0 : ((const int32_t *)x)[at];
            if (zeros) value -= zeros[first + i * step];
            float centred_value = small ? ((const float *)x)[at] : (float)value;
            ((float *)out.values)[at] = centred_value * ((const float *)scales)[first + i * step];
        }
    }
    mt_value_out_store(&out);
    return MOTET_OK;
}

/* --- DynamicQuantizeLinear ------------------------------------------------------------------------------------ */

typedef struct dynamic {
    const float *x;
    int64_t count;
    float *ranges; /* least and most of every block */
} dynamic;

static void find_range(void *context, size_t block)
{
    const dynamic *d = context;
    int64_t begin = (int64_t)block * GRAIN;
    mt_byte_range(d->x + begin, mt_min(GRAIN, d->count - begin), &d->ranges[2 * block], &d->ranges[2 * block + 1]);
}

/* Ranges of parts of the input: input 1 of motet's own node, whose maker found them, or found here. */
static motet_status find_ranges(mt_op_context *c, const motet_tensor *in, const float **ranges, int64_t *count)
{
    const motet_tensor *found = mt_in(c, 1);
    void *memory;
    if (found) {
        if (found->type != MOTET_FLOAT) return mt_op_fail_type(c, 1);
        if (found->count % 2) return mt_op_fail(c, MOTET_ERROR_SHAPE, "ranges must be pairs");
        *ranges = found->data;
        *count = found->count / 2;
        return MOTET_OK;
    }
    *count = mt_blocks(in->count, GRAIN);
    MT_TRY(mt_scratch_array(c, *count, 2 * sizeof(float), &memory));
    mt_parallel(c->pool, (size_t)*count, find_range, &(dynamic){in->data, in->count, memory});
    *ranges = memory;
    return MOTET_OK;
}

/* Scale and zero point from the range of the input, which is made to include 0. All zeros take the scale 1, as ONNX
 * Runtime does, where the standard's formula divides 0 by 0. */
motet_status mt_op_dynamic_quantize_linear(mt_op_context *c)
{
    const motet_tensor *in;
    motet_tensor *out, *scale_out, *zero_out;
    MT_TRY(mt_need(c, 0, &in));
    if (in->type != MOTET_FLOAT) return mt_op_fail_type(c, 0);
    const float *ranges;
    int64_t parts;
    MT_TRY(find_ranges(c, in, &ranges, &parts));
    to_bytes bytes = {.x = in->data, .count = in->count, .scale = 1};
    float least = 0, most = 0;
    for (int64_t i = 0; i < parts; i++) {
        least = ranges[2 * i] < least ? ranges[2 * i] : least;
        most = ranges[2 * i + 1] > most ? ranges[2 * i + 1] : most;
    }
    if (most > least) bytes.scale = (most - least) / 255;
    bytes.zero = mt_quantised(-least / bytes.scale, 0, MOTET_UINT8);
    MT_TRY(mt_out(c, 0, MOTET_UINT8, in->rank, in->dims, &out));
    MT_TRY(mt_out(c, 1, MOTET_FLOAT, 0, NULL, &scale_out));
    MT_TRY(mt_out(c, 2, MOTET_UINT8, 0, NULL, &zero_out));
    bytes.y = out->data;
    quantise_bytes(c->pool, &bytes);
    *(float *)scale_out->data = bytes.scale;
    *(uint8_t *)zero_out->data = (uint8_t)bytes.zero;
    return MOTET_OK;
}
