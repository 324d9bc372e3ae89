/* Sessions: an ONNX model, loaded and ready to run.
 *
 *     motet_session *session;
 *     if (motet_session_open("model.onnx", NULL, &session) != MOTET_OK) puts(motet_error_message());
 *     motet_session_run(session, input_names, inputs, 1, output_names, outputs, 1);
 *     motet_session_close(session);
 *
 * The file is mapped, and weights stay in the map: a model larger than memory opens, and only pages that a run touches
 * are read. The file must not be changed while the session is open. Models are untrusted: a damaged or hostile file
 * costs an error, never more.
 *
 * Shapes are free: each run may bring inputs of other shapes, as far as the model's declaration allows. Working memory
 * is kept for the next run, and what the last runs had no use for is given back.
 *
 * Threads: any number of threads may run one session at once, each run in working memory of its own. Opening and
 * closing are for one thread. A session starts threads of its own, or shares those of a motet_threads with others. The
 * numbers that come out never depend on how many there are. Whoever calls motet_session_run works too, and wants a
 * stack of 1 MB for it.
 *
 * samples/run_model.c is a small program on this header. */
#ifndef MOTET_SESSION_H
#define MOTET_SESSION_H

#include <stdbool.h>

#include "motet/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct motet_session motet_session;

/* Threads that several sessions share: so that ten sessions on eight processors are not eighty threads. One run uses
 * them at a time; a run that finds them busy works alone, and never waits. */
typedef struct motet_threads motet_threads;

/* `threads` counts the thread that calls motet_session_run too; 0: as many as the process may use (affinity and cgroup
 * quota). Errors: ARGUMENT (beyond 1024), MEMORY. */
MOTET_API MOTET_CHECKED motet_status motet_threads_create(int threads, motet_threads **out);

/* After the sessions that share them are closed. NULL is allowed. */
MOTET_API void motet_threads_destroy(motet_threads *threads);

typedef struct motet_session_options {
    int threads;           /* threads that work on one run, the caller's included; 0: as many as the process may use */
    bool reference;        /* run the plain reference operators, no fast kernels: slow, for comparison */
    bool any_shape;        /* inputs may have other shapes than the model declares, if its operators can take them */
    motet_threads *shared; /* NULL: threads of its own. Else these, and `threads` is not looked at */
    const char *cache;     /* a folder where packed weights are kept for the next session, as large as the weights, made
                              if it is not there; whoever may write there is trusted. NULL: they are not kept */
    const char *without;   /* NULL, or passes over the graph to leave out, with commas between them ("gelu,attention");
                              `motet model bench --help` lists them */
} motet_session_options;

/* Fills in the defaults: threads 0, reference and any_shape false, shared, cache and without NULL. */
MOTET_API void motet_session_options_init(motet_session_options *options);

/* An input or output of the model as the file declares it. Type and shape are those of the tensor, or of the tensors
 * within a list, however deep (an optional sequence); for a map they are those of its values. */
typedef struct motet_value_info {
    const char *name;
    motet_kind kind;                     /* MOTET_TENSOR for nearly all */
    motet_kind item;                     /* what a list holds: MOTET_SEQUENCE in an optional sequence */
    motet_type key;                      /* of a map, or of the maps in a list; else MOTET_UNDEFINED */
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

/* Runs the model. The first run, and the first with inputs of other shapes, is slower, as weights are packed and memory
 * is put in place then; one that asks for no outputs is a way to have that done before it matters.
 *
 * inputs[i] feeds input_names[i] and is only read; names come in any order, each input once. Its type must be the
 * declared one, its shape must fit the declared one. The tensor must stay as it is until the call returns.
 * output_names: those of the outputs that are wanted, in any order, `output_count` of them, 0 allowed.
 * outputs: on MOTET_OK outputs[i] is a new tensor for output_names[i], in memory that is nobody else's, to be destroyed
 * by the caller; it may outlive the session. On error every outputs[i] is NULL, and the session is as good as before.
 *
 * Errors: ARGUMENT (an unknown, missing or NULL name or tensor), SHAPE (with the node, the operator and what came),
 * FORMAT and UNSUPPORTED (a node that asks for what cannot be), MEMORY, LIMIT (a size beyond any memory). */
MOTET_API MOTET_CHECKED motet_status motet_session_run(motet_session *session, const char *const *input_names,
                                                       const motet_tensor *const *inputs, size_t input_count,
                                                       const char *const *output_names, motet_tensor **outputs,
                                                       size_t output_count);

/* --- runs that can be stopped or watched ---------------------------------------------------------------------- */

/* A wish to stop, made by one thread and granted by another: motet_cancel_request may be called from any thread, and
 * from a signal handler, while runs go on. They stop before their next node with MOTET_ERROR_CANCELLED; what has begun
 * after the request stops at once, until motet_cancel_reset. One motet_cancel may serve any number of runs. */
typedef struct motet_cancel motet_cancel;

MOTET_API MOTET_CHECKED motet_status motet_cancel_create(motet_cancel **out); /* Errors: MEMORY */
MOTET_API void motet_cancel_destroy(motet_cancel *cancel);                    /* NULL is allowed */
MOTET_API void motet_cancel_request(motet_cancel *cancel);
MOTET_API void motet_cancel_reset(motet_cancel *cancel);

/* Where the time goes, node by node, added up over all runs that are given the profile. For one run at a time. */
typedef struct motet_profile motet_profile;

typedef struct motet_profile_node {
    const char *name, *type, *domain; /* "" is ai.onnx; nodes of one name and type share a line */
    int64_t calls;                    /* times it ran; nodes within loops may run often */
    double seconds;                   /* in all; nodes of nested graphs have lines, and time, of their own */
} motet_profile_node;

MOTET_API MOTET_CHECKED motet_status motet_profile_create(motet_profile **out); /* Errors: MEMORY */
MOTET_API void motet_profile_destroy(motet_profile *profile);                   /* NULL is allowed */

/* In the order of their first runs; NULL beyond the last. Lasts until the next run with this profile. */
MOTET_API const motet_profile_node *motet_profile_node_at(const motet_profile *profile, size_t index);

typedef struct motet_run_options {
    motet_cancel *cancel;   /* NULL: the run cannot be stopped */
    motet_profile *profile; /* NULL: nothing is measured */
} motet_run_options;

/* Fills in the defaults: NULLs. */
MOTET_API void motet_run_options_init(motet_run_options *options);

/* motet_session_run with options; NULL takes the defaults. Errors: those, and CANCELLED. */
MOTET_API MOTET_CHECKED motet_status motet_session_run_with(motet_session *session, const motet_run_options *options,
                                                            const char *const *input_names,
                                                            const motet_tensor *const *inputs, size_t input_count,
                                                            const char *const *output_names, motet_tensor **outputs,
                                                            size_t output_count);

#ifdef __cplusplus
}
#endif
#endif
