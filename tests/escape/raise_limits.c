/* Takes more of the host than it was given: higher limits, real-time priority, locked memory.
 * Rings: rlimits (soft and hard alike), caps. */
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "tests/escape/verdict.h"

int main(void) {
  const int resources[] = {RLIMIT_CPU,        RLIMIT_FSIZE,   RLIMIT_NOFILE, RLIMIT_CORE,
                           RLIMIT_MEMLOCK,    RLIMIT_NICE,    RLIMIT_RTPRIO, RLIMIT_STACK,
                           RLIMIT_SIGPENDING, RLIMIT_MSGQUEUE};
  for (size_t i = 0; i < sizeof resources / sizeof resources[0]; i++) {
    struct rlimit now;
    if (getrlimit(resources[i], &now) != 0) broken("getrlimit: %s", error_name());
    if (now.rlim_max == RLIM_INFINITY) escaped("resource %d has no limit", resources[i]);
    const struct rlimit more = {now.rlim_max, now.rlim_max + 1};
    if (setrlimit(resources[i], &more) == 0) escaped("raised resource %d", resources[i]);
  }
  const struct sched_param param = {.sched_priority = 1};
  if (sched_setscheduler(0, SCHED_FIFO, &param) == 0) escaped("became a real-time process");
  if (setpriority(PRIO_PROCESS, 0, -5) == 0) escaped("raised its priority");
  if (mlockall(MCL_CURRENT | MCL_FUTURE) == 0) escaped("locked its memory");
  contained("setrlimit: EPERM");
}
