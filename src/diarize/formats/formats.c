/* The table of formats. */
#include "diarize/formats/formats.h"

#include "core/memory.h"

motet_status motet_diarization_write(const motet_diarization *diarization, motet_format format,
                                     const motet_document *document, char **text, size_t *length)
{
    static motet_status (*const writers[])(const motet_diarization *, const motet_document *, mt_text *) = {
        [MOTET_FORMAT_RTTM] = mt_write_rttm,
        [MOTET_FORMAT_JSON] = mt_write_json,
    };
    *text = NULL;
    if ((unsigned)format >= sizeof writers / sizeof *writers)
        return mt_fail(MOTET_ERROR_ARGUMENT, "%d is not an output format", (int)format);
    mt_text out = {0};
    motet_status status = writers[format](diarization, document, &out);
    if (status == MOTET_OK) return mt_text_take(&out, text, length);
    mt_free(out.bytes);
    return status;
}
