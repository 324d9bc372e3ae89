/* UEM: NIST's un-partitioned evaluation map, which says what of a recording is scored:
 *
 *     meeting 1 0.000 300.000
 *     file    channel begin end */
#include "score/uem.h"

#include <string.h>

#include "core/memory.h"
#include "score/lines.h"
#include "core/sources.h"

enum { FIELD_FILE, FIELD_BEGIN = 2, FIELD_END, FIELDS };

motet_status motet_uem_create(motet_uem **out)
{
    *out = mt_alloc_zero(1, sizeof **out);
    return *out ? MOTET_OK : mt_fail_memory(sizeof **out);
}

void motet_uem_destroy(motet_uem *uem)
{
    if (!uem) return;
    mt_free(uem->regions);
    mt_arena_clear(&uem->names);
    mt_free(uem);
}

static motet_status add(motet_uem *uem, const char *file, double begin, double end)
{
    if (!mt_reserve((void **)&uem->regions, uem->count, &uem->capacity, sizeof *uem->regions))
        return mt_fail_memory(uem->capacity * 2 * sizeof *uem->regions);
    const char *name = mt_arena_string(&uem->names, file);
    if (!name) return mt_fail_memory(strlen(file));
    uem->regions[uem->count++] = (mt_region){.file = name, .begin = begin, .end = end};
    return MOTET_OK;
}

motet_status motet_uem_add(motet_uem *uem, const char *file, double begin, double end)
{
    if (!file || !*file) return mt_fail(MOTET_ERROR_ARGUMENT, "a region needs a file id");
    if (!(begin >= 0 && begin <= end && end <= MT_LATEST))
        return mt_fail(MOTET_ERROR_ARGUMENT, "region of '%.60s': %g to %g s: expected 0 <= begin <= end <= 1e9", file,
                       begin, end);
    return add(uem, file, begin, end);
}

static motet_status read_region(motet_uem *uem, const mt_lines *lines, char **fields, size_t count)
{
    double begin, end;
    if (count < FIELDS) return mt_lines_fail(lines, MOTET_ERROR_FORMAT, "expected 4 fields, found %zu", count);
    MT_TRY(mt_lines_seconds(lines, fields, FIELD_BEGIN, "begin", &begin));
    MT_TRY(mt_lines_seconds(lines, fields, FIELD_END, "end", &end));
    if (end < begin)
        return mt_lines_fail(lines, MOTET_ERROR_FORMAT, "field 4 (end) '%.60s' comes before field 3 (begin) '%.60s'",
                             fields[FIELD_END], fields[FIELD_BEGIN]);
    return add(uem, fields[FIELD_FILE], begin, end);
}

static motet_status read_file(void *target, const char *path)
{
    mt_lines lines;
    MT_TRY(mt_lines_open(&lines, path));
    char *fields[FIELDS];
    motet_status status = MOTET_OK;
    for (size_t count; status == MOTET_OK && (count = mt_lines_next(&lines, ";", fields, FIELDS));)
        status = read_region(target, &lines, fields, count);
    mt_lines_close(&lines);
    return status;
}

motet_status motet_uem_read(motet_uem *uem, const char *path)
{
    return mt_each_source(path, ".uem", read_file, uem);
}
