/* Moves files across the edge of WORK: over a file of the host (argv[1]), over WORK itself, and a
 * program of the host into WORK.
 * Rings: mount (other trees are other mounts, read-only or not there), Landlock (REFER). */
#include <fcntl.h>
#include <stdio.h>

#include "tests/escape/verdict.h"

int main(int argc, char** argv) {
  const char* outside = argument(argc, argv, 1);
  const int fd = creat("mine", 0644);
  if (fd < 0 || write(fd, "mine\n", 5) != 5) broken("creat: %s", error_name());
  if (rename("mine", outside) == 0) escaped("replaced %s", outside);
  const int first = errno;
  if (renameat2(AT_FDCWD, "mine", AT_FDCWD, outside, RENAME_EXCHANGE) == 0)
    escaped("exchanged %s", outside);
  if (rename("mine", "../krux-escape-renamed") == 0) escaped("moved a file above WORK");
  if (rename("/usr/bin/env", "env") == 0) escaped("moved a program of the host");
  if (rename("mine", "/etc/passwd") == 0) escaped("replaced /etc/passwd");
  char cwd[4096], moved[4200];
  if (getcwd(cwd, sizeof cwd) == NULL) broken("getcwd: %s", error_name());
  snprintf(moved, sizeof moved, "%s-moved", cwd);
  if (rename(cwd, moved) == 0) escaped("moved WORK itself");
  errno = first;
  contained("rename: %s", error_name());
}
