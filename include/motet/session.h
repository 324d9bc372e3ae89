/* Sessions: an ONNX model, loaded and ready to run.
 *
 *     motet_session *session;
 *     if (motet_session_open("model.onnx", NULL, &session) != MOTET_OK) puts(motet_error_message());
 *     motet_session_run(session, input_names, inputs, 1, output_names, outputs, 1);
 *     motet_session_close(session);
 *
 * The file is mapped, and weights stay in the map. Several threads may run one session at once; each run has its own
 * working memory. Models are untrusted: a damaged or hostile file costs an error, never more. */
#ifndef MOTET_SESSION_H
#define MOTET_SESSION_H

#include <stdbool.h>

#include "motet/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct motet_session motet_session;

typedef struct motet_session_options {
    int threads;    /* threads that work on one run, the caller's included; 0: as many as the process may use */
    bool reference; /* run the plain reference operators, no fast kernels: slow, for comparison */
} motet_session_options;

/* Fills in the defaults: threads 0, reference false. */
MOTET_API void motet_session_options_init(motet_session_options *options);

/* An input or output of the model as the file declares it. */
typedef struct motet_value_info {
    const char *name;
    motet_type type;                     /* MOTET_UNDEFINED when the file does not say */
    int rank;                            /* -1 when the file does not say */
    int64_t dims[MOTET_MAX_RANK];        /* -1: not fixed */
    const char *symbols[MOTET_MAX_RANK]; /* the name of a dimension that is not fixed, or NULL */
} motet_value_info;

/* Opens the model at `path`; options NULL takes the defaults. External data is read only from within the model's
 * folder. Errors: IO, FORMAT, LIMIT, MEMORY, and UNSUPPORTED with every missing operator named at once. */
MOTET_API MOTET_CHECKED motet_status motet_session_open(const char *path, const motet_session_options *options,
                                                        motet_session **out);

/* The same from memory, which must outlive the session (weights are not copied). External data is refused. */
MOTET_API MOTET_CHECKED motet_status motet_session_open_memory(const void *bytes, size_t size,
                                                               const motet_session_options *options,
                                                               motet_session **out);

/* NULL is allowed. No run may be under way. */
MOTET_API void motet_session_close(motet_session *session);

/* Inputs that must be fed (initializers left out), and outputs, in the file's order. The pointers last as long as the
 * session; NULL when the index is out of range. */
MOTET_API size_t motet_session_input_count(const motet_session *session);
MOTET_API size_t motet_session_output_count(const motet_session *session);
MOTET_API const motet_value_info *motet_session_input(const motet_session *session, size_t index);
MOTET_API const motet_value_info *motet_session_output(const motet_session *session, size_t index);

/* The value of a metadata_props key, NULL when the file has none. Owned by the session. */
MOTET_API const char *motet_session_metadata(const motet_session *session, const char *key);

/* Runs the model. inputs[i] feeds input_names[i] and is only read. On MOTET_OK outputs[i] is a new tensor for
 * output_names[i], to be destroyed by the caller; on error every outputs[i] is NULL.
 * Errors: ARGUMENT (an unknown or missing name), SHAPE (with the node, the operator and what came), MEMORY, LIMIT. */
MOTET_API MOTET_CHECKED motet_status motet_session_run(motet_session *session, const char *const *input_names,
                                                       const motet_tensor *const *inputs, size_t input_count,
                                                       const char *const *output_names, motet_tensor **outputs,
                                                       size_t output_count);

#ifdef __cplusplus
}
#endif
#endif
