/* Changes files by descriptors that it did not open for writing: the three it was born with, one of
 * a program of the host, one that only names a file. Rings: seccomp (setuid bits), mount
 * (read-only). */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "tests/escape/verdict.h"

int main(void) {
  for (int fd = 0; fd < 3; fd++) {
    if (syscall(SYS_fchmod, fd, 04777) == 0) escaped("descriptor %d has mode 4777", fd);
    if (errno != EPERM) escaped("fchmod of descriptor %d answers %s", fd, error_name());
  }
  const int program = open("/usr/bin/env", O_RDONLY);
  if (program < 0) broken("open: %s", error_name());
  if (fchmod(program, 0777) == 0 || errno != EROFS)
    escaped("fchmod of a program: %s", error_name());
  if (fchown(program, getuid(), getgid()) == 0) escaped("fchown of a program");
  const struct timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
  if (futimens(program, now) == 0) escaped("changed the time of a program");
  const int named = open("/usr/bin/env", O_PATH);
  char again[64];
  snprintf(again, sizeof again, "/proc/self/fd/%d", named);
  if (chmod(again, 0777) == 0 || errno != EROFS)
    escaped("chmod by a name in /proc: %s", error_name());
  contained("fchmod: EPERM");
}
