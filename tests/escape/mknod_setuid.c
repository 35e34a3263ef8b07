/* Makes a setuid regular file with mknod(2) and mknodat(2).
 * Rings: seccomp alone. nosuid on the sandbox's mount keeps the bit from working inside, not from
 * standing on the host's disk, where the file belongs to the caller. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "tests/escape/verdict.h"

int main(void) {
  if (syscall(SYS_mknod, "mknod-file", S_IFREG | 04755, 0) == 0) escaped("mknod with mode 4755");
  if (syscall(SYS_mknodat, AT_FDCWD, "mknodat-file", S_IFREG | 02755, 0) == 0)
    escaped("mknodat with mode 2755");
  contained("mknod: %s", error_name());
}
