/* Values that are to be read instead of others. */
#ifndef MT_GRAPH_PASSES_ALIAS_H
#define MT_GRAPH_PASSES_ALIAS_H

#include "graph/graph.h"

/* instead[v] is the value to read for v, MT_NO_VALUE for v itself. Chains are followed. */
typedef struct mt_aliases {
    int *instead;
} mt_aliases;

motet_status mt_aliases_create(const mt_model *model, mt_aliases *out);
void mt_aliases_clear(mt_aliases *aliases);

/* From now on `other` is read for `value`. */
void mt_aliases_set(mt_aliases *aliases, int value, int other);

/* The value that is read for `value` in the end. */
int mt_aliases_follow(mt_aliases *aliases, int value);

/* Rewrites what every node of the model reads and what every graph puts out. */
void mt_aliases_apply(mt_aliases *aliases, mt_model *model);

#endif
