/* What the scorer sees of a set of turns. */
#ifndef MT_SCORE_RTTM_H
#define MT_SCORE_RTTM_H

#include "core/arena.h"
#include "motet/score.h"

struct motet_rttm {
    motet_rttm_turn *turns;
    size_t count, capacity;
    size_t empty_turns;
    mt_arena names;
};

#endif
