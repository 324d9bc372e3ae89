/* Turns while they happen: frames are decided up to a moving limit and never again, and what comes of them is told.
 *
 * The votes are those of diarize/turns.h, taken over the windows that still matter. A speaker's turn begins with a
 * frame of his, goes on over pauses shorter than min_gap, and ends when a pause has become longer. */
#ifndef MT_LIVE_TURNS_H
#define MT_LIVE_TURNS_H

#include <stdbool.h>

#include "diarize/record.h"
#include "diarize/turns.h"

typedef struct mt_live_turn {
    int64_t id;
    int speaker;
    int64_t start, end; /* frames */
    double votes;       /* summed over its frames */
    int64_t frames;     /* of them, pauses left out */
    enum { MT_TURN_STARTS, MT_TURN_GOES_ON, MT_TURN_ENDS } state;
    bool changed; /* and has not been told */
} mt_live_turn;

typedef motet_status (*mt_turn_teller)(void *user, const mt_live_turn *turn);

/* Whose turns the voices of a tracker's speaker make. */
typedef int (*mt_turn_person)(void *user, int speaker);

typedef struct mt_live_turns {
    mt_live_turn *open; /* in the order of their ids */
    size_t count, capacity;
    int64_t next_id;
    int64_t decided;  /* the frames before it are */
    int64_t last_end; /* of all turns */
    mt_turn_teller tell;
    mt_turn_person person;
    void *user;
} mt_live_turns;

void mt_live_turns_free(mt_live_turns *turns);

/* The first window that covers frames which are not decided. */
size_t mt_live_turns_first_window(const mt_live_turns *turns, const mt_record *record);

/* Decides the frames before `until`, of those before `heard` that there are. The voices of the windows from `from` on
 * have speakers. */
motet_status mt_live_turns_decide(mt_live_turns *turns, const mt_record *record, size_t from, int64_t until,
                                  int64_t heard, const mt_turn_rules *rules);

/* Ends the turn of a speaker, or with -1 all turns. */
motet_status mt_live_turns_end(mt_live_turns *turns, int speaker);

#endif
