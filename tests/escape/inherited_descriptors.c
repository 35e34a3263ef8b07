/* Uses what it was born with: every descriptor that is open, and where each leads.
 * Rings: fds (only 0, 1, 2), seccomp (a pipe is no door). */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "tests/escape/verdict.h"

int main(void) {
  for (int fd = 3; fd < 65536; fd++) {
    if (fcntl(fd, F_GETFD) >= 0) escaped("descriptor %d is open", fd);
  }
  for (int fd = 0; fd < 3; fd++) {
    struct stat st;
    if (fstat(fd, &st) != 0) broken("fstat %d: %s", fd, error_name());
    if (fd == 0) {
      if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
        escaped("stdin is not the null device");
      if ((fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY) escaped("stdin can be written");
    } else if (!S_ISFIFO(st.st_mode) || (fcntl(fd, F_GETFL) & O_ACCMODE) != O_WRONLY) {
      escaped("descriptor %d is more than the write end of a pipe", fd);
    }
    if (fchdir(fd) == 0) escaped("descriptor %d is a directory", fd);
    if (openat(fd, "..", O_PATH) >= 0) escaped("descriptor %d leads up", fd);
  }
  contained("only 0, 1 and 2 are open");
}
