/* Runs a setuid program from memory: a memfd is a file of no mount that nosuid could cover.
 * Rings: seccomp alone. nosuid on the sandbox's mount keeps the bit from working inside, not from
 * standing on the host's disk, where the file belongs to the caller. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "tests/escape/verdict.h"

int main(void) {
  const int fd = memfd_create("program", 0);
  if (fd < 0) broken("memfd_create: %s", error_name());
  if (fchmod(fd, 04755) == 0) escaped("a memfd has mode 4755");
  contained("fchmod: %s", error_name());
}
