/* Takes 4 GiB of memory and touches each page. The test's sandbox may hold 256 MiB.
 * Rings: cgroup (memory.max) or, where that ring is missing, rlimits (RLIMIT_AS). */
#include <stdint.h>
#include <sys/mman.h>

#include "tests/escape/verdict.h"

int main(void) {
  const size_t step = 16u << 20;
  for (size_t taken = 0; taken < (size_t)4 << 30; taken += step) {
    char* map = mmap(NULL, step, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) contained("mmap: %s", error_name());
    for (size_t i = 0; i < step; i += 4096) map[i] = 1;
    if (taken >= 512u << 20) escaped("holds %zu bytes", taken);
  }
  escaped("holds 4 GiB");
}
