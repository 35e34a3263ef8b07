/* Looks for processes that are neither itself nor the stub that started it.
 * Rings: pid namespace (nobody else is in it). A signal that may not be sent still tells that there
 * is somebody. */
#include <signal.h>

#include "tests/escape/verdict.h"

int main(void) {
  for (int pid = 1; pid < 70000; pid++) {
    if (pid == getpid() || pid == getppid()) continue;
    if (kill(pid, 0) == 0 || errno != ESRCH) escaped("process %d is there: %s", pid, error_name());
  }
  contained("only the stub and this program are here");
}
