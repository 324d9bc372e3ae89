/* Open addressing, at most half full. The hash starts from the table's address, which nobody outside the process knows:
 * a file cannot choose names that all fall on one place. */
#include "graph/names.h"

#include <stdint.h>
#include <string.h>

#include "core/memory.h"

static uint64_t mix(uint64_t value)
{
    value *= 0x9e3779b97f4a7c15u; /* 2^64 over the golden ratio */
    return value ^ value >> 29;
}

static size_t hash(const mt_names *names, const char *name)
{
    uint64_t state = (uintptr_t)names->places;
    size_t length = strlen(name);
    for (size_t at = 0; at < length; at += 8) {
        uint64_t word = 0;
        memcpy(&word, name + at, length - at < 8 ? length - at : 8);
        state = mix(mix(state ^ word) + length);
    }
    return (size_t)(state ^ state >> 32);
}

/* The place of `name`, or the free place where it belongs. */
static struct mt_name *place_of(const mt_names *names, const char *name)
{
    size_t at = hash(names, name) & (names->capacity - 1);
    while (names->places[at].name && strcmp(names->places[at].name, name)) at = (at + 1) & (names->capacity - 1);
    return &names->places[at];
}

static bool widen(mt_names *names)
{
    mt_names wider = {.count = names->count, .capacity = names->capacity ? names->capacity * 2 : 32};
    wider.places = mt_alloc_zero(wider.capacity, sizeof *wider.places);
    if (!wider.places) return false;
    for (size_t i = 0; i < names->capacity; i++) {
        if (names->places[i].name) *place_of(&wider, names->places[i].name) = names->places[i];
    }
    mt_free(names->places);
    *names = wider;
    return true;
}

bool mt_names_find(const mt_names *names, const char *name, int *out)
{
    if (!names->count) return false;
    const struct mt_name *place = place_of(names, name);
    if (!place->name) return false;
    *out = place->number;
    return true;
}

bool mt_names_add(mt_names *names, const char *name, int number)
{
    if (names->count * 2 >= names->capacity && !widen(names)) return false;
    *place_of(names, name) = (struct mt_name){name, number};
    names->count++;
    return true;
}

void mt_names_set(mt_names *names, const char *name, int number)
{
    place_of(names, name)->number = number;
}

void mt_names_clear(mt_names *names)
{
    mt_free(names->places);
    *names = (mt_names){0};
}
