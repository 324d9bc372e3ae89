#include "diarize/options.h"

#include <math.h>

void motet_diarize_options_init(motet_diarize_options *options)
{
    *options = (motet_diarize_options){.hop = 1.0, .threshold = -1, .min_turn = 0.2, .min_gap = 0.5, .onset = -1};
}

motet_status mt_options_check(const motet_diarize_options *o)
{
    if (o->threads < 0 || o->threads > 1024)
        return mt_fail(MOTET_ERROR_ARGUMENT, "%d threads: expected 0 to 1024", o->threads);
    if (o->speakers < 0 || o->min_speakers < 0 || o->max_speakers < 0)
        return mt_fail(MOTET_ERROR_ARGUMENT, "a number of speakers cannot be negative");
    if (o->max_speakers && o->min_speakers > o->max_speakers)
        return mt_fail(MOTET_ERROR_ARGUMENT, "at least %d and at most %d speakers: no number is both", o->min_speakers,
                       o->max_speakers);
    if (o->speakers && (o->min_speakers || o->max_speakers))
        return mt_fail(MOTET_ERROR_ARGUMENT, "an exact number of speakers and bounds exclude each other");
    if (isnan(o->threshold) || o->threshold > 2)
        return mt_fail(MOTET_ERROR_ARGUMENT, "threshold %g: a cosine distance lies between 0 and 2", o->threshold);
    if (!(o->min_turn >= 0 && o->min_turn <= 3600) || !(o->min_gap >= 0 && o->min_gap <= 3600))
        return mt_fail(MOTET_ERROR_ARGUMENT, "shortest turn %g s, shortest pause %g s: expected 0 to 3600", o->min_turn,
                       o->min_gap);
    if (!(o->onset <= 1) || o->onset == 0)
        return mt_fail(MOTET_ERROR_ARGUMENT, "onset %g: expected a share of the votes, above 0 and up to 1", o->onset);
    return MOTET_OK;
}

/* Who asks for another threshold than the model's wants more speakers or fewer from the second cut, too. */
mt_speaker_rules mt_options_speakers(const motet_diarize_options *o, double threshold, double similarity)
{
    double scale = o->threshold < 0 || !(threshold > 0) ? 1 : o->threshold / threshold;
    return (mt_speaker_rules){.threshold = o->threshold < 0 ? (float)threshold : (float)o->threshold,
                              .one_person = (float)((1 - similarity) * scale),
                              .min = o->speakers ? o->speakers : o->min_speakers,
                              .max = o->speakers ? o->speakers : o->max_speakers,
                              .min_clean = 0.8f,
                              .min_speech = 9.0f,
                              .min_share = 0.03f,
                              .same_penalty = 0.5f};
}

mt_turn_rules mt_options_turns(const motet_diarize_options *o, double onset, double frame, double duration)
{
    return (mt_turn_rules){.frame = frame,
                           .duration = duration,
                           .exclusive = o->exclusive,
                           .min_turn = o->min_turn,
                           .min_gap = o->min_gap,
                           .onset = (float)(o->onset < 0 ? onset : o->onset)};
}
