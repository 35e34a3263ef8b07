/* Makes a userfaultfd, which holds the kernel still in the middle of a copy from this program.
 * Rings: seccomp. */
#include <fcntl.h>
#include <sys/syscall.h>

#include "tests/escape/verdict.h"

int main(void) {
  if (syscall(SYS_userfaultfd, O_CLOEXEC) >= 0) escaped("made a userfaultfd");
  const int first = errno;
  if (syscall(SYS_userfaultfd, O_CLOEXEC | 1 /* UFFD_USER_MODE_ONLY */) >= 0)
    escaped("made a userfaultfd");
  errno = first;
  contained("userfaultfd: %s", error_name());
}
