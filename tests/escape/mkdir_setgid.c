/* Makes setuid and setgid directories with mkdir(2) and mkdirat(2).
 * Rings: seccomp alone. nosuid on the sandbox's mount keeps the bit from working inside, not from
 * standing on the host's disk, where the file belongs to the caller. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "tests/escape/verdict.h"

/* mkdir(2): Linux itself drops both bits from the mode; whoever says no first, none may stand. */
static void look(const char* path) {
  struct stat st;
  if (stat(path, &st) == 0 && (st.st_mode & 06000) != 0)
    escaped("%s has mode %o", path, st.st_mode & 07777u);
}

int main(void) {
  const long a = syscall(SYS_mkdir, "mkdir-dir", 06755);
  const long b = syscall(SYS_mkdirat, AT_FDCWD, "mkdirat-dir", 02755);
  const int refusal = errno;
  look("mkdir-dir");
  look("mkdirat-dir");
  if (a == 0 || b == 0) contained("the kernel dropped the bits");
  errno = refusal;
  contained("mkdir: %s", error_name());
}
