/* The profile finds a node's line by name and type, not by where the node is in memory, so that it can outlive plans.
 */
#include "engine/watch.h"

#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "graph/names.h"

/* --- cancelling ----------------------------------------------------------------------------------------------- */

motet_status motet_cancel_create(motet_cancel **out)
{
    *out = mt_alloc(sizeof **out);
    if (!*out) return mt_fail_memory(sizeof **out);
    atomic_init(&(*out)->requested, 0);
    return MOTET_OK;
}

void motet_cancel_destroy(motet_cancel *cancel)
{
    mt_free(cancel);
}

void motet_cancel_request(motet_cancel *cancel)
{
    atomic_store(&cancel->requested, 1);
}

void motet_cancel_reset(motet_cancel *cancel)
{
    atomic_store(&cancel->requested, 0);
}

/* --- the profile ---------------------------------------------------------------------------------------------- */

struct motet_profile {
    mt_arena arena; /* of names */
    mt_names names; /* "name\ntype\ndomain" to line */
    motet_profile_node *lines;
    size_t count, capacity;
};

motet_status motet_profile_create(motet_profile **out)
{
    *out = mt_alloc_zero(1, sizeof **out);
    return *out ? MOTET_OK : mt_fail_memory(sizeof **out);
}

void motet_profile_destroy(motet_profile *profile)
{
    if (!profile) return;
    mt_names_clear(&profile->names);
    mt_free(profile->lines);
    mt_arena_clear(&profile->arena);
    mt_free(profile);
}

static motet_status add_line(motet_profile *profile, const mt_node *node, const char *key, int *out)
{
    if (!mt_reserve((void **)&profile->lines, profile->count, &profile->capacity, sizeof *profile->lines))
        return mt_fail_memory(sizeof *profile->lines);
    char *kept = mt_arena_string(&profile->arena, key);
    motet_profile_node line = {.name = mt_arena_string(&profile->arena, node->name),
                               .type = mt_arena_string(&profile->arena, node->type),
                               .domain = mt_arena_string(&profile->arena, node->domain)};
    if (!kept || !line.name || !line.type || !line.domain || !mt_names_add(&profile->names, kept, (int)profile->count))
        return mt_fail_memory(strlen(key));
    *out = (int)profile->count;
    profile->lines[profile->count++] = line;
    return MOTET_OK;
}

motet_status mt_profile_add(motet_profile *profile, const mt_node *node, double seconds)
{
    enum { KEY_BYTES = 1024 };
    char key[KEY_BYTES];
    int line;
    snprintf(key, sizeof key, "%.600s\n%.200s\n%.200s", node->name, node->type, node->domain);
    if (!mt_names_find(&profile->names, key, &line)) MT_TRY(add_line(profile, node, key, &line));
    profile->lines[line].calls++;
    profile->lines[line].seconds += seconds;
    return MOTET_OK;
}

const motet_profile_node *motet_profile_node_at(const motet_profile *profile, size_t index)
{
    return index < profile->count ? &profile->lines[index] : NULL;
}
