/* Out of memory: for every k, the k-th allocation and all after it fail while a model is opened and run. Each time
 * there must be an error that says so, nothing leaks (under a sanitizer), and if the session is open, its next run
 * works.
 *
 *     oom_session MODEL...
 */
#include <stdio.h>

#include "any_input.h"
#include "core/memory.h"

static int complain(const char *path, long k, const char *what)
{
    fprintf(stderr, "%s: allocation %ld: %s: %s\n", path, k, what, motet_error_message());
    return 1;
}

/* One attempt; *status is what opening and running came to, `sound` what they come to with memory enough: some models
 * cannot be run. */
static int attempt(const char *path, long k, motet_status sound, motet_status *status)
{
    motet_session_options options;
    motet_session *session;
    motet_session_options_init(&options);
    options.threads = 1;
    mt_memory_fail_at(k);
    *status = motet_session_open(path, &options, &session);
    bool open = *status == MOTET_OK;
    if (open) *status = any_run(session, NULL);
    mt_memory_fail_at(-1);
    int failed = 0;
    if (*status != sound && *status != MOTET_ERROR_MEMORY) failed = complain(path, k, "not an error of memory");
    if (open && any_run(session, NULL) != sound) failed = complain(path, k, "the next run is another");
    motet_session_close(session);
    return failed;
}

static int sweep(const char *path)
{
    enum { MOST = 100000 };
    motet_status status = MOTET_ERROR_MEMORY, sound;
    motet_session *session;
    int failed = 0;
    long k = 0;
    sound = motet_session_open(path, NULL, &session);
    if (sound == MOTET_OK) sound = any_run(session, NULL);
    motet_session_close(session);
    for (; status == MOTET_ERROR_MEMORY && k < MOST; k++) failed |= attempt(path, k, sound, &status);
    printf("%s: %ld allocations\n", path, k - 1);
    return failed | (status != sound);
}

int main(int count, char **paths)
{
    int failed = 0;
    for (int i = 1; i < count; i++) failed |= sweep(paths[i]);
    return failed;
}
