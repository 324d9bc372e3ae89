/* Names of a folder are gathered and sorted first: the order a folder gives them in is nobody's. */
#include "core/sources.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/memory.h"
#include "core/text.h"

typedef struct names {
    char **items;
    size_t count, capacity;
} names;

static bool ends_with(const char *name, const char *ending)
{
    size_t length = strlen(name), wanted = strlen(ending);
    return length > wanted && strcmp(name + length - wanted, ending) == 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static motet_status add_name(names *all, const char *folder, const char *name)
{
    if (!mt_reserve((void **)&all->items, all->count, &all->capacity, sizeof *all->items))
        return mt_fail_memory(all->capacity * sizeof *all->items);
    mt_text path = {0};
    mt_text_add(&path, "%s%s%s", folder, ends_with(folder, "/") ? "" : "/", name);
    MT_TRY(mt_text_take(&path, &all->items[all->count], NULL));
    all->count++;
    return MOTET_OK;
}

static motet_status list_folder(const char *folder, const char *extension, names *all)
{
    DIR *open = opendir(folder);
    if (!open) return mt_fail(MOTET_ERROR_IO, "%s: %s", folder, strerror(errno));
    motet_status status = MOTET_OK;
    for (struct dirent *entry; status == MOTET_OK && (entry = readdir(open));)
        if (ends_with(entry->d_name, extension)) status = add_name(all, folder, entry->d_name);
    closedir(open);
    MT_TRY(status);
    if (!all->count) return mt_fail(MOTET_ERROR_FORMAT, "%s: the folder has no *%s file", folder, extension);
    qsort(all->items, all->count, sizeof *all->items, compare_names);
    return MOTET_OK;
}

static void free_names(names *all)
{
    for (size_t i = 0; i < all->count; i++) mt_free(all->items[i]);
    mt_free(all->items);
}

motet_status mt_each_source(const char *path, const char *extension,
                            motet_status (*read)(void *target, const char *file), void *target)
{
    struct stat at;
    if (stat(path, &at) != 0) return mt_fail(MOTET_ERROR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISDIR(at.st_mode)) return read(target, path);
    names all = {0};
    motet_status status = list_folder(path, extension, &all);
    for (size_t i = 0; status == MOTET_OK && i < all.count; i++) status = read(target, all.items[i]);
    free_names(&all);
    return status;
}
