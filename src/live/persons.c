/* See persons.h. */
#include "live/persons.h"

#include <math.h>
#include <string.h>

#include "core/memory.h"

static const double NAME_EVIDENCE = 2; /* seconds of somebody's speech that a name needs ... */
static const double MATCH_FOR = 2;     /* ... and for how long his voice must have matched it */

void mt_persons_init(mt_persons *p, double hop, double window, mt_live_turns *turns, mt_event_teller tell, void *user)
{
    *p = (mt_persons){.evidence = (float)(NAME_EVIDENCE * window / hop), /* every second is in that many windows */
                      .patience = (int)ceil(MATCH_FOR / hop),
                      .turns = turns,
                      .tell = tell,
                      .user = user};
}

void mt_persons_free(mt_persons *p)
{
    mt_free(p->people);
    p->people = NULL;
    p->count = p->capacity = 0;
    p->next_number = 0;
}

int mt_persons_root(const mt_persons *p, int speaker)
{
    while (p->people[speaker].into >= 0) speaker = p->people[speaker].into;
    return speaker;
}

motet_status mt_persons_introduce(mt_persons *p, int root, int *number, const char **name)
{
    mt_person *one = &p->people[root];
    if (one->number < 0) {
        one->number = p->next_number++;
        motet_live_event event = {.kind = MOTET_LIVE_SPEAKER_NEW, .speaker = one->number, .name = one->name};
        MT_TRY(p->tell(p->user, &event));
    }
    *number = one->number;
    *name = one->name;
    return MOTET_OK;
}

int mt_persons_shown(const mt_persons *p)
{
    int shown = 0;
    for (size_t s = 0; s < p->count; s++) shown += p->people[s].number >= 0 && p->people[s].into < 0;
    return shown;
}

static motet_status make_room(mt_persons *p, int count)
{
    while ((int)p->count < count) {
        if (!mt_reserve((void **)&p->people, p->count, &p->capacity, sizeof *p->people))
            return mt_fail_memory(p->count * sizeof *p->people);
        p->people[p->count++] = (mt_person){.number = -1, .into = -1};
    }
    return MOTET_OK;
}

/* --- merges ---------------------------------------------------------------------------------------------------- */

static motet_status name_root(mt_persons *p, int root, const char *name)
{
    mt_person *one = &p->people[root];
    one->name = name;
    motet_live_event event = {.kind = MOTET_LIVE_SPEAKER_NAME, .speaker = one->number, .name = name};
    return one->number < 0 ? MOTET_OK : p->tell(p->user, &event);
}

static motet_status tell_merge(mt_persons *p, int from, int into)
{
    motet_live_event event = {.kind = MOTET_LIVE_SPEAKER_MERGE, .speaker = p->people[from].number};
    if (event.speaker < 0) return MOTET_OK;
    MT_TRY(mt_live_turns_end(p->turns, from));
    MT_TRY(mt_persons_introduce(p, into, &event.into, &event.name));
    return p->tell(p->user, &event);
}

/* Two roots become one, unless they are known to be two people. */
static motet_status unite(mt_persons *p, int from, int into)
{
    const char *name = p->people[from].name, *other = p->people[into].name;
    if (from == into || (name && other && strcmp(name, other))) return MOTET_OK;
    MT_TRY(tell_merge(p, from, into));
    p->people[from].into = into;
    return name && !other ? name_root(p, into, name) : MOTET_OK;
}

static motet_status take_merges(mt_persons *p, const mt_tracker *tracker)
{
    for (int s = 0; s < tracker->speaker_count; s++) {
        int into = tracker->speakers[s].merged_into;
        if (into < 0 || p->people[s].merge_taken) continue;
        p->people[s].merge_taken = true;
        MT_TRY(unite(p, mt_persons_root(p, s), mt_persons_root(p, into)));
    }
    return MOTET_OK;
}

/* --- names ----------------------------------------------------------------------------------------------------- */

/* The root that bears a name, -1: nobody. */
static int find_name(const mt_persons *p, const char *name)
{
    for (size_t s = 0; s < p->count; s++)
        if (p->people[s].into < 0 && p->people[s].name && !strcmp(p->people[s].name, name)) return (int)s;
    return -1;
}

/* Whether a speaker's mean voice has matched one known voice for long enough. */
static bool matches(mt_persons *p, int speaker, const float *voice)
{
    mt_person *one = &p->people[speaker];
    motet_match match;
    motet_known_match(p->known, voice, &p->matching, &match);
    bool same = match.known && one->match && !strcmp(one->match, match.name);
    one->matches = same ? one->matches + 1 : match.known;
    one->match = match.known ? match.name : NULL;
    return one->matches >= p->patience;
}

static motet_status take_names(mt_persons *p, const mt_tracker *tracker)
{
    const mt_mean_voices *means = &tracker->means;
    for (int k = 0; p->known && k < means->count; k++) {
        int speaker = means->speakers[k], root = mt_persons_root(p, speaker);
        const float *voice = means->vectors + (size_t)k * (size_t)tracker->points.dims;
        if (p->people[root].name || tracker->speakers[speaker].weight < p->evidence || !matches(p, speaker, voice))
            continue;
        const char *name = p->people[speaker].match;
        int bearer = find_name(p, name);
        MT_TRY(bearer < 0 ? name_root(p, root, name) : unite(p, root, bearer));
    }
    return MOTET_OK;
}

motet_status mt_persons_take(mt_persons *p, const mt_tracker *tracker)
{
    MT_TRY(make_room(p, tracker->speaker_count));
    MT_TRY(take_merges(p, tracker));
    return take_names(p, tracker);
}
