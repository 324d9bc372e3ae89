/* Fourier transforms: DFT and STFT, and the windows that go with them.
 *
 * A transform of n values splits by the smallest prime factor of n again and again (Cooley and Tukey), so that powers
 * of two cost n log n and a prime costs n squared; all of it in double. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ops/support.h"

#define PI 3.14159265358979323846

typedef struct complex_value {
    double re, im;
} complex_value;

/* --- one transform -------------------------------------------------------------------------------------------- */

/* Unit roots e^(-2 pi i k / n), or conjugated for the inverse; room for the result and for pieces of it. */
typedef struct transform {
    int64_t n;
    complex_value *roots, *piece, *out;
} transform;

static motet_status make_transform(mt_op_context *c, int64_t n, bool inverse, transform *t)
{
    void *memory;
    if (n < 1 || n > INT32_MAX) return mt_op_fail(c, MOTET_ERROR_SHAPE, "a transform of %" PRId64 " values", n);
    MT_TRY(mt_scratch_array(c, 3 * n, sizeof(complex_value), &memory));
    *t = (transform){n, memory, (complex_value *)memory + n, (complex_value *)memory + 2 * n};
    for (int64_t k = 0; k < n; k++) {
        double angle = 2 * PI * (double)k / (double)n;
        t->roots[k] = (complex_value){cos(angle), inverse ? sin(angle) : -sin(angle)};
    }
    return MOTET_OK;
}

static int64_t smallest_factor(int64_t n)
{
    for (int64_t f = 2; f * f <= n; f++)
        if (n % f == 0) return f;
    return n;
}

/* out[0 .. n-1] of in[0], in[step], ...; n * step is the whole length. `piece` has room for n values. At most 30 deep,
 * since n at least halves. */
static void split_transform(const transform *t, const complex_value *in, int64_t step, int64_t n, complex_value *out,
                            complex_value *piece)
{
    if (n == 1) {
        out[0] = in[0];
        return;
    }
    int64_t parts = smallest_factor(n), length = n / parts;
    for (int64_t p = 0; p < parts; p++)
        split_transform(t, in + p * step, step * parts, length, piece + p * length, out + p * length);
    for (int64_t k = 0; k < n; k++) {
        complex_value sum = {0, 0};
        for (int64_t p = 0; p < parts; p++) {
            complex_value value = piece[p * length + k % length], root = t->roots[p * k % n * step];
            sum.re += value.re * root.re - value.im * root.im;
            sum.im += value.re * root.im + value.im * root.re;
        }
        out[k] = sum;
    }
}

/* The transform of t->n values into t->out. */
static void run_transform(const transform *t, const complex_value *input)
{
    split_transform(t, input, 1, t->n, t->out, t->piece);
}

/* --- DFT ------------------------------------------------------------------------------------------------------ */

typedef struct dft_plan {
    int axis;
    bool inverse, one_sided;
    bool is_complex;                   /* the input */
    int64_t length, in_size, out_size; /* of the transform; along the axis of input and output */
    int out_parts;                     /* 2: complex, 1: real */
} dft_plan;

/* The axis is an attribute up to opset 19 and an input from 20 on. */
static motet_status plan_dft(mt_op_context *c, const motet_tensor *in, dft_plan *p)
{
    int64_t axis = c->version < 20 ? mt_attr_int(c, "axis", 1) : -2;
    int count = 1;
    if (in->rank < 2 || in->dims[in->rank - 1] < 1 || in->dims[in->rank - 1] > 2)
        return mt_op_fail(c, MOTET_ERROR_SHAPE,
                          "the last of at least two axes must hold 1 (real) or 2 (complex) values");
    if (mt_in(c, 2)) MT_TRY(mt_in_ints(c, 2, &axis, 1, &count));
    if (count != 1) return mt_op_fail(c, MOTET_ERROR_SHAPE, "axis must be one number");
    MT_TRY(mt_axis(c, axis, in->rank, &p->axis));
    if (p->axis == in->rank - 1) return mt_op_fail(c, MOTET_ERROR_SHAPE, "the last axis cannot be transformed");
    p->inverse = mt_attr_int(c, "inverse", 0) != 0;
    p->one_sided = mt_attr_int(c, "onesided", 0) != 0;
    p->is_complex = in->dims[in->rank - 1] == 2;
    p->in_size = in->dims[p->axis];
    p->length = p->inverse && p->one_sided ? 2 * (p->in_size - 1) : p->in_size;
    if (mt_in(c, 1)) MT_TRY(mt_in_ints(c, 1, &p->length, 1, &count));
    if (count != 1) return mt_op_fail(c, MOTET_ERROR_SHAPE, "dft_length must be one number");
    p->out_size = p->one_sided && !p->inverse ? p->length / 2 + 1 : p->length;
    p->out_parts = p->one_sided && p->inverse ? 1 : 2;
    return MOTET_OK;
}

/* Value i of a line, zero beyond its end; a one-sided spectrum goes on with the conjugates of its first half. */
static complex_value dft_value(const dft_plan *p, const double *line, int64_t step, int64_t i)
{
    bool mirrored = p->inverse && p->one_sided && i > p->length / 2;
    int64_t at = mirrored ? p->length - i : i, parts = p->is_complex ? 2 : 1;
    if (at >= p->in_size) return (complex_value){0, 0};
    complex_value value = {line[at * step * parts], p->is_complex ? line[at * step * parts + 1] : 0};
    if (mirrored) value.im = -value.im;
    return value;
}

motet_status mt_op_dft(mt_op_context *c)
{
    const motet_tensor *in;
    dft_plan p;
    transform t;
    void *memory, *result;
    const void *values;
    motet_tensor *out;
    MT_TRY(mt_need(c, 0, &in));
    if (!mt_is_float(in->type)) return mt_op_fail_type(c, 0);
    MT_TRY(plan_dft(c, in, &p));
    MT_TRY(make_transform(c, p.length, p.inverse, &t));
    int64_t dims[MOTET_MAX_RANK];
    memcpy(dims, in->dims, sizeof dims);
    dims[p.axis] = p.out_size;
    dims[in->rank - 1] = p.out_parts;
    MT_TRY(mt_out(c, 0, in->type, in->rank, dims, &out));
    MT_TRY(mt_values(c, in, MOTET_DOUBLE, &values));
    MT_TRY(mt_scratch_array(c, p.length, sizeof(complex_value), &memory));
    MT_TRY(mt_scratch_array(c, out->count, sizeof(double), &result));
    complex_value *line = memory;
    int64_t inner = mt_span(in->dims, p.axis + 1, in->rank - 1), outer = mt_span(in->dims, 0, p.axis);
    int64_t in_parts = in->dims[in->rank - 1];
    for (int64_t i = 0; i < outer * inner; i++) {
        const double *from = (const double *)values + (i / inner * p.in_size * inner + i % inner) * in_parts;
        double *to = (double *)result + (i / inner * p.out_size * inner + i % inner) * p.out_parts;
        for (int64_t k = 0; k < p.length; k++) line[k] = dft_value(&p, from, inner, k);
        run_transform(&t, line);
        for (int64_t k = 0; k < p.out_size; k++) {
            double scale = p.inverse ? 1 / (double)p.length : 1;
            to[k * inner * p.out_parts] = t.out[k].re * scale;
            if (p.out_parts == 2) to[k * inner * 2 + 1] = t.out[k].im * scale;
        }
    }
    mt_convert(out->data, out->type, result, MOTET_DOUBLE, out->count);
    return MOTET_OK;
}

/* --- STFT ----------------------------------------------------------------------------------------------------- */

typedef struct stft_plan {
    int64_t batch, samples, parts; /* parts: 1 real, 2 complex */
    int64_t step, frame, frames, bins;
    const double *window; /* NULL: all ones */
} stft_plan;

static motet_status one_int(mt_op_context *c, int i, int64_t *out)
{
    int count;
    MT_TRY(mt_in_ints(c, i, out, 1, &count));
    return count == 1 ? MOTET_OK : mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d must be one number", i);
}

/* The frame is as long as input 3 says, or else as the window. */
static motet_status plan_stft(mt_op_context *c, const motet_tensor *in, stft_plan *p)
{
    const motet_tensor *window = mt_in(c, 2);
    const void *values;
    if (in->rank != 2 && (in->rank != 3 || in->dims[2] < 1 || in->dims[2] > 2))
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "the signal must be [batch, samples, 1 or 2]");
    p->batch = in->dims[0];
    p->samples = in->dims[1];
    p->parts = in->rank == 3 ? in->dims[2] : 1;
    MT_TRY(one_int(c, 1, &p->step));
    p->frame = window ? window->count : 0;
    if (mt_in(c, 3)) MT_TRY(one_int(c, 3, &p->frame));
    if (p->step < 1 || p->frame < 1 || p->frame > p->samples || (window && window->count != p->frame))
        return mt_op_fail(c, MOTET_ERROR_SHAPE,
                          "frames of %" PRId64 " every %" PRId64 " of %" PRId64 " samples with a window of %" PRId64,
                          p->frame, p->step, p->samples, window ? window->count : p->frame);
    if (window && !mt_is_float(window->type)) return mt_op_fail_type(c, 2);
    MT_TRY(mt_values(c, window, MOTET_DOUBLE, &values));
    p->window = values;
    p->frames = (p->samples - p->frame) / p->step + 1;
    p->bins = mt_attr_int(c, "onesided", 1) ? p->frame / 2 + 1 : p->frame;
    return MOTET_OK;
}

motet_status mt_op_stft(mt_op_context *c)
{
    const motet_tensor *in;
    stft_plan p;
    transform t;
    void *memory, *result;
    const void *values;
    motet_tensor *out;
    MT_TRY(mt_need(c, 0, &in));
    if (!mt_is_float(in->type)) return mt_op_fail_type(c, 0);
    MT_TRY(plan_stft(c, in, &p));
    MT_TRY(make_transform(c, p.frame, false, &t));
    MT_TRY(mt_out(c, 0, in->type, 4, (int64_t[]){p.batch, p.frames, p.bins, 2}, &out));
    MT_TRY(mt_values(c, in, MOTET_DOUBLE, &values));
    MT_TRY(mt_scratch_array(c, p.frame, sizeof(complex_value), &memory));
    MT_TRY(mt_scratch_array(c, out->count, sizeof(double), &result));
    complex_value *line = memory;
    for (int64_t i = 0; i < p.batch * p.frames; i++) {
        const double *from = (const double *)values + (i / p.frames * p.samples + i % p.frames * p.step) * p.parts;
        for (int64_t k = 0; k < p.frame; k++) {
            double weight = p.window ? p.window[k] : 1;
            line[k].re = from[k * p.parts] * weight;
            line[k].im = p.parts == 2 ? from[k * 2 + 1] * weight : 0;
        }
        run_transform(&t, line);
        for (int64_t k = 0; k < p.bins; k++) {
            ((double *)result)[(i * p.bins + k) * 2] = t.out[k].re;
            ((double *)result)[(i * p.bins + k) * 2 + 1] = t.out[k].im;
        }
    }
    mt_convert(out->data, out->type, result, MOTET_DOUBLE, out->count);
    return MOTET_OK;
}

/* --- windows -------------------------------------------------------------------------------------------------- */

static motet_status output_type(mt_op_context *c, motet_type *type)
{
    int64_t wanted = mt_attr_int(c, "output_datatype", MOTET_FLOAT);
    *type = wanted > 0 && wanted < MT_TYPES ? (motet_type)wanted : MOTET_UNDEFINED;
    if (mt_is_number(*type)) return MOTET_OK;
    return mt_op_fail(c, MOTET_ERROR_UNSUPPORTED, "output_datatype %" PRId64 " is not supported", wanted);
}

/* a0 - a1 cos(2 pi n / N) + a2 cos(4 pi n / N), where N is the size or, for a symmetric window, one less. */
static motet_status cosine_window(mt_op_context *c, double a0, double a1, double a2)
{
    motet_type type;
    int64_t size;
    motet_tensor *out;
    MT_TRY(output_type(c, &type));
    MT_TRY(one_int(c, 0, &size));
    MT_TRY(mt_out(c, 0, type, 1, &size, &out));
    double period = (double)(mt_attr_int(c, "periodic", 1) ? size : size - 1);
    for (int64_t i = 0; i < size; i++) {
        double angle = 2 * PI * (double)i / period, value = a0 - a1 * cos(angle) + a2 * cos(2 * angle);
        mt_convert(mt_at(out, i), type, &value, MOTET_DOUBLE, 1);
    }
    return MOTET_OK;
}

motet_status mt_op_hann_window(mt_op_context *c)
{
    return cosine_window(c, 0.5, 0.5, 0);
}
motet_status mt_op_hamming_window(mt_op_context *c)
{
    return cosine_window(c, 25.0 / 46, 21.0 / 46, 0);
}
motet_status mt_op_blackman_window(mt_op_context *c)
{
    return cosine_window(c, 0.42, 0.5, 0.08);
}

/* --- MelWeightMatrix ------------------------------------------------------------------------------------------ */

static motet_status one_number(mt_op_context *c, int i, double *out)
{
    const motet_tensor *in;
    MT_TRY(mt_need(c, i, &in));
    if (in->count != 1 || !mt_is_number(in->type))
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d: expected one number", i);
    mt_convert(out, MOTET_DOUBLE, in->data, in->type, 1);
    return MOTET_OK;
}

/* Triangles between neighbouring bins that lie evenly on the mel scale, 2595 log10(1 + f / 700). */
static void fill_mel(double *weights, int64_t bands, const int64_t *bins)
{
    for (int64_t band = 0; band < bands; band++) {
        int64_t left = bins[band], centre = bins[band + 1], right = bins[band + 2];
        for (int64_t bin = left; bin < centre; bin++)
            weights[bin * bands + band] = (double)(bin - left) / (double)(centre - left);
        weights[centre * bands + band] = 1;
        for (int64_t bin = centre; bin < right; bin++)
            weights[bin * bands + band] = (double)(right - bin) / (double)(right - centre);
    }
}

motet_status mt_op_mel_weight_matrix(mt_op_context *c)
{
    static const double most = 1e8;
    double bands, length, rate, low, high;
    motet_type type;
    mt_value_out out;
    void *memory;
    MT_TRY(one_number(c, 0, &bands));
    MT_TRY(one_number(c, 1, &length));
    MT_TRY(one_number(c, 2, &rate));
    MT_TRY(one_number(c, 3, &low));
    MT_TRY(one_number(c, 4, &high));
    MT_TRY(output_type(c, &type));
    if (!(bands >= 1 && bands < most && length >= 1 && length < most && rate >= 1 && low >= 0 && high >= low))
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "%g bands of a DFT of %g from %g to %g Hz", bands, length, low, high);
    int64_t count = (int64_t)bands, rows = (int64_t)length / 2 + 1;
    MT_TRY(mt_scratch_array(c, count + 2, sizeof(int64_t), &memory));
    int64_t *bins = memory;
    double low_mel = 2595 * log10(1 + low / 700), step = (2595 * log10(1 + high / 700) - low_mel) / (double)(count + 2);
    for (int64_t i = 0; i < count + 2; i++) {
        double hertz = 700 * (pow(10, ((double)i * step + low_mel) / 2595) - 1);
        double bin = floor((length + 1) * hertz / rate);
        if (bin >= (double)rows) return mt_op_fail(c, MOTET_ERROR_SHAPE, "%g Hz lies above the spectrum", hertz);
        bins[i] = (int64_t)bin;
    }
    MT_TRY(mt_value_out_make_in(c, 0, type, MOTET_DOUBLE, 2, (int64_t[]){rows, count}, &out));
    memset(out.values, 0, (size_t)out.tensor->count * sizeof(double));
    fill_mel(out.values, count, bins);
    mt_value_out_store(&out);
    return MOTET_OK;
}
