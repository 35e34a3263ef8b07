/* Leaves a core file, which would be written where the host's core_pattern says, perhaps by a
 * program of root's. Rings: rlimits (RLIMIT_CORE 0, soft and hard). */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/escape/verdict.h"

int main(void) {
  const struct rlimit all = {1 << 20, 1 << 20};
  if (setrlimit(RLIMIT_CORE, &all) == 0) escaped("raised the core limit");
  const char* first = error_name();
  const pid_t pid = fork();
  if (pid == 0) {
    signal(SIGQUIT, SIG_DFL);
    raise(SIGQUIT);
    _exit(0);
  }
  int status = 0;
  if (waitpid(pid, &status, 0) != pid) broken("waitpid: %s", error_name());
  if (!WIFSIGNALED(status)) broken("it did not crash");
  if (WCOREDUMP(status)) escaped("a core was dumped");
  if (access("core", F_OK) == 0) escaped("a core file is there");
  contained("setrlimit: %s", first);
}
