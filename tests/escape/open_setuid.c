/* Makes a setuid file with the mode of open(2) and openat(2), also unnamed and linked in later.
 * Rings: seccomp alone. nosuid on the sandbox's mount keeps the bit from working inside, not from
 * standing on the host's disk, where the file belongs to the caller. */
#include <fcntl.h>
#include <sys/syscall.h>

#include "tests/escape/verdict.h"

int main(void) {
  if (syscall(SYS_open, "open-file", O_CREAT | O_WRONLY, 04755) >= 0)
    escaped("open with mode 4755");
  if (syscall(SYS_open, "open-file-2", 1ul << 40 | O_CREAT | O_WRONLY, 1ul << 32 | 02755) >= 0) {
    escaped("open with mode 2755 and high bits");
  }
  if (syscall(SYS_openat, AT_FDCWD, "openat-file", O_CREAT | O_EXCL | O_RDWR, 06755) >= 0) {
    escaped("openat with mode 6755");
  }
  const long fd = syscall(SYS_openat, AT_FDCWD, ".", O_TMPFILE | O_RDWR, 04755);
  if (fd >= 0) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%ld", fd);
    const int linked = linkat(AT_FDCWD, path, AT_FDCWD, "tmpfile", AT_SYMLINK_FOLLOW);
    escaped("O_TMPFILE with mode 4755%s", linked == 0 ? ", linked" : "");
  }
  contained("openat: %s", error_name());
}
