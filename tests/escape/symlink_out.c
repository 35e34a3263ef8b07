/* Leaves WORK through relative symbolic links: one that the host made (argv[1]) and one made here,
 * both to the file argv[2] outside.
 * Rings: mount (the target does not exist), Landlock (rules are on files, not on names). */
#include <fcntl.h>

#include "tests/escape/verdict.h"

int main(int argc, char** argv) {
  const char* outside = argument(argc, argv, 2);
  char target[4096] = "../../../../../../../..";
  strncat(target, outside, sizeof target - strlen(target) - 1);
  if (symlink(target, "made-here") != 0 && errno != EEXIST) broken("symlink: %s", error_name());
  const char* links[] = {argument(argc, argv, 1), "made-here"};
  for (int i = 0; i < 2; i++) {
    if (open(links[i], O_RDONLY) >= 0) escaped("%s led out", links[i]);
    if (errno != ENOENT) escaped("%s answers %s", links[i], error_name());
    if (open(links[i], O_WRONLY | O_CREAT, 0644) >= 0) escaped("wrote through %s", links[i]);
  }
  contained("open: ENOENT");
}
