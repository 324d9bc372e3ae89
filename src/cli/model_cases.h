/* Test cases in the layout of the ONNX backend tests: a folder with
 *
 *     model.onnx
 *     test_data_set_N/input_K.pb     what input K of the model is fed
 *     test_data_set_N/output_K.pb    what output K must be
 *     tolerance                      ours, optional: lines "KEY VALUE" that replace the default tolerance, the keys
 *                                    being the fields of motet_tolerance; # begins a comment */
#ifndef MOTET_CLI_MODEL_CASES_H
#define MOTET_CLI_MODEL_CASES_H

#include "model.h"
#include "motet/compare.h"

typedef struct model_case {
    char *name;   /* "ROOT/path/below/the/root" */
    char *folder; /* where it lies */
} model_case;

typedef struct model_case_list {
    model_case *cases;
    size_t count, capacity;
} model_case_list;

/* What came of a case. Plain bytes, so that it can go through a pipe. */
typedef struct model_outcome {
    bool passed;
    motet_distance distance;
    char why[1024];
} model_outcome;

/* Adds every case in or below `folder`, in the order of their names, as "root/..."; false when that fails, with the
 * reason in `why`. */
bool model_cases_find(model_case_list *list, const char *root, const char *folder, char why[static 1024]);
void model_cases_free(model_case_list *list);

/* Loads the model once and runs it on all data sets. */
void model_case_run(const model_case *tested, const motet_session_options *options, model_outcome *outcome);

#endif
