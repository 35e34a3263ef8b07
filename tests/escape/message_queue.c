/* Meets other programs in a POSIX message queue, which has a name and no path.
 * Rings: seccomp (ENOSYS), ipc namespace, rlimits (RLIMIT_MSGQUEUE 0). */
#include <fcntl.h>
#include <sys/syscall.h>

#include "tests/escape/verdict.h"

int main(void) {
  char name[64];
  snprintf(name, sizeof name, "krux-escape-%d", getpid());
  const long queue = syscall(SYS_mq_open, name, O_CREAT | O_RDWR, 0666, NULL);
  const char* how = error_name();
  if (queue >= 0) {
    syscall(SYS_mq_unlink, name);
    escaped("made a message queue");
  }
  contained("mq_open: %s", how);
}
