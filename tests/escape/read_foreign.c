/* Reads files that lie in WORK and belong to others, mode 0600: argv[1] to one who is neither the
 * caller nor krux, argv[2] to the user that krux-spawnd runs as.
 * Rings: ids (the worker's own), id map (only the caller's files become the worker's). */
#include <fcntl.h>

#include "tests/escape/verdict.h"

int main(int argc, char** argv) {
  for (int i = 1; i <= 2; i++) {
    if (open(argument(argc, argv, i), O_RDONLY) >= 0) escaped("opened %s", argv[i]);
    if (errno != EACCES) broken("open %s: %s", argv[i], error_name());
  }
  contained("open: EACCES");
}
