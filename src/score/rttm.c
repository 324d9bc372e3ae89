/* RTTM: NIST's Rich Transcription Time Marked format, ten blank-separated fields a line:
 *
 *     SPEAKER meeting 1 12.345 1.500 <NA> <NA> anna <NA> <NA>
 *     type    file channel onset duration orthography subtype speaker confidence lookahead
 *
 * Many writers leave the last field out. */
#include "score/rttm.h"

#include <string.h>

#include "core/memory.h"
#include "score/lines.h"
#include "core/sources.h"

enum { FIELD_TYPE, FIELD_FILE, FIELD_ONSET = 3, FIELD_DURATION, FIELD_SPEAKER = 7, FEWEST_FIELDS = 9, MOST_FIELDS };

motet_status motet_rttm_create(motet_rttm **out)
{
    *out = mt_alloc_zero(1, sizeof **out);
    return *out ? MOTET_OK : mt_fail_memory(sizeof **out);
}

void motet_rttm_destroy(motet_rttm *rttm)
{
    if (!rttm) return;
    mt_free(rttm->turns);
    mt_arena_clear(&rttm->names);
    mt_free(rttm);
}

size_t motet_rttm_count(const motet_rttm *rttm)
{
    return rttm->count;
}

bool motet_rttm_get(const motet_rttm *rttm, size_t index, motet_rttm_turn *out)
{
    if (index >= rttm->count) return false;
    *out = rttm->turns[index];
    return true;
}

size_t motet_rttm_empty_turns(const motet_rttm *rttm)
{
    return rttm->empty_turns;
}

/* A copy of `name`, or `latest` when that says the same: a file's turns nearly always follow one another. */
static const char *keep(motet_rttm *rttm, const char *name, const char *latest)
{
    return latest && strcmp(name, latest) == 0 ? latest : mt_arena_string(&rttm->names, name);
}

static motet_status add(motet_rttm *rttm, const motet_rttm_turn *turn)
{
    if (turn->duration == 0) {
        rttm->empty_turns++;
        return MOTET_OK;
    }
    if (!mt_reserve((void **)&rttm->turns, rttm->count, &rttm->capacity, sizeof *rttm->turns))
        return mt_fail_memory(rttm->capacity * 2 * sizeof *rttm->turns);
    const motet_rttm_turn *latest = rttm->count ? &rttm->turns[rttm->count - 1] : NULL;
    motet_rttm_turn kept = *turn;
    kept.file = keep(rttm, turn->file, latest ? latest->file : NULL);
    kept.speaker = keep(rttm, turn->speaker, latest ? latest->speaker : NULL);
    if (!kept.file || !kept.speaker) return mt_fail_memory(strlen(turn->file) + strlen(turn->speaker));
    rttm->turns[rttm->count++] = kept;
    return MOTET_OK;
}

static bool seconds(double time)
{
    return time >= 0 && time <= MT_LATEST; /* false for NaN */
}

motet_status motet_rttm_add(motet_rttm *rttm, const motet_rttm_turn *turn)
{
    if (!turn->file || !*turn->file || !turn->speaker || !*turn->speaker)
        return mt_fail(MOTET_ERROR_ARGUMENT, "a turn needs a file id and a speaker");
    if (!seconds(turn->onset) || !seconds(turn->duration))
        return mt_fail(MOTET_ERROR_ARGUMENT,
                       "turn of '%.60s' in '%.60s': onset %g s, duration %g s: expected 0 to 1e9 s", turn->speaker,
                       turn->file, turn->onset, turn->duration);
    return add(rttm, turn);
}

/* Types of the RT-09 evaluation plan that say nothing about who speaks when. */
static bool is_other_type(const char *type)
{
    static const char *const types[] = {"SEGMENT",    "NOSCORE", "NO_RT_METADATA", "LEXEME", "NON-LEX",
                                        "NON-SPEECH", "FILLER",  "EDIT",           "SU",     "IP",
                                        "CB",         "A/P",     "SPKR-INFO"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(type, types[i]) == 0) return true;
    return false;
}

static motet_status read_turn(motet_rttm *rttm, const mt_lines *lines, char **fields, size_t count)
{
    if (is_other_type(fields[FIELD_TYPE])) return MOTET_OK;
    if (strcmp(fields[FIELD_TYPE], "SPEAKER") != 0)
        return mt_lines_fail(lines, MOTET_ERROR_FORMAT, "field 1 (type) '%.60s': expected SPEAKER", fields[FIELD_TYPE]);
    if (count < FEWEST_FIELDS)
        return mt_lines_fail(lines, MOTET_ERROR_FORMAT, "expected 9 or 10 fields, found %zu", count);
    motet_rttm_turn turn = {.file = fields[FIELD_FILE], .speaker = fields[FIELD_SPEAKER]};
    MT_TRY(mt_lines_seconds(lines, fields, FIELD_ONSET, "onset", &turn.onset));
    MT_TRY(mt_lines_seconds(lines, fields, FIELD_DURATION, "duration", &turn.duration));
    return add(rttm, &turn);
}

static motet_status read_file(void *target, const char *path)
{
    mt_lines lines;
    MT_TRY(mt_lines_open(&lines, path));
    char *fields[MOST_FIELDS];
    motet_status status = MOTET_OK;
    for (size_t count; status == MOTET_OK && (count = mt_lines_next(&lines, ";;", fields, MOST_FIELDS));)
        status = read_turn(target, &lines, fields, count);
    mt_lines_close(&lines);
    return status;
}

motet_status motet_rttm_read(motet_rttm *rttm, const char *path)
{
    return mt_each_source(path, ".rttm", read_file, rttm);
}
