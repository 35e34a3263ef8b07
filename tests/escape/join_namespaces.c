/* Enters the namespaces of pid 1, of its own parent, and of a pidfd.
 * Rings: seccomp (setns), caps, proc (pid 1 is not shown: hidepid, and it is not dumpable). */
#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>

#include "tests/escape/verdict.h"

int main(void) {
  const char* kinds[] = {"user", "mnt", "pid", "net", "uts", "ipc", "cgroup", "time"};
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    for (int who = 0; who < 2; who++) {
      char path[64];
      snprintf(path, sizeof path, "/proc/%s/ns/%s", who == 0 ? "1" : "self", kinds[i]);
      const int fd = open(path, O_RDONLY);
      if (fd < 0) continue;
      if (who == 0) escaped("%s opens", path);
      if (setns(fd, 0) == 0) escaped("entered %s", path);
      if (errno != EPERM) escaped("setns of %s answers %s", path, error_name());
    }
  }
  const long pidfd = syscall(SYS_pidfd_open, 1, 0);
  if (pidfd >= 0 && setns((int)pidfd, CLONE_NEWNS) == 0) escaped("entered pid 1's mount namespace");
  contained("setns: %s", error_name());
}
