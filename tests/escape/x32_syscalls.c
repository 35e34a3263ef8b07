/* Enters the kernel by the x32 door: numbers from 0x40000000 on, which a filter that looks only at
 * the architecture takes for its own.
 * Rings: seccomp (they kill the process). */
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/escape/verdict.h"

int main(void) {
#if defined(__x86_64__)
  for (int i = 0; i < 2; i++) {
    const pid_t pid = fork();
    if (pid == 0) {
      const long result =
          syscall(0x40000000l + (i == 0 ? SYS_getpid : 512 /* rt_sigaction of x32 */));
      _exit(result > 0 ? 0 : 1);
    }
    int status = 0;
    if (waitpid(pid, &status, 0) != pid) broken("waitpid: %s", error_name());
    if (WIFEXITED(status)) escaped("an x32 number returned, status %d", WEXITSTATUS(status));
    if (WTERMSIG(status) != SIGSYS)
      escaped("ended by signal %d, not by the filter", WTERMSIG(status));
  }
#endif
  contained("killed by signal %d", SIGSYS);
}
