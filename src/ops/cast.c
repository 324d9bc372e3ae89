/* Cast and CastLike. Numbers go through mt_convert; this file adds text: numbers as the shortest decimal that reads
 * back as the same value, and text as numbers with "inf" and "nan" in any case, as the standard asks. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/number.h"
#include "ops/support.h"

enum { NUMBER_TEXT = 40 };

/* Shortest is found by trying: `digits` always suffice for the type. */
static int write_float(char *text, double value, bool is_double)
{
    if (isnan(value)) return snprintf(text, NUMBER_TEXT, "NaN");
    if (isinf(value)) return snprintf(text, NUMBER_TEXT, value < 0 ? "-INF" : "INF");
    int length = 0, digits = is_double ? 17 : 9;
    for (int precision = 1; precision <= digits; precision++) {
        length = mt_format(text, NUMBER_TEXT, "%.*g", precision, value);
        double back = mt_parse_number(text, NULL);
        if (is_double ? back == value : (float)back == (float)value) break;
    }
    return length;
}

static int write_number(char *text, const motet_tensor *from, int64_t i)
{
    if (mt_is_float(from->type) || mt_is_small_float(from->type)) {
        double value;
        mt_convert(&value, MOTET_DOUBLE, mt_at(from, i), from->type, 1);
        return write_float(text, value, from->type == MOTET_DOUBLE);
    }
    if (from->type == MOTET_UINT64) return snprintf(text, NUMBER_TEXT, "%" PRIu64, ((const uint64_t *)from->data)[i]);
    int64_t value;
    mt_convert(&value, MOTET_INT64, mt_at(from, i), from->type, 1);
    return snprintf(text, NUMBER_TEXT, "%" PRId64, value);
}

static motet_status numbers_to_strings(motet_tensor *to, const motet_tensor *from)
{
    for (int64_t i = 0; i < from->count; i++) {
        char text[NUMBER_TEXT];
        int length = write_number(text, from, i);
        MT_TRY(motet_tensor_set_string(to, i, text, (size_t)length));
    }
    return MOTET_OK;
}

/* An integer where the text is one (int64 or, above its range, uint64), else a float. */
static bool read_number(const char *text, motet_tensor *to, int64_t i)
{
    char *end;
    if (!mt_is_float(to->type) && !mt_is_small_float(to->type)) {
        errno = 0;
        int64_t value = strtoll(text, &end, 10);
        if (errno == 0 && end != text && *end == '\0') {
            mt_convert(mt_at(to, i), to->type, &value, MOTET_INT64, 1);
            return true;
        }
        errno = 0;
        uint64_t large = strtoull(text, &end, 10);
        if (errno == 0 && end != text && *end == '\0' && !strchr(text, '-')) {
            mt_convert(mt_at(to, i), to->type, &large, MOTET_UINT64, 1);
            return true;
        }
    }
    double value = mt_parse_number(text, &end);
    if (end == text || *end != '\0') return false;
    mt_convert(mt_at(to, i), to->type, &value, MOTET_DOUBLE, 1);
    return true;
}

static motet_status strings_to_numbers(const mt_op_context *c, motet_tensor *to, const motet_tensor *from)
{
    for (int64_t i = 0; i < from->count; i++) {
        const char *text = motet_tensor_string(from, i, NULL);
        if (!read_number(text, to, i))
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "element %" PRId64 ", \"%.40s\", is not a number", i, text);
    }
    return MOTET_OK;
}

typedef struct cast_work {
    const motet_tensor *to, *from;
    mt_small_rules rules;
} cast_work;

static void cast_part(void *context, int64_t begin, int64_t end)
{
    const cast_work *w = context;
    mt_convert_by(&w->rules, mt_at(w->to, begin), w->to->type, mt_at(w->from, begin), w->from->type, end - begin);
}

static motet_status read_rules(mt_op_context *c, mt_small_rules *rules)
{
    const char *mode = mt_attr_string(c, "round_mode", "up");
    rules->overflow = mt_attr_int(c, "saturate", 1) == 0;
    rules->scale_rounding = !strcmp(mode, "up")     ? MT_ROUND_UP
                            : !strcmp(mode, "down") ? MT_ROUND_DOWN
                                                    : MT_ROUND_NEAREST;
    if (rules->scale_rounding != MT_ROUND_NEAREST || !strcmp(mode, "nearest")) return MOTET_OK;
    return mt_op_fail(c, MOTET_ERROR_FORMAT, "round_mode \"%.20s\" is not known", mode);
}

static motet_status cast(mt_op_context *c, motet_type type)
{
    const motet_tensor *in = mt_in(c, 0);
    if (in->type == type) return mt_out_view(c, 0, in, in->rank, in->dims);
    bool from_text = in->type == MOTET_STRING, to_text = type == MOTET_STRING;
    if (!from_text && !mt_is_number(in->type)) return mt_op_fail_type(c, 0);
    if (!to_text && !mt_is_number(type))
        return mt_op_fail(c, MOTET_ERROR_UNSUPPORTED, "a cast to type %d (%s) is not supported", (int)type,
                          motet_type_name(type));
    motet_tensor *out;
    MT_TRY(mt_out(c, 0, type, in->rank, in->dims, &out));
    if (to_text) return numbers_to_strings(out, in);
    if (from_text) return strings_to_numbers(c, out, in);
    cast_work work = {out, in, {0}};
    MT_TRY(read_rules(c, &work.rules));
    mt_ranges(c->pool, in->count, 16384, cast_part, &work);
    return MOTET_OK;
}

motet_status mt_op_cast(mt_op_context *c)
{
    const motet_tensor *in;
    MT_TRY(mt_need(c, 0, &in));
    int64_t type = mt_attr_int(c, "to", MOTET_UNDEFINED);
    return cast(c, type > 0 && type < MT_TYPES ? (motet_type)type : MOTET_UNDEFINED);
}

motet_status mt_op_cast_like(mt_op_context *c)
{
    const motet_tensor *in, *like;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_need(c, 1, &like));
    return cast(c, like->type);
}

/* --- BitCast -------------------------------------------------------------------------------------------------- */

static int bits_of(motet_type type)
{
    return mt_packed_bits(type) ? mt_packed_bits(type) : 8 * (int)motet_type_size(type);
}

/* The same bits under another type. Types of fewer than 8 bits have bits of their byte to fill or to clear. */
motet_status mt_op_bit_cast(mt_op_context *c)
{
    const motet_tensor *in;
    motet_tensor *out;
    MT_TRY(mt_need(c, 0, &in));
    int64_t wanted = mt_attr_int(c, "to", MOTET_UNDEFINED);
    motet_type type = wanted > 0 && wanted < MT_TYPES ? (motet_type)wanted : MOTET_UNDEFINED;
    if (in->type == MOTET_STRING || type == MOTET_STRING || type == MOTET_UNDEFINED)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%s cannot be taken as type %" PRId64, motet_type_name(in->type),
                          wanted);
    if (bits_of(in->type) != bits_of(type))
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%s has %d bits, %s %d", motet_type_name(in->type), bits_of(in->type),
                          motet_type_name(type), bits_of(type));
    MT_TRY(mt_out(c, 0, type, in->rank, in->dims, &out));
    if (!mt_packed_bits(type)) {
        if (in->count) memcpy(out->data, in->data, mt_tensor_bytes(in));
        for (int64_t i = 0; i < out->count && type == MOTET_BOOL; i++)
            ((uint8_t *)out->data)[i] = ((const uint8_t *)in->data)[i] != 0;
        return MOTET_OK;
    }
    motet_type plain = mt_packed_bits(type) == 2 ? MOTET_UINT2 : MOTET_UINT4;
    bool is_signed = type == MOTET_INT2 || type == MOTET_INT4;
    for (int64_t i = 0; i < in->count; i++) /* by way of the unsigned type of that many bits */
        mt_convert(mt_at(out, i), is_signed ? type : plain, mt_at(in, i), MOTET_UINT8, 1);
    return MOTET_OK;
}
