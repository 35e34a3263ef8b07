/* Runs a program that no path rule covers: a copy of itself from memory, and a second one from a
 * deleted file. What was executed that way is confined like its parent.
 * Rings: seccomp, Landlock and no_new_privs are inherited over execve(2). */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/escape/verdict.h"

/* In the copy: 0 if it can do nothing that its parent cannot. */
static int report(void) {
  const int fd = creat("from-memory", 0755);
  if (fd < 0) return 3;
  if (syscall(SYS_fchmod, fd, 04755) == 0) return 4;
  if (syscall(SYS_socket, 1, 1, 0) >= 0) return 5;
  if (mkdir("/new", 0700) == 0) return 6;
  return 0;
}

static int run(int program, const char* how) {
  char* const arguments[] = {(char*)how, "--report", NULL};
  char* const environment[] = {NULL};
  const pid_t pid = fork();
  if (pid == 0) {
    fexecve(program, arguments, environment);
    _exit(errno == EACCES || errno == EPERM ? 0 : 7);
  }
  int status = 0;
  if (waitpid(pid, &status, 0) != pid) broken("waitpid: %s", error_name());
  return WIFEXITED(status) ? WEXITSTATUS(status) : 8;
}

int main(int argc, char** argv) {
  if (argc == 2 && strcmp(argv[1], "--report") == 0) return report();
  const int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  struct stat st;
  if (self < 0 || fstat(self, &st) != 0) broken("open /proc/self/exe: %s", error_name());
  for (int i = 0; i < 2; i++) {
    const int copy = i == 0 ? memfd_create("program", MFD_CLOEXEC)
                            : open("copy", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    off_t at = 0;
    if (copy < 0 || sendfile(copy, self, &at, (size_t)st.st_size) != st.st_size)
      broken("copy: %s", error_name());
    int program = copy;
    if (i == 1) {
      /* Reopened for reading: a file that is open for writing is busy. */
      program = open("copy", O_RDONLY | O_CLOEXEC);
      close(copy);
      unlink("copy");
    }
    const int got = run(program, i == 0 ? "memory" : "deleted");
    if (got >= 4 && got <= 6) escaped("the copy did what it may not: %d", got);
    if (got != 0) broken("the copy answered %d", got);
  }
  contained("what runs from memory is confined too");
}
