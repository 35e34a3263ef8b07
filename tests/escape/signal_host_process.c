/* Signals a process of the host that runs under the very id this program has outside (argv[1]), and
 * looks for others by guessing pids around it.
 * Rings: pid namespace (the number names nobody), Landlock scope (ABI 6). */
#include <signal.h>
#include <sys/syscall.h>

#include "tests/escape/verdict.h"

int main(int argc, char** argv) {
  const int target = atoi(argument(argc, argv, 1));
  if (kill(target, SIGKILL) == 0) escaped("killed %d", target);
  if (errno != ESRCH) escaped("kill of %d answers %s: it is seen", target, error_name());
  if (syscall(SYS_pidfd_open, target, 0) >= 0) escaped("opened %d", target);
  for (int pid = 3; pid < target + 200; pid++) {
    if (pid != getpid() && kill(pid, 0) == 0) escaped("sees process %d", pid);
  }
  contained("kill: ESRCH");
}
