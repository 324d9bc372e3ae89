/* A recording from its file to its diarization, without the accounts of time that `motet diarize` keeps. */
#ifndef MOTET_CLI_RECORDING_H
#define MOTET_CLI_RECORDING_H

#include "motet/diarize.h"

/* *out is owned by the caller. False when it failed, which has been said, or was interrupted. */
bool recording_diarize(const char *command, const char *path, motet_diarizer *diarizer, motet_diarization **out);

/* The same, but for the conclusions. */
bool recording_hear(const char *command, const char *path, motet_diarizer *diarizer, motet_heard **out);

#endif
