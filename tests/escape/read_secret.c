/* Reads the host's password hashes and a file of root's outside of WORK (argv[1]).
 * Rings: mount (neither name exists), id map (root's files are nobody's), Landlock. */
#include <fcntl.h>

#include "tests/escape/verdict.h"

int main(int argc, char** argv) {
  const char* paths[] = {argument(argc, argv, 1), "/etc/shadow", "/etc/gshadow", "/etc/machine-id"};
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
    if (open(paths[i], O_RDONLY) >= 0) escaped("opened %s", paths[i]);
    /* Not granted means not there; any other answer would say that it is. */
    if (errno != ENOENT) escaped("%s answers %s", paths[i], error_name());
  }
  contained("open: %s", error_name());
}
