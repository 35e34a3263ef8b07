/* Enters a Landlock domain of its own that allows everything, and then does what the first one
 * forbids: a domain only narrows, landlock(7). Rings: Landlock. */
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "tests/escape/verdict.h"

int main(void) {
  struct {
    uint64_t fs;
  } ruleset = {(1u << 13) - 1};
  struct __attribute__((packed)) {
    uint64_t allowed;
    int32_t parent;
  } rule = {(1u << 13) - 1, open("/", O_PATH | O_DIRECTORY)};
  const int fd = (int)syscall(444, &ruleset, sizeof ruleset, 0);
  if (fd < 0) broken("landlock_create_ruleset: %s", error_name());
  if (rule.parent < 0 || syscall(445, fd, 1, &rule, 0) != 0)
    broken("landlock_add_rule: %s", error_name());
  if (syscall(446, fd, 0) != 0 && errno != EPERM)
    broken("landlock_restrict_self: %s", error_name());
  if (mkfifo("pipe", 0666) == 0) escaped("made a named pipe");
  contained("mkfifo: %s", error_name());
}
