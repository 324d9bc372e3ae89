/* LinearRegressor, LinearClassifier, SVMRegressor and SVMClassifier.
 *
 * All begin with products of the input rows and rows of coefficients or support vectors, which a kernel function may
 * bend. The classifier with support vectors then lets every pair of classes decide between them (one against one), and
 * with prob_a and prob_b couples the pairs' probabilities to the classes' (Wu, Lin and Weng, JMLR 5, 2004, second
 * method, as libsvm has it). Doubles and integers are computed in float32, as the outputs are. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "kernels/gemm.h"
#include "ops/ml/scores.h"

/* Input 0 as float32 rows. */
static motet_status read_rows(mt_op_context *c, mt_rows *in)
{
    MT_TRY(mt_rows_read(c, in));
    const void *values;
    MT_TRY(mt_values(c, mt_in(c, 0), MOTET_FLOAT, &values));
    in->values = values;
    return MOTET_OK;
}

/* --- kernels ---------------------------------------------------------------------------------------------------- */

typedef struct kernel {
    enum { LINEAR, POLY, RBF, SIGMOID } kind;
    float gamma, offset, degree;
} kernel;

static motet_status read_kernel(mt_op_context *c, kernel *k)
{
    static const char *const names[] = {"LINEAR", "POLY", "RBF", "SIGMOID"};
    size_t count;
    const char *name = mt_attr_string(c, "kernel_type", "LINEAR");
    const float *parameters = mt_attr_floats(c, "kernel_params", &count);
    *k = (kernel){.gamma = count > 0 ? parameters[0] : 0,
                  .offset = count > 1 ? parameters[1] : 0,
                  .degree = count > 2 ? parameters[2] : 0};
    for (int i = 0; i < 4; i++) {
        k->kind = (unsigned)i;
        if (strcmp(name, names[i]) == 0) return MOTET_OK;
    }
    return mt_op_fail(c, MOTET_ERROR_FORMAT, "kernel_type \"%.64s\" is not known", name);
}

static float squared_distance(const float *x, const float *y, int64_t n)
{
    float sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (x[i] - y[i]) * (x[i] - y[i]);
    return sum;
}

static void bend(const kernel *k, float *products, int64_t count)
{
    for (int64_t i = 0; i < count && k->kind == POLY; i++)
        products[i] = powf(k->gamma * products[i] + k->offset, k->degree);
    for (int64_t i = 0; i < count && k->kind == SIGMOID; i++) products[i] = tanhf(k->gamma * products[i] + k->offset);
}

/* out[rows, count]: the kernel of each row of the input with each of `count` vectors as long as a row. */
static motet_status apply_kernel(mt_op_context *c, const kernel *k, const mt_rows *in, const float *vectors,
                                 int64_t count, float *out)
{
    const float *x = in->values;
    if (k->kind == RBF) {
        for (int64_t i = 0; i < in->rows * count; i++) {
            const float *row = x + i / count * in->columns, *vector = vectors + i % count * in->columns;
            out[i] = expf(-k->gamma * squared_distance(row, vector, in->columns));
        }
        return MOTET_OK;
    }
    mt_gemm shape = mt_gemm_plain(in->rows, count, in->columns);
    shape.b_transposed = true;
    shape.ldb = in->columns;
    if (!mt_gemm_fits(&shape)) return mt_op_fail(c, MOTET_ERROR_LIMIT, "the matrices are too large");
    if (in->columns)
        mt_sgemm(c->pool, &shape, x, vectors, out);
    else
        memset(out, 0, (size_t)(in->rows * count) * sizeof *out);
    bend(k, out, in->rows * count);
    return MOTET_OK;
}

static motet_status scratch_floats(mt_op_context *c, int64_t rows, int64_t columns, float **out)
{
    int64_t count;
    void *memory;
    if (__builtin_mul_overflow(rows, columns, &count)) count = -1;
    MT_TRY(mt_scratch_array(c, count, sizeof(float), &memory));
    *out = memory;
    return MOTET_OK;
}

/* A float attribute that must have at least `least` values. */
static motet_status need_floats(mt_op_context *c, const char *name, int64_t least, const float **out)
{
    size_t given;
    *out = mt_attr_floats(c, name, &given);
    if (least >= 0 && (int64_t)given >= least) return MOTET_OK;
    return mt_op_fail(c, MOTET_ERROR_SHAPE, "%s has %zu values: expected %" PRId64, name, given, least);
}

/* rows * vectors, which need that many coefficients. */
static motet_status need_matrix(mt_op_context *c, const char *name, int64_t rows, int64_t columns, const float **out)
{
    int64_t count;
    if (__builtin_mul_overflow(rows, columns, &count)) count = -1;
    return need_floats(c, name, count, out);
}

/* --- linear models ---------------------------------------------------------------------------------------------- */

/* out[rows, targets] = X * coefficients^T + intercepts. */
static motet_status linear(mt_op_context *c, const mt_rows *in, int64_t targets, float *out)
{
    size_t given;
    const float *coefficients, *intercepts = mt_attr_floats(c, "intercepts", &given);
    if (given && (int64_t)given != targets)
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "%zu intercepts for %" PRId64 " targets", given, targets);
    MT_TRY(need_matrix(c, "coefficients", targets, in->columns, &coefficients));
    MT_TRY(apply_kernel(c, &(kernel){.kind = LINEAR}, in, coefficients, targets, out));
    for (int64_t i = 0; i < in->rows * targets && given; i++) out[i] += intercepts[i % targets];
    return MOTET_OK;
}

motet_status mt_op_linear_regressor(mt_op_context *c)
{
    mt_rows in;
    mt_transform transform;
    motet_tensor *out;
    int64_t targets = mt_attr_int(c, "targets", 1);
    if (targets < 1) return mt_op_fail(c, MOTET_ERROR_FORMAT, "%" PRId64 " targets are not possible", targets);
    MT_TRY(mt_transform_read(c, &transform));
    MT_TRY(read_rows(c, &in));
    MT_TRY(mt_out(c, 0, MOTET_FLOAT, 2, (int64_t[]){in.rows, targets}, &out));
    MT_TRY(linear(c, &in, targets, out->data));
    for (int64_t row = 0; row < in.rows; row++)
        mt_transform_scores(transform, (float *)out->data + row * targets, targets);
    return MOTET_OK;
}

static int64_t largest(const float *scores, int64_t count)
{
    int64_t best = 0;
    for (int64_t i = 1; i < count; i++)
        if (scores[i] > scores[best]) best = i;
    return best;
}

/* One row of coefficients tells two classes apart by the sign of its score; labels that are not two are 0 and 1. */
static motet_status put_by_sign(motet_tensor *out, int64_t row, const mt_labels *labels, bool positive)
{
    static const int64_t ints[] = {0, 1};
    static char digits[] = "0\0001";
    static const mt_string strings[] = {{digits, 1}, {digits + 2, 1}};
    mt_labels plain = {2, labels->strings ? strings : NULL, ints};
    return mt_label_put(out, row, labels->count == 2 ? labels : &plain, positive);
}

motet_status mt_op_linear_classifier(mt_op_context *c)
{
    mt_rows in;
    mt_labels labels;
    mt_transform transform;
    motet_tensor *y, *z;
    float *scores;
    size_t intercepts;
    MT_TRY(mt_labels_read(c, "classlabels_strings", "classlabels_ints", &labels));
    MT_TRY(mt_transform_read(c, &transform));
    MT_TRY(read_rows(c, &in));
    mt_attr_floats(c, "intercepts", &intercepts);
    int64_t classes = intercepts ? (int64_t)intercepts : labels.count;
    int64_t width = classes == 1 && labels.count == 2 ? 2 : classes;
    if (classes > 1 && classes > labels.count)
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "%" PRId64 " labels for %" PRId64 " classes", labels.count, classes);
    MT_TRY(mt_labels_out(c, 0, &labels, in.rows, &y));
    MT_TRY(mt_out(c, 1, MOTET_FLOAT, 2, (int64_t[]){in.rows, width}, &z));
    MT_TRY(scratch_floats(c, in.rows, classes, &scores));
    MT_TRY(linear(c, &in, classes, scores));
    for (int64_t row = 0; row < in.rows; row++) {
        float *own = scores + row * classes, *to = (float *)z->data + row * width;
        if (classes == 1)
            MT_TRY(put_by_sign(y, row, &labels, own[0] > 0));
        else
            MT_TRY(mt_label_put(y, row, &labels, largest(own, classes)));
        memcpy(to, own, (size_t)classes * sizeof *own);
        if (width > classes)
            mt_two_scores(transform, true, to);
        else
            mt_transform_scores(transform, to, classes);
    }
    return MOTET_OK;
}

/* --- support vector regression ---------------------------------------------------------------------------------- */

motet_status mt_op_svm_regressor(mt_op_context *c)
{
    mt_rows in;
    kernel k;
    motet_tensor *out;
    const float *vectors, *coefficients, *rho;
    float *kernels;
    int64_t supports = mt_attr_int(c, "n_supports", 0);
    bool one_class = mt_attr_int(c, "one_class", 0) != 0;
    MT_TRY(read_rows(c, &in));
    MT_TRY(read_kernel(c, &k));
    MT_TRY(need_floats(c, "rho", 1, &rho));
    MT_TRY(mt_out(c, 0, MOTET_FLOAT, 2, (int64_t[]){in.rows, 1}, &out));
    float *y = out->data;
    if (supports > 0) {
        MT_TRY(need_matrix(c, "support_vectors", supports, in.columns, &vectors));
        MT_TRY(need_floats(c, "coefficients", supports, &coefficients));
        MT_TRY(scratch_floats(c, in.rows, supports, &kernels));
        MT_TRY(apply_kernel(c, &k, &in, vectors, supports, kernels));
        mt_rows products = {in.rows, supports, kernels, false};
        MT_TRY(apply_kernel(c, &(kernel){.kind = LINEAR}, &products, coefficients, 1, y));
    } else {
        MT_TRY(need_floats(c, "coefficients", in.columns, &coefficients));
        MT_TRY(apply_kernel(c, &(kernel){.kind = LINEAR}, &in, coefficients, 1, y));
    }
    for (int64_t row = 0; row < in.rows; row++) {
        y[row] += rho[0];
        if (one_class) y[row] = y[row] > 0 ? 1 : -1;
    }
    return MOTET_OK;
}

/* --- support vector classification ------------------------------------------------------------------------------ */

typedef struct svm {
    int64_t classes, supports, pairs;
    const int64_t *of_class; /* how many support vectors each class has; they stand class by class */
    const float *coefficients, *rho, *prob_a, *prob_b; /* prob_a and prob_b NULL: no probabilities */
} svm;

/* Sum of the products of a class's kernels with row `row` of the coefficients. */
static double part(const svm *s, const float *kernels, int64_t row, int64_t start, int64_t count)
{
    double sum = 0;
    const float *coefficients = s->coefficients + row * s->supports;
    for (int64_t i = start; i < start + count; i++) sum += (double)(coefficients[i] * kernels[i]);
    return sum;
}

/* scores[pairs], and how many pairs each class wins. Coefficients are [classes - 1, supports]: row j - 1 holds what the
 * vectors of class i < j say against j, row i what those of j say against i. */
static void decide_pairs(const svm *s, const float *kernels, float *scores, int64_t *votes)
{
    int64_t pair = 0, start_i = 0;
    memset(votes, 0, (size_t)s->classes * sizeof *votes);
    for (int64_t i = 0; i < s->classes; start_i += s->of_class[i++]) {
        int64_t start_j = start_i + s->of_class[i];
        for (int64_t j = i + 1; j < s->classes; start_j += s->of_class[j++], pair++) {
            double sum =
                part(s, kernels, j - 1, start_i, s->of_class[i]) + part(s, kernels, i, start_j, s->of_class[j]);
            sum += (double)s->rho[pair];
            scores[pair] = (float)sum;
            votes[sum > 0 ? i : j]++;
        }
    }
}

enum { COUPLING_ROUNDS = 100 };

/* r[i * n + j] = the probability of class i against j; finds p that fits all of them. q and qp are scratch. */
static void couple(int64_t n, const float *r, float *q, float *qp, float *p)
{
    for (int64_t i = 0; i < n; i++) {
        p[i] = 1 / (float)n;
        q[i * n + i] = 0;
        for (int64_t j = 0; j < n; j++) {
            if (j == i) continue;
            q[i * n + i] += r[j * n + i] * r[j * n + i];
            q[i * n + j] = -r[j * n + i] * r[i * n + j];
        }
    }
    for (int round = 0; round < COUPLING_ROUNDS; round++) {
        float pqp = 0, error = 0;
        for (int64_t i = 0; i < n; i++) {
            qp[i] = 0;
            for (int64_t j = 0; j < n; j++) qp[i] += q[i * n + j] * p[j];
            pqp += p[i] * qp[i];
        }
        for (int64_t i = 0; i < n; i++) error = fmaxf(error, fabsf(qp[i] - pqp));
        if (error < 0.005f / (float)n) return;
        for (int64_t i = 0; i < n; i++) {
            float step = (pqp - qp[i]) / q[i * n + i];
            p[i] += step;
            pqp = (pqp + step * (step * q[i * n + i] + 2 * qp[i])) / (1 + step) / (1 + step);
            for (int64_t j = 0; j < n; j++) {
                qp[j] = (qp[j] + step * q[i * n + j]) / (1 + step);
                p[j] /= 1 + step;
            }
        }
    }
}

/* The pairs' scores as probabilities (Platt), then the classes'. `work`: (2 classes + 1) * classes floats. */
static void probabilities(const svm *s, const float *scores, float *work, float *p)
{
    int64_t n = s->classes, pair = 0;
    float *r = work, *q = work + n * n;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i + 1; j < n; j++, pair++) {
            float value = 1 / (1 + expf(scores[pair] * s->prob_a[pair] + s->prob_b[pair]));
            r[i * n + j] = fminf(fmaxf(value, 1e-7f), 1 - 1e-7f);
            r[j * n + i] = 1 - r[i * n + j];
        }
    couple(n, r, q, q + n * n, p);
}

static motet_status read_svm(mt_op_context *c, const mt_labels *labels, svm *s)
{
    size_t groups, probable, other;
    s->classes = labels->count;
    s->of_class = mt_attr_ints(c, "vectors_per_class", &groups);
    if (s->classes > 65535) return mt_op_fail(c, MOTET_ERROR_LIMIT, "%" PRId64 " classes are too many", s->classes);
    s->pairs = s->classes * (s->classes - 1) / 2;
    if ((int64_t)groups != s->classes)
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "vectors_per_class has %zu values for %" PRId64 " classes", groups,
                          s->classes);
    for (size_t i = 0; i < groups; i++)
        if (s->of_class[i] < 0 || __builtin_add_overflow(s->supports, s->of_class[i], &s->supports))
            return mt_op_fail(c, MOTET_ERROR_FORMAT, "vectors_per_class is not possible");
    MT_TRY(need_matrix(c, "coefficients", s->classes - 1, s->supports, &s->coefficients));
    MT_TRY(need_floats(c, "rho", s->pairs, &s->rho));
    s->prob_a = mt_attr_floats(c, "prob_a", &probable);
    s->prob_b = mt_attr_floats(c, "prob_b", &other);
    if (!probable) s->prob_a = NULL;
    if (probable && ((int64_t)probable < s->pairs || (int64_t)other < s->pairs))
        return mt_op_fail(c, MOTET_ERROR_FORMAT, "prob_a and prob_b have %zu and %zu values for %" PRId64 " pairs",
                          probable, other, s->pairs);
    return MOTET_OK;
}

static int64_t most_votes(const int64_t *votes, int64_t count)
{
    int64_t best = 0;
    for (int64_t i = 1; i < count; i++)
        if (votes[i] > votes[best]) best = i;
    return best;
}

static motet_status classify_with_vectors(mt_op_context *c, const mt_rows *in, const mt_labels *labels)
{
    svm s = {0};
    kernel k;
    mt_transform transform;
    const float *vectors;
    float *kernels, *pairs, *work;
    void *votes;
    motet_tensor *y, *z;
    MT_TRY(read_svm(c, labels, &s));
    MT_TRY(read_kernel(c, &k));
    MT_TRY(mt_transform_read(c, &transform));
    MT_TRY(need_matrix(c, "support_vectors", s.supports, in->columns, &vectors));
    MT_TRY(scratch_floats(c, in->rows, s.supports, &kernels));
    MT_TRY(scratch_floats(c, 1, s.pairs + 2, &pairs));
    MT_TRY(scratch_floats(c, s.prob_a ? 2 * s.classes + 1 : 0, s.classes, &work));
    MT_TRY(mt_scratch_array(c, s.classes, sizeof(int64_t), &votes));
    MT_TRY(apply_kernel(c, &k, in, vectors, s.supports, kernels));
    int64_t width = s.prob_a ? s.classes : s.classes > 2 ? s.pairs : 2;
    MT_TRY(mt_labels_out(c, 0, labels, in->rows, &y));
    MT_TRY(mt_out(c, 1, MOTET_FLOAT, 2, (int64_t[]){in->rows, width}, &z));
    for (int64_t row = 0; row < in->rows; row++) {
        float *to = (float *)z->data + row * width;
        pairs[0] = 0;
        decide_pairs(&s, kernels + row * s.supports, pairs, votes);
        MT_TRY(mt_label_put(y, row, labels, most_votes(votes, s.classes)));
        if (s.prob_a)
            probabilities(&s, pairs, work, to);
        else
            memcpy(to, pairs, (size_t)mt_min(width, s.pairs) * sizeof *to);
        if (s.prob_a || s.classes > 2)
            mt_transform_scores(transform, to, width);
        else
            mt_two_scores(transform, transform != MT_TRANSFORM_NONE, to);
    }
    return MOTET_OK;
}

/* Two classes: the larger score decides unless it speaks for the second by its sign or by 0.5, as ONNX Runtime has it.
 */
static int64_t linear_class(const float *scores, int64_t classes, bool all_positive)
{
    int64_t best = largest(scores, classes);
    if (classes != 2) return best;
    return all_positive ? (scores[best] >= 0.5f ? 1 : best) : scores[best] > 0 ? 1 : best;
}

/* Without support vectors the coefficients are [classes, features]. */
static motet_status classify_linearly(mt_op_context *c, const mt_rows *in, const mt_labels *labels)
{
    mt_transform transform;
    const float *coefficients, *rho;
    motet_tensor *y, *z;
    int64_t classes = labels->count;
    bool all_positive = true;
    MT_TRY(mt_transform_read(c, &transform));
    MT_TRY(need_matrix(c, "coefficients", classes, in->columns, &coefficients));
    MT_TRY(need_floats(c, "rho", 1, &rho));
    for (int64_t i = 0; i < classes * in->columns; i++) all_positive = all_positive && coefficients[i] >= 0;
    MT_TRY(mt_labels_out(c, 0, labels, in->rows, &y));
    MT_TRY(mt_out(c, 1, MOTET_FLOAT, 2, (int64_t[]){in->rows, classes}, &z));
    MT_TRY(apply_kernel(c, &(kernel){.kind = LINEAR}, in, coefficients, classes, z->data));
    for (int64_t row = 0; row < in->rows; row++) {
        float *scores = (float *)z->data + row * classes;
        for (int64_t i = 0; i < classes; i++) scores[i] += rho[0];
        MT_TRY(mt_label_put(y, row, labels, linear_class(scores, classes, all_positive)));
        mt_transform_scores(transform, scores, classes);
    }
    return MOTET_OK;
}

motet_status mt_op_svm_classifier(mt_op_context *c)
{
    mt_rows in;
    mt_labels labels;
    size_t groups;
    MT_TRY(mt_labels_read(c, "classlabels_strings", "classlabels_ints", &labels));
    MT_TRY(read_rows(c, &in));
    mt_attr_ints(c, "vectors_per_class", &groups);
    return groups ? classify_with_vectors(c, &in, &labels) : classify_linearly(c, &in, &labels);
}
