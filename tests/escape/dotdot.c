/* Climbs out of WORK with `..`: in one path, one step at a time with descriptors, and by fchdir,
 * and opens the file argv[1] from wherever that ends. Rings: mount (above WORK there is only the
 * empty root). */
#include <fcntl.h>

#include "tests/escape/verdict.h"

int main(int argc, char** argv) {
  const char* outside = argument(argc, argv, 1);
  char path[4096] = "../../../../../../../../../../../../../../..";
  strncat(path, outside, sizeof path - strlen(path) - 1);
  if (open(path, O_RDONLY) >= 0) escaped("%s opens", path);
  if (errno != ENOENT) escaped("%s answers %s", path, error_name());
  int dir = open(".", O_PATH | O_DIRECTORY);
  for (int i = 0; i < 64 && dir >= 0; i++) {
    const int up = openat(dir, "..", O_PATH | O_DIRECTORY);
    if (up < 0) break;
    close(dir);
    dir = up;
  }
  if (dir < 0) broken("open .: %s", error_name());
  if (openat(dir, outside + 1, O_RDONLY) >= 0) escaped("%s opens from the top", outside);
  if (fchdir(dir) == 0 && open(outside + 1, O_RDONLY) >= 0)
    escaped("%s opens after fchdir", outside);
  contained("open: %s", error_name());
}
