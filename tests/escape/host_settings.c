/* Changes what belongs to the whole machine: host name, clock, kernel log, swap, modules, quotas.
 * Rings: seccomp, caps, uts namespace. Every argument is harmless even where it worked. */
#include <sys/klog.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include "tests/escape/verdict.h"

static void must_fail(long result, const char* what) {
  if (result >= 0) escaped("%s worked", what);
  if (errno != EPERM) escaped("%s answers %s", what, error_name());
}

int main(void) {
  char buffer[16];
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) broken("clock_gettime: %s", error_name());
  must_fail(sethostname("krux", 4), "sethostname");
  must_fail(setdomainname("krux", 4), "setdomainname");
  must_fail(clock_settime(CLOCK_REALTIME, &now), "clock_settime");
  must_fail(klogctl(3, buffer, sizeof buffer), "syslog");
  must_fail(swapoff("/nonexistent"), "swapoff");
  must_fail(acct("/nonexistent"), "acct");
  must_fail(syscall(SYS_delete_module, "krux-no-such-module", 0), "delete_module");
  must_fail(syscall(SYS_finit_module, -1, "", 0), "finit_module");
  must_fail(syscall(SYS_iopl, 3), "iopl");
  must_fail(syscall(SYS_quotactl, 0, NULL, 0, NULL), "quotactl");
  contained("sethostname: EPERM");
}
