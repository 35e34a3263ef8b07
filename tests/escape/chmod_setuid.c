/* Makes a setuid and a setgid file of the caller's with chmod(2).
 * Rings: seccomp alone. nosuid on the sandbox's mount keeps the bit from working inside, not from
 * standing on the host's disk, where the file belongs to the caller. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "tests/escape/verdict.h"

int main(void) {
  if (creat("chmod-file", 0755) < 0) broken("creat: %s", error_name());
  const unsigned long modes[] = {
      04755, 02755, 06755, 07777, 04000, 0xffff0000ul | 04755, 1ul << 32 | 02755};
  for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
    if (syscall(SYS_chmod, "chmod-file", modes[i]) == 0) escaped("chmod %lo", modes[i]);
  }
  contained("chmod: %s", error_name());
}
