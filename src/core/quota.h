/* How much of the processors the control groups of this process leave it. */
#ifndef MT_CORE_QUOTA_H
#define MT_CORE_QUOTA_H

/* The smallest CPU quota, in processors, rounded up, of the process's control group and those above it, of version 2
 * (cpu.max) or 1 (cpu.cfs_quota_us); 0 when there is none. `groups` is /proc/self/cgroup, `root` where the file systems
 * are mounted (/sys/fs/cgroup): a test has others. */
int mt_quota_cpus(const char *groups, const char *root);

#endif
