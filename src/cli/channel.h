/* A channel of a live session: one source or several mixed, brought to the network's rate and to one time line. */
#ifndef MOTET_CLI_CHANNEL_H
#define MOTET_CLI_CHANNEL_H

#include "motet/capture.h"
#include "motet/live.h"

enum { MAX_FEEDS = 8 };

/* One source on its way into a channel. */
typedef struct feed {
    motet_capture *capture;
    motet_resampler *resampler;
    bool begun;
    int64_t shift;    /* from the capture's time line to the session's, in samples of the capture */
    int64_t next;     /* the sample that is expected, on the session's */
    int64_t position; /* samples at the network's rate that it has given */
    bool ended;
} feed;

typedef struct channel channel;

/* Takes what the channel heard, at the network's rate, silence of gaps included. */
typedef void (*channel_tap)(void *user, channel *channel, const float *samples, size_t count);

struct channel {
    const char *name; /* NULL: the only one */
    double *zero;     /* the session's: monotonic seconds of its first sound, negative before it */
    motet_live *live;
    feed feeds[MAX_FEEDS];
    int feed_count;
    float *mix; /* of several feeds: from mixed_to on, as far as any of them has come */
    size_t mix_length, mix_capacity;
    int64_t mixed_to;
    motet_live_origin mix_origin;
    channel_tap tap;
    void *user;
};

/* The channel takes the capture over, also when it fails. */
motet_status channel_add_feed(channel *c, motet_capture *capture);

/* Takes blocks that wait, not too many at a time. *moved: there were any. */
motet_status channel_take(channel *c, bool *moved);

bool channel_ended(const channel *c); /* nothing comes any more */
double channel_drift(const channel *c);
void channel_close(channel *c);

#endif
