/* Makes a setuid file with openat2(2), whose mode no filter can see.
 * Rings: seccomp alone. nosuid on the sandbox's mount keeps the bit from working inside, not from
 * standing on the host's disk, where the file belongs to the caller. */
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include "tests/escape/verdict.h"

int main(void) {
  struct open_how how = {.flags = O_CREAT | O_RDWR, .mode = 04755, .resolve = 0};
  if (syscall(SYS_openat2, AT_FDCWD, "openat2-file", &how, sizeof how) >= 0)
    escaped("openat2 with mode 4755");
  contained("openat2: %s", error_name());
}
