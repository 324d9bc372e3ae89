/* The global pass on copies of what it changes, so that it can run again, or beside a recording that goes on. */
#ifndef MT_DIARIZE_SNAPSHOT_H
#define MT_DIARIZE_SNAPSHOT_H

#include "diarize/record.h"
#include "diarize/speakers.h"

typedef struct mt_snapshot {
    mt_record record; /* after mt_snapshot_assign its voices have speakers; vectors and activity are the original's */
    mt_points points;
    size_t settled; /* windows whose voices are among the points */
    mt_speaker_rules rules;
    int speakers;
} mt_snapshot;

motet_status mt_snapshot_make(const mt_record *record, const mt_points *points, size_t settled,
                              const mt_speaker_rules *rules, mt_snapshot *out);
motet_status mt_snapshot_assign(mt_snapshot *snapshot);
void mt_snapshot_free(mt_snapshot *snapshot);

#endif
