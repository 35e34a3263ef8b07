/* Makes a user namespace, in which it would have every capability: by unshare(2), clone(2) and
 * clone3(2), and the other namespaces without one.
 * Rings: seccomp (flags of clone by argument, unshare refused, clone3 without arguments: ENOSYS).
 */
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/escape/verdict.h"

static void try_clone(unsigned long flags, const char* name) {
  const long pid = syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
  if (pid == 0) _exit(0);
  if (pid > 0) escaped("clone made a %s namespace", name);
  if (errno != EPERM) escaped("clone of a %s namespace answers %s", name, error_name());
}

int main(void) {
  if (unshare(CLONE_NEWUSER) == 0) escaped("unshare made a user namespace");
  const int unshare_errno = errno;
  try_clone(CLONE_NEWUSER, "user");
  try_clone(1ul << 40 | CLONE_NEWUSER | CLONE_NEWNS, "user and mount");
  try_clone(CLONE_NEWNET, "net");
  try_clone(CLONE_NEWPID, "pid");
  struct clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
  const long pid = syscall(SYS_clone3, &args, sizeof args);
  if (pid == 0) _exit(0);
  if (pid > 0) escaped("clone3 made a user namespace");
  if (errno != ENOSYS) escaped("clone3 answers %s: its flags were read", error_name());
  errno = unshare_errno;
  contained("unshare: %s", error_name());
}
