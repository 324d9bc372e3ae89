#include "diarize/heard.h"

#include "core/memory.h"
#include "diarize/options.h"
#include "diarize/snapshot.h"

struct motet_heard {
    mt_record record;
    mt_points points; /* of all windows */
    double threshold, similarity, onset, frame, duration;
};

motet_status mt_heard_take(mt_record *record, mt_points *points, const mt_model_description *m, double duration,
                           motet_heard **out)
{
    motet_heard *h = mt_alloc_zero(1, sizeof *h);
    if (!h) return mt_fail_memory(sizeof *h);
    *h = (motet_heard){.record = *record,
                       .points = *points,
                       .threshold = m->threshold,
                       .similarity = m->similarity,
                       .onset = m->onset,
                       .frame = (double)m->frame_step / m->sample_rate,
                       .duration = duration};
    mt_record_init(record, record->frames, record->dims);
    *points = (mt_points){.dims = points->dims};
    *out = h;
    return MOTET_OK;
}

motet_status motet_heard_conclude(const motet_heard *h, const motet_diarize_options *options, motet_diarization **out)
{
    *out = NULL;
    MT_TRY(mt_options_check(options));
    mt_speaker_rules speakers = mt_options_speakers(options, h->threshold, h->similarity);
    mt_turn_rules turns = mt_options_turns(options, h->onset, h->frame, h->duration);
    mt_snapshot snapshot;
    MT_TRY(mt_snapshot_make(&h->record, &h->points, h->record.window_count, &speakers, &snapshot));
    motet_status status = mt_snapshot_assign(&snapshot);
    if (status == MOTET_OK) status = mt_turns_make(&snapshot.record, snapshot.speakers, &turns, out);
    mt_snapshot_free(&snapshot);
    return status;
}

void motet_heard_destroy(motet_heard *h)
{
    if (!h) return;
    mt_record_free(&h->record);
    mt_points_free(&h->points);
    mt_free(h);
}
