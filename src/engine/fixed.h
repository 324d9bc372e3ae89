/* Finding what depends on shapes alone. */
#ifndef MT_ENGINE_FIXED_H
#define MT_ENGINE_FIXED_H

#include "engine/plan.h"

/* Fills in mt_plan.fixed, idle, known_place and known_count, which must be there and 0. */
motet_status mt_find_fixed(mt_plan *plan);

#endif
