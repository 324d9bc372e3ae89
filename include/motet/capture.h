/* Sound as it happens: sources of the sound server (PulseAudio, or PipeWire, which speaks its protocol), or a file
 * played at the speed of sound in their place.
 *
 * A thread of its own captures, in blocks of about ten milliseconds, into a ring that needs no locks; whoever works on
 * the blocks takes them out. When he is too slow for too long, the oldest are written over: block numbers tell.
 *
 * The time line is the machine's monotonic clock: a block's `start` says where it stands, in samples from the first one
 * that came. When the server goes away, the device vanishes or the machine sleeps, the capture goes on
 * trying (waiting a little longer each time, 2 s at most), and the next block simply stands later; `why` tells what
 * happened. A device whose clock runs differently is followed by leaving out or skipping a few milliseconds when it has
 * drifted by 20. `captured` is when the server handed the sound over: what it kept it for before is not known. */
#ifndef MOTET_CAPTURE_H
#define MOTET_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "motet/audio.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- what there is ------------------------------------------------------------------------------------------- */

typedef struct motet_device {
    char *name;        /* what --source takes: the server's name for it */
    char *description; /* for people */
    bool monitor;      /* hears what a sink plays */
    bool chosen;       /* the default source, or the monitor of the default sink */
    int rate, channels;
} motet_device;

typedef struct motet_devices {
    char *server; /* its name and version */
    size_t count;
    motet_device *items;
} motet_devices;

/* Errors: IO (no server to be reached), MEMORY. */
MOTET_API MOTET_CHECKED motet_status motet_devices_list(motet_devices **out);
MOTET_API void motet_devices_destroy(motet_devices *devices); /* NULL is allowed */

/* --- capturing ----------------------------------------------------------------------------------------------- */

enum { MOTET_BLOCK_SAMPLES = 1024 };

typedef struct motet_block {
    int64_t start;   /* where it stands on the time line, in samples */
    int count;       /* samples in it; 0: only to say that there is nothing before `start` */
    bool end;        /* nothing comes any more: the file is over, or broken */
    double captured; /* CLOCK_MONOTONIC seconds at which its last sample was captured */
    const char *why; /* what happened before it, NULL: nothing. Static storage */
    float samples[MOTET_BLOCK_SAMPLES];
} motet_block;

typedef struct motet_capture motet_capture;

/* source: a name as motet_devices_list gives it, "default" for the server's default source, followed when that moves,
 * or "monitor" for what the default sink plays. Errors: IO: no server, or no such source; MEMORY. */
MOTET_API MOTET_CHECKED motet_status motet_capture_open(const char *source, motet_capture **out);

/* Plays a recording `speed` times as fast as sound (0.1 to 1000). Blocks wait for a place in the ring, so nothing is
 * lost when work is slow. Errors: as for motet_audio_open. */
MOTET_API MOTET_CHECKED motet_status motet_capture_play(const char *path, const motet_audio_options *options,
                                                        double speed, motet_capture **out);

MOTET_API void motet_capture_close(motet_capture *capture); /* NULL is allowed */

MOTET_API int motet_capture_rate(const motet_capture *capture);         /* Hz */
MOTET_API const char *motet_capture_name(const motet_capture *capture); /* for people; owned by the capture */

/* A descriptor that becomes readable when there are blocks, to poll. */
MOTET_API int motet_capture_descriptor(const motet_capture *capture);

/* Takes the oldest block; false when there is none. */
MOTET_API bool motet_capture_read(motet_capture *capture, motet_block *block);

typedef struct motet_capture_state {
    bool connected;      /* a source is being heard */
    double backlog;      /* seconds of sound that wait in the ring; 0 for a file, which waits itself */
    double drift_ppm;    /* how much faster than the machine's clock the device's runs; 0 for a file */
    int64_t overwritten; /* blocks that were lost because nobody took them */
    const char *trouble; /* what keeps it from being connected, "" when it is. Static storage */
} motet_capture_state;

MOTET_API void motet_capture_look(motet_capture *capture, motet_capture_state *state);

/* Why a played file ended before its end: the status of the read, with its message; MOTET_OK when it did not. */
MOTET_API MOTET_CHECKED motet_status motet_capture_verdict(motet_capture *capture);

#ifdef __cplusplus
}
#endif
#endif
