/* The thread's last message lives in thread-local storage: no lock, no allocation, so that even running out of memory
 * can be reported. */
#include "core/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/number.h"

enum { MESSAGE_BYTES = 2048 };

static _Thread_local char message[MESSAGE_BYTES];

const char *motet_status_name(motet_status status)
{
    switch (status) {
    case MOTET_OK: return "ok";
    case MOTET_ERROR_ARGUMENT: return "bad argument";
    case MOTET_ERROR_MEMORY: return "out of memory";
    case MOTET_ERROR_IO: return "input/output error";
    case MOTET_ERROR_FORMAT: return "bad format";
    case MOTET_ERROR_UNSUPPORTED: return "not supported";
    case MOTET_ERROR_SHAPE: return "shape mismatch";
    case MOTET_ERROR_LIMIT: return "limit exceeded";
    case MOTET_ERROR_CANCELLED: return "cancelled";
    case MOTET_ERROR_DIFFERENT: return "different";
    }
    return "unknown status";
}

const char *motet_error_message(void)
{
    return message;
}

const char *motet_version(void)
{
    return MOTET_VERSION_TEXT;
}

motet_status mt_fail(motet_status status, const char *format, ...)
{
    /* Formatted aside first: an argument may be the old message itself. */
    char text[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    mt_print(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(message, text, sizeof text);
    return status;
}

motet_status mt_fail_in(motet_status status, const char *format, ...)
{
    char text[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int length = mt_print(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t used = length < 0 ? 0 : (size_t)length;
    if (used < sizeof text) snprintf(text + used, sizeof text - used, ": %s", message);
    memcpy(message, text, sizeof text);
    return status;
}

motet_status mt_fail_memory(size_t bytes)
{
    return mt_fail(MOTET_ERROR_MEMORY, "out of memory asking for %zu bytes", bytes);
}
