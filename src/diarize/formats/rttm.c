/* RTTM, NIST "Rich Transcription 2009 Evaluation Plan", appendix A: ten fields separated by blanks, so that a file-id
 * and names must not hold any. Onset and duration in seconds; both are rounded, the duration so that the end is right
 * to 1 ms too. */
#include <math.h>

#include "diarize/formats/formats.h"

static void add_field(mt_text *text, const char *value)
{
    for (const unsigned char *c = (const unsigned char *)value; *c; c++)
        mt_text_add(text, "%c", *c <= ' ' || *c == 0x7f ? '_' : *c);
}

motet_status mt_write_rttm(const motet_diarization *diarization, const motet_document *document, mt_text *text)
{
    const char *file_id = document && document->file_id && *document->file_id ? document->file_id : "audio";
    for (size_t i = 0; i < diarization->turn_count; i++) {
        const motet_turn *turn = &diarization->turns[i];
        double start = round(turn->start * 1000) / 1000, end = round(turn->end * 1000) / 1000;
        if (end <= start) continue; /* under half a millisecond: RTTM has no turns of length 0 */
        mt_text_add(text, "SPEAKER ");
        add_field(text, file_id);
        mt_text_add(text, " 1 %.3f %.3f <NA> <NA> ", start, end - start);
        add_field(text, diarization->speakers[turn->speaker].label);
        mt_text_add(text, " <NA> <NA>\n");
    }
    return MOTET_OK;
}
