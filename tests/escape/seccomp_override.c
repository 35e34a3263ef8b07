/* Loads filters of its own over krux's: one that lets everything through, one that asks a tracer,
 * one that asks a listener in this very program. The strictest answer counts, seccomp(2). Rings:
 * seccomp. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/escape/verdict.h"

static int load(unsigned action, unsigned flags) {
  struct sock_filter one[] = {{BPF_RET | BPF_K, 0, 0, action}};
  const struct sock_fprog program = {1, one};
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

/* In a child, as a filter cannot be taken back. 0: still refused. */
static int attempt(unsigned action, unsigned flags) {
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (load(action, flags) < 0) _exit(0);
    _exit(syscall(SYS_chmod, "override", 04755) == 0 ? 1 : 0);
  }
  int status = 0;
  if (waitpid(pid, &status, 0) != pid) broken("waitpid: %s", error_name());
  return WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

int main(void) {
  FILE* file = fopen("override", "w");
  if (file == NULL) broken("override: %s", error_name());
  const unsigned actions[] = {SECCOMP_RET_ALLOW, SECCOMP_RET_LOG, SECCOMP_RET_TRACE | 1};
  for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
    if (attempt(actions[i], 0) != 0) escaped("chmod 4755 under a filter of its own");
  }
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, NULL) == 0)
    escaped("strict mode with flags");
  if (prctl(PR_SET_SECCOMP, 0, 0, 0, 0) == 0) escaped("the filter is gone");
  if (syscall(SYS_chmod, "override", 04755) == 0) escaped("chmod 4755");
  contained("chmod: %s", error_name());
}
