/* Leaves WORK through absolute symbolic links: one that the host made (argv[1]) and one made here,
 * both to the file argv[2] outside, and one through a directory above it.
 * Rings: mount (absolute starts at the sandbox's own root), Landlock. */
#include <fcntl.h>

#include "tests/escape/verdict.h"

int main(int argc, char** argv) {
  const char* outside = argument(argc, argv, 2);
  if (symlink(outside, "absolute") != 0 && errno != EEXIST) broken("symlink: %s", error_name());
  if (symlink("/", "root") != 0 && errno != EEXIST) broken("symlink: %s", error_name());
  char through[4096];
  snprintf(through, sizeof through, "root%s", outside);
  const char* links[] = {argument(argc, argv, 1), "absolute", through};
  for (int i = 0; i < 3; i++) {
    if (open(links[i], O_RDONLY) >= 0) escaped("%s led out", links[i]);
    if (errno != ENOENT) escaped("%s answers %s", links[i], error_name());
  }
  contained("open: ENOENT");
}
