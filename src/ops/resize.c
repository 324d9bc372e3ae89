/* Resize and Upsample. Interpolation is separable: axes are resized one after the other, each by a table that says for
 * every output position which input positions it comes from and with what weights (Keys, Cubic Convolution
 * Interpolation for Digital Image Processing, 1981, for the cubic ones). Everything is computed in float64. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ops/support.h"

typedef enum interpolation { NEAREST, LINEAR, CUBIC } interpolation;
typedef enum coordinates {
    HALF_PIXEL,
    HALF_PIXEL_SYMMETRIC,
    PYTORCH_HALF_PIXEL,
    ALIGN_CORNERS,
    ASYMMETRIC,
    TF_CROP_AND_RESIZE,
    TF_HALF_PIXEL_FOR_NN
} coordinates;
typedef enum rounding { ROUND_PREFER_FLOOR, ROUND_PREFER_CEIL, FLOOR, CEIL } rounding;
typedef enum aspect { STRETCH, NOT_LARGER, NOT_SMALLER } aspect;

typedef struct resizing {
    interpolation mode;
    coordinates place;
    rounding nearest;
    bool antialias, exclude_outside;
    double a, extrapolation;
    int rank;
    int64_t from[MOTET_MAX_RANK], to[MOTET_MAX_RANK];
    double scale[MOTET_MAX_RANK], start[MOTET_MAX_RANK], end[MOTET_MAX_RANK]; /* start, end: the region of interest */
} resizing;

/* --- reading -------------------------------------------------------------------------------------------------- */

/* The place of an attribute's text in a list that NULL ends. */
static motet_status choose(mt_op_context *c, const char *name, const char *fallback, const char *const *list, int *out)
{
    const char *text = mt_attr_string(c, name, fallback);
    for (*out = 0; list[*out]; ++*out)
        if (strcmp(list[*out], text) == 0) return MOTET_OK;
    return mt_op_fail(c, MOTET_ERROR_FORMAT, "%s \"%.40s\" is not known", name, text);
}

static motet_status read_modes(mt_op_context *c, resizing *r)
{
    static const char *const modes[] = {"nearest", "linear", "cubic", NULL}, *const places[] = {"half_pixel",
                                                                                                "half_pixel_symmetric",
                                                                                                "pytorch_half_pixel",
                                                                                                "align_corners",
                                                                                                "asymmetric",
                                                                                                "tf_crop_and_resize",
                                                                                                "tf_half_pixel_for_nn",
                                                                                                NULL},
                             *const roundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil", NULL};
    bool old = c->version < 11; /* then only asymmetric, floor */
    int mode, place, nearest;
    if (strcmp(mt_attr_string(c, "mode", ""), "bilinear") == 0)
        mode = LINEAR;
    else
        MT_TRY(choose(c, "mode", "nearest", modes, &mode));
    MT_TRY(choose(c, "coordinate_transformation_mode", old ? "asymmetric" : "half_pixel", places, &place));
    MT_TRY(choose(c, "nearest_mode", old ? "floor" : "round_prefer_floor", roundings, &nearest));
    r->mode = (interpolation)mode;
    r->place = (coordinates)place;
    r->nearest = (rounding)nearest;
    r->antialias = mt_attr_int(c, "antialias", 0) != 0 && mode != NEAREST;
    r->exclude_outside = mt_attr_int(c, "exclude_outside", 0) != 0;
    r->a = (double)mt_attr_float(c, "cubic_coeff_a", -0.75f);
    r->extrapolation = (double)mt_attr_float(c, "extrapolation_value", 0);
    return MOTET_OK;
}

/* The axes that scales and sizes are about, in their order. */
static motet_status read_axes(mt_op_context *c, const resizing *r, int *axes, int *count)
{
    size_t given;
    unsigned set;
    const int64_t *list = mt_attr_ints(c, "axes", &given);
    *count = list ? (int)given : r->rank;
    if (list) MT_TRY(mt_axis_set(c, list, given, r->rank, &set));
    for (int i = 0; i < *count; i++) {
        axes[i] = i;
        if (list) MT_TRY(mt_axis(c, list[i], r->rank, &axes[i]));
    }
    return MOTET_OK;
}

/* Input i as numbers, `count` of them; *out stays NULL when the input is left out or empty. */
static motet_status read_list(mt_op_context *c, int i, int count, const double **out)
{
    const motet_tensor *list = mt_in(c, i);
    const void *values = NULL;
    *out = NULL;
    if (!list || list->count == 0) return MOTET_OK;
    if (list->count != count)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d has %" PRId64 " values: expected %d", i, list->count, count);
    MT_TRY(mt_values(c, list, MOTET_DOUBLE, &values));
    *out = values;
    return MOTET_OK;
}

static motet_status set_scale(mt_op_context *c, resizing *r, int axis, double scale)
{
    double size = floor((double)r->from[axis] * scale);
    if (!(scale > 0) || !(size < 9e15)) return mt_op_fail(c, MOTET_ERROR_SHAPE, "a scale of %g", scale);
    r->scale[axis] = scale;
    r->to[axis] = (int64_t)size;
    return MOTET_OK;
}

static motet_status set_sizes(mt_op_context *c, resizing *r, const int *axes, int count, const double *sizes)
{
    static const char *const policies[] = {"stretch", "not_larger", "not_smaller", NULL};
    int policy;
    double common = 0;
    MT_TRY(choose(c, "keep_aspect_ratio_policy", "stretch", policies, &policy));
    for (int i = 0; i < count; i++) {
        if (sizes[i] < 0 || !(sizes[i] < 9e15) || (r->from[axes[i]] == 0 && sizes[i] > 0))
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "a size of %g for an axis of %" PRId64, sizes[i], r->from[axes[i]]);
        double scale = r->from[axes[i]] ? sizes[i] / (double)r->from[axes[i]] : 1;
        r->to[axes[i]] = (int64_t)sizes[i];
        r->scale[axes[i]] = scale;
        if (i == 0 || (policy == NOT_LARGER ? scale < common : scale > common)) common = scale;
    }
    for (int i = 0; i < count && policy != STRETCH; i++) {
        r->scale[axes[i]] = common;
        r->to[axes[i]] = (int64_t)floor(common * (double)r->from[axes[i]] + 0.5);
    }
    return MOTET_OK;
}

/* Upsample 7 has its scales in an attribute, Upsample 9 and Resize 10 at input 1, all later ones at input 2. */
static motet_status read_sizes(mt_op_context *c, resizing *r)
{
    int axes[MOTET_MAX_RANK], count;
    const double *region = NULL, *scales = NULL, *sizes = NULL;
    size_t given;
    const float *attribute = mt_attr_floats(c, "scales", &given);
    MT_TRY(read_axes(c, r, axes, &count));
    if (c->version >= 11 && r->place == TF_CROP_AND_RESIZE) MT_TRY(read_list(c, 1, 2 * count, &region));
    MT_TRY(read_list(c, c->version < 11 ? 1 : 2, count, &scales));
    if (c->version >= 11) MT_TRY(read_list(c, 3, count, &sizes));
    bool by_attribute = attribute && given == (size_t)count;
    if (!by_attribute && !scales == !sizes)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "expected either scales or sizes, one for each axis");
    for (int i = 0; i < count; i++) {
        if (region) r->start[axes[i]] = region[i];
        if (region) r->end[axes[i]] = region[count + i];
        if (by_attribute || scales) MT_TRY(set_scale(c, r, axes[i], by_attribute ? (double)attribute[i] : scales[i]));
    }
    return sizes ? set_sizes(c, r, axes, count, sizes) : MOTET_OK;
}

/* --- where an output position comes from ------------------------------------------------------------------------ */

static double source(const resizing *r, int axis, int64_t position)
{
    double y = (double)position, size = (double)r->from[axis], scale = r->scale[axis], whole = scale * size;
    double length = (r->end[axis] - r->start[axis]) * (size - 1);
    switch (r->place) {
    case ALIGN_CORNERS: return whole == 1 ? 0 : y * (size - 1) / (whole - 1);
    case ASYMMETRIC: return y / scale;
    case TF_HALF_PIXEL_FOR_NN: return (y + 0.5) / scale;
    case TF_CROP_AND_RESIZE: return r->start[axis] * (size - 1) + (whole == 1 ? length / 2 : y * length / (whole - 1));
    case PYTORCH_HALF_PIXEL: return whole == 1 ? -0.5 : (y + 0.5) / scale - 0.5;
    case HALF_PIXEL_SYMMETRIC: return size / 2 * (1 - (double)r->to[axis] / whole) + (y + 0.5) / scale - 0.5;
    default: return (y + 0.5) / scale - 0.5;
    }
}

static double cubic(double x, double a)
{
    x = fabs(x);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* Taps of an axis: as many for each position, `first` being the lowest input position, which may lie outside. */
static int tap_count(const resizing *r, int axis)
{
    double scale = r->antialias ? fmin(r->scale[axis], 1) : 1, reach = r->mode == CUBIC ? 2 : 1;
    return 2 - 2 * (int)(floor(-reach / scale) + 1);
}

static double nearest_weight(const resizing *r, double ratio, int tap)
{
    bool right = true;
    if (ratio != 1)
        right = r->nearest == ROUND_PREFER_FLOOR  ? ratio > 0.5
                : r->nearest == ROUND_PREFER_CEIL ? ratio >= 0.5
                                                  : r->nearest == CEIL;
    return (tap == 1) == right;
}

/* A position that is an input position counts as lying at the right end of the interval before it. */
static void fill_taps(const resizing *r, int axis, double at, int taps, int64_t *positions, double *weights)
{
    double left = ceil(at) - 1, ratio = at - left, scale = r->antialias ? fmin(r->scale[axis], 1) : 1, sum = 0;
    for (int k = 0; k < taps; k++) {
        double offset = k + 1 - taps / 2, distance = scale * (offset - ratio), position = left + offset;
        bool outside = position < 0 || position >= (double)r->from[axis];
        weights[k] = r->mode == NEAREST  ? nearest_weight(r, ratio, k)
                     : r->mode == LINEAR ? fmax(0, 1 - fabs(distance))
                                         : cubic(distance, r->a);
        if (r->exclude_outside && outside) weights[k] = 0;
        positions[k] = (int64_t)fmin(fmax(position, 0), (double)(r->from[axis] - 1));
        sum += weights[k];
    }
    for (int k = 0; k < taps && (r->exclude_outside || r->antialias) && sum != 0; k++) weights[k] /= sum;
}

/* --- one axis ------------------------------------------------------------------------------------------------- */

typedef struct axis_work {
    const double *from;
    double *to;
    int64_t from_size, to_size, inner;
    int taps;
    const int64_t *positions; /* [to_size, taps]; the first of them -1: outside, the extrapolation value */
    const double *weights;
    double extrapolation;
} axis_work;

static void resize_rows(void *context, int64_t begin, int64_t end)
{
    const axis_work *w = context;
    for (int64_t row = begin; row < end; row++) {
        int64_t at = row % w->to_size, outer = row / w->to_size;
        const int64_t *positions = w->positions + at * w->taps;
        const double *weights = w->weights + at * w->taps;
        double *to = w->to + row * w->inner;
        for (int64_t i = 0; i < w->inner; i++) to[i] = positions[0] < 0 ? w->extrapolation : 0;
        for (int k = 0; k < w->taps && positions[0] >= 0; k++) {
            const double *from = w->from + (outer * w->from_size + positions[k]) * w->inner;
            for (int64_t i = 0; i < w->inner && weights[k] != 0; i++) to[i] += weights[k] * from[i];
        }
    }
}

static motet_status resize_axis(mt_op_context *c, const resizing *r, int axis, int64_t *dims, const double *from,
                                double **to)
{
    int taps = tap_count(r, axis);
    void *positions, *weights, *values;
    int64_t size = r->to[axis], entries;
    if (taps > r->from[axis] * 2 + 8)
        return mt_op_fail(c, MOTET_ERROR_LIMIT, "a scale of %g is too small", r->scale[axis]);
    if (__builtin_mul_overflow(size, (int64_t)taps, &entries)) entries = -1;
    MT_TRY(mt_scratch_array(c, entries, sizeof(int64_t), &positions));
    MT_TRY(mt_scratch_array(c, entries, sizeof(double), &weights));
    for (int64_t i = 0; i < size; i++) {
        double at = source(r, axis, i);
        int64_t *own = (int64_t *)positions + i * taps;
        fill_taps(r, axis, at, taps, own, (double *)weights + i * taps);
        if (r->place == TF_CROP_AND_RESIZE && !(at >= 0 && at <= (double)(r->from[axis] - 1))) own[0] = -1;
    }
    axis_work work = {.from = from,
                      .from_size = dims[axis],
                      .to_size = size,
                      .inner = mt_span(dims, axis + 1, r->rank),
                      .taps = taps,
                      .positions = positions,
                      .weights = weights,
                      .extrapolation = r->extrapolation};
    dims[axis] = size;
    MT_TRY(mt_scratch_array(c, mt_shape_count(r->rank, dims), sizeof(double), &values));
    *to = work.to = values;
    mt_ranges(c->pool, mt_span(dims, 0, axis + 1), mt_row_grain(work.inner * taps), resize_rows, &work);
    return MOTET_OK;
}

static bool is_idle(const resizing *r, int axis)
{
    return r->scale[axis] == 1 && r->to[axis] == r->from[axis] && r->start[axis] == 0 && r->end[axis] == 1;
}

motet_status mt_op_resize(mt_op_context *c)
{
    const motet_tensor *in;
    motet_tensor *out;
    const void *values;
    MT_TRY(mt_need(c, 0, &in));
    resizing r = {.rank = in->rank};
    for (int i = 0; i < in->rank; i++) {
        r.from[i] = r.to[i] = in->dims[i];
        r.scale[i] = r.end[i] = 1;
    }
    MT_TRY(read_modes(c, &r));
    MT_TRY(read_sizes(c, &r));
    MT_TRY(mt_out(c, 0, in->type, r.rank, r.to, &out));
    MT_TRY(mt_values(c, in, MOTET_DOUBLE, &values));
    if (out->count == 0) return MOTET_OK;
    double *current = (double *)(uintptr_t)values;
    int64_t dims[MOTET_MAX_RANK];
    memcpy(dims, r.from, sizeof dims);
    for (int axis = 0; axis < r.rank; axis++)
        if (!is_idle(&r, axis)) MT_TRY(resize_axis(c, &r, axis, dims, current, &current));
    if (!mt_is_float(in->type) && current != values)
        for (int64_t i = 0; i < out->count; i++) current[i] = rint(current[i]);
    mt_convert(out->data, out->type, current, MOTET_DOUBLE, out->count);
    return MOTET_OK;
}
