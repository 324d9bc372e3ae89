/* Whom the tracker's speakers are shown as.
 *
 * Speakers who turn out to be one person, because the tracker merges them or because both have the same known voice,
 * form a tree, whose root is shown for all of them. What has been told stays: a tree once grown, a number, a name. */
#ifndef MT_LIVE_PERSONS_H
#define MT_LIVE_PERSONS_H

#include "live/tracker.h"
#include "live/turns.h"
#include "motet/live.h"

typedef struct mt_person {
    int number;        /* -1: has not been shown */
    int into;          /* -1: a root */
    bool merge_taken;  /* the tracker has merged him, and that is settled here */
    const char *name;  /* a root's, of a known voice; NULL: not known */
    const char *match; /* the known voice that his has matched of late ... */
    int matches;       /* ... in so many windows */
} mt_person;

typedef motet_status (*mt_event_teller)(void *user, motet_live_event *event);

typedef struct mt_persons {
    const motet_known *known; /* NULL: nobody is */
    motet_known_options matching;
    float evidence;    /* seconds of clean voice, as windows sum it up, that a name needs ... */
    int patience;      /* ... and in how many windows the voice must have matched */
    mt_person *people; /* a tracker's speaker each */
    size_t count, capacity;
    int next_number;
    mt_live_turns *turns; /* those of who is merged end */
    mt_event_teller tell;
    void *user;
} mt_persons;

/* hop, window: seconds. */
void mt_persons_init(mt_persons *persons, double hop, double window, mt_live_turns *turns, mt_event_teller tell,
                     void *user);
void mt_persons_free(mt_persons *persons); /* leaves nobody, but what is known */

/* Takes what the tracker has made of a window: tells merges and names. */
motet_status mt_persons_take(mt_persons *persons, const mt_tracker *tracker);

/* The speaker who is shown for this one. */
int mt_persons_root(const mt_persons *persons, int speaker);

/* His number and, when he is known, his name; he is told as new when he has no number yet. */
motet_status mt_persons_introduce(mt_persons *persons, int root, int *number, const char **name);

/* Roots that have been shown. */
int mt_persons_shown(const mt_persons *persons);

#endif
