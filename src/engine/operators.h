/* From nodes to the functions that compute them. */
#ifndef MT_ENGINE_OPERATORS_H
#define MT_ENGINE_OPERATORS_H

#include "graph/graph.h"

/* Looks up the operator of every node. UNSUPPORTED names all that are missing, with domain, version and count. */
motet_status mt_find_operators(mt_model *model);

#endif
