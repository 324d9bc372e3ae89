/* The names of the passes. */
#include <stdio.h>
#include <string.h>

#include "core/status.h"
#include "graph/passes/passes.h"

static const char *const names_of[MT_PASSES] = {
    [MT_PASS_FOLD] = "fold",           [MT_PASS_BRANCH] = "branch",
    [MT_PASS_IDENTITY] = "identity",   [MT_PASS_COMMON] = "common",
    [MT_PASS_NORM] = "norm",           [MT_PASS_TRANSPOSE] = "transpose",
    [MT_PASS_FOREST] = "forest",       [MT_PASS_SKIP] = "skip",
    [MT_PASS_ATTENTION] = "attention", [MT_PASS_INTEGER] = "integer",
    [MT_PASS_GELU] = "gelu",           [MT_PASS_STEM] = "stem",
    [MT_PASS_EPILOGUE] = "epilogue",   [MT_PASS_PROJECTIONS] = "projections",
    [MT_PASS_RANGE] = "range",         [MT_PASS_STRASSEN] = "strassen",
};

static motet_status fail_unknown(const char *name, size_t length)
{
    char list[256];
    size_t used = 0;
    for (int i = 0; i < MT_PASSES && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names_of[i]);
    return mt_fail(MOTET_ERROR_ARGUMENT, "there is no pass \"%.*s\" to leave out, only %s",
                   (int)(length < 64 ? length : 64), name, list);
}

motet_status mt_pass_set_read(const char *names, mt_pass_set *without)
{
    *without = 0;
    while (names && *names) {
        size_t length = strcspn(names, ",");
        int pass = 0;
        while (pass < MT_PASSES && (strlen(names_of[pass]) != length || strncmp(names_of[pass], names, length))) pass++;
        if (pass == MT_PASSES) return fail_unknown(names, length);
        *without |= 1u << pass;
        names += length + (names[length] == ',');
    }
    return MOTET_OK;
}
