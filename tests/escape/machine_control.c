/* Takes hold of the machine: another kernel, a reboot, ports, swap, modules, the clock, quotas.
 * Every argument is one that the kernel refuses even to root, but for a port that nothing listens
 * to. Rings: seccomp, caps. */
#include <sys/io.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/timex.h>

#include "tests/escape/verdict.h"

static void must_fail(long result, const char* what) {
  if (result >= 0) escaped("%s worked", what);
  if (errno != EPERM) escaped("%s answers %s", what, error_name());
}

int main(void) {
  must_fail(syscall(SYS_kexec_load, 0, 17, NULL, 0), "kexec_load");
  must_fail(syscall(SYS_kexec_file_load, -1, -1, 0, NULL, 0), "kexec_file_load");
  must_fail(syscall(SYS_reboot, 1, 2, 3, NULL), "reboot");
#if defined(__x86_64__)
  must_fail(ioperm(0x80, 1, 1), "ioperm");
  must_fail(syscall(SYS_modify_ldt, 0, NULL, 0), "modify_ldt");
#endif
  must_fail(swapon("/nonexistent", 0), "swapon");
  must_fail(syscall(SYS_init_module, NULL, 0, ""), "init_module");
  must_fail(syscall(443 /* quotactl_fd */, -1, 0, 0, NULL), "quotactl_fd");
  struct timex clock;
  memset(&clock, 0, sizeof clock);
  clock.modes = ADJ_TICK;
  must_fail(adjtimex(&clock), "adjtimex");
  must_fail(syscall(SYS_settimeofday, NULL, "12345678"), "settimeofday");
  must_fail(syscall(SYS_migrate_pages, getpid(), 1, NULL, NULL), "migrate_pages");
  must_fail(syscall(SYS_move_pages, getpid(), 0, NULL, NULL, NULL, 0), "move_pages");
  contained("kexec_load: EPERM");
}
