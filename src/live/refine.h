/* The global pass in the background: begun at one moment of the stream, taken over at a later one, so that the events
 * do not depend on how fast it was. */
#ifndef MT_LIVE_REFINE_H
#define MT_LIVE_REFINE_H

#include <pthread.h>
#include <stdbool.h>

#include "diarize/diarizer.h"
#include "live/tracker.h"

typedef struct mt_refiner {
    int64_t every, delay; /* frames; every 0: never */
    int64_t next;         /* frame at which it begins or, while it runs, is taken over */
    bool running;
    pthread_t thread;
    mt_snapshot snapshot;
    motet_status status;
    char message[256]; /* of a failure */
} mt_refiner;

/* every: seconds, 0: never. */
void mt_refiner_init(mt_refiner *refiner, double every, double frame);

/* `heard` frames have been heard: begins a pass, or takes one over, when it is time to. */
motet_status mt_refiner_step(mt_refiner *refiner, const motet_diarizer *diarizer, const mt_record *record,
                             mt_tracker *tracker, int64_t heard);

/* Waits for a pass that is under way and forgets it. */
void mt_refiner_stop(mt_refiner *refiner);

#endif
