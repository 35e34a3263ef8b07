/* Types into the terminal of whoever started krux.
 * Rings: fds (no terminal is inherited), new session (none is the controlling one), mount (no
 * /dev/tty, no /dev/ptmx), seccomp (TIOCSTI, TIOCLINUX and TIOCSETD whatever the descriptor). */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "tests/escape/verdict.h"

int main(void) {
  const char* terminals[] = {"/dev/tty", "/dev/console", "/dev/ptmx", "/dev/pts/0",
                             "/proc/self/fd/0"};
  for (size_t i = 0; i < sizeof terminals / sizeof terminals[0]; i++) {
    const int fd = open(terminals[i], O_RDWR | O_NOCTTY);
    if (fd >= 0 && isatty(fd)) escaped("%s is a terminal", terminals[i]);
  }
  const unsigned long requests[] = {TIOCSTI, TIOCSTI | 1ul << 32, 0x541C /* TIOCLINUX */, TIOCSETD};
  for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
    for (int fd = 0; fd < 3; fd++) {
      char key = '\n';
      if (syscall(SYS_ioctl, fd, requests[i], &key) == 0) escaped("typed into descriptor %d", fd);
      /* ENOTTY would mean that only the lack of a terminal stopped it. */
      if (errno != EPERM)
        escaped("ioctl %lx reached descriptor %d: %s", requests[i], fd, error_name());
    }
  }
  contained("ioctl: EPERM");
}
