/* What `motet diarize` is asked to do, and the part of it that `motet live` shares. */
#ifndef MOTET_CLI_DIARIZE_OPTIONS_H
#define MOTET_CLI_DIARIZE_OPTIONS_H

#include <limits.h>
#include <stdbool.h>

#include "motet/audio.h"
#include "motet/diarize.h"
#include "motet/voices.h"

enum { FORMATS = 2 };

typedef struct output_format {
    const char *name; /* on the command line, and the ending of files */
    motet_format format;
} output_format;

extern const output_format output_formats[FORMATS];

enum {
    OPTION_LATENCY = 256,
    OPTION_MIN_SPEAKERS,
    OPTION_MAX_SPEAKERS,
    OPTION_THRESHOLD,
    OPTION_EXCLUSIVE,
    OPTION_KNOWN,
    OPTION_SIMILARITY,
    OPTION_MARGIN,
    OPTION_EXPORT_VOICES,
    OPTION_MIN_TURN,
    OPTION_MIN_GAP,
    OPTION_ONSET,
    OPTION_EXPLAIN,
    OPTION_CHANNEL,
    OPTION_RAW_RATE,
    OPTION_RAW_CHANNELS,
    OPTION_PARTIAL,
    OPTION_HOP,
    OPTION_REALTIME,
    OPTION_SPEED,
    OPTION_LIVE_LATENCY,
    OPTION_REFINE
};

typedef struct settings {
    const char *command; /* for messages */
    motet_diarize_options diarize;
    motet_audio_options audio;
    bool wanted[FORMATS];
    bool events; /* lines of JSON while it runs */
    bool realtime;
    double speed, latency, refine; /* 0, 0 and negative: not given */
    const char *output;            /* NULL: standard output */
    bool output_is_file;
    const char *latency_report;
    const char *known; /* voice prints; NULL: none */
    motet_known_options matching;
    bool matching_given;
    const char *export_voices; /* a folder; NULL: not wanted */
    double explain;            /* seconds: the turns at that time; negative: not wanted */
    bool partial, quiet;
    char model[PATH_MAX], embedding[PATH_MAX]; /* where shipped ones were found */
    char **files;
    int file_count;
} settings;

/* Reads the command line. False when there is nothing to do: *code is then the exit status (help, misuse). */
bool settings_read(settings *s, int argc, char **argv, int *code);

/* The defaults; and one option, by its letter or its number above. False when its text is not what it should be, which
 * has been said. */
void settings_init(settings *s, const char *command);
bool settings_set(settings *s, int option, const char *text);

/* Finds out what --output means, and which formats are wanted. False when they do not go together. */
bool settings_settle_output(settings *s);

/* Whether what is said of matching has voices to match. */
bool settings_check_known(const settings *s);

/* Finds the model, when none is given. */
bool settings_find_model(settings *s);

/* Where a result will be written (not for standard output). */
void settings_output_path(const settings *s, const char *ending, const char *file_id, char *path, size_t size);

/* Whether files can be made where they are to go, asked before the work rather than after it. */
bool settings_check_places(const settings *s);

/* The name of a recording in outputs: the file's, without folder and ending. */
void name_recording(const char *path, char *id, size_t size);

/* "json" of "out/x.json", "" when there is none. */
const char *ending_of(const char *path);

#endif
