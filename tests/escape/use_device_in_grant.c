/* Opens a device node that the host left in WORK: argv[1], the null device under another name.
 * Rings: mount (nodev). */
#include <fcntl.h>

#include "tests/escape/verdict.h"

int main(int argc, char** argv) {
  const int flags[] = {O_RDONLY, O_WRONLY, O_RDWR};
  for (int i = 0; i < 3; i++) {
    if (open(argument(argc, argv, 1), flags[i] | O_NONBLOCK) >= 0) escaped("opened the device");
  }
  contained("open: %s", error_name());
}
