/* Fills what is not its own disk: /tmp and the root of the sandbox, and one file of unlimited size.
 * Rings: mount (both are bounded, the root is read-only), rlimits (RLIMIT_FSIZE). */
#include <fcntl.h>
#include <signal.h>

#include "tests/escape/verdict.h"

int main(void) {
  static char block[1 << 20];
  signal(SIGXFSZ, SIG_IGN);
  const int fd = open("/tmp/fill", O_WRONLY | O_CREAT, 0600);
  if (fd < 0) broken("open /tmp/fill: %s", error_name());
  for (int i = 0; i < 256; i++) {
    if (write(fd, block, sizeof block) < 0) {
      const int full = errno;
      const int big = open("big", O_WRONLY | O_CREAT, 0600);
      if (big >= 0 && ftruncate(big, (off_t)1 << 40) == 0) escaped("a file of 1 TiB");
      errno = full;
      contained("write: %s", error_name());
    }
  }
  escaped("wrote 256 MiB into a /tmp of 64");
}
