/* Known voices: whose voice is this?
 *
 *     motet_voiceprint *print;                                      // enrolment
 *     motet_voiceprint_create("Anna", motet_diarizer_describe(diarizer), &print);
 *     ... one diarization a recording of hers, made with options.speakers = 1:
 *     motet_voiceprint_add(print, result, 0);
 *     motet_voiceprint_write(print, &text, &length);
 *
 *     motet_known *known;                                           // later, on a meeting
 *     motet_known_open("voices/", motet_diarizer_describe(diarizer), &known);
 *     motet_known_name(known, NULL, result);
 *
 * A voice print is one vector, the mean of what a diarizer model heard, and says which model that was: vectors of two
 * models have nothing to do with each other, so prints of another one are refused. It is a biometric of a person: keep
 * it as you would keep a recording.
 *
 * The file is JSON, readable by anything:
 *
 *     {"voiceprint": 1, "name": "Anna", "model": {"name": "motet-cnn", "version": "0.2", "identity": "16 hex digits"},
 *      "seconds": 21.4, "vector": [...]}
 *
 * identity is motet_diarizer_info.voice_identity; seconds is the speech it was made from; the vector has unit length.
 */
#ifndef MOTET_VOICES_H
#define MOTET_VOICES_H

#include "motet/diarize.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- one voice ----------------------------------------------------------------------------------------------- */

typedef struct motet_voiceprint motet_voiceprint;

/* An empty one. Errors: ARGUMENT (a name that is empty, longer than MOTET_MAX_NAME bytes, not UTF-8, with control
 * characters in it, or that begins with SPEAKER_ as those of unknown speakers do), MEMORY. */
MOTET_API MOTET_CHECKED motet_status motet_voiceprint_create(const char *name, const motet_diarizer_info *model,
                                                             motet_voiceprint **out);
MOTET_API void motet_voiceprint_destroy(motet_voiceprint *print); /* NULL is allowed */

/* Adds a speaker's voice, in proportion to the seconds in which he alone speaks. The diarization must be of the model
 * the print was created for. Errors: ARGUMENT (no such speaker; vectors of another length). */
MOTET_API MOTET_CHECKED motet_status motet_voiceprint_add(motet_voiceprint *print, const motet_diarization *diarization,
                                                          size_t speaker);

MOTET_API double motet_voiceprint_seconds(const motet_voiceprint *print); /* of speech added so far */

/* The file's text, to be freed with motet_string_free. Errors: ARGUMENT when nothing has been added; MEMORY. */
MOTET_API MOTET_CHECKED motet_status motet_voiceprint_write(const motet_voiceprint *print, char **text, size_t *length);

/* --- many ---------------------------------------------------------------------------------------------------- */

/* Not changed by matching: several threads may match at once. */
typedef struct motet_known motet_known;

/* Reads a voice print, or every .json file of a folder, for use with this model. Several prints of one name are
 * several sides of one voice. Errors, naming the file: IO; FORMAT (not a voice print); UNSUPPORTED (another model's).
 */
MOTET_API MOTET_CHECKED motet_status motet_known_open(const char *path, const motet_diarizer_info *model,
                                                      motet_known **out);
MOTET_API void motet_known_destroy(motet_known *known); /* NULL is allowed */

typedef struct motet_known_options {
    double similarity; /* cosine, -1 to 1, that a voice must reach to be taken for a known one; below -1: what the
                        * model says (models/README.md) */
    double margin;     /* that much it must be more similar to it than to anybody else known */
} motet_known_options;

MOTET_API void motet_known_options_init(motet_known_options *options);

typedef struct motet_match {
    bool known;            /* similar enough, and by the margin more than to anybody else */
    const char *name;      /* the most similar one, whether it is enough or not; owned by `known` */
    double similarity;     /* cosine */
    const char *runner_up; /* the most similar one of another name; NULL when there is none */
    double runner_up_similarity;
} motet_match;

/* voice: unit length, as in motet_speaker.voice. options may be NULL: the defaults. */
MOTET_API void motet_known_match(const motet_known *known, const float *voice, const motet_known_options *options,
                                 motet_match *out);

/* Puts names in place of the labels of speakers that are known; the others keep theirs. Speakers found to be one known
 * person become one speaker. Errors: ARGUMENT (vectors of another length than this model's), MEMORY. */
MOTET_API MOTET_CHECKED motet_status motet_known_name(const motet_known *known, const motet_known_options *options,
                                                      motet_diarization *diarization);

#ifdef __cplusplus
}
#endif
#endif
