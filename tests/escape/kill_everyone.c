/* Kills and stops every process it may, then the stub that is pid 1.
 * Rings: pid namespace (nobody else is in it; its pid 1 takes no fatal signal from inside),
 * Landlock scope. The line below is read by the stub that should have died. Of SIGTERM the stub
 * makes one for this program, as an init does, so that one is ignored here. */
#include <signal.h>
#include <sys/syscall.h>

#include "tests/escape/verdict.h"

int main(void) {
  signal(SIGTERM, SIG_IGN);
  const int signals[] = {SIGKILL, SIGSTOP, SIGTERM, SIGQUIT, SIGSEGV, SIGHUP};
  for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
    (void)kill(-1, signals[i]);
    (void)kill(1, signals[i]);
    (void)syscall(SYS_tgkill, 1, 1, signals[i]);
    const long pidfd = syscall(SYS_pidfd_open, 1, 0);
    if (pidfd >= 0) (void)syscall(SYS_pidfd_send_signal, pidfd, signals[i], NULL, 0);
  }
  if (getppid() != 1) escaped("the stub is gone");
  contained("pid 1 lives");
}
