/* Test cases in the layout of the ONNX backend tests: a folder with
 *
 *     model.onnx
 *     test_data_set_N/input_K.pb     what input K of the model is fed
 *     test_data_set_N/output_K.pb    what output K must be
 *     tolerance                      ours, optional: see compare.h
 */
#ifndef CONFORMANCE_CASES_H
#define CONFORMANCE_CASES_H

#include "compare.h"
#include "motet/session.h"
#include "reason.h"

typedef struct test_case {
    char *name;   /* "ROOT/path/below/the/root" */
    char *folder; /* where it lies */
} test_case;

typedef struct case_list {
    test_case *cases;
    size_t count, capacity;
} case_list;

/* Adds every case below `folder`, in the order of their names, as "root/...". */
bool cases_find(case_list *list, const char *root, const char *folder, reason *why);
void cases_free(case_list *list);

/* Loads the model once and runs it on all data sets. True when every output is as expected. */
bool case_run(const test_case *tested, const motet_session_options *options, distance *apart, reason *why);

#endif
