/* Looks into and steers pid 1, the stub of krux that measures and reports this very program.
 * Rings: seccomp (ptrace and its relatives), dumpable 0 of pid 1, Landlock (no tracing upwards). */
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "tests/escape/verdict.h"

static void must_fail(long result, const char* what) {
  if (result >= 0) escaped("%s worked", what);
  if (errno != EPERM) escaped("%s answers %s", what, error_name());
}

int main(void) {
  char byte = 0;
  struct iovec here = {.iov_base = &byte, .iov_len = 1};
  struct iovec there = {.iov_base = (void*)(uintptr_t)0x400000, .iov_len = 1};
  must_fail(ptrace(PTRACE_SEIZE, 1, NULL, NULL), "PTRACE_SEIZE");
  must_fail(ptrace(PTRACE_ATTACH, 1, NULL, NULL), "PTRACE_ATTACH");
  must_fail(process_vm_readv(1, &here, 1, &there, 1, 0), "process_vm_readv");
  must_fail(process_vm_writev(1, &here, 1, &there, 1, 0), "process_vm_writev");
  must_fail(syscall(SYS_kcmp, getpid(), 1, 0, 0, 0), "kcmp");
  const long pidfd = syscall(SYS_pidfd_open, 1, 0);
  if (pidfd >= 0) {
    /* Descriptors 3 and 4 of pid 1 are the way to krux-spawnd and the result. */
    for (int fd = 0; fd < 8; fd++) must_fail(syscall(SYS_pidfd_getfd, pidfd, fd, 0), "pidfd_getfd");
  }
  contained("ptrace: EPERM");
}
