/* Calls every number from 0 to 600 with junk, by the 64-bit and the 32-bit door, each in a process
 * of its own: names of files outside (argv[1]) and of WORK, small numbers, addresses, nonsense.
 * Whatever works is the program's own affair; the host must look as before, and the program must
 * live to say so. Rings: all. */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/escape/verdict.h"

enum { kNumbers = 601, kPatterns = 6 };

static char* low; /* below 4 GiB, so that both doors can point to it */

/* Whoever these end would be this program and its own children. */
static int signals_somebody(long number) {
  const long these[] = {SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo,
                        424 /* pidfd_send_signal */};
  for (size_t i = 0; i < sizeof these / sizeof these[0]; i++) {
    if (number == these[i]) return 1;
  }
  return 0;
}

static void arguments(int pattern, long out[6]) {
  const long outside = (long)(uintptr_t)low, inside = outside + 1024, zeros = outside + 2048;
  const long table[kPatterns][6] = {{0, 0, 0, 0, 0, 0},
                                    {outside, inside, outside, inside, outside, inside},
                                    {inside, 0x42 /* O_RDWR|O_CREAT */, 07777, 04755, 06777, 0},
                                    {AT_FDCWD, outside, inside, 07777, zeros, zeros},
                                    {1, 2, 3, zeros, 4096, zeros},
                                    {-1, -1, -1, -1, -1, -1}};
  memcpy(out, table[pattern], sizeof table[pattern]);
}

static void call(int door, long number, const long a[6]) {
  if (door == 0) {
    syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    return;
  }
#if defined(__x86_64__)
  __asm__ volatile("int $0x80"
                   : "+a"(number)
                   : "b"(a[0]), "c"(a[1]), "d"(a[2]), "S"(a[3]), "D"(a[4])
                   : "memory");
#endif
}

static _Noreturn void child(int door, long number, int pattern) {
  const int null = open("/dev/null", O_RDWR);
  for (int fd = 0; fd < 3; fd++) dup2(null, fd);
  const struct itimerval soon = {{0, 0}, {0, 20000}};
  setitimer(ITIMER_REAL, &soon, NULL);
  long a[6];
  arguments(pattern, a);
  call(door, number, a);
  _exit(0);
}

static void wait_for(pid_t pid) {
  for (int i = 0; i < 2000; i++) {
    if (waitpid(pid, NULL, WNOHANG) == pid) return;
    const struct timespec little = {0, i < 20 ? 50000 : 1000000};
    nanosleep(&little, NULL);
    if (i == 200) kill(pid, SIGKILL);
  }
  broken("a child does not end");
}

int main(int argc, char** argv) {
  low = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  if (low == MAP_FAILED) broken("mmap: %s", error_name());
  snprintf(low, 1024, "%s", argument(argc, argv, 1));
  strcpy(low + 1024, "junk");
  int calls = 0;
  for (int door = 0; door < 2; door++) {
    for (long number = 0; number < kNumbers; number++) {
      if (signals_somebody(number)) continue;
      /* By the other door every call ends its process, whatever it carries. */
      for (int pattern = door; pattern < (door == 0 ? kPatterns : 2); pattern++) {
        const pid_t pid = fork();
        if (pid < 0) broken("fork: %s after %d calls", error_name(), calls);
        if (pid == 0) child(door, number, pattern);
        wait_for(pid);
        calls++;
      }
    }
  }
  contained("%d calls made", calls);
}
