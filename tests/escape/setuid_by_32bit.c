/* Makes setuid files by the 32-bit door, int 0x80, where the same calls have other numbers: chmod,
 * fchmod, fchmodat, fchmodat2, open, openat, openat2, creat, mknod, mknodat, mkdir, mkdirat. Rings:
 * seccomp (an architecture that is not the filter's kills the process). */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/escape/verdict.h"

#if defined(__x86_64__)
struct low {
  char old_file[64], new_file[64];
  uint64_t how[3]; /* struct open_how: flags, mode, resolve */
};

static long call32(long number, long a, long b, long c, long d) {
  __asm__ volatile("int $0x80" : "+a"(number) : "b"(a), "c"(b), "d"(c), "S"(d) : "memory");
  return number;
}

static int setuid_appeared(const struct low* low) {
  struct stat st;
  const char* files[] = {low->old_file, low->new_file};
  for (int i = 0; i < 2; i++) {
    if (stat(files[i], &st) == 0 && (st.st_mode & (S_ISUID | S_ISGID)) != 0) return 1;
  }
  return 0;
}
#endif

int main(void) {
#if defined(__x86_64__)
  /* 32-bit pointers: everything that is pointed to lies below 4 GiB. */
  struct low* low =
      mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  if (low == MAP_FAILED) broken("mmap: %s", error_name());
  strcpy(low->old_file, "old");
  strcpy(low->new_file, "new");
  low->how[0] = O_CREAT | O_WRONLY;
  low->how[1] = 04755;
  const int fd = creat("old", 0755);
  if (fd < 0) broken("creat: %s", error_name());
  const long old_file = (long)(uintptr_t)low->old_file, new_file = (long)(uintptr_t)low->new_file;
  const long how = (long)(uintptr_t)low->how, here = AT_FDCWD;
  const struct {
    const char* name;
    long number, a, b, c, d;
  } calls[] = {{"chmod", 15, old_file, 04755, 0, 0},
               {"fchmod", 94, fd, 04755, 0, 0},
               {"fchmodat", 306, here, old_file, 04755, 0},
               {"fchmodat2", 452, here, old_file, 04755, 0},
               {"open", 5, new_file, O_CREAT | O_WRONLY, 04755, 0},
               {"openat", 295, here, new_file, O_CREAT | O_WRONLY, 04755},
               {"openat2", 437, here, new_file, how, sizeof low->how},
               {"creat", 8, new_file, 04755, 0, 0},
               {"mknod", 14, new_file, S_IFREG | 04755, 0, 0},
               {"mknodat", 297, here, new_file, S_IFREG | 04755, 0},
               {"mkdir", 39, new_file, 02755, 0, 0},
               {"mkdirat", 296, here, new_file, 02755, 0}};
  for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
    const pid_t pid = fork();
    if (pid == 0) {
      call32(calls[i].number, calls[i].a, calls[i].b, calls[i].c, calls[i].d);
      _exit(0);
    }
    int status = 0;
    if (waitpid(pid, &status, 0) != pid) broken("waitpid: %s", error_name());
    if (setuid_appeared(low)) escaped("32-bit %s made a setuid file", calls[i].name);
    if (WIFEXITED(status)) escaped("32-bit %s returned", calls[i].name);
    if (WTERMSIG(status) != SIGSYS)
      escaped("32-bit %s ended by signal %d", calls[i].name, WTERMSIG(status));
  }
#endif
  contained("killed by signal %d, twelve times", SIGSYS);
}
