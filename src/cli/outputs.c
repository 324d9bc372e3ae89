/* Every output is made in memory and written whole, so that a failure leaves nothing half-written. */
#include "outputs.h"

#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "motet/file.h"

bool outputs_make_folders(const settings *s)
{
    return (!s->output || s->output_is_file || cli_make_folder(s->command, s->output)) &&
           (!s->export_voices || cli_make_folder(s->command, s->export_voices));
}

static bool write_text(const char *command, const char *path, const char *text, size_t length)
{
    if (!path) return cli_print(command, text, length);
    if (motet_file_write(path, text, length) == MOTET_OK) return true;
    cli_say(command, "%s", motet_error_message());
    return false;
}

static bool write_format(const char *command, const settings *s, int which, const motet_diarization *result,
                         const motet_document *document)
{
    char path[PATH_MAX], *text;
    size_t length;
    settings_output_path(s, output_formats[which].name, document->file_id, path, sizeof path);
    if (motet_diarization_write(result, output_formats[which].format, document, &text, &length) != MOTET_OK) {
        cli_say(command, "%s: %s", document->source, motet_error_message());
        return false;
    }
    bool written = write_text(command, s->output ? path : NULL, text, length);
    motet_string_free(text);
    return written;
}

bool outputs_write_turns(const char *command, const settings *s, const motet_diarization *result,
                         const motet_document *document)
{
    for (int i = 0; i < FORMATS; i++)
        if (s->wanted[i] && !write_format(command, s, i, result, document)) return false;
    return true;
}

bool outputs_write_latency(const char *command, const settings *s, const char *source, const motet_latency *latency)
{
    char *text;
    size_t length;
    bool written = true;
    if (s->latency_report) {
        motet_latency_format format =
            !strcmp(ending_of(s->latency_report), "csv") ? MOTET_LATENCY_CSV : MOTET_LATENCY_JSON;
        if (motet_latency_write(latency, format, &text, &length) != MOTET_OK) {
            cli_say(command, "%s: %s", source, motet_error_message());
            return false;
        }
        written = write_text(command, s->latency_report, text, length);
        motet_string_free(text);
    }
    if (s->quiet || motet_latency_write(latency, MOTET_LATENCY_TABLE, &text, &length) != MOTET_OK) return written;
    fputs(text, stderr);
    motet_string_free(text);
    return written;
}
