/* The prints that are exported are named after whom they are of, or after the recording and the speaker's label, so
 * that prints of many recordings can lie in one folder. */
#include "voices.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "motet/file.h"

static const char UNKNOWN[] = "SPEAKER_";

/* As much of the recording's name as there is room for, cut between characters. */
static void name_print(const char *file_id, const char *label, char name[MOTET_MAX_NAME + 1])
{
    size_t room = MOTET_MAX_NAME - strlen(label), length = strlen(file_id);
    if (strncmp(label, UNKNOWN, strlen(UNKNOWN))) {
        snprintf(name, MOTET_MAX_NAME + 1, "%s", label);
        return;
    }
    if (length >= room)
        for (length = room - 1; length && ((unsigned char)file_id[length] & 0xc0) == 0x80; length--) continue;
    snprintf(name, MOTET_MAX_NAME + 1, "%.*s %s", (int)length, file_id, label);
}

static motet_status export(const char *folder, const char *file_id, const motet_diarizer_info *model,
                           const motet_diarization *result, size_t speaker)
{
    char name[MOTET_MAX_NAME + 1], path[PATH_MAX], *text, file[MOTET_MAX_NAME + 1];
    const char *label = result->speakers[speaker].label;
    size_t length;
    motet_voiceprint *print;
    name_print(file_id, label, name);
    snprintf(file, sizeof file, "%s", label);
    for (char *c = file; *c; c++)
        if (*c == '/') *c = '_';
    snprintf(path, sizeof path, "%s/%s-%s.json", folder, file_id, file);
    motet_status status = motet_voiceprint_create(name, model, &print);
    if (status != MOTET_OK) return status;
    status = motet_voiceprint_add(print, result, speaker);
    if (status == MOTET_OK) status = motet_voiceprint_write(print, &text, &length);
    if (status == MOTET_OK) {
        status = motet_file_write(path, text, length);
        motet_string_free(text);
    }
    motet_voiceprint_destroy(print);
    return status;
}

bool voices_export(const char *command, const char *folder, const char *file_id, const motet_diarizer_info *model,
                   const motet_diarization *result)
{
    for (size_t k = 0; k < result->speaker_count; k++)
        if (export(folder, file_id, model, result, k) != MOTET_OK) {
            cli_say(command, "%s: the voice of %s: %s", file_id, result->speakers[k].label, motet_error_message());
            return false;
        }
    return true;
}
