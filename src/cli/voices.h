/* What `motet diarize` does with voices: --known and --export-voices. */
#ifndef MOTET_CLI_VOICES_H
#define MOTET_CLI_VOICES_H

#include "motet/voices.h"

/* A print of every speaker as FOLDER/FILE_ID-LABEL.json. False when that failed, which has been said. */
bool voices_export(const char *command, const char *folder, const char *file_id, const motet_diarizer_info *model,
                   const motet_diarization *result);

#endif
