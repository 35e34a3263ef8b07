/* Makes an io_uring, whose operations no seccomp filter sees.
 * Rings: seccomp (ENOSYS, so that runtimes fall back), rlimits (a ring counts as locked memory). */
#include <linux/io_uring.h>
#include <sys/syscall.h>

#include "tests/escape/verdict.h"

int main(void) {
  struct io_uring_params params;
  memset(&params, 0, sizeof params);
  if (syscall(SYS_io_uring_setup, 4, &params) >= 0) escaped("made a ring");
  contained("io_uring_setup: %s", error_name());
}
