/* Signals whoever is beside its own call: where it can see pid 1 and that is not its own stub, that
 * is krux-spawnd. Rings: pid namespace (numbers name nobody else), ids (another user's), Landlock
 * scope (ABI 6). */
#include <signal.h>

#include "tests/escape/verdict.h"

int main(void) {
  for (int pid = 1; pid < 4096; pid++) {
    if (pid == getpid() || pid == getppid()) continue;
    if (kill(pid, 0) == 0) escaped("may signal process %d", pid);
    if (errno != ESRCH) break;
  }
  contained("kill: %s", error_name());
}
