/* Makes a setuid and a setgid file of the caller's with fchmodat2(2), new in Linux 6.6.
 * Rings: seccomp alone. nosuid on the sandbox's mount keeps the bit from working inside, not from
 * standing on the host's disk, where the file belongs to the caller. */
#include <fcntl.h>
#include <sys/syscall.h>

#include "tests/escape/verdict.h"

enum { kFchmodat2 = 452 };

int main(void) {
  const int fd = creat("fchmodat2-file", 0755);
  if (fd < 0) broken("creat: %s", error_name());
  const unsigned long modes[] = {04755, 02755, 06755, 1ul << 32 | 04755};
  for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
    if (syscall(kFchmodat2, AT_FDCWD, "fchmodat2-file", modes[i], 0) == 0)
      escaped("fchmodat2 %lo", modes[i]);
    if (syscall(kFchmodat2, fd, "", modes[i], AT_EMPTY_PATH) == 0)
      escaped("fchmodat2 %lo of a descriptor", modes[i]);
  }
  contained("fchmodat2: %s", error_name());
}
