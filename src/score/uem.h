/* What the scorer sees of a set of regions. */
#ifndef MT_SCORE_UEM_H
#define MT_SCORE_UEM_H

#include "core/arena.h"
#include "motet/score.h"

typedef struct mt_region {
    const char *file;
    double begin, end;
} mt_region;

struct motet_uem {
    mt_region *regions;
    size_t count, capacity;
    mt_arena names;
};

#endif
