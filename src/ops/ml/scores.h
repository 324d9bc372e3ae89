/* What the classical models of ai.onnx.ml share: rows of features in, scores put through a transform, labels out. */
#ifndef MT_OPS_ML_SCORES_H
#define MT_OPS_ML_SCORES_H

#include "ops/support.h"

/* --- rows ----------------------------------------------------------------------------------------------------- */

/* Input 0 as rows of features: [rows, columns], or one row [columns]. */
typedef struct mt_rows {
    int64_t rows, columns;
    const void *values; /* double for a double input, else float32 */
    bool wide;
} mt_rows;

motet_status mt_rows_read(mt_op_context *c, mt_rows *out);

/* --- scores --------------------------------------------------------------------------------------------------- */

/* In the order that TreeEnsemble numbers them. */
typedef enum mt_transform {
    MT_TRANSFORM_NONE,
    MT_TRANSFORM_SOFTMAX,
    MT_TRANSFORM_LOGISTIC,
    MT_TRANSFORM_SOFTMAX_ZERO,
    MT_TRANSFORM_PROBIT
} mt_transform;

/* The attribute post_transform, by name. */
motet_status mt_transform_read(mt_op_context *c, mt_transform *out);

/* Transforms one row of scores in place. SOFTMAX_ZERO leaves scores of 0 out of the sum; PROBIT is the inverse of the
 * normal distribution function, by Winitzki's approximation. A score that stands alone is left as it is by all but
 * PROBIT. In this, and below, ONNX Runtime is followed where the standard says nothing. */
void mt_transform_scores(mt_transform transform, float *scores, int64_t count);

/* Makes the scores of two classes of one, z[0]: the logistics of -score and score where that is the transform, else
 * 1 - score and score where they are probabilities, else -score and score. */
void mt_two_scores(mt_transform transform, bool probabilities, float *z);

/* --- labels --------------------------------------------------------------------------------------------------- */

/* The names of the classes: strings or integers. */
typedef struct mt_labels {
    int64_t count;
    const mt_string *strings; /* NULL: integers */
    const int64_t *ints;
} mt_labels;

/* From two attributes, of which one must be there. */
motet_status mt_labels_read(mt_op_context *c, const char *strings, const char *ints, mt_labels *out);

/* Output i, one label a row, to be filled by mt_label_put. */
motet_status mt_labels_out(mt_op_context *c, int i, const mt_labels *labels, int64_t rows, motet_tensor **out);
motet_status mt_label_put(motet_tensor *out, int64_t row, const mt_labels *labels, int64_t which);

/* --- attributes ----------------------------------------------------------------------------------------------- */

/* The float attribute `name`, or the tensor attribute `tensor_name` (which may be NULL) as doubles in scratch.
 * *count is 0 when neither is there. */
motet_status mt_attr_doubles(mt_op_context *c, const char *name, const char *tensor_name, const double **out,
                             int64_t *count);

#endif
