/* One file a format; each writes a diarization as text. */
#ifndef MT_DIARIZE_FORMATS_H
#define MT_DIARIZE_FORMATS_H

#include "core/text.h"
#include "motet/diarize.h"

motet_status mt_write_rttm(const motet_diarization *diarization, const motet_document *document, mt_text *text);
motet_status mt_write_json(const motet_diarization *diarization, const motet_document *document, mt_text *text);

#endif
