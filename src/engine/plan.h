/* A graph laid out for running: everything that does not depend on the inputs is decided here, once. */
#ifndef MT_ENGINE_PLAN_H
#define MT_ENGINE_PLAN_H

#include <stdatomic.h>

#include "engine/keeper.h"
#include "graph/graph.h"
#include "ops/op.h"

/* One node: where its tensors are, and which values nobody reads after it. Slots are indices into the tensors of a run;
 * `in` and `out` are indices into the lists of pointers of a run. */
typedef struct mt_step {
    const mt_node *node;
    int version;
    int in, in_count;
    int out, out_count;
    int release, release_count; /* in mt_plan.releases */
} mt_step;

/* The steps of one graph, the main one or a nested one. */
typedef struct mt_step_range {
    int first, count;
} mt_step_range;

typedef struct mt_plan {
    const mt_model *model;
    mt_step *steps;
    int *releases; /* value numbers */
    int *in;       /* value numbers or MT_NO_VALUE: the inputs of all steps, one after the other, and after those
                      of each step a place where it keeps what it makes of its attributes */
    int *out;      /* slots: the outputs of all steps, likewise */
    mt_step_range *graphs; /* by mt_graph.number */
    int step_count, release_count, in_count, out_count;
    /* MT_LAYOUTS for each of `in`: what operators have made of constants, NULL before they have. */
    _Atomic(const void *) *kept;
    mt_keeper *keeper; /* which owns it */
    int slots;         /* the values, and one for every output that nobody reads */
    bool *fixed;       /* by step: of the main graph, and the same in every run on inputs of the same shapes */
    bool *idle;        /* by step: fixed, or only fixed steps read what it makes: not run where that is known */
    int *known_place;  /* by value: its place among those that fixed steps make for others to read, or -1 */
    int known_count;   /* of those */
    bool *leaves;      /* by slot: what it holds will be an output of the main graph, itself or in another shape */
} mt_plan;

/* All nodes must have their operators. The model, and the file that it was made of, must outlive the plan and stay as
 * they are. `cache` is as for mt_keeper_create.
 */
motet_status mt_plan_create(const mt_model *model, const mt_file *file, mt_cache *cache, mt_plan **out);
void mt_plan_destroy(mt_plan *plan); /* NULL is allowed */

#endif
