/* The settings of a diarization, as a caller gives them, and the rules that follow from them. */
#ifndef MT_DIARIZE_OPTIONS_H
#define MT_DIARIZE_OPTIONS_H

#include "diarize/speakers.h"
#include "diarize/turns.h"
#include "motet/diarize.h"

/* Errors: ARGUMENT, with the setting that cannot be. */
motet_status mt_options_check(const motet_diarize_options *options);

/* threshold, similarity: the model's own. */
mt_speaker_rules mt_options_speakers(const motet_diarize_options *options, double threshold, double similarity);

/* onset: the model's own. frame, duration: seconds. */
mt_turn_rules mt_options_turns(const motet_diarize_options *options, double onset, double frame, double duration);

#endif
