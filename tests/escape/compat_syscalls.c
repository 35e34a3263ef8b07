/* Enters the kernel by the 32-bit door, where other numbers mean other calls: int 0x80.
 * Rings: seccomp (an architecture that is not the filter's kills the process). */
#include <signal.h>
#include <sys/wait.h>

#include "tests/escape/verdict.h"

int main(void) {
#if defined(__x86_64__)
  const pid_t pid = fork();
  if (pid == 0) {
    long result = 20; /* getpid of i386 */
    __asm__ volatile("int $0x80" : "+a"(result) : : "memory");
    _exit(result > 0 ? 0 : 1);
  }
  int status = 0;
  if (waitpid(pid, &status, 0) != pid) broken("waitpid: %s", error_name());
  if (WIFEXITED(status)) escaped("int 0x80 returned, status %d", WEXITSTATUS(status));
  contained("killed by signal %d", WTERMSIG(status));
#else
  contained("this architecture has no such door; killed by signal %d does not apply", SIGSYS);
#endif
}
