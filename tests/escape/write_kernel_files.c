/* Opens the kernel's own controls for writing: sysctls, sysfs, cgroups, and what /proc says of
 * itself. Rings: mount (no sysfs, no cgroup file system; proc with subset=pid has no sys), Landlock
 * (proc is read-only). Nothing is ever written: an open is enough. */
#include <fcntl.h>

#include "tests/escape/verdict.h"

int main(void) {
  const char* files[] = {"/proc/sys/kernel/core_pattern",
                         "/proc/sys/kernel/hostname",
                         "/proc/sysrq-trigger",
                         "/proc/sys/net/ipv4/ip_forward",
                         "/proc/kcore",
                         "/proc/kallsyms",
                         "/proc/keys",
                         "/sys/kernel/uevent_helper",
                         "/sys/fs/cgroup/cgroup.procs",
                         "/sys/fs/cgroup/unified/cgroup.procs",
                         "/sys/fs/cgroup/cgroup.subtree_control",
                         "/proc/self/uid_map",
                         "/proc/self/gid_map",
                         "/proc/self/setgroups",
                         "/proc/self/oom_score_adj",
                         "/proc/self/coredump_filter",
                         "/proc/self/attr/current",
                         "/proc/self/timens_offsets",
                         "/proc/1/oom_score_adj"};
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    if (open(files[i], O_WRONLY) >= 0) escaped("%s opens for writing", files[i]);
    /* Of the process's own entries Landlock refuses the writing; the others are not there. */
    const int own = strncmp(files[i], "/proc/self/", 11) == 0;
    if (errno != ENOENT && !(own && (errno == EACCES || errno == EPERM))) {
      escaped("%s answers %s: it is there", files[i], error_name());
    }
  }
  contained("open: ENOENT");
}
