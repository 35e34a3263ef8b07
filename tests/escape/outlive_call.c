/* Outlives the call: forks twice, leaves session and process group, closes everything, ignores
 * every signal, and sleeps. The test looks for its name among the host's processes. Rings: pid
 * namespace (it dies with its pid 1), cgroup (cgroup.kill). */
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "tests/escape/verdict.h"

static _Noreturn void linger(void) {
  setsid();
  for (int i = 1; i < 65; i++) signal(i, SIG_IGN);
  prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
  for (int fd = 0; fd < 64; fd++) close(fd);
  for (;;) sleep(1000);
}

int main(void) {
  for (int i = 0; i < 3; i++) {
    const pid_t pid = fork();
    if (pid < 0) broken("fork: %s", error_name());
    if (pid == 0) {
      setsid();
      if (fork() != 0) _exit(0);
      linger();
    }
  }
  /* A brother instead of a child: waited for by pid 1 and by nobody else. */
  if (syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL) == 0) linger();
  contained("left four behind, which the host must not find");
}
