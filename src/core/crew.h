/* How many of a pool's workers may join its loops: those whose processors other processes do not want.
 *
 * A worker that has joined a loop must be waited for, and where another process wants its processor, that takes the
 * rest of a scheduler's slice, some milliseconds, loop after loop. So account is kept of the time that the caller of
 * the loops waits longer than a block can take. When a good part of all time goes that way, one worker fewer may join.
 * It comes back by a trial, which costs the caller nothing: a worker that nobody waits for just looks at the clock for
 * a while, and comes back when it was never held up. Trials that fail follow each other at growing intervals.
 *
 * Nothing here looks at a clock or starts a thread: times are given, in seconds from any origin. */
#ifndef MT_CORE_CREW_H
#define MT_CORE_CREW_H

#include <stdbool.h>
#include <stddef.h>

typedef struct mt_crew {
    int size, joining;        /* workers that there are, and that may join */
    double worked, lost;      /* in the window of time that is looked at */
    double pause, next_trial; /* how long the next pause is, when this one ends */
} mt_crew;

/* Everybody may join. */
void mt_crew_init(mt_crew *crew, int size);

/* A loop, when it is over. */
typedef struct mt_loop_account {
    double start, end, time; /* its caller worked from `start` to `end`, and waited for workers till `time` */
    size_t done;             /* blocks that the caller did */
    bool crowded;            /* a worker stayed out, as it had no processor but the caller's */
} mt_loop_account;

void mt_crew_account(mt_crew *crew, const mt_loop_account *loop);

/* True when a worker that may not join is to be tried. */
bool mt_crew_wants_trial(const mt_crew *crew, double time);

/* The trial is over. */
void mt_crew_judge(mt_crew *crew, bool passed, double time);

typedef enum mt_trial_state { MT_TRIAL_GOES_ON, MT_TRIAL_PASSED, MT_TRIAL_FAILED } mt_trial_state;

typedef struct mt_trial {
    double start, seen, lost; /* asked for at `start`, last seen to run at `seen` */
} mt_trial;

/* A trial that was asked for at `start`. */
void mt_trial_init(mt_trial *trial, double start);

/* The worker runs at `time`; to be called all the time. */
mt_trial_state mt_trial_look(mt_trial *trial, double time);

#endif
