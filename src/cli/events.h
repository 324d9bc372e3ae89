/* Where the events of a live session go: lines of JSON for programs, lines or a picture for people. */
#ifndef MOTET_CLI_EVENTS_H
#define MOTET_CLI_EVENTS_H

#include <stdio.h>

#include "diarize_options.h"
#include "motet/live.h"
#include "view.h"

typedef struct event_sink {
    const char *command;
    FILE *json;   /* NULL: nobody wants them */
    view *view;   /* for people, NULL: none */
    bool lines;   /* instead of it, on stderr */
    bool failed;  /* the lines of JSON could not be written to their end */
    double began; /* monotonic seconds */
} event_sink;

/* file_id: the name of the session in outputs. False when the file cannot be made, which has been said. */
bool event_sink_open(event_sink *sink, const char *command, const settings *s, const char *file_id, bool wants_view);
void event_sink_close(event_sink *sink);

/* The picture is over; what follows goes to the terminal as it was. */
void event_sink_end(event_sink *sink);

/* channel: its name, NULL when there is only one. False when whoever read the events has gone. */
bool event_sink_take(event_sink *sink, const char *channel, const motet_live_event *event);

#endif
