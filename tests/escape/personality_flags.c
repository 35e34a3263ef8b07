/* Weakens its own defences, and so those of whatever it can make crash: no randomised addresses,
 * data that can be executed, the habits of other systems. personality(2). Rings: seccomp. */
#include <sys/personality.h>
#include <sys/syscall.h>

#include "tests/escape/verdict.h"

int main(void) {
  const unsigned long flags[] = {ADDR_NO_RANDOMIZE, READ_IMPLIES_EXEC,
                                 MMAP_PAGE_ZERO,    PER_LINUX32,
                                 PER_BSD,           1ul << 32 | ADDR_NO_RANDOMIZE};
  for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
    if (syscall(SYS_personality, flags[i]) >= 0) escaped("personality %lx", flags[i]);
    if (errno != EPERM) escaped("personality %lx answers %s", flags[i], error_name());
  }
  contained("personality: EPERM");
}
