/* Results into the files and formats that were asked for. What cannot be written is said, and false comes back. */
#ifndef MOTET_CLI_OUTPUTS_H
#define MOTET_CLI_OUTPUTS_H

#include "diarize_options.h"
#include "motet/latency.h"

/* The folders that are to hold them. */
bool outputs_make_folders(const settings *s);

/* The diarization in every format that is wanted. */
bool outputs_write_turns(const char *command, const settings *s, const motet_diarization *result,
                         const motet_document *document);

/* The latency report, and unless quiet the table on stderr. source: for messages. */
bool outputs_write_latency(const char *command, const settings *s, const char *source, const motet_latency *latency);

#endif
