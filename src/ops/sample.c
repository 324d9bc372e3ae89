/* GridSample and AffineGrid (Jaderberg et al., Spatial Transformer Networks, 2015), DeformConv (Zhu et al., Deformable
 * ConvNets v2, 2019): reading images between their pixels. A point is turned into taps along each axis - input
 * positions with weights - once, and then read from every channel. Values are computed in float64, coordinates in
 * float32 as everywhere else. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ops/window.h"

enum { MOST_TAPS = 4, SPATIAL = MOTET_MAX_RANK - 2 };

typedef enum padding { ZEROS, BORDER, REFLECTION } padding;

/* Taps of one point; position -1 reads as zero. */
typedef struct taps {
    int axes, count; /* taps along each axis */
    int64_t positions[SPATIAL][MOST_TAPS];
    double weights[SPATIAL][MOST_TAPS];
} taps;

/* The weighted sum of the taps from axis `axis` on. */
static double read_taps(const taps *t, const double *image, const int64_t *strides, int axis)
{
    if (axis >= t->axes || axis >= SPATIAL) return *image;
    double sum = 0;
    for (int k = 0; k < t->count; k++)
        if (t->positions[axis][k] >= 0 && t->weights[axis][k] != 0)
            sum += t->weights[axis][k] * read_taps(t, image + t->positions[axis][k] * strides[axis], strides, axis + 1);
    return sum;
}

/* --- GridSample ----------------------------------------------------------------------------------------------- */

typedef struct sampling {
    enum { SAMPLE_LINEAR, SAMPLE_NEAREST, SAMPLE_CUBIC } mode;
    padding pad;
    bool align;
    int axes;
    int64_t dims[SPATIAL], strides[SPATIAL], in_count, out_count, channels;
    const float *grid;
    const double *in;
    double *out;
} sampling;

/* Mirrored at the borders until it is within. */
static double reflect(double x, double least, double most)
{
    double range = most - least;
    if (x >= least && x <= most) return x;
    if (range <= 0) return least;
    double past = fmod(x < least ? least - x : x - most, 2 * range);
    double inward = past <= range ? past : 2 * range - past;
    return x < least ? least + inward : most - inward;
}

static double cubic(double x)
{
    static const double a = -0.75;
    x = fabs(x);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

static int64_t tap_position(const sampling *s, int axis, double at)
{
    int64_t size = s->dims[axis];
    if (at >= 0 && at < (double)size) return (int64_t)at;
    if (s->pad == ZEROS) return -1;
    if (s->pad == BORDER) return at < 0 ? 0 : size - 1;
    double low = s->align ? 0 : -0.5, folded = reflect(at, low, (double)size - 1 - low);
    return (int64_t)fmin(fmax(folded, 0), (double)(size - 1));
}

/* The pixel coordinate of -1 .. 1, brought within the image where padding says so. NaN counts as outside. */
static double pixel(const sampling *s, int axis, float at)
{
    static const double far = 1e9;
    float size = (float)s->dims[axis];
    double x = (double)(s->align ? (at + 1) / 2 * (size - 1) : ((at + 1) * size - 1) / 2);
    if (s->mode == SAMPLE_NEAREST) x = rint(x);
    if (!(x >= -far)) x = -far;
    if (x > far) x = far;
    double low = s->align ? 0 : -0.5, high = (double)size - 1 - low;
    if (s->pad == BORDER && (x < low || x > high)) x = fmin(fmax(x, 0), (double)size - 1);
    if (s->pad == REFLECTION) x = (double)(float)reflect(x, low, high);
    return x;
}

static void place_taps(const sampling *s, const float *point, taps *t)
{
    t->axes = s->axes;
    t->count = s->mode == SAMPLE_NEAREST ? 1 : s->mode == SAMPLE_LINEAR ? 2 : 4;
    for (int axis = 0; axis < s->axes; axis++) {
        double x = pixel(s, axis, point[s->axes - 1 - axis]), first = floor(x) - (t->count == 4);
        if (s->mode == SAMPLE_NEAREST) first = x;
        for (int k = 0; k < t->count; k++) {
            double distance = fabs(x - (first + k));
            t->positions[axis][k] = tap_position(s, axis, first + k);
            t->weights[axis][k] = t->count == 1 ? 1 : t->count == 2 ? 1 - distance : cubic(distance);
        }
    }
}

static void sample_points(void *context, int64_t begin, int64_t end)
{
    const sampling *s = context;
    for (int64_t i = begin; i < end; i++) {
        int64_t batch = i / s->out_count, at = i % s->out_count;
        taps t;
        place_taps(s, s->grid + i * s->axes, &t);
        for (int64_t channel = batch * s->channels; channel < (batch + 1) * s->channels; channel++)
            s->out[channel * s->out_count + at] = read_taps(&t, s->in + channel * s->in_count, s->strides, 0);
    }
}

static motet_status read_sampling(mt_op_context *c, sampling *s)
{
    const char *mode = mt_attr_string(c, "mode", "linear"), *pad = mt_attr_string(c, "padding_mode", "zeros");
    bool linear = !strcmp(mode, "linear") || !strcmp(mode, "bilinear");
    bool cubical = !strcmp(mode, "cubic") || !strcmp(mode, "bicubic");
    if (!linear && !cubical && strcmp(mode, "nearest"))
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "mode \"%.40s\" is not known", mode);
    if (strcmp(pad, "zeros") && strcmp(pad, "border") && strcmp(pad, "reflection"))
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "padding_mode \"%.40s\" is not known", pad);
    s->mode = linear ? SAMPLE_LINEAR : cubical ? SAMPLE_CUBIC : SAMPLE_NEAREST;
    s->pad = !strcmp(pad, "zeros") ? ZEROS : !strcmp(pad, "border") ? BORDER : REFLECTION;
    s->align = mt_attr_int(c, "align_corners", 0) != 0;
    return MOTET_OK;
}

motet_status mt_op_grid_sample(mt_op_context *c)
{
    const motet_tensor *in, *grid;
    mt_value_out out;
    sampling s = {0};
    const void *points, *values;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_need(c, 1, &grid));
    MT_TRY(read_sampling(c, &s));
    s.axes = in->rank - 2;
    bool fits =
        s.axes >= 1 && grid->rank == in->rank && grid->dims[0] == in->dims[0] && grid->dims[grid->rank - 1] == s.axes;
    if (!fits) {
        char a[MT_SHAPE_TEXT], b[MT_SHAPE_TEXT];
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "the grid %s does not fit %s", mt_tensor_describe(grid, a, sizeof a),
                          mt_tensor_describe(in, b, sizeof b));
    }
    int64_t dims[MOTET_MAX_RANK] = {in->dims[0], in->dims[1]};
    memcpy(dims + 2, grid->dims + 1, (size_t)s.axes * sizeof *dims);
    memcpy(s.dims, in->dims + 2, (size_t)s.axes * sizeof *dims);
    mt_strides(s.axes, s.dims, s.strides);
    s.channels = in->dims[1];
    s.in_count = mt_span(in->dims, 2, in->rank);
    s.out_count = mt_span(dims, 2, in->rank);
    MT_TRY(mt_value_out_make_in(c, 0, in->type, MOTET_DOUBLE, in->rank, dims, &out));
    if (out.tensor->count && in->count == 0) return mt_op_fail(c, MOTET_ERROR_SHAPE, "there is no pixel to read");
    MT_TRY(mt_values(c, grid, MOTET_FLOAT, &points));
    MT_TRY(mt_values(c, in, MOTET_DOUBLE, &values));
    s.grid = points;
    s.in = values;
    s.out = out.values;
    if (out.tensor->count) mt_ranges(c->pool, dims[0] * s.out_count, mt_row_grain(s.channels), sample_points, &s);
    mt_value_out_store(&out);
    return MOTET_OK;
}

/* --- AffineGrid ----------------------------------------------------------------------------------------------- */

/* The centre (or with align_corners the corners at -1 and 1) of pixel i of `size`. */
static double normalised(int64_t i, int64_t size, bool align)
{
    if (!align) return (2 * (double)i + 1) / (double)size - 1;
    return size > 1 ? 2 * (double)i / (double)(size - 1) - 1 : -1;
}

motet_status mt_op_affine_grid(mt_op_context *c)
{
    const motet_tensor *theta;
    int64_t size[5], dims[5];
    int count, axes;
    mt_value_out out;
    const void *values;
    MT_TRY(mt_need(c, 0, &theta));
    MT_TRY(mt_in_ints(c, 1, size, 5, &count));
    axes = count - 2;
    if (axes < 2 || theta->rank != 3 || theta->dims[0] != size[0] || theta->dims[1] != axes ||
        theta->dims[2] != axes + 1)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "theta does not fit a size of %d axes", count);
    dims[0] = size[0];
    for (int i = 0; i < axes; i++) dims[1 + i] = size[2 + i];
    dims[axes + 1] = axes;
    MT_TRY(mt_values(c, theta, MOTET_DOUBLE, &values));
    MT_TRY(mt_value_out_make_in(c, 0, theta->type, MOTET_DOUBLE, axes + 2, dims, &out));
    bool align = mt_attr_int(c, "align_corners", 0) != 0;
    int64_t points = out.tensor->count ? mt_span(dims, 1, axes + 1) : 0;
    for (int64_t i = 0; i < dims[0] * points; i++) {
        double point[4] = {0};
        int64_t rest = i % points;
        for (int axis = axes - 1; axis >= 0; rest /= dims[1 + axis], axis--) /* the grid has x before y before z */
            point[axes - 1 - axis] = normalised(rest % dims[1 + axis], dims[1 + axis], align);
        point[axes] = 1;
        for (int row = 0; row < axes; row++) {
            const double *matrix = (const double *)values + (i / points * axes + row) * (axes + 1);
            double sum = 0;
            for (int k = 0; k <= axes; k++) sum += matrix[k] * point[k];
            ((double *)out.values)[i * axes + row] = sum;
        }
    }
    mt_value_out_store(&out);
    return MOTET_OK;
}

/* --- DeformConv ----------------------------------------------------------------------------------------------- */

typedef struct deformed {
    mt_window window;
    int64_t batch, channels, filters, groups, offset_groups;
    const double *in, *weights, *bias, *offsets, *mask;
    double *out;
} deformed;

/* Bilinear, zero outside. */
static double deformed_pixel(const mt_window *w, const double *image, const double *at)
{
    static const double far = 1e9;
    taps t = {.axes = w->axes, .count = 2};
    int64_t strides[MT_WINDOW_AXES];
    mt_strides(w->axes, w->in, strides);
    for (int axis = 0; axis < w->axes; axis++) {
        if (!(fabs(at[axis]) < far)) return 0;
        double first = floor(at[axis]);
        for (int k = 0; k < 2; k++) {
            double position = first + k;
            t.positions[axis][k] = position >= 0 && position < (double)w->in[axis] ? (int64_t)position : -1;
            t.weights[axis][k] = 1 - fabs(at[axis] - position);
        }
    }
    return read_taps(&t, image, strides, 0);
}

/* The sum over one input channel's taps at output position `at`. */
static double deformed_sum(const deformed *d, int64_t batch, int64_t channel, const double *weights, int64_t at)
{
    const mt_window *w = &d->window;
    int64_t group = batch * d->offset_groups + channel / (d->channels / d->offset_groups);
    double sum = 0;
    for (int64_t tap = 0; tap < w->taps; tap++) {
        double place[MT_WINDOW_AXES];
        int64_t rest_tap = tap, rest_at = at;
        for (int axis = w->axes - 1; axis >= 0; axis--) {
            int64_t along = rest_tap % w->kernel[axis], out = rest_at % w->out[axis];
            double offset = d->offsets[((group * w->taps + tap) * w->axes + axis) * w->out_count + at];
            place[axis] = (double)(out * w->stride[axis] + along * w->dilation[axis] - w->before[axis]) + offset;
            rest_tap /= w->kernel[axis];
            rest_at /= w->out[axis];
        }
        double scale = d->mask ? d->mask[(group * w->taps + tap) * w->out_count + at] : 1;
        const double *image = d->in + (batch * d->channels + channel) * w->in_count;
        sum += weights[tap] * scale * deformed_pixel(w, image, place);
    }
    return sum;
}

static void deform_rows(void *context, int64_t begin, int64_t end)
{
    const deformed *d = context;
    const mt_window *w = &d->window;
    int64_t inputs = d->channels / d->groups, outputs = d->filters / d->groups;
    for (int64_t i = begin; i < end; i++) {
        int64_t batch = i / d->filters, filter = i % d->filters, first = filter / outputs * inputs;
        for (int64_t at = 0; at < w->out_count; at++) {
            double sum = d->bias ? d->bias[filter] : 0;
            for (int64_t k = 0; k < inputs; k++)
                sum += deformed_sum(d, batch, first + k, d->weights + (filter * inputs + k) * w->taps, at);
            d->out[i * w->out_count + at] = sum;
        }
    }
}

/* Input i must hold `count` elements, and is read as float64. */
static motet_status need_values(mt_op_context *c, int i, int64_t count, const double **out)
{
    const motet_tensor *in = mt_in(c, i);
    const void *values;
    if (in && in->count != count)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d has %" PRId64 " elements: expected %" PRId64, i, in->count,
                          count);
    MT_TRY(mt_values(c, in, MOTET_DOUBLE, &values));
    *out = values;
    return MOTET_OK;
}

motet_status mt_op_deform_conv(mt_op_context *c)
{
    const motet_tensor *in, *weights, *offsets;
    mt_value_out out;
    deformed d = {.groups = mt_attr_int(c, "group", 1), .offset_groups = mt_attr_int(c, "offset_group", 1)};
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_need(c, 1, &weights));
    MT_TRY(mt_need(c, 2, &offsets));
    if (in->rank < 3 || weights->rank != in->rank || offsets->rank != in->rank)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "input, weights and offsets must have the same number of axes");
    MT_TRY(mt_window_read(c, in, weights->dims + 2, false, &d.window));
    d.batch = in->dims[0];
    d.channels = in->dims[1];
    d.filters = weights->dims[0];
    bool fits = d.groups > 0 && d.offset_groups > 0 && d.channels % d.groups == 0 && d.filters % d.groups == 0 &&
                d.channels % d.offset_groups == 0 && weights->dims[1] == d.channels / d.groups && d.channels > 0;
    if (!fits) return mt_op_fail(c, MOTET_ERROR_SHAPE, "channels, groups and weights do not fit each other");
    int64_t dims[MOTET_MAX_RANK] = {d.batch, d.filters}, points;
    memcpy(dims + 2, d.window.out, (size_t)d.window.axes * sizeof *dims);
    if (__builtin_mul_overflow(d.batch * d.offset_groups, d.window.taps, &points) ||
        __builtin_mul_overflow(points, d.window.out_count, &points) || points > INT64_MAX / MT_WINDOW_AXES)
        return mt_op_fail(c, MOTET_ERROR_LIMIT, "there are too many points");
    MT_TRY(need_values(c, 0, in->count, &d.in));
    MT_TRY(need_values(c, 1, weights->count, &d.weights));
    MT_TRY(need_values(c, 2, points * d.window.axes, &d.offsets));
    MT_TRY(need_values(c, 3, d.filters, &d.bias));
    MT_TRY(need_values(c, 4, points, &d.mask));
    MT_TRY(mt_value_out_make_in(c, 0, in->type, MOTET_DOUBLE, in->rank, dims, &out));
    d.out = out.values;
    if (out.tensor->count) mt_ranges(c->pool, d.batch * d.filters, 1, deform_rows, &d);
    mt_value_out_store(&out);
    return MOTET_OK;
}
