/* What both kinds of capture are made of: a ring, a thread that fills it, and what that thread wants known. */
#ifndef MT_AUDIO_CAPTURE_H
#define MT_AUDIO_CAPTURE_H

#include <stdatomic.h>
#include <time.h>

#include "audio/ring.h"
#include "core/status.h"

struct motet_capture {
    mt_ring *ring;
    int rate;
    char *name;
    bool plays; /* a file */
    void (*close)(motet_capture *capture);
    atomic_bool connected;
    _Atomic(const char *) trouble;
    _Atomic double drift_ppm;
    _Atomic(int) status; /* of a file that broke */
    char message[512];   /* written before `status` */
};

static inline double mt_monotonic(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Frees what both kinds have; the thread has ended. */
void mt_capture_free(motet_capture *capture);

#endif
