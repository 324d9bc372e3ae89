/* Fuzz target: any bytes as a model. What opens is run once on small inputs of the declared types and shapes.
 *
 * Loops are opened but not run, as a file may well ask for 2^60 rounds. */
#include <stdbool.h>
#include <string.h>

#include "any_input.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    motet_session_options options;
    motet_session *session;
    motet_session_options_init(&options);
    options.threads = 1;
    if (motet_session_open_memory(bytes, size, &options, &session) != MOTET_OK) return 0;
    motet_status status = MOTET_OK;
    if (!mentions(bytes, size, "Loop") && !mentions(bytes, size, "Scan")) status = any_run(session);
    motet_session_close(session);
    (void)status; /* that the run fails is as good as that it does not */
    return 0;
}
