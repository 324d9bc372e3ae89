/* From names to numbers: a hash table for the values of a graph. */
#ifndef MT_GRAPH_NAMES_H
#define MT_GRAPH_NAMES_H

#include <stdbool.h>
#include <stddef.h>

typedef struct mt_names {
    struct mt_name {
        const char *name; /* NULL: free */
        int number;
    } * places;
    size_t count, capacity; /* capacity: a power of two, or 0 */
} mt_names;                 /* all zero: empty */

/* The number of `name` into *out; false when it is not there. */
bool mt_names_find(const mt_names *names, const char *name, int *out);

/* Adds a name that is not there yet; the text must outlive the table. False: out of memory. */
bool mt_names_add(mt_names *names, const char *name, int number);

/* Gives a name that is there another number. */
void mt_names_set(mt_names *names, const char *name, int number);

void mt_names_clear(mt_names *names);

#endif
