/* Regions of images: NonMaxSuppression, RoiAlign (He et al., Mask R-CNN, 2017), MaxRoiPool (Girshick, Fast R-CNN,
 * 2015). */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/support.h"

/* --- NonMaxSuppression ---------------------------------------------------------------------------------------- */

typedef struct box {
    float y1, x1, y2, x2; /* y1 <= y2, x1 <= x2 */
    float score;
    int64_t index;
} box;

typedef struct suppression {
    const float *boxes, *scores;
    int64_t batches, classes, count, most; /* most: boxes kept of a class */
    float overlap, least;
    bool centred, has_least;
    box *candidates;
    int64_t *selected; /* triples */
    int64_t selected_count;
} suppression;

static box read_box(const suppression *s, int64_t batch, int64_t i, float score)
{
    const float *b = s->boxes + (batch * s->count + i) * 4;
    if (s->centred) return (box){b[1] - b[3] / 2, b[0] - b[2] / 2, b[1] + b[3] / 2, b[0] + b[2] / 2, score, i};
    return (box){fminf(b[0], b[2]), fminf(b[1], b[3]), fmaxf(b[0], b[2]), fmaxf(b[1], b[3]), score, i};
}

static bool overlaps(const box *a, const box *b, float threshold)
{
    float height = fminf(a->y2, b->y2) - fmaxf(a->y1, b->y1), width = fminf(a->x2, b->x2) - fmaxf(a->x1, b->x1);
    float common = fmaxf(height, 0) * fmaxf(width, 0);
    float both = (a->y2 - a->y1) * (a->x2 - a->x1) + (b->y2 - b->y1) * (b->x2 - b->x1) - common;
    return both > 0 && common / both > threshold;
}

/* The best score first, of equal ones the first box. */
static int by_score(const void *a, const void *b)
{
    const box *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return x->index < y->index ? -1 : 1;
}

static void select_class(suppression *s, int64_t batch, int64_t class)
{
    const float *scores = s->scores + (batch * s->classes + class) * s->count;
    int64_t candidates = 0, kept = 0;
    for (int64_t i = 0; i < s->count; i++)
        if (scores[i] == scores[i] && (!s->has_least || scores[i] > s->least))
            s->candidates[candidates++] = read_box(s, batch, i, scores[i]);
    if (candidates) qsort(s->candidates, (size_t)candidates, sizeof(box), by_score);
    for (int64_t i = 0; i < candidates && kept < s->most; i++) {
        bool free_of_others = true;
        for (int64_t k = 0; k < kept && free_of_others; k++)
            free_of_others = !overlaps(&s->candidates[k], &s->candidates[i], s->overlap);
        if (!free_of_others) continue;
        box chosen = s->candidates[i];
        s->candidates[kept++] = chosen; /* the kept ones stand at the front */
        int64_t *triple = s->selected + 3 * s->selected_count++;
        triple[0] = batch;
        triple[1] = class;
        triple[2] = chosen.index;
    }
}

/* Input i as one number, `fallback` when it is left out. */
static motet_status read_number(mt_op_context *c, int i, double fallback, double *out)
{
    const motet_tensor *in = mt_in(c, i);
    *out = fallback;
    if (!in || in->count == 0) return MOTET_OK;
    if (in->count != 1 || !mt_is_number(in->type))
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "input %d: expected one number", i);
    mt_convert(out, MOTET_DOUBLE, in->data, in->type, 1);
    return MOTET_OK;
}

motet_status mt_op_non_max_suppression(mt_op_context *c)
{
    const motet_tensor *boxes, *scores;
    motet_tensor *out;
    const void *box_values, *score_values;
    void *candidates, *selected;
    double most, overlap, least;
    MT_TRY(mt_need(c, 0, &boxes));
    MT_TRY(mt_need(c, 1, &scores));
    if (boxes->rank != 3 || scores->rank != 3 || boxes->dims[2] != 4 || boxes->dims[0] != scores->dims[0] ||
        boxes->dims[1] != scores->dims[2])
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "expected boxes [batches,n,4] and scores [batches,classes,n]");
    MT_TRY(read_number(c, 2, 0, &most));
    MT_TRY(read_number(c, 3, 0, &overlap));
    MT_TRY(read_number(c, 4, 0, &least));
    suppression s = {.batches = boxes->dims[0],
                     .classes = scores->dims[1],
                     .count = boxes->dims[1],
                     .overlap = (float)overlap,
                     .least = (float)least,
                     .centred = mt_attr_int(c, "center_point_box", 0) != 0,
                     .has_least = mt_in(c, 4) && mt_in(c, 4)->count};
    s.most = most > 0 ? (int64_t)fmin(most, (double)s.count) : 0;
    MT_TRY(mt_values(c, boxes, MOTET_FLOAT, &box_values));
    MT_TRY(mt_values(c, scores, MOTET_FLOAT, &score_values));
    MT_TRY(mt_scratch_array(c, s.count, sizeof(box), &candidates));
    MT_TRY(mt_scratch_array(c, s.most ? scores->count : 0, 3 * sizeof(int64_t), &selected));
    s.boxes = box_values;
    s.scores = score_values;
    s.candidates = candidates;
    s.selected = selected;
    for (int64_t batch = 0; batch < s.batches; batch++)
        for (int64_t class = 0; class < s.classes && s.most; class ++) select_class(&s, batch, class);
    MT_TRY(mt_out(c, 0, MOTET_INT64, 2, (int64_t[]){s.selected_count, 3}, &out));
    if (s.selected_count) memcpy(out->data, selected, (size_t)s.selected_count * 3 * sizeof(int64_t));
    return MOTET_OK;
}

/* --- RoiAlign and MaxRoiPool ---------------------------------------------------------------------------------- */

typedef struct pooling {
    int64_t channels, height, width, out_height, out_width, ratio;
    double scale;
    bool half_pixel, max;
    const double *in, *regions;
    const int64_t *batches; /* RoiAlign: the image of each region */
    double *out;
} pooling;

/* The four corners around a point of the image, weighted; outside by more than a pixel there is nothing. Taking the
 * greatest of all weighted corners, rather than of the interpolated points, is how the standard's cases define max. */
static void add_point(const pooling *p, const double *image, double y, double x, double *sum, bool *first)
{
    if (y < -1 || y > (double)p->height || x < -1 || x > (double)p->width) {
        if (p->max) *sum = *first ? 0 : fmax(*sum, 0);
        *first = false;
        return;
    }
    y = fmin(fmax(y, 0), (double)(p->height - 1));
    x = fmin(fmax(x, 0), (double)(p->width - 1));
    int64_t top = (int64_t)y, left = (int64_t)x, bottom = mt_min(top + 1, p->height - 1);
    int64_t right = mt_min(left + 1, p->width - 1);
    double down = y - (double)top, along = x - (double)left;
    double corners[4] = {
        (1 - down) * (1 - along) * image[top * p->width + left], (1 - down) * along * image[top * p->width + right],
        down * (1 - along) * image[bottom * p->width + left], down * along * image[bottom * p->width + right]};
    for (int k = 0; k < 4 && !p->max; k++) *sum += corners[k];
    if (p->max) {
        double most = fmax(fmax(corners[0], corners[1]), fmax(corners[2], corners[3]));
        *sum = *first ? most : fmax(*sum, most);
    }
    *first = false;
}

static int64_t grid_of(const pooling *p, double size, int64_t bins)
{
    static const double most = 4096;
    return p->ratio > 0 ? p->ratio : (int64_t)fmin(fmax(ceil(size / (double)bins), 0), most);
}

static void align_region(const pooling *p, int64_t region, int64_t channel)
{
    const double *r = p->regions + region * 4, shift = p->half_pixel ? 0.5 : 0;
    const double *image = p->in + (p->batches[region] * p->channels + channel) * p->height * p->width;
    double *out = p->out + (region * p->channels + channel) * p->out_height * p->out_width;
    double left = r[0] * p->scale - shift, top = r[1] * p->scale - shift;
    double width = r[2] * p->scale - shift - left, height = r[3] * p->scale - shift - top;
    if (!p->half_pixel) {
        width = fmax(width, 1);
        height = fmax(height, 1);
    }
    double bin_width = width / (double)p->out_width, bin_height = height / (double)p->out_height;
    int64_t rows = grid_of(p, height, p->out_height), columns = grid_of(p, width, p->out_width);
    for (int64_t i = 0; i < p->out_height * p->out_width; i++) {
        double sum = 0, row = (double)(i / p->out_width), column = (double)(i % p->out_width);
        bool first = true;
        for (int64_t k = 0; k < rows * columns; k++)
            add_point(p, image, top + (row + ((double)(k / columns) + 0.5) / (double)rows) * bin_height,
                      left + (column + ((double)(k % columns) + 0.5) / (double)columns) * bin_width, &sum, &first);
        out[i] = p->max ? sum : sum / (double)mt_max(rows * columns, 1);
    }
}

static void align_regions(void *context, int64_t begin, int64_t end)
{
    const pooling *p = context;
    for (int64_t i = begin; i < end; i++) align_region(p, i / p->channels, i % p->channels);
}

/* The images and regions, `columns` numbers each, and the sizes of the output. */
static motet_status read_pooling(mt_op_context *c, int64_t columns, pooling *p, mt_value_out *out)
{
    const motet_tensor *in, *regions;
    const void *values, *places;
    MT_TRY(mt_need(c, 0, &in));
    MT_TRY(mt_need(c, 1, &regions));
    MT_TRY(mt_need_rank(c, 0, 4));
    if (regions->rank != 2 || regions->dims[1] != columns)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "expected regions of %" PRId64 " numbers", columns);
    if (p->out_height < 1 || p->out_width < 1 || p->out_height > INT32_MAX || p->out_width > INT32_MAX)
        return mt_op_fail(c, MOTET_ERROR_SHAPE, "an output of %" PRId64 " x %" PRId64, p->out_height, p->out_width);
    p->channels = in->dims[1];
    p->height = in->dims[2];
    p->width = in->dims[3];
    p->scale = (double)mt_attr_float(c, "spatial_scale", 1);
    MT_TRY(mt_values(c, in, MOTET_DOUBLE, &values));
    MT_TRY(mt_values(c, regions, MOTET_DOUBLE, &places));
    p->in = values;
    p->regions = places;
    for (int64_t i = 0; i < regions->count; i++)
        if (!(fabs(p->regions[i]) < 1e9)) return mt_op_fail(c, MOTET_ERROR_SHAPE, "a region at %g", p->regions[i]);
    int64_t dims[4] = {regions->dims[0], p->channels, p->out_height, p->out_width};
    MT_TRY(mt_value_out_make_in(c, 0, in->type, MOTET_DOUBLE, 4, dims, out));
    p->out = out->values;
    if (out->tensor->count && in->count == 0) return mt_op_fail(c, MOTET_ERROR_SHAPE, "the images are empty");
    return MOTET_OK;
}

motet_status mt_op_roi_align(mt_op_context *c)
{
    mt_value_out out;
    const motet_tensor *batches;
    const void *indices;
    const char *place = mt_attr_string(c, "coordinate_transformation_mode", "half_pixel");
    pooling p = {.out_height = mt_attr_int(c, "output_height", 1),
                 .out_width = mt_attr_int(c, "output_width", 1),
                 .ratio = mt_min(mt_attr_int(c, "sampling_ratio", 0), 4096),
                 .half_pixel = c->version >= 16 && strcmp(place, "half_pixel") == 0,
                 .max = strcmp(mt_attr_string(c, "mode", "avg"), "max") == 0};
    MT_TRY(mt_need(c, 2, &batches));
    MT_TRY(read_pooling(c, 4, &p, &out));
    MT_TRY(mt_values(c, batches, MOTET_INT64, &indices));
    p.batches = indices;
    int64_t regions = mt_in(c, 1)->dims[0];
    if (batches->count != regions) return mt_op_fail(c, MOTET_ERROR_SHAPE, "expected an image for each region");
    for (int64_t i = 0; i < regions; i++)
        if (p.batches[i] < 0 || p.batches[i] >= mt_in(c, 0)->dims[0])
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "there is no image %" PRId64, p.batches[i]);
    if (out.tensor->count) mt_ranges(c->pool, regions * p.channels, 1, align_regions, &p);
    mt_value_out_store(&out);
    return MOTET_OK;
}

/* Rounded to whole pixels, in bins that may share some; an empty bin is 0. */
static void pool_region(const pooling *p, int64_t region, int64_t channel, int64_t batch)
{
    const double *r = p->regions + region * 5 + 1;
    const double *image = p->in + (batch * p->channels + channel) * p->height * p->width;
    double left = round(r[0] * p->scale), top = round(r[1] * p->scale);
    double width = fmax(round(r[2] * p->scale) - left + 1, 1), height = fmax(round(r[3] * p->scale) - top + 1, 1);
    double *out = p->out + (region * p->channels + channel) * p->out_height * p->out_width;
    for (int64_t i = 0; i < p->out_height * p->out_width; i++) {
        double row = (double)(i / p->out_width), column = (double)(i % p->out_width);
        double bin_height = height / (double)p->out_height, bin_width = width / (double)p->out_width;
        int64_t first_row = (int64_t)fmax(floor(row * bin_height) + top, 0);
        int64_t last_row = (int64_t)fmin(ceil((row + 1) * bin_height) + top, (double)p->height);
        int64_t first = (int64_t)fmax(floor(column * bin_width) + left, 0);
        int64_t last = (int64_t)fmin(ceil((column + 1) * bin_width) + left, (double)p->width);
        bool empty = last_row <= first_row || last <= first;
        out[i] = empty ? 0 : image[first_row * p->width + first];
        for (int64_t y = first_row; y < last_row; y++)
            for (int64_t x = first; x < last; x++) out[i] = fmax(out[i], image[y * p->width + x]);
    }
}

motet_status mt_op_max_roi_pool(mt_op_context *c)
{
    mt_value_out out;
    size_t count;
    const int64_t *shape = mt_attr_ints(c, "pooled_shape", &count);
    if (!shape || count != 2) return mt_op_fail(c, MOTET_ERROR_FORMAT, "pooled_shape: expected two numbers");
    pooling p = {.out_height = shape[0], .out_width = shape[1]};
    MT_TRY(read_pooling(c, 5, &p, &out));
    int64_t regions = mt_in(c, 1)->dims[0];
    for (int64_t i = 0; i < regions; i++) {
        double batch = p.regions[i * 5];
        if (!(batch >= 0 && batch < (double)mt_in(c, 0)->dims[0]))
            return mt_op_fail(c, MOTET_ERROR_SHAPE, "there is no image %g", batch);
        for (int64_t channel = 0; channel < p.channels; channel++) pool_region(&p, i, channel, (int64_t)batch);
    }
    mt_value_out_store(&out);
    return MOTET_OK;
}
