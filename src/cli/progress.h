/* How far the work is: one line that is written over on a terminal, a plain line every tenth otherwise. */
#ifndef MOTET_CLI_PROGRESS_H
#define MOTET_CLI_PROGRESS_H

#include <stdbool.h>

typedef struct progress {
    const char *name; /* of the recording */
    double total;     /* seconds of audio; negative: not known */
    bool quiet, terminal;
    double began, shown_at; /* monotonic seconds */
    int tenths;             /* shown so far, when not a terminal */
    bool drawn;
} progress;

void progress_begin(progress *p, const char *name, double total, bool quiet);
void progress_show(progress *p, double done); /* seconds of audio */
void progress_end(progress *p);               /* clears the line */

double monotonic_seconds(void);

#endif
