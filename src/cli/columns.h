/* How much of a terminal's line a text takes. */
#ifndef MOTET_CLI_COLUMNS_H
#define MOTET_CLI_COLUMNS_H

#include <stddef.h>

/* The bytes of UTF-8 text that fit into `columns`, and the columns that they take. */
size_t columns_fit(const char *text, int columns, int *taken);

/* Copies what fits, filled up with spaces to exactly `columns`. size: that of `out`. */
void columns_pad(const char *text, int columns, char *out, size_t size);

#endif
