/* Who spoke when: samples in, speaker turns out.
 *
 *     motet_diarize_options options;
 *     motet_diarize_options_init(&options);
 *     options.model = "models/motet-cnn.onnx";
 *     motet_diarizer *diarizer;
 *     motet_diarizer_create(&options, &diarizer);
 *     while (...) motet_diarizer_push(diarizer, samples, count);
 *     motet_diarization *result;
 *     motet_diarizer_finish(diarizer, &result);
 *
 * Samples stream through 3-second windows, one every hop. A network tells for each window which of a few local speakers
 * is active in each frame, and gives each of them a voice vector. At the end the voice vectors of all windows are
 * clustered into speakers, overlapping windows vote on every frame, and the votes become turns.
 * Memory grows with what windows leave behind (voice vectors and packed activity), never with the samples themselves.
 */
#ifndef MOTET_DIARIZE_H
#define MOTET_DIARIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "motet/status.h"
#include "motet/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- settings ------------------------------------------------------------------------------------------------ */

typedef struct motet_diarize_options {
    const char *model;     /* path of a diarizer, a segmentation or a speech detector, needed */
    const char *embedding; /* path of a network that voices come from; NULL: from the model, which must be a diarizer */
    int threads;           /* 0: as many as the process may use */
    double hop;            /* seconds from one window to the next; rounded to the model's frame step */
    int speakers;          /* so many, as far as the voices can be told apart; 0: see min and max */
    int min_speakers;      /* at least; 0: no bound */
    int max_speakers;      /* at most; 0: no bound */
    double threshold;      /* cosine distance (0 to 2) at which clustering stops; negative: the model's own */
    bool exclusive;        /* never more than one speaker at a time */
    double min_turn;       /* seconds; shorter turns are dropped */
    double min_gap;        /* seconds; a speaker's shorter pauses are filled */
    double onset;          /* the share of the windows' votes, above 0 and up to 1, that makes speech: less hears more;
                            * negative: the model's own */
} motet_diarize_options;

MOTET_API void motet_diarize_options_init(motet_diarize_options *options);

/* --- what comes out ------------------------------------------------------------------------------------------ */

typedef struct motet_turn {
    double start, end; /* seconds from the first sample */
    int speaker;       /* index into speakers */
    double confidence; /* 0 to 1: how much of the turn is likely to be the speaker's, from all that is below */
    double overlap;    /* seconds of it during which somebody else speaks too */

    /* What speaks for the speaker: the windows' votes, and the voice of the windows that hear the turn, in proportion
     * to how long they hear it, against the voices of all speakers. */
    double share;            /* of the votes that the speaker got, their mean over the turn */
    int windows;             /* that hear it */
    double clean;            /* seconds that they hear the speaker alone, summed */
    double similarity;       /* cosine to the speaker; 0 when nothing is heard well */
    int rival;               /* the most similar of the others, an index into speakers; -1 when there is none */
    double rival_similarity; /* cosine to that one */
} motet_turn;

enum { MOTET_MAX_NAME = 63 }; /* bytes */

typedef struct motet_speaker {
    char label[MOTET_MAX_NAME + 1]; /* "SPEAKER_00", in the order of first appearance, or a name (voices.h) */
    double speech;                  /* seconds, the sum of the turns */
    double alone;                   /* seconds of them in which nobody else speaks */
    int turns;
    double confidence;  /* the mean over the turns, weighted by their length */
    const float *voice; /* the speaker's voice vector, unit length, voice_dims values; all 0 if never heard well */
} motet_speaker;

typedef struct motet_diarization {
    double duration; /* seconds of audio that came in */
    double final_ms; /* time that the global clustering, the votes and the turns took */
    size_t turn_count;
    motet_turn *turns; /* sorted by start, then speaker */
    size_t speaker_count;
    motet_speaker *speakers;
    int voice_dims;
    float *voices; /* voice_dims a speaker: what their `voice` points to */
} motet_diarization;

MOTET_API void motet_diarization_destroy(motet_diarization *diarization); /* NULL is allowed */

/* --- the diarizer -------------------------------------------------------------------------------------------- */

typedef struct motet_diarizer motet_diarizer;

/* What the network says of itself, and the settings in force. Strings are owned by the diarizer. */
typedef struct motet_diarizer_info {
    const char *model_path, *model_name, *model_version, *model_licence; /* "" when the model does not say */
    const char *embedding_path; /* "" when voices are the model's own, and then these three too */
    const char *embedding_name, *embedding_version, *embedding_licence;
    const char *voice_identity; /* 16 hexadecimal digits made from the bytes of the file that voices come from */
    int sample_rate;            /* Hz that push expects */
    double window;              /* seconds */
    double hop;                 /* seconds, after rounding */
    double frame;               /* seconds that one frame of activity stands for */
    int local_speakers;         /* the most that one window can tell apart */
    int voice_dims;             /* values of a voice vector */
    double threshold;
    double similarity; /* cosine that makes two voices one person's, as the model says */
    double onset;
    int threads;
    double load_ms; /* time that opening the model took */
} motet_diarizer_info;

/* Errors: those of motet_session_open; ARGUMENT (settings that cannot be); UNSUPPORTED and SHAPE when a model is not
 * what its description says, or the two networks do not go together. */
MOTET_API MOTET_CHECKED motet_status motet_diarizer_create(const motet_diarize_options *options, motet_diarizer **out);
MOTET_API void motet_diarizer_destroy(motet_diarizer *diarizer); /* NULL is allowed */
MOTET_API const motet_diarizer_info *motet_diarizer_describe(const motet_diarizer *diarizer);

/* Time spent on one chunk, one window's worth of work. decode and resample are left 0 by the diarizer, which sees
 * neither. */
typedef struct motet_chunk {
    int64_t index;
    double start; /* seconds, where the window begins */
    double decode_ms, resample_ms, encode_ms, cluster_ms;
} motet_chunk;

/* Called after every chunk, in the thread that pushes. A result other than 0 cancels: the push or finish returns
 * MOTET_ERROR_CANCELLED. `chunk` may be changed in place (decode_ms, resample_ms). */
typedef int (*motet_chunk_observer)(void *user, motet_chunk *chunk);
MOTET_API void motet_diarizer_observe(motet_diarizer *diarizer, motet_chunk_observer observer, void *user);

/* Takes the next `count` mono samples in [-1, 1]. Errors: MEMORY, CANCELLED, those of motet_session_run; after one,
 * only reset and destroy make sense. A diarizer belongs to one thread at a time; several diarizers may work in several.
 */
MOTET_API MOTET_CHECKED motet_status motet_diarizer_push(motet_diarizer *diarizer, const float *samples, size_t count);

/* What the network was last fed, [1, frames, bins] or [1, samples]; NULL before the first window. It belongs to the
 * diarizer and lasts until more is pushed. */
MOTET_API const motet_tensor *motet_diarizer_input(const motet_diarizer *diarizer);

/* The end of the recording: the last window, the global clustering, the turns. *out is owned by the caller. The
 * diarizer is then empty and ready for another recording. */
MOTET_API MOTET_CHECKED motet_status motet_diarizer_finish(motet_diarizer *diarizer, motet_diarization **out);

/* Forgets the recording under way. */
MOTET_API void motet_diarizer_reset(motet_diarizer *diarizer);

/* --- settings tried out --------------------------------------------------------------------------------------- */

/* What a recording leaves behind once the networks have heard it. It stands on its own. */
typedef struct motet_heard motet_heard;

/* The end of the recording, as motet_diarizer_finish, but for the conclusions, which are left for later. */
MOTET_API MOTET_CHECKED motet_status motet_diarizer_keep(motet_diarizer *diarizer, motet_heard **out);
MOTET_API void motet_heard_destroy(motet_heard *heard); /* NULL is allowed */

/* The clustering and the turns under these settings, as often as wished; hop, models and threads are those it was heard
 * with. Errors: ARGUMENT, MEMORY. */
MOTET_API MOTET_CHECKED motet_status motet_heard_conclude(const motet_heard *heard,
                                                          const motet_diarize_options *options,
                                                          motet_diarization **out);

/* --- writing it down ----------------------------------------------------------------------------------------- */

typedef enum motet_format { MOTET_FORMAT_RTTM, MOTET_FORMAT_JSON } motet_format;

/* What an output says beside the turns. Members may be NULL or 0 where they are not known. */
typedef struct motet_document {
    const char *file_id; /* RTTM field 2; blanks become '_' */
    const char *source;  /* path or name of the recording */
    const motet_diarizer_info *diarizer;
    const motet_diarize_options *options;
    double elapsed_s;                    /* processing time */
    const struct motet_latency *latency; /* latency.h */
} motet_document;

/* The diarization as text, a NUL-terminated string to be freed with motet_string_free.
 * RTTM: NIST Rich Transcription format, one SPEAKER line a turn, 3 decimals. JSON: schema in README.md. */
MOTET_API MOTET_CHECKED motet_status motet_diarization_write(const motet_diarization *diarization, motet_format format,
                                                             const motet_document *document, char **text,
                                                             size_t *length);

#ifdef __cplusplus
}
#endif
#endif
