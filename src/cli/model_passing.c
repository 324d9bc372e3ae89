#include "model_passing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "motet/file.h"

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

bool names_add(name_list *list, const char *name)
{
    char **grown = realloc(list->names, (list->count + 1) * sizeof *grown);
    char *copy = strdup(name);
    if (grown) list->names = grown;
    if (!grown || !copy) {
        free(copy);
        return false;
    }
    list->names[list->count++] = copy;
    return true;
}

void names_free(name_list *list)
{
    for (size_t i = 0; i < list->count; i++) free(list->names[i]);
    free(list->names);
    *list = (name_list){0};
}

static void names_sort(name_list *list)
{
    if (list->count) qsort(list->names, list->count, sizeof *list->names, by_name);
}

static bool names_have(const name_list *list, const char *name)
{
    return list->count && bsearch(&name, list->names, list->count, sizeof *list->names, by_name);
}

static bool names_read(name_list *list, const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file) return errno == ENOENT;
    char line[1024];
    bool good = true;
    while (good && fgets(line, sizeof line, file)) {
        line[strcspn(line, " #\r\n")] = 0;
        if (*line) good = names_add(list, line);
    }
    fclose(file);
    names_sort(list);
    return good;
}

static bool names_write(const name_list *list, const char *path)
{
    static const char first[] =
        "# The cases that pass, written by `motet model test --passing FILE --update`. A lost line fails the run.\n";
    size_t size = sizeof first - 1;
    for (size_t i = 0; i < list->count; i++) size += strlen(list->names[i]) + 1;
    char *text = malloc(size + 1), *at = text;
    if (!text) return false;
    at = stpcpy(at, first);
    for (size_t i = 0; i < list->count; i++) {
        at = stpcpy(at, list->names[i]);
        *at++ = '\n';
    }
    bool written = motet_file_write(path, text, size) == MOTET_OK;
    free(text);
    return written;
}

/* Whether `name` lies below one of the roots of this run. */
static bool below_a_root(const name_list *roots, const char *name)
{
    for (size_t i = 0; i < roots->count; i++) {
        size_t length = strlen(roots->names[i]);
        if (strncmp(name, roots->names[i], length) == 0 && name[length] == '/') return true;
    }
    return false;
}

bool passing_compare(const char *command, const char *path, bool update, const char *only, const name_list *roots,
                     name_list *passed, bool quiet)
{
    name_list listed = {0}, next = {0};
    size_t lost = 0, gained = 0;
    bool good = names_read(&listed, path);
    if (!good) cli_say(command, "%s: %s", path, strerror(errno));
    names_sort(passed);
    for (size_t i = 0; good && i < listed.count; i++) {
        const char *name = listed.names[i];
        bool tried = below_a_root(roots, name) && (!only || strstr(name, only));
        if (!tried) {
            good = names_add(&next, name);
        } else if (!names_have(passed, name)) {
            if (!quiet) printf("LOST  %s\n", name);
            lost++;
        }
    }
    for (size_t i = 0; good && i < passed->count; i++) {
        gained += !names_have(&listed, passed->names[i]);
        good = names_add(&next, passed->names[i]);
    }
    if (!quiet) printf("%zu lost, %zu gained, against %s\n", lost, gained, path);
    names_sort(&next);
    if (good && update && !names_write(&next, path)) {
        cli_say(command, "%s: cannot be written", path);
        good = false;
    }
    names_free(&listed);
    names_free(&next);
    return good && (lost == 0 || update);
}
