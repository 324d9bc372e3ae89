/* The working memory of one run, and running. */
#ifndef MT_ENGINE_RUN_H
#define MT_ENGINE_RUN_H

#include "engine/buffers.h"
#include "engine/shapes.h"
#include "engine/stock.h"
#include "motet/session.h"

typedef struct mt_run {
    const mt_plan *plan;
    mt_pool *pool;
    mt_stock *stock; /* what leaves with the outputs comes from there */
    bool reference;
    motet_tensor *slots;         /* every value that is computed; empty before it is and after its last use */
    const motet_tensor **in;     /* as mt_plan.in, but pointers */
    motet_tensor **out;          /* as mt_plan.out, but pointers */
    const motet_tensor **inputs; /* of the main graph */
    mt_buffers buffers;
    mt_buffer **scratch; /* of the operators that are at work, outermost first */
    size_t scratch_count, scratch_capacity;
    mt_known *known;        /* of the shapes of this run, or NULL */
    bool learning;          /* it is being filled in */
    motet_cancel *cancel;   /* of this run, or NULL */
    motet_profile *profile; /* likewise */
    double nested_seconds;  /* that nodes nested in the one at work have taken */
    struct mt_run *next;    /* for whoever keeps several */
} mt_run;

/* pool may be NULL; plan, pool and stock must outlive the run. A run is used by one thread at a time, as often as
 * wanted. */
motet_status mt_run_create(const mt_plan *plan, mt_pool *pool, mt_stock *stock, bool reference, mt_run **out);
void mt_run_destroy(mt_run *run); /* NULL is allowed */

/* Feeds input `index` of the main graph. */
void mt_run_feed(mt_run *run, int index, const motet_tensor *tensor);

/* Runs the main graph, all of whose inputs have been fed. */
motet_status mt_run_main(mt_run *run);

/* The tensor of a value after mt_run_main: of an output of the main graph. */
motet_tensor *mt_run_value(mt_run *run, int value);

/* Lets go of everything that was fed and computed, and keeps the memory for the next time. */
void mt_run_reset(mt_run *run);

#endif
