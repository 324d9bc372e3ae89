#include "diarize/snapshot.h"

#include <string.h>

#include "core/memory.h"

static void *copy_array(const void *from, size_t count, size_t size)
{
    void *to = mt_alloc_array(count, size);
    if (to && count) memcpy(to, from, count * size);
    return to;
}

motet_status mt_snapshot_make(const mt_record *r, const mt_points *p, size_t settled, const mt_speaker_rules *rules,
                              mt_snapshot *out)
{
    size_t points = (size_t)p->count, dims = (size_t)p->dims;
    *out = (mt_snapshot){.record = *r, .points = *p, .settled = settled, .rules = *rules};
    out->record.windows = copy_array(r->windows, r->window_count, sizeof *r->windows);
    out->record.voices = copy_array(r->voices, r->voice_count, sizeof *r->voices);
    out->points.sums = copy_array(p->sums, points * dims, sizeof *p->sums);
    out->points.weights = copy_array(p->weights, points, sizeof *p->weights);
    out->points.links = copy_array(p->links, p->link_count, sizeof *p->links);
    out->points.sum_capacity = out->points.weight_capacity = points;
    out->points.link_capacity = p->link_count;
    if (out->record.windows && out->record.voices && out->points.sums && out->points.weights && out->points.links)
        return MOTET_OK;
    mt_snapshot_free(out);
    return mt_fail_memory(r->voice_count * sizeof *r->voices + points * dims * sizeof *p->sums);
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
