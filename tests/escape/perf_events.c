/* Counts what the processor does, of itself and of everybody.
 * Rings: seccomp. */
#include <linux/perf_event.h>
#include <sys/syscall.h>

#include "tests/escape/verdict.h"

int main(void) {
  struct perf_event_attr attr;
  memset(&attr, 0, sizeof attr);
  attr.size = sizeof attr;
  attr.type = PERF_TYPE_SOFTWARE;
  attr.config = PERF_COUNT_SW_TASK_CLOCK;
  attr.exclude_kernel = 1;
  if (syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0) >= 0) escaped("counts itself");
  if (syscall(SYS_perf_event_open, &attr, -1, 0, -1, 0) >= 0) escaped("counts everybody");
  contained("perf_event_open: %s", error_name());
}
