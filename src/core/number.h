/* Numbers as text with a point, whatever locale the process is in: the library must read and write the same files in a
 * program that has called setlocale. */
#ifndef MT_CORE_NUMBER_H
#define MT_CORE_NUMBER_H

#include <stdarg.h>
#include <stddef.h>

/* strtod, snprintf and vsnprintf in the locale "C". */
double mt_parse_number(const char *text, char **end);
int mt_print(char *text, size_t size, const char *format, va_list arguments) __attribute__((format(printf, 3, 0)));
int mt_format(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
