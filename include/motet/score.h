/* How far a diarization is from a reference: diarization error rate (DER) and Jaccard error rate (JER).
 *
 *     motet_rttm *reference, *hypothesis;
 *     motet_rttm_create(&reference);
 *     motet_rttm_read(reference, "reference.rttm");
 *     ...
 *     motet_score_report *report;
 *     motet_score_run(reference, hypothesis, NULL, NULL, &report);
 *     printf("%.2f %%\n", 100 * motet_score_pooled(report)->der);
 *
 * All times are seconds from the beginning of the recording; all rates are fractions (0.25 is 25 %).
 *
 * What is scored. A recording is known by its file id, RTTM field 2. The scored regions U are those of the UEM, or
 * without one the single stretch from the first onset to the last end of reference and hypothesis together. Turns of
 * one speaker that overlap are merged; turns that merely touch (to 1e-8 s) stay two.
 *
 * DER (NIST RT-09 evaluation plan; md-eval-22). Over all stretches of S, what is left of U after the collar and, if so
 * wished, the overlapped speech of the reference are taken out, with d the length of a stretch, n_ref and n_hyp the
 * speakers active in it, and n_map those of n_ref whose mapped partner is active:
 *
 *     scored      = sum of d n_ref
 *     missed      = sum of d max(n_ref - n_hyp, 0)
 *     false alarm = sum of d max(n_hyp - n_ref, 0)
 *     confusion   = sum of d (min(n_ref, n_hyp) - n_map)
 *     DER         = (missed + false alarm + confusion) / scored
 *
 * With nothing to score the DER is 0, or 1 if there is a false alarm.
 * The mapping pairs each reference speaker with at most one hypothesis speaker so that the time both speak is greatest.
 *
 * JER (DIHARD II evaluation plan). For a reference speaker and its partner 1 - |both| / |either|, and 1 without a
 * partner; a file's JER is the mean over its reference speakers. A file without reference speech has 1, or 0 if the
 * hypothesis is silent as well.
 *
 * Two conventions are in use for the same words, and their numbers differ by up to a factor of two:
 *
 *                      MOTET_SCORE_MD_EVAL (md-eval, dscore)            MOTET_SCORE_PYANNOTE (pyannote.metrics)
 *     collar c removes t - c to t + c around a reference boundary t     t - c/2 to t + c/2
 *     boundaries       of turns as cut by U, as dscore hands them over  of whole turns
 *     mapping          the greatest common time in U                    the greatest common time in S
 *     JER              over U, in frames of 10 ms (a frame belongs to   over S, exact, with the mapping of the DER
 *                      the turn its beginning lies in), with the
 *                      mapping that makes the JER itself least
 *
 * Files are pooled by adding up: DER as the errors of all over the scored time of all, JER as the mean over the
 * reference speakers of all files. */
#ifndef MOTET_SCORE_H
#define MOTET_SCORE_H

#include <stdbool.h>
#include <stddef.h>

#include "motet/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- turns of any number of recordings ------------------------------------------------------------------------- */

typedef struct motet_rttm motet_rttm;

typedef struct motet_rttm_turn {
    const char *file, *speaker;
    double onset, duration;
} motet_rttm_turn;

MOTET_API MOTET_CHECKED motet_status motet_rttm_create(motet_rttm **out);
MOTET_API void motet_rttm_destroy(motet_rttm *rttm); /* NULL is allowed */

/* Adds the turns of an RTTM file, or of all the files of a folder whose names end in .rttm. Of RTTM (NIST RT-09
 * evaluation plan, appendix A) the lines of type SPEAKER count: file id, channel (ignored: the recording is one),
 * onset, duration, two fields that are ignored, speaker, and one or two more. Other types of that plan, comments (;;)
 * and blank lines are passed over, turns without duration as well.
 *
 * Errors: IO; FORMAT, naming the file, line and field: too few fields, an unknown type, not a number, negative; LIMIT:
 * a file over 1 GiB, a time over 1e9 s; MEMORY. After an error the set holds the turns read until then. */
MOTET_API MOTET_CHECKED motet_status motet_rttm_read(motet_rttm *rttm, const char *path);

/* Adds one turn; the strings are copied. Errors: ARGUMENT: NULL or empty names, times that are negative, NaN or over
 * 1e9 s; MEMORY. */
MOTET_API MOTET_CHECKED motet_status motet_rttm_add(motet_rttm *rttm, const motet_rttm_turn *turn);

MOTET_API size_t motet_rttm_count(const motet_rttm *rttm);

/* Turn `index` in the order they were added; false when there is none. The strings last as long as the set. */
MOTET_API bool motet_rttm_get(const motet_rttm *rttm, size_t index, motet_rttm_turn *out);

/* How many turns were passed over because their duration is 0. */
MOTET_API size_t motet_rttm_empty_turns(const motet_rttm *rttm);

/* --- scored regions -------------------------------------------------------------------------------------------- */

typedef struct motet_uem motet_uem;

MOTET_API MOTET_CHECKED motet_status motet_uem_create(motet_uem **out);
MOTET_API void motet_uem_destroy(motet_uem *uem); /* NULL is allowed */

/* Adds the regions of a UEM file, or of all the files of a folder whose names end in .uem. A line is: file id, channel
 * (ignored), begin, end; lines that begin with ; are comments. Regions that overlap are merged. A file id that the
 * reference does not have is tried without its extension ("ES2005a.sph" for "ES2005a").
 * Errors as for motet_rttm_read; an end before its begin is FORMAT. */
MOTET_API MOTET_CHECKED motet_status motet_uem_read(motet_uem *uem, const char *path);

/* Adds one region; the string is copied. Errors: ARGUMENT, MEMORY. */
MOTET_API MOTET_CHECKED motet_status motet_uem_add(motet_uem *uem, const char *file, double begin, double end);

/* --- scoring --------------------------------------------------------------------------------------------------- */

typedef enum motet_score_convention { MOTET_SCORE_MD_EVAL, MOTET_SCORE_PYANNOTE } motet_score_convention;

typedef struct motet_score_options {
    motet_score_convention convention;
    double collar;     /* seconds, as the convention counts them */
    bool skip_overlap; /* leave out where two reference speakers or more are active */
} motet_score_options;

/* Fills in the defaults: md-eval, collar 0, overlap scored. */
MOTET_API void motet_score_options_init(motet_score_options *options);

/* One recording, or all of them together. */
typedef struct motet_score {
    const char *file;                      /* NULL: all together */
    double scored;                         /* s of reference speech in S, each speaker counted: what DER divides by */
    double missed, false_alarm, confusion; /* s, each speaker counted */
    double der, jer;                       /* fractions */
    double region;                         /* s of S */
    double speech;                         /* s of S in which anybody speaks in the reference */
    double missed_speech;                  /* s of it in which the hypothesis is silent */
    double false_alarm_speech;             /* s of S in which only the hypothesis has speech */
    size_t reference_speakers;             /* heard in U; for all together the sum over the files */
    size_t hypothesis_speakers;
    bool no_hypothesis; /* the hypothesis does not have the file: all is missed */
} motet_score;

/* Why a file is not scored. */
typedef enum motet_score_reason {
    MOTET_SCORE_NO_REFERENCE, /* the hypothesis or the UEM has it, the reference does not */
    MOTET_SCORE_NOT_IN_UEM    /* a UEM is given, and has no region of it */
} motet_score_reason;

typedef struct motet_score_omission {
    const char *file;
    motet_score_reason reason;
} motet_score_omission;

typedef struct motet_score_report motet_score_report;

/* Scores every file of the reference. uem NULL: see above; options NULL takes the defaults. The report stands on its
 * own: the sets may go. Errors: ARGUMENT: a collar that is negative or not finite; LIMIT: more than 1024 speakers in
 * one file; MEMORY. */
MOTET_API MOTET_CHECKED motet_status motet_score_run(const motet_rttm *reference, const motet_rttm *hypothesis,
                                                     const motet_uem *uem, const motet_score_options *options,
                                                     motet_score_report **out);
MOTET_API void motet_score_report_destroy(motet_score_report *report); /* NULL is allowed */

/* Scored files in the order of their ids (bytewise); NULL when the index is out of range. Owned by the report. */
MOTET_API size_t motet_score_file_count(const motet_score_report *report);
MOTET_API const motet_score *motet_score_file(const motet_score_report *report, size_t index);
MOTET_API const motet_score *motet_score_pooled(const motet_score_report *report);

/* Files that were not scored, in the order of their ids. */
MOTET_API size_t motet_score_omission_count(const motet_score_report *report);
MOTET_API const motet_score_omission *motet_score_omission_at(const motet_score_report *report, size_t index);

typedef enum motet_score_format { MOTET_SCORE_TABLE, MOTET_SCORE_JSON, MOTET_SCORE_CSV } motet_score_format;

/* The report as text, a NUL-terminated string to be freed with motet_string_free; rates in percent. Collar, convention
 * and treatment of overlap are always part of it. Errors: MEMORY. */
MOTET_API MOTET_CHECKED motet_status motet_score_report_write(const motet_score_report *report,
                                                              motet_score_format format, char **text, size_t *length);

#ifdef __cplusplus
}
#endif
#endif
