/* Makes setuid files by the x32 door: the numbers of chmod and its relatives with bit 30 set.
 * Rings: seccomp (they kill the process). */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/escape/verdict.h"

int main(void) {
#if defined(__x86_64__)
  const int fd = creat("x32-file", 0755);
  if (fd < 0) broken("creat: %s", error_name());
  const struct {
    long number, a, b, c, d;
  } calls[] = {{SYS_chmod, (long)"x32-file", 04755, 0, 0},
               {SYS_fchmod, fd, 04755, 0, 0},
               {SYS_fchmodat, AT_FDCWD, (long)"x32-file", 04755, 0},
               {452, AT_FDCWD, (long)"x32-file", 04755, 0},
               {SYS_open, (long)"x32-new", O_CREAT | O_WRONLY, 04755, 0},
               {SYS_openat, AT_FDCWD, (long)"x32-new", O_CREAT | O_WRONLY, 04755},
               {SYS_creat, (long)"x32-new", 04755, 0, 0},
               {SYS_mknod, (long)"x32-new", S_IFREG | 04755, 0, 0},
               {SYS_mkdir, (long)"x32-new", 02755, 0, 0}};
  for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
    const pid_t pid = fork();
    if (pid == 0) {
      syscall(0x40000000l | calls[i].number, calls[i].a, calls[i].b, calls[i].c, calls[i].d);
      _exit(0);
    }
    int status = 0;
    if (waitpid(pid, &status, 0) != pid) broken("waitpid: %s", error_name());
    if (WIFEXITED(status)) escaped("x32 number %ld returned", calls[i].number);
    if (WTERMSIG(status) != SIGSYS)
      escaped("x32 number %ld ended by signal %d", calls[i].number, WTERMSIG(status));
  }
#endif
  contained("killed by signal %d, nine times", SIGSYS);
}
