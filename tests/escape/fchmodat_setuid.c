/* Makes a setuid and a setgid file of the caller's with fchmodat(2).
 * Rings: seccomp alone. nosuid on the sandbox's mount keeps the bit from working inside, not from
 * standing on the host's disk, where the file belongs to the caller. */
#include <fcntl.h>
#include <sys/syscall.h>

#include "tests/escape/verdict.h"

int main(void) {
  if (creat("fchmodat-file", 0755) < 0) broken("creat: %s", error_name());
  const unsigned long modes[] = {04755, 02755, 06755, 1ul << 32 | 04755};
  for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
    if (syscall(SYS_fchmodat, AT_FDCWD, "fchmodat-file", modes[i]) == 0)
      escaped("fchmodat %lo", modes[i]);
  }
  contained("fchmodat: %s", error_name());
}
