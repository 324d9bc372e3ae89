/* What speaks for a turn's speaker, and what for somebody else (motet_turn has the terms). */
#ifndef MT_DIARIZE_EVIDENCE_H
#define MT_DIARIZE_EVIDENCE_H

#include "diarize/record.h"
#include "motet/diarize.h"

/* Fills in what turns say of it, their confidence too. numbers[k]: the diarization's speaker that the record's speaker k is, or -1. frame:
 * seconds. */
motet_status mt_evidence_find(const mt_record *record, int speakers, const int *numbers, double frame,
                              motet_diarization *diarization);

#endif
