/* The live view: on a terminal, what has been going on in the last half minute or so, a lane a speaker.
 *
 *     motet live   0:02:11   Built-in Audio Analog Stereo          |######----| -18 dB
 *
 *     > SPEAKER_00   0:51  |      #########                  ######=====###########|
 *       SPEAKER_01   0:23  |####              ######               =====            |
 *
 *                          |-40 s               -30 s                       now|
 *     latency 1.0 s + 9 ms (P99 31 ms), 0 late, 0 dropped, 0.0 s lost, drift +3 ppm         ^C ends
 *
 * It is drawn anew four times a second at the size the terminal has then, in one write, without colours and other
 * things that a terminal may not have. */
#ifndef MOTET_CLI_VIEW_H
#define MOTET_CLI_VIEW_H

#include <stdbool.h>

#include "motet/live.h"

typedef struct view view;

/* What the view cannot know from events. */
typedef struct view_state {
    double time;         /* seconds of the stream */
    double peak;         /* loudest sample since the last drawing, 0 to 1 */
    double latency;      /* as chosen */
    const char *source;  /* what is heard */
    const char *trouble; /* "" when all is well */
} view_state;

/* NULL when stderr is not a terminal, or there is no memory. */
view *view_open(void);
void view_close(view *v); /* the terminal is as it was; NULL is allowed */
void view_take(view *v, const char *channel, const motet_live_event *event);
bool view_draw(view *v, const view_state *state); /* false: it is too early for another picture */

#endif
