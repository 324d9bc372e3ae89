/* Fuzz target: any bytes as a model, through the loader, the graph and its passes, the plan, and one run on small
 * inputs of the declared types and shapes. */
#include "any_input.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    motet_session_options options;
    motet_session *session;
    motet_session_options_init(&options);
    options.threads = 1;
    if (motet_session_open_memory(bytes, size, &options, &session) != MOTET_OK) return 0;
    motet_run_options run = fuzz_run_options();
    motet_status status = any_run(session, &run);
    fuzz_run_ended();
    motet_session_close(session);
    (void)status; /* that the run fails is as good as that it does not */
    return 0;
}
