/* What a recording leaves behind once the networks have heard it: motet/diarize.h has what can be done with it. */
#ifndef MT_DIARIZE_HEARD_H
#define MT_DIARIZE_HEARD_H

#include "diarize/record.h"
#include "diarize/speakers.h"
#include "motet/diarize.h"

/* Takes record and points over, which are empty then. threshold: the model's own; frame, duration: seconds. */
motet_status mt_heard_take(mt_record *record, mt_points *points, double threshold, double frame, double duration,
                           motet_heard **out);

#endif
