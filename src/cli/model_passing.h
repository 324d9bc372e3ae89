/* A list of the test cases that pass, kept in a file: progress is a difference in it, and a lost line is a failure. */
#ifndef MOTET_CLI_MODEL_PASSING_H
#define MOTET_CLI_MODEL_PASSING_H

#include <stdbool.h>
#include <stddef.h>

typedef struct name_list {
    char **names;
    size_t count;
} name_list;

bool names_add(name_list *list, const char *name); /* a copy of it; false: out of memory */
void names_free(name_list *list);

/* Compares what passed with the list in `path` (one that is not there yet is empty), says what is lost and gained
 * unless `quiet`, and with `update` writes the new list. Lines of cases that this run did not try stay:
 * tried are those below one of `roots` with `only` (unless NULL) in their name. True when no line is lost, or the list
 * is updated. */
bool passing_compare(const char *command, const char *path, bool update, const char *only, const name_list *roots,
                     name_list *passed, bool quiet);

#endif
