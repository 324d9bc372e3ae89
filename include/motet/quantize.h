/* Float models as integers: a model whose products run on bytes, four times smaller and several times faster.
 *
 * Quantisation is dynamic: weights become int8 now, symmetric, with a scale of its own for each output channel;
 * what they meet becomes uint8 anew in each run, with one scale and zero point for the tensor (DynamicQuantizeLinear).
 * Layers are MatMul and Gemm with constant matrices and Conv with constant filters, float32, in all graphs of the
 * model. They become MatMulInteger or ConvInteger, Cast, Mul and, with a bias, Add, as ONNX Runtime's
 * quantize_dynamic has them: standard ONNX of opset 11 or later.
 *
 *     w_q[c][k] = round(w[c][k] / s[c]),  s[c] = max_k |w[c][k]| / 127
 *
 * (Wu, Judd, Zhang, Isaev, Micikevicius: Integer Quantization for Deep Learning Inference, 2020, sections 3.1 to 3.3.)
 *
 * Not every layer bears that. With `min_cosine` the model is run on given inputs, and layers stay float, those that
 * cost most when they alone are quantised first, until every output is as near as was asked. */
#ifndef MOTET_QUANTIZE_H
#define MOTET_QUANTIZE_H

#include <stdbool.h>

#include "motet/session.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct motet_quantize_options {
    const char *const *exclude; /* names of layers that stay float */
    size_t exclude_count;
    double min_cosine;                 /* between each output and the float model's; 0: not looked at */
    const motet_tensor *const *inputs; /* one for each input, in the model's order; read with min_cosine alone */
    size_t input_count;
    int threads;   /* as in motet_session_options, for the runs that min_cosine takes */
    bool external; /* weights in a file of their own, as in motet_model_optimize */
    void (*progress)(void *context, size_t done, size_t most); /* after each of these runs, or NULL */
    void *progress_context;
} motet_quantize_options;

/* Fills in the defaults: nothing excluded, min_cosine 0, threads 0, external false. */
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
 * 11; with min_cosine all that motet_session_open refuses), ARGUMENT (an unknown name in `exclude`, inputs that do not
 * fit), LIMIT, MEMORY. */
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
