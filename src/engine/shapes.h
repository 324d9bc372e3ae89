/* What a run computes that depends on nothing but the shapes of its inputs: it is computed once for each set of shapes,
 * and then it is known. A session remembers the shapes it has seen last. */
#ifndef MT_ENGINE_SHAPES_H
#define MT_ENGINE_SHAPES_H

#include <pthread.h>

#include "engine/plan.h"

/* What is known for one set of shapes. */
typedef struct mt_known {
    int references;        /* under the lock of mt_shapes */
    int64_t *shapes;       /* rank and dimensions of every input of the main graph */
    size_t shapes_count;   /* elements of it */
    motet_tensor *tensors; /* by mt_plan.known_place */
    size_t bytes;          /* that they take */
    bool whole;            /* false: they would take too much, so nothing is known */
} mt_known;

enum { MT_SHAPES_MOST = 8 };

typedef struct mt_shapes {
    const mt_plan *plan;
    pthread_mutex_t lock;
    mt_known *entries[MT_SHAPES_MOST]; /* used last first */
    int count;
} mt_shapes;

void mt_shapes_init(mt_shapes *shapes, const mt_plan *plan);
void mt_shapes_clear(mt_shapes *shapes);

/* What is known for these inputs, tensors of the main graph in its order; NULL when it has not seen their shapes. */
mt_known *mt_shapes_find(mt_shapes *shapes, const motet_tensor *const *inputs);

/* An empty one for these inputs, NULL when memory is short. A run fills it in by mt_known_keep. */
mt_known *mt_known_create(const mt_plan *plan, const motet_tensor *const *inputs);

/* Keeps a copy of a value that has been computed, if others read it (mt_plan.known_place). */
motet_status mt_known_keep(mt_known *known, const mt_plan *plan, int value, const motet_tensor *tensor);

/* Remembers it, once filled in, in place of the one used longest ago. */
void mt_shapes_add(mt_shapes *shapes, mt_known *known);

/* Lets go of what mt_shapes_find or mt_known_create gave. NULL is allowed. */
void mt_shapes_leave(mt_shapes *shapes, mt_known *known);

#endif
