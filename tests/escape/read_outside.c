/* Reads a file of the caller's that lies outside of WORK and that everybody on the host may read:
 * argv[1]. Rings: mount (it is not there), Landlock (no rule covers it). */
#include <fcntl.h>

#include "tests/escape/verdict.h"

int main(int argc, char** argv) {
  if (open(argument(argc, argv, 1), O_RDONLY) >= 0) escaped("read %s", argv[1]);
  contained("open: %s", error_name());
}
