/* An input for a model that nobody knows: small, of the type and shape that the model declares. */
#ifndef TESTS_ANY_INPUT_H
#define TESTS_ANY_INPUT_H

#include "motet/session.h"

enum { ANY_INPUT_ELEMENTS = 4096, ANY_INPUT_FREE_SIZE = 2 };

static bool any_input_lacks_memory; /* why the last any_input returned NULL */

/* NULL when the declaration names no tensor type, or a size beyond ANY_INPUT_ELEMENTS. */
static motet_tensor *any_input(const motet_value_info *info)
{
    any_input_lacks_memory = false;
    int64_t dims[MOTET_MAX_RANK] = {0}, count = 1;
    motet_tensor *made;
    for (int i = 0; i < info->rank; i++) {
        dims[i] = info->dims[i] < 0 ? ANY_INPUT_FREE_SIZE : info->dims[i];
        if (dims[i] > ANY_INPUT_ELEMENTS) return NULL;
        count *= dims[i];
        if (count > ANY_INPUT_ELEMENTS) return NULL;
    }
    motet_status status = motet_tensor_create(info->type, info->rank < 0 ? 0 : info->rank, dims, &made);
    any_input_lacks_memory = status == MOTET_ERROR_MEMORY;
    if (status != MOTET_OK) return NULL;
    if (info->type == MOTET_FLOAT)
        for (int64_t i = 0; i < count; i++) ((float *)motet_tensor_data(made))[i] = (float)i - 1.5f;
    return made;
}

enum { ANY_RUN_VALUES = 8 };

/* Runs the model once on such inputs and lets go of what comes out. OK also when there are no such inputs. options may
 * be NULL. Errors: those of the run, and MEMORY. */
static motet_status any_run(motet_session *session, const motet_run_options *options)
{
    const char *input_names[ANY_RUN_VALUES], *output_names[ANY_RUN_VALUES];
    motet_tensor *inputs[ANY_RUN_VALUES] = {0}, *outputs[ANY_RUN_VALUES];
    size_t input_count = motet_session_input_count(session), output_count = motet_session_output_count(session);
    if (input_count > ANY_RUN_VALUES || output_count > ANY_RUN_VALUES) return MOTET_OK;
    motet_status status = MOTET_OK;
    bool complete = true;
    for (size_t i = 0; i < input_count; i++) {
        input_names[i] = motet_session_input(session, i)->name;
        inputs[i] = any_input(motet_session_input(session, i));
        complete = complete && inputs[i];
        if (!inputs[i] && any_input_lacks_memory) status = MOTET_ERROR_MEMORY;
    }
    for (size_t i = 0; i < output_count; i++) output_names[i] = motet_session_output(session, i)->name;
    if (complete)
        status = motet_session_run_with(session, options, input_names, (const motet_tensor *const *)inputs, input_count,
                                        output_names, outputs, output_count);
    for (size_t i = 0; complete && status == MOTET_OK && i < output_count; i++) motet_tensor_destroy(outputs[i]);
    for (size_t i = 0; i < input_count; i++) motet_tensor_destroy(inputs[i]);
    return status;
}

#endif
