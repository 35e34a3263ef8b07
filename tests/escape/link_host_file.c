/* Takes a file of the host into WORK by a hard link: argv[1] lies on the same disk, belongs to the
 * caller and could be linked by the caller.
 * Rings: mount (the name does not exist; across mounts a link is refused in any case), Landlock. */
#include <fcntl.h>

#include "tests/escape/verdict.h"

int main(int argc, char** argv) {
  const char* outside = argument(argc, argv, 1);
  if (link(outside, "linked") == 0) escaped("linked %s", outside);
  if (errno != ENOENT) escaped("link of %s answers %s", outside, error_name());
  /* What does exist, on another mount. */
  if (link("/usr/bin/env", "linked-env") == 0) escaped("linked a program of the host");
  contained("link: ENOENT, then %s", error_name());
}
