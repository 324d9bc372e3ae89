/* A line of the list is "number:controllers:path"; version 2 has number 0 and no controllers. In a container the path
 * may be one of the host's that cannot be seen from within, where what is mounted is the container's own group: so
 * every folder from the path up to the root is tried, and those that are not there say nothing.
 * https://docs.kernel.org/admin-guide/cgroup-v2.html, cgroups(7) */
#include "core/quota.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 4096, MOST_CPUS = 1 << 20 };

/* The words of a small file, NULL when it cannot be read. */
static const char *read_line(const char *folder, const char *name, char *line, int size)
{
    char path[PATH_BYTES];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) return NULL;
    FILE *file = fopen(path, "r");
    if (!file) return NULL;
    const char *got = fgets(line, size, file);
    fclose(file);
    return got;
}

/* "max 100000" or "200000 100000" microseconds; a quota of -1 in version 1 means none. */
static double quota_of(const char *folder, bool second)
{
    char quota[64], period[64];
    double used = 0, of = 0;
    if (second) {
        if (!read_line(folder, "cpu.max", quota, sizeof quota) || sscanf(quota, "%lf %lf", &used, &of) != 2) return 0;
    } else {
        if (!read_line(folder, "cpu.cfs_quota_us", quota, sizeof quota) || sscanf(quota, "%lf", &used) != 1) return 0;
        if (!read_line(folder, "cpu.cfs_period_us", period, sizeof period) || sscanf(period, "%lf", &of) != 1) return 0;
    }
    return used > 0 && of > 0 ? used / of : 0;
}

static void lower(double *least, double quota)
{
    if (quota > 0 && (*least <= 0 || quota < *least)) *least = quota;
}

/* From mount/path up to the mount. */
static void look_upwards(const char *root, const char *mount, const char *path, bool second, double *least)
{
    char folder[PATH_BYTES];
    int length = snprintf(folder, sizeof folder, "%s%s", root, mount), all;
    if (length >= (int)sizeof folder || strstr(path, "..")) return;
    all = snprintf(folder + length, sizeof folder - (size_t)length, "%s", path);
    if (all >= (int)sizeof folder - length) return;
    for (char *end = folder + length + all; end >= folder + length; end--) {
        if (*end && *end != '/') continue;
        *end = '\0';
        lower(least, quota_of(folder, second));
    }
}

static bool has_cpu(const char *controllers)
{
    for (const char *at = controllers; (at = strstr(at, "cpu")); at++)
        if ((at == controllers || at[-1] == ',') && (at[3] == ',' || !at[3])) return true;
    return false;
}

static void look_at_line(char *line, const char *root, double *least)
{
    char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!path) return;
    *path++ = '\0';
    controllers++;
    path[strcspn(path, "\n")] = '\0';
    if (!*controllers) {
        look_upwards(root, "", path, true, least);
    } else if (has_cpu(controllers)) {
        look_upwards(root, "/cpu", path, false, least);
        look_upwards(root, "/cpu,cpuacct", path, false, least);
    }
}

int mt_quota_cpus(const char *groups, const char *root)
{
    char line[PATH_BYTES];
    double least = 0;
    FILE *list = fopen(groups, "r");
    while (list && fgets(line, sizeof line, list)) look_at_line(line, root, &least);
    if (list) fclose(list);
    return least > 0 && least < MOST_CPUS ? (int)ceil(least) : 0;
}
