/* What layers are fed while a model runs on samples. */
#ifndef MT_QUANTIZE_OBSERVE_H
#define MT_QUANTIZE_OBSERVE_H

#include "motet/quantize.h"
#include "quantize/rewrite.h"

/* The runs that have been made, and how many there may be in all. */
typedef struct mt_tally {
    const motet_quantize_options *options;
    size_t done, most;
} mt_tally;

/* One run of a session whose first inputs are the model's, fed with sample `index`, and whose others are `more`. */
motet_status mt_run_sample(mt_tally *tally, motet_session *session, size_t index, const motet_tensor *const *more,
                           size_t more_count, motet_tensor **outputs);

/* Runs the model at `path` on all samples: scales[i] for layer i, `count` of them as mt_layers_visit counts. A layer in
 * a nested graph, which cannot be watched, and one that was never fed anything has scale 0. */
motet_status mt_observe(const char *path, size_t count, mt_tally *tally, mt_byte_scale *scales);

#endif
