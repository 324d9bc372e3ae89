/* newlocale of "C" allocates nothing in glibc and only sets this thread's locale for the length of the call. */
#include "core/number.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

static locale_t enter_c(locale_t *c)
{
    *c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return *c ? uselocale(*c) : (locale_t)0;
}

static void leave_c(locale_t c, locale_t before)
{
    if (!c) return;
    uselocale(before);
    freelocale(c);
}

double mt_parse_number(const char *text, char **end)
{
    locale_t c, before = enter_c(&c);
    double value = strtod(text, end);
    leave_c(c, before);
    return value;
}

int mt_print(char *text, size_t size, const char *format, va_list arguments)
{
    locale_t c, before = enter_c(&c);
    int length = vsnprintf(text, size, format, arguments);
    leave_c(c, before);
    return length;
}

int mt_format(char *text, size_t size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = mt_print(text, size, format, arguments);
    va_end(arguments);
    return length;
}
