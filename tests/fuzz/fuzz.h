/* What fuzz targets share. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/time.h>

#include "motet/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
const char *__asan_default_options(void);

/* A model may ask for any amount of memory; what counts is that it takes no for an answer. */
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1:max_allocation_size_mb=256";
}

/* --- loops that a file wants to go on for 2^60 rounds --------------------------------------------------------- */

static motet_cancel *fuzz_cancel;

static void fuzz_enough(int number)
{
    (void)number;
    motet_cancel_request(fuzz_cancel);
}

/* Options of a run that ends after 100 ms of processor time. */
static inline motet_run_options fuzz_run_options(void)
{
    static const struct itimerval limit = {.it_value = {.tv_usec = 100000}};
    motet_run_options options;
    motet_run_options_init(&options);
    if (!fuzz_cancel && motet_cancel_create(&fuzz_cancel) == MOTET_OK) signal(SIGVTALRM, fuzz_enough);
    if (!fuzz_cancel) return options;
    motet_cancel_reset(fuzz_cancel);
    setitimer(ITIMER_VIRTUAL, &limit, NULL);
    options.cancel = fuzz_cancel;
    return options;
}

static inline void fuzz_run_ended(void)
{
    static const struct itimerval none = {0};
    setitimer(ITIMER_VIRTUAL, &none, NULL);
}

/* --- choices --------------------------------------------------------------------------------------------------- */

/* Bytes taken as choices; 0 when there are none left. */
typedef struct fuzz_source {
    const uint8_t *at, *end;
} fuzz_source;

static inline unsigned fuzz_byte(fuzz_source *source)
{
    return source->at < source->end ? *source->at++ : 0;
}

/* Below `count`, which is at most 65536. */
static inline unsigned fuzz_choose(fuzz_source *source, unsigned count)
{
    unsigned value = fuzz_byte(source);
    if (count > 256) value = value << 8 | fuzz_byte(source);
    return value % count;
}

#endif
