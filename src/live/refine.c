/* See refine.h. */
#include "live/refine.h"

#include <math.h>
#include <stdio.h>

#include "core/status.h"

void mt_refiner_init(mt_refiner *r, double every, double frame)
{
    double delay = every / 4 < 10 ? 10 : every / 4 < 60 ? every / 4 : 60;
    *r = (mt_refiner){.every = llround(every / frame), .delay = llround((delay < every ? delay : every) / frame)};
    r->next = r->every;
}

static void *work(void *user)
{
    mt_refiner *r = user;
    r->status = mt_snapshot_assign(&r->snapshot);
    if (r->status != MOTET_OK) snprintf(r->message, sizeof r->message, "%s", motet_error_message());
    return NULL;
}

static motet_status begin(mt_refiner *r, const motet_diarizer *diarizer)
{
    r->next += r->delay;
    MT_TRY(mt_snapshot_take(diarizer, &r->snapshot));
    r->running = pthread_create(&r->thread, NULL, work, r) == 0;
    if (r->running) return MOTET_OK;
    mt_snapshot_free(&r->snapshot);
    return mt_fail(MOTET_ERROR_IO, "cannot start a thread");
}

static motet_status take_over(mt_refiner *r, const mt_record *record, mt_tracker *tracker)
{
    pthread_join(r->thread, NULL);
    r->running = false;
    r->next += r->every - r->delay;
    motet_status status = r->status == MOTET_OK
                              ? mt_tracker_adopt(tracker, record, &r->snapshot.record, r->snapshot.speakers)
                              : mt_fail(r->status, "%s", r->message);
    mt_snapshot_free(&r->snapshot);
    return status;
}

motet_status mt_refiner_step(mt_refiner *r, const motet_diarizer *diarizer, const mt_record *record,
                             mt_tracker *tracker, int64_t heard)
{
    if (!r->every || heard < r->next) return MOTET_OK;
    return r->running ? take_over(r, record, tracker) : begin(r, diarizer);
}

void mt_refiner_stop(mt_refiner *r)
{
    if (!r->running) return;
    pthread_join(r->thread, NULL);
    mt_snapshot_free(&r->snapshot);
    r->running = false;
}
