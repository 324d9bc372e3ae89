/* How many threads a process may use: its affinity mask, and the quotas of the control groups it is in, of both
 * versions, from files as the kernel has them. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "core/pool.h"
#include "core/quota.h"

static char root[] = "/tmp/motet-quota-XXXXXX";

static int setup(void **state)
{
    (void)state;
    return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", root);
    int removed = system(command);
    memcpy(root + sizeof root - 7, "XXXXXX", 6);
    return removed;
}

/* Writes root/name, and makes the folders above it. */
static void put(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void expect(const char *groups, int cpus)
{
    char path[256];
    put("groups", groups);
    snprintf(path, sizeof path, "%s/groups", root);
    assert_int_equal(mt_quota_cpus(path, root), cpus);
}

static void version_two(void **state)
{
    (void)state;
    put("cpu.max", "max 100000\n");
    expect("0::/\n", 0);
    put("a/cpu.max", "400000 100000\n");
    put("a/b/cpu.max", "150000 100000\n");
    put("a/b/c/cpu.max", "max 100000\n");
    expect("0::/a\n", 4);
    expect("0::/a/b/c\n", 2); /* 1.5 */
    expect("0::/a/not/here\n", 4);
    put("cpu.max", "50000 100000\n");
    expect("0::/a/b/c\n", 1);
}

static void version_one(void **state)
{
    (void)state;
    put("cpu/cpu.cfs_quota_us", "-1\n");
    put("cpu/cpu.cfs_period_us", "100000\n");
    expect("3:cpuset:/\n2:cpu:/\n0::/\n", 0);
    put("cpu/job/cpu.cfs_quota_us", "300000\n");
    put("cpu/job/cpu.cfs_period_us", "100000\n");
    expect("2:cpu:/job\n", 3);
    expect("2:cpuacct,cpu:/job\n", 3);
    expect("2:cpuset:/job\n", 0);
    put("cpu,cpuacct/job/cpu.cfs_quota_us", "20000\n");
    put("cpu,cpuacct/job/cpu.cfs_period_us", "10000\n");
    expect("2:cpu,cpuacct:/job\n", 2);
}

static void nothing_to_go_by(void **state)
{
    (void)state;
    assert_int_equal(mt_quota_cpus("/nowhere", root), 0);
    expect("", 0);
    expect("0\n0:\n::\nwords\n", 0);
    put("cpu.max", "0 0\n");
    expect("0::/\n", 0);
    put("cpu.max", "many\n");
    expect("0::/\n", 0);
    put("other/cpu.max", "100000 100000\n");
    expect("0::/../other\n", 0);
}

static void affinity(void **state)
{
    (void)state;
    cpu_set_t before, one;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    int first = 0;
    while (!CPU_ISSET(first, &before)) first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    assert_in_range(mt_cpu_count(), 1, CPU_COUNT(&before));
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(mt_cpu_count(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(version_two, setup, teardown),
        cmocka_unit_test_setup_teardown(version_one, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_to_go_by, setup, teardown),
        cmocka_unit_test(affinity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
