/* Fuzz target: any bytes as a model. What opens is run once on small inputs of the declared types and shapes.
 *
 * Loops are opened but not run, as a file may well ask for 2^60 rounds. */
#include <stdbool.h>
#include <string.h>

#include "motet/session.h"

enum { MAX_VALUES = 8, MAX_ELEMENTS = 4096, FREE_SIZE = 2 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
const char *__asan_default_options(void);

/* A model may ask for any amount of memory; what counts is that it takes no for an answer. */
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1:max_allocation_size_mb=256";
}

static bool mentions(const uint8_t *bytes, size_t size, const char *word)
{
    size_t length = strlen(word);
    for (size_t i = 0; i + length <= size; i++)
        if (memcmp(bytes + i, word, length) == 0) return true;
    return false;
}

/* A tensor of the declared type and shape, or NULL when that is none or too large. */
static motet_tensor *make_input(const motet_value_info *info)
{
    int64_t dims[MOTET_MAX_RANK], count = 1;
    motet_tensor *made;
    for (int i = 0; i < info->rank; i++) {
        dims[i] = info->dims[i] < 0 ? FREE_SIZE : info->dims[i];
        if (dims[i] > MAX_ELEMENTS) return NULL;
        count *= dims[i];
        if (count > MAX_ELEMENTS) return NULL;
    }
    if (motet_tensor_create(info->type, info->rank < 0 ? 0 : info->rank, dims, &made) != MOTET_OK) return NULL;
    if (info->type == MOTET_FLOAT)
        for (int64_t i = 0; i < count; i++) ((float *)motet_tensor_data(made))[i] = (float)i - 1.5f;
    return made;
}

static void run(motet_session *session)
{
    const char *input_names[MAX_VALUES], *output_names[MAX_VALUES];
    motet_tensor *inputs[MAX_VALUES] = {0}, *outputs[MAX_VALUES];
    size_t input_count = motet_session_input_count(session), output_count = motet_session_output_count(session);
    if (input_count > MAX_VALUES || output_count > MAX_VALUES) return;
    bool complete = true;
    for (size_t i = 0; i < input_count; i++) {
        input_names[i] = motet_session_input(session, i)->name;
        inputs[i] = make_input(motet_session_input(session, i));
        complete = complete && inputs[i];
    }
    for (size_t i = 0; i < output_count; i++) output_names[i] = motet_session_output(session, i)->name;
    if (complete && motet_session_run(session, input_names, (const motet_tensor *const *)inputs, input_count,
                                      output_names, outputs, output_count) == MOTET_OK)
        for (size_t i = 0; i < output_count; i++) motet_tensor_destroy(outputs[i]);
    for (size_t i = 0; i < input_count; i++) motet_tensor_destroy(inputs[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    motet_session_options options;
    motet_session *session;
    motet_session_options_init(&options);
    options.threads = 1;
    if (motet_session_open_memory(bytes, size, &options, &session) != MOTET_OK) return 0;
    if (!mentions(bytes, size, "Loop") && !mentions(bytes, size, "Scan")) run(session);
    motet_session_close(session);
    return 0;
}
