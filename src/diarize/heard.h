/* What a recording leaves behind once the networks have heard it: motet/diarize.h has what can be done with it. */
#ifndef MT_DIARIZE_HEARD_H
#define MT_DIARIZE_HEARD_H

#include "diarize/model.h"
#include "diarize/record.h"
#include "diarize/speakers.h"
#include "motet/diarize.h"

/* Takes record and points over, which are empty then. duration: seconds. */
motet_status mt_heard_take(mt_record *record, mt_points *points, const mt_model_description *model, double duration,
                           motet_heard **out);

#endif
