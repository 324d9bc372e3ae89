/* What looks at a run from outside: the wish to cancel it, and the profile that counts its time. */
#ifndef MT_ENGINE_WATCH_H
#define MT_ENGINE_WATCH_H

#include <stdatomic.h>

#include "graph/graph.h"
#include "motet/session.h"

struct motet_cancel {
    _Atomic int requested;
};

/* Adds one call of `seconds` to the node's line. */
motet_status mt_profile_add(motet_profile *profile, const mt_node *node, double seconds);

#endif
