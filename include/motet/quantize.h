/* Float models as integers: a model whose products run on bytes, four times smaller and several times faster.
 *
 * Weights become int8 now, symmetric, with a scale of its own for each output channel. What they meet becomes uint8
 * with one scale and zero point for the tensor: by its range anew in each run (dynamic; DynamicQuantizeLinear), or by a
 * range that was found beforehand, while the model ran on samples (static; QuantizeLinear). Layers are MatMul and Gemm
 * with constant matrices and Conv with constant filters, float32, in all graphs of the model; what is fed to a layer
 * within a nested graph from there cannot be watched, and is dynamic. They become MatMulInteger or ConvInteger, Cast,
 * Mul and, with a bias, Add, as ONNX Runtime's quantize_dynamic has them: standard ONNX of opset 11 or later.
 *
 *     w_q[c][k] = round(w[c][k] / s[c]),  s[c] = max_k |w[c][k]| / 127
 *     x_q       = round(x / s) + z,       s = (most - least) / 255,  z = round(-least / s),  least <= 0 <= most
 *
 * (Wu, Judd, Zhang, Isaev, Micikevicius: Integer Quantization for Deep Learning Inference, 2020, sections 3.1 to 3.3;
 * ranges: section 5.1.)
 *
 * Not every layer bears that. With `min_cosine` the model is run on some of the samples, and layers stay float, those
 * that cost most when they alone are quantised first, until every output is as near as was asked. */
#ifndef MOTET_QUANTIZE_H
#define MOTET_QUANTIZE_H

#include <stdbool.h>

#include "motet/session.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where the range of what a layer is fed comes from. */
typedef enum motet_quantize_method {
    MOTET_QUANTIZE_DYNAMIC,    /* from what it is in each run */
    MOTET_QUANTIZE_MIN_MAX,    /* from the samples: all of it */
    MOTET_QUANTIZE_PERCENTILE, /* but for `100 - percentile` percent of the values, half of them at each end */
    MOTET_QUANTIZE_ENTROPY     /* so far that what is left of their distribution differs least from it */
} motet_quantize_method;

/* Sets inputs[i] to what input i of the model is fed in sample `index`; it must stay until the next call. */
typedef motet_status (*motet_quantize_sample)(void *context, size_t index, const motet_tensor **inputs);

typedef struct motet_quantize_options {
    const char *const *exclude; /* names of layers that stay float */
    size_t exclude_count;
    motet_quantize_method method;
    double percentile;            /* 0 to 100 */
    double min_cosine;            /* between each output and the float model's, over samples; 0: not looked at */
    motet_quantize_sample sample; /* needed with a static method or min_cosine; asked for samples again and again */
    void *sample_context;
    size_t sample_count;
    size_t measured; /* min_cosine is measured on so many of the samples, evenly spread, or on all if there are fewer */
    int threads;     /* as in motet_session_options, for the runs that all this takes */
    bool external;   /* weights in a file of their own, as in motet_model_optimize */
    motet_cancel *cancel;                                      /* of these runs, or NULL */
    void (*progress)(void *context, size_t done, size_t most); /* after each of them, or NULL */
    void *progress_context;
} motet_quantize_options;

/* Fills in the defaults: nothing excluded, dynamic, percentile 99.99, min_cosine 0, no samples, measured 16, threads 0,
 * external false. */
MOTET_API void motet_quantize_options_init(motet_quantize_options *options);

/* What came of a layer. */
typedef struct motet_quantized_layer {
    const char *name, *type; /* of its node: "MatMul", "Gemm", "Conv" */
    int64_t parameters;      /* elements of its weights */
    bool quantized;
    bool excluded; /* by name */
    double cosine; /* the smallest of the outputs', this layer alone quantised; NaN where that was not measured */
} motet_quantized_layer;

typedef struct motet_quantized motet_quantized;

/* Writes the model at `path`, simplified as motet_model_optimize does, to `quantized` with its layers quantised.
 * *report tells what became of each; it may be NULL. A layer stays float also where sums of its products might not fit
 * int32, where its weights are not finite, or where a Gemm scales its bias or transposes its input: such layers are not
 * listed. The file is whole or not there; both paths may be the same. Errors: IO, FORMAT, UNSUPPORTED (an opset before
 * 11; with samples all that motet_session_open refuses), ARGUMENT (an unknown name in `exclude`, no samples, or such as
 * do not fit), CANCELLED, LIMIT, MEMORY, and what `sample` returns. */
MOTET_API MOTET_CHECKED motet_status motet_model_quantize(const char *path, const char *quantized,
                                                          const motet_quantize_options *options,
                                                          motet_quantized **report);

/* By index, in the order in which they run; NULL beyond the last. Lasts as long as the report. */
MOTET_API const motet_quantized_layer *motet_quantized_layer_at(const motet_quantized *report, size_t index);

MOTET_API void motet_quantized_destroy(motet_quantized *report); /* NULL is allowed */

#ifdef __cplusplus
}
#endif
#endif
