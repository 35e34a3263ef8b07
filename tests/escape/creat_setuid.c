/* Makes a setuid and a setgid file with the mode of creat(2).
 * Rings: seccomp alone. nosuid on the sandbox's mount keeps the bit from working inside, not from
 * standing on the host's disk, where the file belongs to the caller. */
#include <fcntl.h>
#include <sys/syscall.h>

#include "tests/escape/verdict.h"

int main(void) {
  if (syscall(SYS_creat, "creat-file", 04755) >= 0) escaped("creat with mode 4755");
  if (syscall(SYS_creat, "creat-file-2", 02755) >= 0) escaped("creat with mode 2755");
  contained("creat: %s", error_name());
}
