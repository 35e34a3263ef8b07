/* Signals a process of the host, argv[1], through others: the owner of a descriptor, a timer, a
 * message queue. fcntl(2), timer_create(2). Rings: pid namespace (the number names nobody),
 * Landlock scope. */
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>

#include "tests/escape/verdict.h"

int main(int argc, char** argv) {
  const int target = atoi(argument(argc, argv, 1));
  int ends[2];
  if (pipe(ends) != 0) broken("pipe: %s", error_name());
  if (fcntl(ends[0], F_SETOWN, target) == 0) {
    fcntl(ends[0], F_SETSIG, SIGKILL);
    fcntl(ends[0], F_SETFL, O_ASYNC | O_NONBLOCK);
    if (write(ends[1], "x", 1) != 1) broken("write: %s", error_name());
    escaped("%d owns a descriptor here", target);
  }
  const char* first = error_name();
  const struct f_owner_ex owner = {F_OWNER_TID, target};
  if (fcntl(ends[0], F_SETOWN_EX, &owner) == 0) escaped("thread %d owns a descriptor here", target);
  struct sigevent event;
  memset(&event, 0, sizeof event);
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = SIGKILL;
  event._sigev_un._tid = target;
  int timer = 0;
  if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer) == 0)
    escaped("a timer here ends at %d", target);
  contained("fcntl: %s", first);
}
