/* Forks without end. The test's sandbox may hold 64 processes.
 * Rings: cgroup (pids.max) or, where that ring is missing, rlimits (RLIMIT_NPROC). */
#include <signal.h>

#include "tests/escape/verdict.h"

int main(void) {
  for (int i = 0; i < 256; i++) {
    const pid_t pid = fork();
    if (pid < 0) contained("fork: %s", error_name());
    if (pid == 0) {
      for (;;) pause();
    }
  }
  escaped("256 processes run");
}
