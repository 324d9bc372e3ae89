/* Failing: one line of text for the thread, one status for the caller.
 *
 *     return mt_fail(MOTET_ERROR_FORMAT, "%s: line %d: expected a number, found \"%s\"", path, line, word);
 *     MT_TRY(inner());                         hand a failure on as it is
 *     MT_TRY_AS(inner(), "model %s", path);    hand it on with "model x.onnx: " before its message
 */
#ifndef MT_CORE_STATUS_H
#define MT_CORE_STATUS_H

#include <stddef.h>

#include "motet/status.h"

#define MT_PRINTF(text, first) __attribute__((format(printf, text, first)))

/* Sets the thread's message and returns `status`. Messages longer than the buffer are cut. */
motet_status mt_fail(motet_status status, const char *format, ...) MT_PRINTF(2, 3);

/* Puts "prefix: " before the thread's message and returns `status`. */
motet_status mt_fail_in(motet_status status, const char *format, ...) MT_PRINTF(2, 3);

/* mt_fail for a failed allocation of `bytes`. */
motet_status mt_fail_memory(size_t bytes);

#define MT_TRY(call)                                                                                                   \
    do {                                                                                                               \
        motet_status mt_try_status = (call);                                                                           \
        if (mt_try_status != MOTET_OK) return mt_try_status;                                                           \
    } while (0)

#define MT_TRY_AS(call, ...)                                                                                           \
    do {                                                                                                               \
        motet_status mt_try_status = (call);                                                                           \
        if (mt_try_status != MOTET_OK) return mt_fail_in(mt_try_status, __VA_ARGS__);                                  \
    } while (0)

#endif
