/* Why something failed, in one line, for tools that stand on the public API: the library keeps its own messages. */
#ifndef CONFORMANCE_REASON_H
#define CONFORMANCE_REASON_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

typedef struct reason {
    char text[1024];
} reason;

/* Fills in the reason and returns false, so that `return because(why, ...)` reads as one thought. */
__attribute__((format(printf, 2, 3))) static inline bool because(reason *why, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why->text, sizeof why->text, format, arguments);
    va_end(arguments);
    return false;
}

#endif
