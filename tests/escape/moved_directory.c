/* Stands in a directory of WORK while somebody on the host moves it out, and looks around from
 * there: `..` of a place that has left its mount must lead nowhere. argv[1] is the directory;
 * beside where it is moved to lies a file `secret`. Rings: mount (the kernel stops `..` at what is
 * no longer below the mount's root), Landlock. */
#include <fcntl.h>

#include "tests/escape/verdict.h"

int main(int argc, char** argv) {
  int gone = 0;
  for (int i = 0; i < 200000 && gone < 500; i++) {
    const int dir = open(argument(argc, argv, 1), O_PATH | O_DIRECTORY);
    if (dir < 0) {
      gone++;
      continue;
    }
    for (int j = 0; j < 16; j++) {
      if (openat(dir, "../secret", O_RDONLY) >= 0) escaped("../secret opens");
      if (openat(dir, "../../etc/passwd", O_RDONLY) >= 0) escaped("../../etc/passwd opens");
    }
    close(dir);
  }
  if (gone == 0) broken("nobody moved it");
  contained("openat: %s", error_name());
}
