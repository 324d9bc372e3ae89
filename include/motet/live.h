/* Who is speaking, while they speak: samples in as they are captured, events out.
 *
 *     motet_live_options options;
 *     motet_live_options_init(&options);
 *     options.diarize.model = "models/motet-cnn.onnx";
 *     motet_live *live;
 *     motet_live_create(&options, &live);
 *     motet_live_listen(live, on_event, user);
 *     while (...) motet_live_push(live, samples, count, NULL);
 *     motet_diarization *result;
 *     motet_live_finish(live, &result);
 *
 * The windows, the network, the record and the votes are those of a diarizer (diarize.h), which a live session drives.
 * What it adds is a tracker that gives the voices to speakers while they are heard, and the turns that come of it as
 * events: a frame is decided at most `latency` after it was heard, and what has been shown stays. Speakers who turn out
 * to be one are merged by an event of its own. At the end the global pass, the same as for a file, gives the final
 * turns; every `refine` seconds it runs in the background too, and the tracker takes its speakers over.
 *
 * The same samples give the same events, however they were cut and however fast they came, unless windows were left out
 * (motet_live_behind). */
#ifndef MOTET_LIVE_H
#define MOTET_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "motet/diarize.h"
#include "motet/latency.h"
#include "motet/voices.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct motet_live_options {
    motet_diarize_options diarize; /* hop 0.5 here; the numbers of speakers bound the final turns alone */
    double latency;                /* seconds from a sound to its turn, the hop to 60: later is surer (default 1) */
    double refine;                 /* seconds between global passes in the background; 0: none (default 180) */
} motet_live_options;

MOTET_API void motet_live_options_init(motet_live_options *options);

/* --- events -------------------------------------------------------------------------------------------------- */

typedef enum motet_live_kind {
    MOTET_LIVE_SPEAKER_NEW,   /* speaker */
    MOTET_LIVE_SPEAKER_MERGE, /* speaker, into: what was shown of the one belongs to the other from now on */
    MOTET_LIVE_SPEAKER_NAME,  /* speaker, name: he is somebody known */
    MOTET_LIVE_TURN_START,    /* turn, speaker, start, end (so far), confidence */
    MOTET_LIVE_TURN_UPDATE,   /* the same: it goes on */
    MOTET_LIVE_TURN_END,      /* the same: end and confidence are settled */
    MOTET_LIVE_GAP,           /* start, end, reason: nothing was heard there */
    MOTET_LIVE_STATS,         /* stats */
    MOTET_LIVE_TURN_FINAL,    /* a turn of the global pass at the end: its speakers are numbered anew */
    MOTET_LIVE_KINDS
} motet_live_kind;

typedef struct motet_live_stats {
    double level;              /* loudest sample since the last one, dB of full scale (-100: silence) */
    double late_p50, late_p95; /* ms from capture to event, beyond the chosen latency */
    double late_p99, late_max;
    int64_t windows, misses, dropped; /* encoded; later than their hop; left out */
    double lost;                      /* seconds of gaps */
    double drift_ppm;                 /* the device's clock against the machine's */
    int64_t speakers;                 /* shown, merged ones left out */
} motet_live_stats;

typedef struct motet_live_event {
    motet_live_kind kind;
    double time;    /* seconds of the stream that had been heard */
    double late_ms; /* from the capture of the last of it, and of what had to be heard beyond, to this event: what comes
                       on top of the chosen latency; negative: not known */
    int64_t turn;   /* numbered from 0 */
    int speaker, into;  /* numbered from 0 in the order they are shown: "SPEAKER_00" */
    const char *name;   /* of the speaker, of a merge the one he is merged into, when he is known; NULL: he is not */
    double start, end;  /* seconds of the stream */
    double confidence;  /* 0 to 1, as in motet_turn; of a turn that is not final the share of the votes */
    const char *reason; /* of a gap */
    motet_live_stats stats;
} motet_live_event;

/* Called in the thread that pushes. A result other than 0 cancels: the push or finish returns MOTET_ERROR_CANCELLED. */
typedef int (*motet_live_listener)(void *user, const motet_live_event *event);

/* "turn_start", ... Static storage. */
MOTET_API const char *motet_live_kind_name(motet_live_kind kind);

/* The event as one line of JSON with its newline, as live.schema.json beside this file describes it. channel: the name
 * of the source, NULL when there is only one. wall: seconds since 1970. To be freed with motet_string_free. Errors:
 * MEMORY. */
MOTET_API MOTET_CHECKED motet_status motet_live_event_write(const motet_live_event *event, const char *channel,
                                                            double wall, char **text, size_t *length);

/* --- a session ----------------------------------------------------------------------------------------------- */

typedef struct motet_live motet_live;

/* Errors: those of motet_diarizer_create; ARGUMENT (latency, refine). */
MOTET_API MOTET_CHECKED motet_status motet_live_create(const motet_live_options *options, motet_live **out);
MOTET_API void motet_live_destroy(motet_live *live); /* NULL is allowed */
MOTET_API void motet_live_listen(motet_live *live, motet_live_listener listener, void *user);
MOTET_API const motet_diarizer_info *motet_live_describe(const motet_live *live);

/* From now on speakers are compared with known voices. Whoever has matched one for a while, with two seconds of speech
 * of his own, gets that name, and keeps it; two speakers of one name are merged. The final turns are named as
 * motet_known_name does it. known is kept by reference and must outlive the session; NULL: nobody is known. options as
 * for motet_known_match. */
MOTET_API void motet_live_know(motet_live *live, const motet_known *known, const motet_known_options *options);

/* Where samples come from in time. */
typedef struct motet_live_origin {
    double captured; /* CLOCK_MONOTONIC seconds at which the last sound that they needed was captured, what a resampler
                        hears ahead included; negative: not known */
    double resample_ms; /* time spent on resampling them */
} motet_live_origin;

/* Takes the next `count` mono samples in [-1, 1] at the rate that describe tells. origin NULL: nothing is known.
 * Errors: as for motet_diarizer_push. */
MOTET_API MOTET_CHECKED motet_status motet_live_push(motet_live *live, const float *samples, size_t count,
                                                     const motet_live_origin *origin);

/* Nothing was heard for `seconds`: the stream goes on with silence, so that time stays right, and an event tells why.
 * When more of it follows at once, an event with the same start tells the whole when it is over. reason: a few words in
 * lower case, static storage. Errors: as for motet_live_push. */
MOTET_API MOTET_CHECKED motet_status motet_live_gap(motet_live *live, double seconds, const char *reason);

/* Whether work is behind: as long as it is, windows are left out and counted, the oldest first. */
MOTET_API void motet_live_behind(motet_live *live, bool behind);

/* Tells the listener how things are (MOTET_LIVE_STATS). Errors: CANCELLED, MEMORY. */
MOTET_API MOTET_CHECKED motet_status motet_live_tell(motet_live *live, double drift_ppm);

/* Seconds of the stream so far, of them without speech up to now. */
MOTET_API double motet_live_time(const motet_live *live);
MOTET_API double motet_live_silence(const motet_live *live);

/* The account of time, a row a window; owned by the session. */
MOTET_API const motet_latency *motet_live_latency(const motet_live *live);

/* The end: the turns that are open end, the global pass runs and its turns are told as events. *out is owned by the
 * caller. The session is then empty and ready for another stream. */
MOTET_API MOTET_CHECKED motet_status motet_live_finish(motet_live *live, motet_diarization **out);

#ifdef __cplusplus
}
#endif
#endif
