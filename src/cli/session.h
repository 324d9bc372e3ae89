/* A live session from its first block to its last output: `motet live`, and `motet diarize --realtime`. */
#ifndef MOTET_CLI_SESSION_H
#define MOTET_CLI_SESSION_H

#include "channel.h"
#include "diarize_options.h"

typedef struct session_request {
    const char *command;      /* for messages */
    const settings *settings; /* model, formats, outputs, latency report, quiet */
    motet_live_options live;
    const char *file_id, *source; /* the name in outputs, and what was heard */
    const char *record;           /* a FLAC file, or NULL */
    double length, silence;       /* seconds after which it ends; 0: never */
    bool view;                    /* show what goes on, on a terminal */
} session_request;

typedef struct session session;

/* A session without sources; NULL when there is no memory (and it has been said). */
session *session_create(const session_request *request);

enum { SESSION_SOURCES = MAX_FEEDS };

/* Takes the capture over, also when it fails; at most SESSION_SOURCES times. name: the channel it goes to, NULL for the
 * only one. EXIT_DONE, or the exit status with which to end. */
int session_add(session *s, const char *name, motet_capture *capture);

/* Runs it to its end and destroys it; the exit status. */
int session_run(session *s);
void session_destroy(session *s);

#endif
