#include "diarize/snapshot.h"


#include "core/memory.h"

motet_status mt_snapshot_make(const mt_record *r, const mt_points *p, size_t settled, const mt_speaker_rules *rules,
                              mt_snapshot *out)
{
    *out = (mt_snapshot){.record = *r, .settled = settled, .rules = *rules};
    motet_status status = mt_points_copy(p, &out->points);
    out->record.windows = mt_copy_array(r->windows, r->window_count, sizeof *r->windows);
    out->record.voices = mt_copy_array(r->voices, r->voice_count, sizeof *r->voices);
    if (status == MOTET_OK && !(out->record.windows && out->record.voices))
        status = mt_fail_memory(r->voice_count * sizeof *r->voices);
    if (status != MOTET_OK) mt_snapshot_free(out);
    return status;
}

motet_status mt_snapshot_assign(mt_snapshot *s)
{
    for (; s->settled < s->record.window_count; s->settled++)
        MT_TRY(mt_speakers_window(&s->record, s->settled, &s->points, &s->rules));
    return mt_speakers_assign(&s->record, &s->points, &s->rules, &s->speakers);
}

void mt_snapshot_free(mt_snapshot *s)
{
    mt_free(s->record.windows);
    mt_free(s->record.voices);
    mt_points_free(&s->points);
    *s = (mt_snapshot){0};
}
